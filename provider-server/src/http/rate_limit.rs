//! How many requests a client may send.

use governor::{
	clock::{Clock, MonotonicClock},
	middleware::NoOpMiddleware,
	state::{InMemoryState, NotKeyed},
	Quota, RateLimiter,
};
use schnellru::{ByLength, LruMap};
use std::{
	net::IpAddr,
	num::NonZeroU32,
	sync::{Mutex, PoisonError},
	time::Duration,
};

/// Clients that are remembered, those of longest ago forgotten first: a few megabytes. Whoever has so many
/// addresses at hand gets around any limit per address; [`Server::max_connections`] and
/// [`Server::max_retrievals`] hold against them too.
///
/// [`Server::max_connections`]: crate::config::Server::max_connections
/// [`Server::max_retrievals`]: crate::config::Server::max_retrievals
const CLIENTS: u32 = 1 << 16;

/// Leading bits of an IPv6 address that count: what one customer is given, and can choose addresses from.
const IPV6_PREFIX: u32 = 64;

type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A token bucket for each client.
pub(super) struct RateLimits<C: Clock = MonotonicClock> {
	quota: Quota,
	clock: C,
	clients: Mutex<LruMap<IpAddr, Bucket<C>, ByLength>>,
}

impl<C: Clock + Clone> RateLimits<C> {
	/// Buckets of `burst` tokens, of which `per_second` come back each second.
	pub fn new(per_second: NonZeroU32, burst: NonZeroU32, clock: C) -> Self {
		RateLimits {
			quota: Quota::per_second(per_second).allow_burst(burst),
			clock,
			clients: Mutex::new(LruMap::new(ByLength::new(CLIENTS))),
		}
	}

	/// Takes a token of `client`.
	///
	/// # Errors
	/// If there is none: how long it takes until there is.
	pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
		let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
		let bucket = clients.get_or_insert(network(client), || {
			RateLimiter::direct_with_clock(self.quota, self.clock.clone())
		});
		let Some(bucket) = bucket else {
			// Only a map that takes no entry at all gives none.
			return Ok(());
		};
		bucket
			.check()
			.map_err(|refused| refused.wait_time_from(self.clock.now()))
	}
}

/// The client that an address counts as.
pub(super) fn network(address: IpAddr) -> IpAddr {
	match address.to_canonical() {
		IpAddr::V6(address) => {
			let mask = u128::MAX << (u128::BITS - IPV6_PREFIX);
			IpAddr::V6((address.to_bits() & mask).into())
		}
		address => address,
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use governor::clock::FakeRelativeClock;

	fn limits() -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
		let clock = FakeRelativeClock::default();
		let number = |n| NonZeroU32::new(n).unwrap();
		(RateLimits::new(number(2), number(3), clock.clone()), clock)
	}

	#[test]
	fn a_burst_then_the_rate() {
		let (limits, clock) = limits();
		let (one, other) = ("1.1.1.1".parse().unwrap(), "2.2.2.2".parse().unwrap());
		for _ in 0..3 {
			limits.take(one).unwrap();
		}
		assert_eq!(limits.take(one), Err(Duration::from_millis(500)));
		limits.take(other).unwrap();
		clock.advance(Duration::from_millis(500));
		limits.take(one).unwrap();
		limits.take(one).unwrap_err();
		// Full again, and no fuller than full.
		clock.advance(Duration::from_secs(1000));
		for _ in 0..3 {
			limits.take(one).unwrap();
		}
		limits.take(one).unwrap_err();
	}

	#[test]
	fn a_network_of_ipv6_is_one_client() {
		let (limits, _) = limits();
		for n in 0..3 {
			limits.take(format!("2001:db8::{n}").parse().unwrap()).unwrap();
		}
		limits.take("2001:db8::ffff".parse().unwrap()).unwrap_err();
		limits.take("2001:db8:0:1::1".parse().unwrap()).unwrap();
	}

	#[test]
	fn memory_is_bounded() {
		let (limits, _) = limits();
		for n in 0..CLIENTS + 1000 {
			limits.take(IpAddr::V4(n.into())).unwrap();
		}
		let clients = limits.clients.lock().unwrap();
		assert_eq!(clients.len(), CLIENTS as usize);
		assert!(clients.memory_usage() < 16 << 20, "{}", clients.memory_usage());
	}
}
