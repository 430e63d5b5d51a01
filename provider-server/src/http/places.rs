//! Places that clients share: so many in all, and so many of them for one client, so that none takes all.

use super::rate_limit::network;
use prometheus::IntGauge;
use std::{
	collections::HashMap,
	net::IpAddr,
	sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
	inner: Arc<Inner>,
}

struct Inner {
	all: Arc<Semaphore>,
	/// Places of one client.
	share: usize,
	/// Clients who have a place or wait for one, with what is left of their share.
	clients: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
	/// How many places are taken.
	taken: IntGauge,
}

/// A place. It is free again when this is dropped.
pub(super) struct Place {
	// In this order: an entry for a client goes when nothing of the share is taken any more.
	_of_share: Option<OwnedSemaphorePermit>,
	_entry: Option<Entry>,
	_of_all: OwnedSemaphorePermit,
	/// None for a place that is kept for whoever comes.
	_count: Option<Count>,
}

/// Keeps a client's entry.
struct Entry {
	places: Places,
	client: IpAddr,
}

/// One of the places that are taken.
struct Count(IntGauge);

impl Places {
	/// `all` places, of which one client has at most `share`; `taken` says how many are taken.
	pub fn new(all: usize, share: usize, taken: IntGauge) -> Self {
		Places {
			inner: Arc::new(Inner {
				all: Arc::new(Semaphore::new(all)),
				share,
				clients: Mutex::default(),
				taken,
			}),
		}
	}

	/// Waits for a place. Without a client there is no share: who waits for one of its own places keeps nobody else
	/// from theirs.
	pub async fn take(&self, client: Option<IpAddr>) -> Place {
		// The entry first: whoever gives up waiting drops it last.
		let (entry, of_share) = match client {
			Some(client) => {
				let (entry, share) = self.entry(client);
				let of_share = acquire(share).await;
				(Some(entry), Some(of_share))
			}
			None => (None, None),
		};
		let of_all = acquire(self.inner.all.clone()).await;
		Place {
			_of_share: of_share,
			_entry: entry,
			_of_all: of_all,
			_count: Some(Count::new(&self.inner.taken)),
		}
	}

	/// Waits for a place that [`Place::give_to`] gives to whoever comes. It is not taken until then.
	pub async fn reserve(&self) -> Place {
		Place {
			_of_share: None,
			_entry: None,
			_of_all: acquire(self.inner.all.clone()).await,
			_count: None,
		}
	}

	/// A place for `client`, if there is one at once, and its share is not used up.
	pub fn try_take(&self, client: IpAddr) -> Option<Place> {
		let (entry, share) = self.entry(client);
		let of_share = share.try_acquire_owned().ok()?;
		let of_all = self.inner.all.clone().try_acquire_owned().ok()?;
		Some(Place {
			_of_share: Some(of_share),
			_entry: Some(entry),
			_of_all: of_all,
			_count: Some(Count::new(&self.inner.taken)),
		})
	}

	fn entry(&self, client: IpAddr) -> (Entry, Arc<Semaphore>) {
		let client = network(client);
		let mut clients = self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner);
		let share = clients
			.entry(client)
			.or_insert_with(|| Arc::new(Semaphore::new(self.inner.share)))
			.clone();
		let entry = Entry {
			places: self.clone(),
			client,
		};
		(entry, share)
	}
}

impl Place {
	/// Gives a reserved place of `places` to `client`, or to who has no share. False if the client's share is used up.
	pub fn give_to(&mut self, places: &Places, client: Option<IpAddr>) -> bool {
		if let Some(client) = client {
			let (entry, share) = places.entry(client);
			let Ok(of_share) = share.try_acquire_owned() else {
				return false;
			};
			self._of_share = Some(of_share);
			self._entry = Some(entry);
		}
		self._count = Some(Count::new(&places.inner.taken));
		true
	}
}

async fn acquire(semaphore: Arc<Semaphore>) -> OwnedSemaphorePermit {
	semaphore
		.acquire_owned()
		.await
		// Nothing here closes a semaphore.
		.expect("the semaphore is open")
}

