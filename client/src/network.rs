//! This program as a peer of the network, for as long as one command runs.

use cairn_network::{
	address::PeerAddress,
	discovery::{DatabaseError, RecordDatabase},
	host::{DhtConfig, DhtMode, Host, HostConfig, HostParts, NatConfig, StartError},
	identity::Identity,
	streams,
};

/// Why the program is no peer.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
	/// The place for provider records, which is in memory, cannot be made.
	#[error(transparent)]
	Records(#[from] DatabaseError),
	/// The host did not start.
	#[error("the network host did not start")]
	Start(#[from] StartError),
}

/// What a host of this program is started with: a key of its own, which nobody keeps. It listens nowhere: it reaches
/// others and is not reached. It asks the DHT, and only if there is a peer to ask it through.
///
/// # Errors
/// [`NetworkError::Records`].
pub fn host_parts(bootstrap: Vec<PeerAddress>) -> Result<(HostConfig, HostParts), NetworkError> {
	let dht = DhtConfig {
		mode: DhtMode::Client,
		bootstrap,
		..DhtConfig::default()
	};
	let config = HostConfig {
		listen: Vec::new(),
		agent: concat!("cairn-client/", env!("CARGO_PKG_VERSION")).into(),
		dht: (!dht.bootstrap.is_empty()).then_some(dht),
		nat: NatConfig {
			probe: false,
			answer_probes: false,
			..NatConfig::default()
		},
		..HostConfig::default()
	};
	let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory()?);
	Ok((config, parts))
}

/// Starts a host of [`host_parts`], with these streams.
///
/// # Errors
/// See [`NetworkError`].
pub async fn start_host(
	bootstrap: Vec<PeerAddress>,
	streams: Option<streams::Behaviour>,
) -> Result<Host, NetworkError> {
	let (config, parts) = host_parts(bootstrap)?;
	Ok(Host::start_with(config, parts, streams).await?)
}
