//! The protocols that a host speaks, put together.

use super::{
	candidates::FewCandidates,
	config::{DhtConfig, DhtMode, HostConfig, PROTOCOL_VERSION},
	connection_limits::ConnectionLimits,
};
use crate::{discovery::Records, streams};
use libp2p::{
	allow_block_list::{self, AllowedPeers, BlockedPeers},
	autonat, dcutr, identify,
	identity::Keypair,
	kad, memory_connection_limits, ping, relay, rendezvous,
	swarm::{behaviour::toggle::Toggle, NetworkBehaviour},
	PeerId,
};

/// The first fields come first in refusing connections.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
	pub blocked: allow_block_list::Behaviour<BlockedPeers>,
	allowed: Toggle<allow_block_list::Behaviour<AllowedPeers>>,
	limits: ConnectionLimits,
	memory: Toggle<memory_connection_limits::Behaviour>,
	identify: identify::Behaviour,
	ping: ping::Behaviour,
	pub kad: Toggle<kad::Behaviour<Records>>,
	autonat_client: Toggle<FewCandidates<autonat::v2::client::Behaviour>>,
	autonat_server: Toggle<autonat::v2::server::Behaviour>,
	relay_client: relay::client::Behaviour,
	relay: Toggle<relay::Behaviour>,
	dcutr: Toggle<dcutr::Behaviour>,
	pub rendezvous: Toggle<rendezvous::client::Behaviour>,
	rendezvous_server: Toggle<rendezvous::server::Behaviour>,
	exchange: Toggle<streams::Behaviour>,
}

impl Behaviour {
	pub fn new(
		config: &HostConfig,
		key: &Keypair,
		relay_client: relay::client::Behaviour,
		records: Option<Records>,
		exchange: Option<streams::Behaviour>,
	) -> Self {
		let local = key.public().to_peer_id();
		let nat = &config.nat;
		let allowed = config.allowed.as_ref().map(|peers| {
			let mut behaviour = allow_block_list::Behaviour::<AllowedPeers>::default();
			for peer in peers {
				behaviour.allow_peer(*peer);
			}
			behaviour
		});
		let dht = config.dht.as_ref().zip(records);
		Self {
			blocked: Default::default(),
			allowed: allowed.into(),
			limits: ConnectionLimits::new(config.limits.clone()),
			memory: config
				.limits
				.memory_share
				.map(memory_connection_limits::Behaviour::with_max_percentage)
				.into(),
			identify: identify::Behaviour::new(
				identify::Config::new(PROTOCOL_VERSION.into(), key.public())
					.with_agent_version(config.agent.clone())
					.with_push_listen_addr_updates(true)
					// The DHT's routing table is where addresses are kept.
					.with_cache_size(0),
			),
			ping: ping::Behaviour::default(),
			kad: dht.map(|(dht, records)| kademlia(dht, local, records)).into(),
			autonat_client: nat
				.probe
				.then(|| FewCandidates::new(autonat::v2::client::Behaviour::default()))
				.into(),
			autonat_server: nat.answer_probes.then(Default::default).into(),
			relay_client,
			relay: nat
				.relay_for_others
				.then(|| relay::Behaviour::new(local, relay::Config::default()))
				.into(),
			dcutr: nat.hole_punching.then(|| dcutr::Behaviour::new(local)).into(),
			rendezvous: (!config.rendezvous.points.is_empty())
				.then(|| rendezvous::client::Behaviour::new(key.clone()))
				.into(),
			rendezvous_server: config
				.rendezvous
				.serve
				.then(|| rendezvous::server::Behaviour::new(rendezvous::server::Config::default()))
				.into(),
			exchange: exchange.into(),
		}
	}
}

fn kademlia(dht: &DhtConfig, local: PeerId, records: Records) -> kad::Behaviour<Records> {
	let mut config = kad::Config::new(dht.protocol.clone());
	config
		.set_query_timeout(dht.query_timeout)
		.set_periodic_bootstrap_interval(Some(dht.bootstrap_interval))
		// A liar on one path of a query does not lead the others astray.
		.disjoint_query_paths(true)
		// Records end by the host's clock, are announced by the host, and hold no values.
		.set_provider_record_ttl(None)
		.set_provider_publication_interval(None)
		.set_replication_interval(None)
		.set_publication_interval(None)
		.set_caching(kad::Caching::Disabled);
	let mut behaviour = kad::Behaviour::with_config(local, records, config);
	behaviour.set_mode(match dht.mode {
		DhtMode::Auto => None,
		DhtMode::Server => Some(kad::Mode::Server),
		DhtMode::Client => Some(kad::Mode::Client),
	});
	behaviour
}
