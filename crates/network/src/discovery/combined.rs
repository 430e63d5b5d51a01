//! Several routers as one.

use super::Router;
use crate::{
	address::{PeerAddress, MAX_ADDRESSES},
	host::ProvideError,
};
use async_trait::async_trait;
use cid::Cid;
use futures::{
	future,
	stream::{self, BoxStream},
	StreamExt,
};
use libp2p::PeerId;
use std::{
	collections::{hash_map::Entry, HashMap},
	sync::Arc,
};
use tokio::time::Instant;

/// Peers that one search may yield.
const MAX_PEERS: usize = 1000;

/// Asks and tells several routers at once.
///
/// A provider that more than one of them names comes once; it comes again only with addresses that it had not
/// when it came before. Providers come in the order in which they are found, whoever finds them.
#[derive(Clone)]
pub struct Routers(Vec<Arc<dyn Router>>);

impl Routers {
	/// Combines these routers.
	pub fn new(routers: Vec<Arc<dyn Router>>) -> Self {
		Self(routers)
	}
}

#[async_trait]
impl Router for Routers {
	fn find(&self, cid: Cid, deadline: Instant) -> BoxStream<'static, PeerAddress> {
		let searches = self.0.iter().map(|router| router.find(cid, deadline));
		let mut known = HashMap::<PeerId, PeerAddress>::new();
		stream::select_all(searches)
			.filter_map(move |found| future::ready(news(&mut known, found)))
			.take(MAX_PEERS)
			// Routers keep to the deadline too; a set of them does whatever they do.
			.take_until(tokio::time::sleep_until(deadline))
			.boxed()
	}

	async fn provide(&self, cids: &[Cid]) -> Result<(), ProvideError> {
		let told = self.0.iter().map(|router| router.provide(cids));
		future::join_all(told).await.into_iter().collect()
	}

	async fn unprovide(&self, cids: &[Cid]) -> Result<(), ProvideError> {
		let told = self.0.iter().map(|router| router.unprovide(cids));
		future::join_all(told).await.into_iter().collect()
	}
}

/// What was found, with all addresses known by now, if the peer or one of its addresses is new.
fn news(known: &mut HashMap<PeerId, PeerAddress>, found: PeerAddress) -> Option<PeerAddress> {
	match known.entry(found.peer) {
		Entry::Vacant(entry) => Some(entry.insert(found).clone()),
		Entry::Occupied(mut entry) => {
			let known = entry.get_mut();
			let before = known.addresses.len();
			debug_assert!(before <= MAX_ADDRESSES);
			known.extend(found.addresses);
			(known.addresses.len() > before).then(|| known.clone())
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::discovery::{RegistryRouter, StaticRouter};
	use futures::FutureExt;
	use std::time::Duration;

	fn address(peer: PeerId, ports: &[u64]) -> PeerAddress {
		let memory = |port: &u64| format!("/memory/{port}").parse().unwrap();
		PeerAddress::new(peer, ports.iter().map(memory))
	}

	fn cid() -> Cid {
		"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
			.parse()
			.unwrap()
	}

	#[tokio::test(start_paused = true)]
	async fn findings_are_merged_and_each_peer_comes_once() {
		let [one, two, three] = std::array::from_fn(|_| PeerId::random());
		let fixed = StaticRouter::new(vec![address(one, &[1]), address(two, &[])]);
		let registered = vec![address(one, &[1]), address(two, &[2]), address(three, &[3])];
		let asked = registered.clone();
		let registry = RegistryRouter::new(move |wanted: Cid| {
			assert_eq!(wanted, cid());
			let registered = asked.clone();
			async move {
				tokio::time::sleep(Duration::from_secs(1)).await;
				Ok(registered)
			}
			.boxed()
		});
		let routers = Routers::new(vec![Arc::new(registry), Arc::new(fixed)]);
		let deadline = Instant::now() + Duration::from_secs(10);
		let found: Vec<_> = routers.find(cid(), deadline).collect().await;
		assert_eq!(
			found,
			[
				address(one, &[1]),
				address(two, &[]),
				address(two, &[2]),
				address(three, &[3])
			]
		);
		routers.provide(&[cid()]).await.unwrap();
		routers.unprovide(&[cid()]).await.unwrap();
	}

	#[tokio::test(start_paused = true)]
	async fn a_search_ends_at_its_deadline_whatever_a_registry_does() {
		let stuck = RegistryRouter::new(|_: Cid| future::pending().boxed());
		let broken = RegistryRouter::new(|_: Cid| future::ready(Err("no chain".into())).boxed());
		let peer = PeerId::random();
		let fixed = StaticRouter::new(vec![address(peer, &[1])]);
		let routers = Routers::new(vec![Arc::new(stuck), Arc::new(broken), Arc::new(fixed)]);
		let start = Instant::now();
		let deadline = start + Duration::from_secs(7);
		let found: Vec<_> = routers.find(cid(), deadline).collect().await;
		assert_eq!(found, [address(peer, &[1])]);
		assert_eq!(start.elapsed().as_secs(), 7);
	}
}
