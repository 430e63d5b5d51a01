//! Joining the network through the chain: the providers that are registered there are peers with known addresses.
//!
//! Anybody can register, with whatever bytes, and a node can say of its chain what it likes. So what is read is
//! bounded ([`sample`]), and nothing of it is believed: a registered peer is dialled, and becomes one of the DHT's
//! only when it answers under the key that it is registered with. Which addresses may be dialled at all, the host's
//! settings say. A list of registered peers without an honest one is as good as none, and asked for again.
//!
//! The chain does not say who has an object: it knows deals by their numbers and their parties, not by the roots of
//! their payloads. That question is the DHT's.

use crate::chain::{AccountId, Chain, ChainError, ProviderContact, ProviderView};
use cairn_network::{address::PeerAddress, host::Host, PeerId};
use futures::{future::BoxFuture, stream, StreamExt};
use rand_core::{OsRng, RngCore};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Providers that are read in one round.
pub const SAMPLE: u32 = 32;
/// Of them, dialled at the same time.
const MAX_DIALS: usize = 8;
/// Peers in the routing table with which the DHT needs no help, and with which a round ends.
const ENOUGH: usize = 8;

/// Keeps a host in the DHT by way of the chain's registry.
pub(super) struct RegisteredPeers {
	chain: Arc<dyn Chain>,
	host: Host,
	pauses: Pauses,
}

/// Between rounds.
#[derive(Clone, Copy)]
struct Pauses {
	/// After a round that led further. Doubles with every one that did not.
	first: Duration,
	longest: Duration,
}

impl RegisteredPeers {
	pub fn new(chain: Arc<dyn Chain>, host: Host) -> Self {
		let pauses = Pauses {
			first: Duration::from_secs(30),
			longest: Duration::from_secs(3600),
		};
		Self { chain, host, pauses }
	}

	/// Looks for peers at once, and again whenever the DHT has few, until `shutdown` or the host's end.
	pub async fn run(self, shutdown: CancellationToken) {
		tokio::select! {
			() = shutdown.cancelled() => {}
			() = self.keep_joined() => {}
		}
	}

	async fn keep_joined(&self) {
		let mut dht = self.host.dht();
		let mut known = 0;
		let mut pause = self.pauses.first;
		loop {
			match self.round().await {
				Ok(0) => {}
				Ok(reached) => {
					tracing::debug!(reached, "connected with providers that are registered on chain")
				}
				Err(error) => tracing::warn!(%error, "the chain's providers cannot be read"),
			}
			tokio::time::sleep(pause).await;
			let peers = dht.borrow().peers;
			if peers > known {
				pause = self.pauses.first;
			} else {
				pause = pause.saturating_mul(2).min(self.pauses.longest);
			}
			if peers >= ENOUGH {
				pause = self.pauses.first;
				// Not for ever: those in the table may be gone, and nobody has noticed.
				let few = dht.wait_for(|status| status.peers < ENOUGH);
				let _ = tokio::time::timeout(self.pauses.longest, few).await;
			}
			if dht.has_changed().is_err() {
				// The host has ended.
				return;
			}
			known = dht.borrow().peers;
		}
	}

	/// Dials some of the registered peers. How many answered.
	async fn round(&self) -> Result<usize, ChainError> {
		let start = random_account();
		let providers = sample(start, SAMPLE, |after, limit| self.chain.providers(after, limit)).await?;
		let mut peers = peers(providers);
		peers.retain(|peer| peer.peer != self.host.peer_id() && self.host.peers().may_dial(&peer.peer));
		Ok(reach(&self.host, peers).take(ENOUGH).count().await)
	}
}

/// Where in the chain's order to begin.
pub fn random_account() -> AccountId {
	let mut account = [0; 32];
	OsRng.fill_bytes(&mut account);
	account
}

/// At most `count` registered providers, each once: those that follow `start` in the chain's order and, if there
/// are not so many, the first ones. The chain orders accounts by hashes, so that a random `start` gives random ones,
/// and two reads are enough however many there are.
///
/// # Errors
/// Those of `read`, which gives at most so many providers after an account, or from the first.
pub async fn sample<'a, E>(
	start: AccountId,
	count: u32,
	read: impl Fn(Option<AccountId>, u32) -> BoxFuture<'a, Result<Vec<ProviderView>, E>>,
) -> Result<Vec<ProviderView>, E> {
	let most = count as usize;
	let mut found = read(Some(start), count).await?;
	found.truncate(most);
	if found.len() < most {
		// Some of these may be those after `start` again.
		let first = read(None, count).await?;
		found.extend(first.into_iter().take(most));
	}
	let mut seen = HashSet::new();
	found.retain(|provider| seen.insert(provider.owner));
	found.truncate(most);
	Ok(found)
}

/// The peers that providers have registered, each once, in their order. Several may claim to be the same one, and all
/// that they say of its addresses is tried.
pub fn peers(providers: Vec<ProviderView>) -> Vec<PeerAddress> {
	let mut peers: Vec<PeerAddress> = Vec::new();
	for provider in providers {
		let ProviderContact::V1 { peer_id, addresses } = &provider.contact;
		let addresses = addresses.iter().map(|address| address.as_slice());
		match PeerAddress::from_registered(peer_id, addresses) {
			Ok(peer) => match peers.iter_mut().find(|known| known.peer == peer.peer) {
				Some(known) => known.extend(peer.addresses),
				None => peers.push(peer),
			},
			Err(reason) => tracing::debug!(
				provider = cairn_keystore::address::encode_default(&provider.owner),
				%reason,
				"a registered provider is no peer"
			),
		}
	}
	peers
}

/// Those of the peers that answer, as they do.
pub fn reach(host: &Host, peers: Vec<PeerAddress>) -> impl futures::Stream<Item = PeerId> + Send + Unpin {
	let dials = stream::iter(peers).map({
		let host = host.clone();
		move |address| {
			let host = host.clone();
			async move {
				let peer = address.peer;
				match host.connect(address).await {
					Ok(()) => Some(peer),
					Err(error) => {
						tracing::debug!(%peer, %error, "a registered provider was not reached");
						None
					}
				}
			}
		}
	});
	dials
		.buffer_unordered(MAX_DIALS)
		.filter_map(futures::future::ready)
		.boxed()
}

#[cfg(test)]
mod tests;
