//! Who has what: finding the providers of a CID, and saying what this host provides.
//!
//! A [`Router`] answers the question in one way: [`DhtRouter`] asks the DHT, [`RegistryRouter`] a registry such
//! as the chain's, [`StaticRouter`] names the same peers for everything. [`Routers`] asks several at once.
//! A [`Finder`] goes one step further and connects: it yields providers that answer, and skips those that are
//! banned, gone, or not worth another dial yet.
//!
//! Only the roots of datasets are worth announcing: whoever wants a block further down has its root.
//!
//! The DHT's records are kept by the host ([`crate::host`]): in memory for its task, written to a
//! [`RecordDatabase`] on a blocking thread. Own keys are on the disk before [`Router::provide`] returns.

mod announcer;
mod combined;
mod database;
mod dht;
mod finder;
mod fixed;
mod records;
mod registry;

pub(crate) use announcer::Announcer;
pub use combined::Routers;
pub use database::{DatabaseError, RecordDatabase};
pub use dht::DhtRouter;
pub use finder::Finder;
pub use fixed::StaticRouter;
pub(crate) use records::{Changes, Records};
pub use records::{RecordsConfig, MAX_KEY_BYTES};
pub use registry::{Registry, RegistryError, RegistryRouter};

use crate::{address::PeerAddress, host::ProvideError};
use async_trait::async_trait;
use cid::Cid;
use futures::stream::BoxStream;
use tokio::time::Instant;

/// Finds providers of content, and tells others what this host provides.
#[async_trait]
pub trait Router: Send + Sync + 'static {
	/// Providers of a CID as they are found, until nobody else is found or the deadline has come. Nobody has
	/// checked that they are there or have it. What goes wrong ends the search or is left out of it, and is
	/// logged: an empty stream says that nobody was found.
	fn find(&self, cid: Cid, deadline: Instant) -> BoxStream<'static, PeerAddress>;

	/// Says from now on that this host has these CIDs. Does nothing where others say so (a registry).
	///
	/// # Errors
	/// If it could not be noted down.
	async fn provide(&self, cids: &[Cid]) -> Result<(), ProvideError>;

	/// Stops saying that this host has these CIDs.
	///
	/// # Errors
	/// If it could not be noted down.
	async fn unprovide(&self, cids: &[Cid]) -> Result<(), ProvideError>;
}
