//! What is remembered of other peers: strikes, bans, and how well they deliver.
//!
//! The exchange engines report to [`Peers`] what a peer did ([`Peers::strike`], [`Peers::delivered`],
//! [`Peers::failed`]). The host obeys its bans: it closes the connections of a banned peer and refuses new ones until
//! the ban ends. Everything is kept in memory and bounded by [`PeersConfig`]; a restart forgives.
//!
//! Whom to ask for which block is not decided here: the exchange measures that anew in each session
//! ([`crate::exchange::scheduler`]), where it changes within seconds.

mod bans;
mod standing;

pub use bans::Ban;
pub use standing::Standing;

use crate::{
	clock::{Clock, SystemClock},
	metrics::Metrics,
};
use bans::Bans;
use libp2p::PeerId;
use standing::Standings;
use std::{
	sync::{Arc, Mutex, MutexGuard, PoisonError},
	time::Duration,
};
use tokio::sync::watch;

/// What a peer can do wrong. Each costs strikes; strikes halve every [`PeersConfig::half_life`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offence {
	/// It sent a block whose bytes do not match its CID, or a proof that does not verify.
	BadBlock,
	/// It sent what its protocol does not allow: a malformed, oversized or out-of-place message.
	Malformed,
	/// It kept on asking or sending beyond a limit that it was told.
	Flood,
	/// It sent blocks that nobody asked it for.
	Unrequested,
	/// It said that it has a block and then did not deliver it.
	BrokenPromise,
}

impl Offence {
	/// Every offence.
	pub const ALL: [Offence; 5] = [
		Offence::BadBlock,
		Offence::Malformed,
		Offence::Flood,
		Offence::Unrequested,
		Offence::BrokenPromise,
	];

	/// Strikes that it costs. A hundred within a short time are a ban ([`PeersConfig::threshold`]).
	pub const fn strikes(self) -> f64 {
		match self {
			// A peer with a failing disk sends one by accident, seldom two.
			Offence::BadBlock | Offence::Malformed => 60.0,
			Offence::Flood => 25.0,
			// A cancellation and the block can cross on the wire.
			Offence::Unrequested => 5.0,
			Offence::BrokenPromise => 2.0,
		}
	}

	/// Its name in metrics and logs.
	pub const fn name(self) -> &'static str {
		match self {
			Offence::BadBlock => "bad_block",
			Offence::Malformed => "malformed",
			Offence::Flood => "flood",
			Offence::Unrequested => "unrequested",
			Offence::BrokenPromise => "broken_promise",
		}
	}
}

/// What came of a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
	/// The peer may stay.
	Tolerated,
	/// The peer is banned, by this strike or already before it.
	Banned,
}

/// Limits and durations of [`Peers`].
#[derive(Clone, Debug, PartialEq)]
pub struct PeersConfig {
	/// Strikes from which on a peer is banned. Default 100.
	pub threshold: f64,
	/// Time in which strikes halve. Default 10 minutes.
	pub half_life: Duration,
	/// Length of a peer's first ban; each further one is twice as long. Default 10 minutes.
	pub first_ban: Duration,
	/// Longest ban, and how long after a ban's end the next one still counts as a repetition. Default one day.
	pub longest_ban: Duration,
	/// Delay before a peer is dialled again after a failed dial; doubles with each further one. Default 15 seconds.
	pub first_redial: Duration,
	/// Longest delay before a peer is dialled again. Default 10 minutes.
	pub longest_redial: Duration,
	/// Peers remembered; the one that was longest without a report is forgotten. Default 4,096.
	pub max_peers: usize,
	/// Bans remembered; the one that ends first is forgotten. Default 16,384.
	pub max_bans: usize,
}

impl Default for PeersConfig {
	fn default() -> Self {
		Self {
			threshold: 100.0,
			half_life: Duration::from_secs(600),
			first_ban: Duration::from_secs(600),
			longest_ban: Duration::from_secs(86_400),
			first_redial: Duration::from_secs(15),
			longest_redial: Duration::from_secs(600),
			max_peers: 4096,
			max_bans: 16_384,
		}
	}
}

