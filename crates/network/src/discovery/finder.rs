//! From what routers say to connections.

use super::Router;
use crate::{address::PeerAddress, host::Host};
use cid::Cid;
use futures::{
	future,
	stream::{BoxStream, StreamExt},
};
use libp2p::PeerId;
use std::{collections::HashSet, sync::Arc};
use tokio::time::Instant;

/// Dials that one search makes at once.
const MAX_DIALS: usize = 8;

/// Finds providers and connects to them.
#[derive(Clone)]
pub struct Finder {
	host: Host,
	router: Arc<dyn Router>,
}

impl Finder {
	/// Looks with this router, connects with this host.
	pub fn new(host: Host, router: Arc<dyn Router>) -> Self {
		Self { host, router }
	}

	/// Where it looks.
	pub fn router(&self) -> &Arc<dyn Router> {
		&self.router
	}

	/// Providers of a CID that there is a connection with, each once, as soon as there is, until the search ends
	/// or the deadline has come. This host, banned peers, and peers that were not reached a moment ago are left
	/// out; a peer that is not reached now is not dialled again for a while, by any search.
	pub fn connect(&self, cid: Cid, deadline: Instant) -> BoxStream<'static, PeerId> {
		let host = self.host.clone();
		let mut yielded = HashSet::new();
		self.router
			.find(cid, deadline)
			.map(move |provider| reach(host.clone(), provider))
			.buffer_unordered(MAX_DIALS)
			.filter_map(move |peer| future::ready(peer.filter(|peer| yielded.insert(*peer))))
			.take_until(tokio::time::sleep_until(deadline))
			.boxed()
	}
}

async fn reach(host: Host, provider: PeerAddress) -> Option<PeerId> {
	let peer = provider.peer;
	if peer == host.peer_id() || !host.peers().may_dial(&peer) {
		return None;
	}
	match host.connect(provider).await {
		Ok(()) => Some(peer),
		Err(error) => {
			tracing::debug!(%peer, %error, "a provider was not reached");
			None
		}
	}
}