impl Drop for Entry {
	fn drop(&mut self) {
		let mut clients = self
			.places
			.inner
			.clients
			.lock()
			.unwrap_or_else(PoisonError::into_inner);
		// Others get theirs under the lock: none can come meanwhile.
		if clients
			.get(&self.client)
			.is_some_and(|share| Arc::strong_count(share) == 1)
		{
			clients.remove(&self.client);
		}
	}
}

impl Count {
	fn new(taken: &IntGauge) -> Self {
		taken.inc();
		Count(taken.clone())
	}
}

impl Drop for Count {
	fn drop(&mut self) {
		self.0.dec();
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use futures::FutureExt;

	fn places(all: usize, share: usize) -> Places {
		Places::new(all, share, IntGauge::new("taken", "taken").unwrap())
	}

	fn address(last: u8) -> IpAddr {
		IpAddr::from([10, 0, 0, last])
	}

	fn clients(places: &Places) -> usize {
		places.inner.clients.lock().unwrap().len()
	}

	#[tokio::test]
	async fn one_client_has_its_share_and_others_have_theirs() {
		let places = places(4, 2);
		let mut held = vec![
			places.take(Some(address(1))).await,
			places.take(Some(address(1))).await,
		];
		assert!(places.take(Some(address(1))).now_or_never().is_none());
		assert!(places.try_take(address(1)).is_none());
		held.push(places.take(Some(address(2))).await);
		held.push(places.take(None).await);
		assert_eq!(places.inner.taken.get(), 4);
		// All are taken, also for who has not used up its share.
		assert!(places.take(Some(address(3))).now_or_never().is_none());
		assert!(places.try_take(address(3)).is_none());
		assert!(places.take(None).now_or_never().is_none());
		drop(held);
		assert_eq!((places.inner.taken.get(), clients(&places)), (0, 0));
		assert!(places.try_take(address(1)).is_some());
	}

	#[tokio::test]
	async fn who_waits_for_its_share_keeps_nobody_waiting() {
		let places = places(2, 1);
		let first = places.take(Some(address(1))).await;
		let second = tokio::spawn({
			let places = places.clone();
			async move { places.take(Some(address(1))).await }
		});
		tokio::task::yield_now().await;
		assert!(!second.is_finished());
		let other = places.take(Some(address(2))).now_or_never();
		assert!(other.is_some());
		drop(first);
		drop(second.await.unwrap());
		drop(other);
		assert_eq!(clients(&places), 0);
	}

	#[tokio::test]
	async fn who_gives_up_waiting_leaves_nothing() {
		let places = places(1, 1);
		let held = places.take(Some(address(1))).await;
		for client in [1, 2] {
			let mut waiting = Box::pin(places.take(Some(address(client))));
			assert!((&mut waiting).now_or_never().is_none());
		}
		assert_eq!(clients(&places), 1);
		drop(held);
		assert_eq!((clients(&places), places.inner.taken.get()), (0, 0));
		assert_eq!(places.inner.all.available_permits(), 1);
	}

	#[tokio::test]
	async fn a_reserved_place_is_whose_it_becomes() {
		let places = places(3, 1);
		let mut reserved = Vec::new();
		for _ in 0..3 {
			reserved.push(places.reserve().await);
		}
		assert_eq!(places.inner.taken.get(), 0);
		assert!(places.try_take(address(1)).is_none());
		assert!(reserved[0].give_to(&places, Some(address(1))));
		assert!(!reserved[1].give_to(&places, Some(address(1))));
		assert!(reserved[1].give_to(&places, Some(address(2))));
		assert!(reserved[2].give_to(&places, None));
		assert_eq!((places.inner.taken.get(), clients(&places)), (3, 2));
		reserved.remove(0);
		assert_eq!((places.inner.taken.get(), clients(&places)), (2, 1));
		assert!(places.try_take(address(1)).is_some());
	}

	#[tokio::test]
	async fn a_network_of_ipv6_is_one_client() {
		let places = places(3, 1);
		let _held = places.take(Some("2001:db8::1".parse().unwrap())).await;
		assert!(places.try_take("2001:db8::2".parse().unwrap()).is_none());
		assert!(places.try_take("2001:db8:0:1::1".parse().unwrap()).is_some());
	}
}