/// Strikes, bans and measurements of other peers, shared by host, discovery and exchange. Clones are the same.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
	config: PeersConfig,
	clock: Arc<dyn Clock>,
	metrics: Metrics,
	state: Mutex<State>,
	/// Counts the changes of the set of banned peers.
	changes: watch::Sender<u64>,
}

struct State {
	standings: Standings,
	bans: Bans,
}

impl Default for Peers {
	fn default() -> Self {
		Self::new(PeersConfig::default(), Arc::new(SystemClock), Metrics::default())
	}
}

impl Peers {
	/// Nobody is known, nobody is banned.
	pub fn new(config: PeersConfig, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
		let state = State {
			standings: Standings::new(config.max_peers),
			bans: Bans::new(config.max_bans),
		};
		Self(Arc::new(Inner {
			config,
			clock,
			metrics,
			state: Mutex::new(state),
			changes: watch::Sender::new(0),
		}))
	}

	fn state(&self) -> MutexGuard<'_, State> {
		// No method panics half-way through a change.
		self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
	}

	fn changed(&self) {
		self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
	}

	/// Strikes a peer for what it did, and bans it if that was enough.
	pub fn strike(&self, peer: PeerId, offence: Offence) -> Verdict {
		let Inner {
			config,
			clock,
			metrics,
			..
		} = &*self.0;
		metrics.strikes.with_label_values(&[offence.name()]).inc();
		let now = clock.now();
		let mut state = self.state();
		if state.bans.get(&peer, now).is_some() {
			return Verdict::Banned;
		}
		let strikes = state
			.standings
			.entry(peer, now)
			.strike(offence.strikes(), now, config.half_life);
		tracing::debug!(%peer, offence = offence.name(), strikes, "strike");
		if strikes < config.threshold {
			return Verdict::Tolerated;
		}
		state.standings.entry(peer, now).forgive();
		let ban = state.bans.repeat(peer, now, config.first_ban, config.longest_ban);
		drop(state);
		metrics.bans.inc();
		tracing::info!(%peer, offence = offence.name(), seconds = (ban.until - now).as_secs(), "banned");
		self.changed();
		Verdict::Banned
	}

	/// Bans a peer for some time, as an operator may want to. A longer ban that it has stays. Returns the ban that
	/// holds now.
	pub fn ban(&self, peer: PeerId, length: Duration) -> Ban {
		let now = self.0.clock.now();
		let until = now.saturating_add(length);
		let ban = self.state().bans.set(peer, until, now);
		self.changed();
		ban
	}

	/// Ends a peer's ban and forgets its strikes. Whether it was banned.
	pub fn pardon(&self, peer: &PeerId) -> bool {
		let now = self.0.clock.now();
		let mut state = self.state();
		if let Some(known) = state.standings.get_mut(peer) {
			known.forgive();
		}
		let was_banned = state.bans.remove(peer, now);
		drop(state);
		if was_banned {
			self.changed();
		}
		was_banned
	}

	/// Whether the peer is banned now.
	pub fn is_banned(&self, peer: &PeerId) -> bool {
		let now = self.0.clock.now();
		self.state().bans.get(peer, now).is_some()
	}

	/// The bans that hold now.
	pub fn bans(&self) -> Vec<(PeerId, Ban)> {
		let now = self.0.clock.now();
		self.state().bans.all(now)
	}

	/// Marks a change whenever a peer was banned or pardoned. A ban that ends by itself marks none.
	pub fn changes(&self) -> watch::Receiver<u64> {
		self.0.changes.subscribe()
	}

	/// A request was answered: `bytes` of blocks arrived within `elapsed` of asking.
	pub fn delivered(&self, peer: PeerId, bytes: u64, elapsed: Duration) {
		let now = self.0.clock.now();
		self.state().standings.entry(peer, now).delivered(bytes, elapsed);
	}

	/// A request failed: it was not answered in time, or its connection was lost.
	pub fn failed(&self, peer: PeerId) {
		let now = self.0.clock.now();
		self.state().standings.entry(peer, now).failed();
	}

	/// A round trip to the peer took this long.
	pub fn round_trip(&self, peer: PeerId, rtt: Duration) {
		let now = self.0.clock.now();
		self.state().standings.entry(peer, now).round_trip(rtt);
	}

	/// A dial reached the peer: it may be dialled at any time.
	pub fn dial_succeeded(&self, peer: PeerId) {
		let now = self.0.clock.now();
		self.state().standings.entry(peer, now).reached();
	}

	/// A dial did not reach the peer: it is left alone for a while, twice as long if that is over and the next dial
	/// fails too.
	pub fn dial_failed(&self, peer: PeerId) {
		let Inner { config, clock, .. } = &*self.0;
		let now = clock.now();
		let mut state = self.state();
		let standing = state.standings.entry(peer, now);
		standing.missed(now, config.first_redial, config.longest_redial);
	}

	/// Whether dialling the peer now makes sense: it is not banned, and the last failed dial is long enough ago.
	pub fn may_dial(&self, peer: &PeerId) -> bool {
		let now = self.0.clock.now();
		let state = self.state();
		state.bans.get(peer, now).is_none()
			&& state
				.standings
				.get(peer)
				.is_none_or(|standing| standing.unreachable_until <= now)
	}

	/// What is known of a peer. `None` if nothing is.
	pub fn standing(&self, peer: &PeerId) -> Option<Standing> {
		self.state().standings.get(peer).cloned()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::clock::ManualClock;

	fn peers() -> (Peers, ManualClock) {
		let clock = ManualClock::new(Duration::from_secs(1_000_000));
		let peers = Peers::new(
			PeersConfig::default(),
			Arc::new(clock.clone()),
			Metrics::default(),
		);
		(peers, clock)
	}

	#[test]
	fn two_bad_blocks_ban_and_the_ban_ends() {
		let (peers, clock) = peers();
		let changes = peers.changes();
		let peer = PeerId::random();
		assert_eq!(peers.strike(peer, Offence::BadBlock), Verdict::Tolerated);
		assert!(!peers.is_banned(&peer));
		assert!(!changes.has_changed().unwrap());
		assert_eq!(peers.strike(peer, Offence::BadBlock), Verdict::Banned);
		assert!(changes.has_changed().unwrap());
		assert!(peers.is_banned(&peer));
		assert!(!peers.may_dial(&peer));
		assert_eq!(peers.bans().len(), 1);
		assert_eq!(peers.strike(peer, Offence::Unrequested), Verdict::Banned);
		clock.advance(Duration::from_secs(599));
		assert!(peers.is_banned(&peer));
		clock.advance(Duration::from_secs(1));
		assert!(!peers.is_banned(&peer));
		assert!(peers.bans().is_empty());
		let metrics = &peers.0.metrics;
		assert_eq!(metrics.bans.get(), 1);
		assert_eq!(metrics.strikes.with_label_values(&["bad_block"]).get(), 2);
		assert_eq!(metrics.strikes.with_label_values(&["unrequested"]).get(), 1);
	}

	#[test]
	fn strikes_decay() {
		let (peers, clock) = peers();
		let peer = PeerId::random();
		for _ in 0..10 {
			assert_eq!(peers.strike(peer, Offence::BadBlock), Verdict::Tolerated);
			// Four half-lives leave a sixteenth.
			clock.advance(Duration::from_secs(2400));
		}
	}

	#[test]
	fn repeated_bans_double_up_to_the_longest() {
		let (peers, clock) = peers();
		let peer = PeerId::random();
		let mut lengths = Vec::new();
		for _ in 0..10 {
			while peers.strike(peer, Offence::BadBlock) == Verdict::Tolerated {}
			let length = peers.bans()[0].1.until - clock.now();
			lengths.push(length.as_secs());
			clock.advance(length);
		}
		assert_eq!(
			lengths,
			[600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400, 86_400]
		);
		// A day without a ban, and it is as if there had been none.
		clock.advance(Duration::from_secs(86_401));
		while peers.strike(peer, Offence::BadBlock) == Verdict::Tolerated {}
		assert_eq!(peers.bans()[0].1.until - clock.now(), Duration::from_secs(600));
	}

	#[test]
	fn a_pardon_ends_ban_and_strikes() {
		let (peers, _) = peers();
		let peer = PeerId::random();
		let ban = peers.ban(peer, Duration::from_secs(5));
		assert_eq!(peers.bans(), [(peer, ban)]);
		assert_eq!(peers.ban(peer, Duration::from_secs(1)), ban);
		assert!(peers.is_banned(&peer));
		assert!(peers.pardon(&peer));
		assert!(!peers.pardon(&peer));
		assert!(!peers.is_banned(&peer));
		assert_eq!(peers.strike(peer, Offence::BadBlock), Verdict::Tolerated);
		assert!(!peers.pardon(&peer));
		assert_eq!(peers.strike(peer, Offence::BadBlock), Verdict::Tolerated);
	}

	#[test]
	fn dials_back_off_and_recover() {
		let (peers, clock) = peers();
		let peer = PeerId::random();
		assert!(peers.may_dial(&peer));
		peers.dial_failed(peer);
		assert!(!peers.may_dial(&peer));
		clock.advance(Duration::from_secs(15));
		assert!(peers.may_dial(&peer));
		peers.dial_failed(peer);
		clock.advance(Duration::from_secs(15));
		assert!(!peers.may_dial(&peer));
		clock.advance(Duration::from_secs(15));
		assert!(peers.may_dial(&peer));
		for _ in 0..40 {
			peers.dial_failed(peer);
			// One more at the same time changes nothing.
			peers.dial_failed(peer);
			clock.advance(Duration::from_secs(600));
		}
		peers.dial_failed(peer);
		clock.advance(Duration::from_secs(599));
		assert!(!peers.may_dial(&peer));
		peers.dial_succeeded(peer);
		assert!(peers.may_dial(&peer));
	}

	#[test]
	fn what_is_measured_is_averaged() {
		let (peers, _) = peers();
		let [fast, flaky, unknown] = std::array::from_fn(|_| PeerId::random());
		for _ in 0..20 {
			peers.delivered(fast, 1 << 20, Duration::from_millis(20));
			peers.failed(flaky);
		}
		peers.round_trip(fast, Duration::from_millis(10));
		peers.round_trip(fast, Duration::from_millis(60));
		let standing = peers.standing(&fast).unwrap();
		assert_eq!(standing.rtt, Some(Duration::from_millis(20)));
		assert!((5.2e7..5.3e7).contains(&standing.throughput.unwrap()));
		assert_eq!(standing.failure_rate, 0.0);
		let standing = peers.standing(&flaky).unwrap();
		assert!((0.98..1.0).contains(&standing.failure_rate), "{standing:?}");
		assert_eq!(standing.throughput, None);
		assert!(peers.standing(&unknown).is_none());
	}

	#[test]
	fn memory_is_bounded() {
		let clock = ManualClock::new(Duration::from_secs(1));
		let config = PeersConfig {
			max_peers: 10,
			max_bans: 10,
			..PeersConfig::default()
		};
		let peers = Peers::new(config, Arc::new(clock.clone()), Metrics::default());
		let first = PeerId::random();
		peers.failed(first);
		for seconds in 1..=10 {
			clock.advance(Duration::from_secs(1));
			let peer = PeerId::random();
			peers.failed(peer);
			peers.ban(peer, Duration::from_secs(1000 * seconds));
		}
		assert!(peers.standing(&first).is_none());
		peers.ban(first, Duration::from_secs(100_000));
		let bans = peers.bans();
		assert_eq!(bans.len(), 10);
		assert!(peers.is_banned(&first));
		assert!(bans.iter().all(|(_, ban)| ban.until > Duration::from_secs(2000)));
	}
}
