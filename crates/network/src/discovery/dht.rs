//! Providers from the DHT.

use super::Router;
use crate::{
	address::PeerAddress,
	host::{Host, ProvideError},
};
use async_trait::async_trait;
use cid::Cid;
use futures::{
	stream::{self, BoxStream},
	FutureExt, StreamExt,
};
use tokio::time::Instant;

/// Asks and tells the DHT that the host takes part in. Content is known there by its CID's multihash, so it
/// is found under any codec and version.
#[derive(Clone)]
pub struct DhtRouter(Host);

impl DhtRouter {
	/// Uses the host's DHT.
	pub fn new(host: Host) -> Self {
		Self(host)
	}
}

#[async_trait]
impl Router for DhtRouter {
	fn find(&self, cid: Cid, deadline: Instant) -> BoxStream<'static, PeerAddress> {
		let host = self.0.clone();
		let search = async move {
			match host.find_providers(&cid.hash().to_bytes()).await {
				Ok(providers) => providers.boxed(),
				Err(error) => {
					tracing::warn!(%cid, %error, "no search of the DHT");
					stream::empty().boxed()
				}
			}
		};
		search
			.flatten_stream()
			.take_until(tokio::time::sleep_until(deadline))
			.boxed()
	}

	async fn provide(&self, cids: &[Cid]) -> Result<(), ProvideError> {
		self.0.provide(keys(cids)).await
	}

	async fn unprovide(&self, cids: &[Cid]) -> Result<(), ProvideError> {
		self.0.unprovide(keys(cids)).await
	}
}

fn keys(cids: &[Cid]) -> Vec<Vec<u8>> {
	cids.iter().map(|cid| cid.hash().to_bytes()).collect()
}
