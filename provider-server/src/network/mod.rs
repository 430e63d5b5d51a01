//! The provider as a peer of the network: its blocks over Bitswap and the native exchange, its objects announced.
//!
//! [`Network::start`] starts a libp2p host under the key of [`identity_file`], serves the node's blocks
//! ([`node_store`]) to any peer that asks for them by CID, joins the DHT through the providers that are registered
//! on chain ([`registry`]) and tells it which objects are here for as long as they are ([`announcements`]); peers that
//! wait for a block hear of it when it comes ([`arrivals`]); and the node's block store fetches datasets of other peers
//! through it ([`crate::data::fetches`]). Nothing is copied: blocks are read from the pieces, verified, where their
//! index says that they lie.

mod announcements;
mod arrivals;
pub mod identity_file;
mod node_store;
pub mod registry;
pub mod settings;

use crate::{data::fetches::Peers, provider::Provider, retrieval::PieceBlocks};
use announcements::Announcements;
use arrivals::Arrivals;
use cairn_network::{
	discovery::{DatabaseError, DhtRouter, Finder, RecordDatabase},
	exchange::service::{Config as ExchangeConfig, Exchange},
	host::{Host, HostParts, HostStopped, StartError},
	metrics::Metrics,
};
use identity_file::IdentityFileError;
use node_store::NodeStore;
use registry::RegisteredPeers;
use settings::SettingsError;
use std::{path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Why the provider did not join the network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
	/// The settings are not valid.
	#[error(transparent)]
	Settings(#[from] SettingsError),
	/// The host's key cannot be read or made.
	#[error(transparent)]
	Identity(#[from] IdentityFileError),
	/// The database of provider records cannot be opened.
	#[error(transparent)]
	Records(#[from] DatabaseError),
	/// The host did not start.
	#[error(transparent)]
	Start(#[from] StartError),
	/// The host ended at once.
	#[error(transparent)]
	Stopped(#[from] HostStopped),
	/// The metrics are registered already: two networks in one provider. A defect of this program.
	#[error(transparent)]
	Metrics(#[from] prometheus::Error),
}

/// The provider's place in the network.
pub struct Network {
	host: Host,
	/// Serves as long as it is held.
	_exchange: Exchange,
	/// Lets datasets be fetched as long as it is held.
	_peers: Option<Arc<Peers>>,
	/// Multiaddresses under which others reach this provider, each with its peer id.
	addresses: Vec<String>,
}

impl Network {
	/// Joins the network with a key and records in `folder`, and serves and announces until `shutdown`.
	///
	/// # Errors
	/// See [`NetworkError`]. Nothing runs then.
	pub async fn start(
		provider: Arc<Provider>,
		folder: &Path,
		shutdown: CancellationToken,
	) -> Result<Self, NetworkError> {
		let settings = &provider.config.network;
		let config = settings.host()?;
		let names_itself = settings::names_itself(&config);
		let identity = identity_file::load_or_create(folder)?;
		let records = RecordDatabase::open(&folder.join("records.redb"))?;
		let metrics = Metrics::register(provider.metrics.registry())?;
		let parts = HostParts::new(identity, records).counting(metrics);
		let exchange = ExchangeConfig {
			bitswap: settings.bitswap,
			..ExchangeConfig::default()
		};
		let pieces = PieceBlocks::lasting(provider.clone());
		let store = Arc::new(NodeStore::new(pieces, provider.data.clone()));
		let (host, exchange) = Exchange::with_host(config, parts, store, exchange).await?;
		if names_itself {
			for address in host.address().await?.addresses {
				host.add_external(address).await?;
			}
		}
		let own = host.address().await?;
		let addresses = own
			.addresses
			.iter()
			.map(|address| format!("{address}/p2p/{}", own.peer))
			.collect();
		// Set once: a second network has failed at its metrics.
		let _ = provider.peers.set(host.peers().clone());
		let registered = RegisteredPeers::new(provider.chain.clone(), host.clone());
		tokio::spawn(registered.run(shutdown.clone()));
		let peers = provider.data.as_ref().map(|data| {
			let finder = Finder::new(host.clone(), Arc::new(DhtRouter::new(host.clone())));
			let outcomes = provider.metrics.fetches.clone();
			data.fetches
				.connect(exchange.clone(), finder, outcomes, shutdown.clone())
		});
		let arrivals = Arrivals::new(provider.clone(), exchange.clone());
		tokio::spawn(arrivals.run(shutdown.clone()));
		let announcements = Announcements::new(provider, host.clone());
		tokio::spawn(announcements.run(shutdown));
		Ok(Self {
			host,
			_exchange: exchange,
			_peers: peers,
			addresses,
		})
	}

	/// Multiaddresses under which others reach this provider, each ending with its peer id.
	pub fn addresses(&self) -> &[String] {
		&self.addresses
	}

	/// The host, for tests to watch.
	#[cfg(test)]
	pub(crate) fn host(&self) -> &Host {
		&self.host
	}

	/// Closes all connections.
	pub async fn shutdown(&self) {
		self.host.shutdown().await;
	}
}
