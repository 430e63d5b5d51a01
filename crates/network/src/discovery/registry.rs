//! Providers from a registry, such as the chain's: who has a deal for what.

use super::Router;
use crate::{address::PeerAddress, host::ProvideError};
use async_trait::async_trait;
use cid::Cid;
use futures::{
	future::BoxFuture,
	stream::{self, BoxStream},
	FutureExt, StreamExt,
};
use std::sync::Arc;
use tokio::time::Instant;

/// Why a registry did not answer.
pub type RegistryError = Box<dyn std::error::Error + Send + Sync>;

/// Knows providers by what they have. A function from a CID to a future of them is one.
pub trait Registry: Send + Sync + 'static {
	/// The providers of a CID with the addresses they registered.
	///
	/// # Errors
	/// If the registry cannot be asked.
	fn providers(&self, cid: Cid) -> BoxFuture<'static, Result<Vec<PeerAddress>, RegistryError>>;
}

impl<F> Registry for F
where
	F: Fn(Cid) -> BoxFuture<'static, Result<Vec<PeerAddress>, RegistryError>> + Send + Sync + 'static,
{
	fn providers(&self, cid: Cid) -> BoxFuture<'static, Result<Vec<PeerAddress>, RegistryError>> {
		self(cid)
	}
}

/// Asks a registry. What this host provides gets there by other ways (deals), so telling it does nothing.
#[derive(Clone)]
pub struct RegistryRouter(Arc<dyn Registry>);

impl RegistryRouter {
	/// Asks this registry.
	pub fn new(registry: impl Registry) -> Self {
		Self(Arc::new(registry))
	}
}

#[async_trait]
impl Router for RegistryRouter {
	fn find(&self, cid: Cid, deadline: Instant) -> BoxStream<'static, PeerAddress> {
		let asked = self.0.providers(cid);
		let search = async move {
			let providers = asked.await.unwrap_or_else(|error| {
				tracing::warn!(%cid, %error, "the registry of providers did not answer");
				Vec::new()
			});
			stream::iter(providers)
		};
		search
			.flatten_stream()
			.take_until(tokio::time::sleep_until(deadline))
			.boxed()
	}

	async fn provide(&self, _: &[Cid]) -> Result<(), ProvideError> {
		Ok(())
	}

	async fn unprovide(&self, _: &[Cid]) -> Result<(), ProvideError> {
		Ok(())
	}
}
