//! `[network]` of the configuration.

use cairn_network::{
	address::{is_public, ParseAddressError, PeerAddress},
	host::{DhtConfig, HostConfig, Limits, NatConfig, RendezvousConfig, TransportConfig},
	Multiaddr, PeerId, Protocol,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The provider's libp2p host.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
	/// Whether to be a peer of the network at all; HTTP serves the same blocks.
	pub enabled: bool,
	/// Multiaddresses to listen on. Loopback by default.
	pub listen: Vec<String>,
	/// Multiaddresses under which others reach the host, where they differ from `listen`; `init` registers them on
	/// chain.
	pub external: Vec<String>,
	/// Peers to join the DHT through, each ending with `/p2p/` and the peer's id, beside those that are registered on
	/// chain.
	pub bootstrap: Vec<String>,
	/// Speak Bitswap, so that IPFS nodes fetch from this provider.
	pub bitswap: bool,
	/// Relays to be reached through, for hosts behind a NAT, each ending with `/p2p/` and the relay's id.
	pub relays: Vec<String>,
	/// Relay others' connections, for at most 2 minutes and 128 KiB each.
	pub relay_for_others: bool,
	/// Make relayed connections direct where the NATs let it.
	pub hole_punching: bool,
	/// Rendezvous points to register at and to ask for other hosts, each ending with `/p2p/` and the point's id.
	pub rendezvous: Vec<String>,
	/// Be a rendezvous point for others.
	pub rendezvous_for_others: bool,
	/// Dial public addresses only, whoever names others. Unless it is set: if one of the addresses in `listen` or
	/// `external` is public.
	pub global_only: Option<bool>,
	/// Ids of the only peers to have connections with, for a private network; anyone if there are none.
	pub allowed_peers: Vec<String>,
	/// Ids of peers to have no connections with. Those who misbehave are banned for a while without this.
	pub banned_peers: Vec<String>,
	/// Open connections at the same time.
	pub max_connections: u32,
	/// Of these, at most so many that one IPv4 address or one IPv6 network of 64 bits made.
	pub max_connections_per_address: u32,
	/// As many at most that one IPv4 network of 24 bits or one IPv6 network of 48 bits made.
	pub max_connections_per_network: u32,
	/// Share of the machine's memory, above 0 and at most 1: while the provider has more, no new connection is
	/// accepted.
	pub memory_share: f64,
}

impl Default for Network {
	fn default() -> Self {
		Network {
			enabled: true,
			listen: vec![
				"/ip4/127.0.0.1/udp/7601/quic-v1".into(),
				"/ip4/127.0.0.1/tcp/7601".into(),
			],
			external: Vec::new(),
			bootstrap: Vec::new(),
			bitswap: true,
			relays: Vec::new(),
			relay_for_others: false,
			hole_punching: true,
			rendezvous: Vec::new(),
			rendezvous_for_others: false,
			global_only: None,
			allowed_peers: Vec::new(),
			banned_peers: Vec::new(),
			max_connections: 640,
			max_connections_per_address: 64,
			max_connections_per_network: 128,
			memory_share: 0.9,
		}
	}
}

/// Why the settings are not valid.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
	/// An address is no multiaddress.
	#[error("`{text}` is not a multiaddress, such as /ip4/203.0.113.7/udp/7601/quic-v1: {reason}")]
	Address {
		/// The text.
		text: String,
		/// What is wrong with it.
		reason: String,
	},
	/// A peer to join the DHT through, a relay or a rendezvous point is not one.
	#[error(transparent)]
	Peer(#[from] ParseAddressError),
	/// One of the allowed or banned peers is not a peer id.
	#[error("`{text}` in {key} is not a peer id, such as 12D3KooW…: {reason}")]
	PeerId {
		/// Name of the setting.
		key: &'static str,
		/// The text.
		text: String,
		/// What is wrong with it.
		reason: String,
	},
	/// A peer that the host is to connect with is not one of those allowed.
	#[error("{0} is named in bootstrap, relays or rendezvous, but not in allowed_peers")]
	NotAllowed(PeerId),
	/// A peer that the host is to connect with is banned.
	#[error("{0} is named in bootstrap, relays, rendezvous or allowed_peers, and in banned_peers")]
	Banned(PeerId),
	/// Nobody could connect.
	#[error("{0} must be at least 1")]
	NoConnections(&'static str),
	/// The share of memory is not one.
	#[error("memory_share must be above 0 and at most 1")]
	MemoryShare,
}

fn addresses(texts: &[String]) -> Result<Vec<Multiaddr>, SettingsError> {
	let parse = |text: &String| {
		text.parse().map_err(|reason| SettingsError::Address {
			text: text.clone(),
			reason: format!("{reason}"),
		})
	};
	texts.iter().map(parse).collect()
}

fn peers(texts: &[String]) -> Result<Vec<PeerAddress>, SettingsError> {
	Ok(texts
		.iter()
		.map(|text| text.parse::<PeerAddress>())
		.collect::<Result<_, _>>()?)
}

fn ids(key: &'static str, texts: &[String]) -> Result<HashSet<PeerId>, SettingsError> {
	let parse = |text: &String| {
		text.parse().map_err(|reason| SettingsError::PeerId {
			key,
			text: text.clone(),
			reason: format!("{reason}"),
		})
	};
	texts.iter().map(parse).collect()
}

impl Network {
	/// The host's configuration.
	///
	/// # Errors
	/// See [`SettingsError`].
	pub fn host(&self) -> Result<HostConfig, SettingsError> {
		for (key, count) in [
			("max_connections", self.max_connections),
			("max_connections_per_address", self.max_connections_per_address),
			("max_connections_per_network", self.max_connections_per_network),
		] {
			if count == 0 {
				return Err(SettingsError::NoConnections(key));
			}
		}
		if !(self.memory_share > 0.0 && self.memory_share <= 1.0) {
			return Err(SettingsError::MemoryShare);
		}
		let (listen, external) = (addresses(&self.listen)?, addresses(&self.external)?);
		let bootstrap = peers(&self.bootstrap)?;
		let (relays, points) = (peers(&self.relays)?, peers(&self.rendezvous)?);
		let allowed = ids("allowed_peers", &self.allowed_peers)?;
		let allowed = (!allowed.is_empty()).then_some(allowed);
		let refused = ids("banned_peers", &self.banned_peers)?;
		let named = bootstrap
			.iter()
			.chain(&relays)
			.chain(&points)
			.map(|named| named.peer);
		for peer in named.chain(allowed.iter().flatten().copied()) {
			if refused.contains(&peer) {
				return Err(SettingsError::Banned(peer));
			}
			if allowed.as_ref().is_some_and(|allowed| !allowed.contains(&peer)) {
				return Err(SettingsError::NotAllowed(peer));
			}
		}
		let is_on_the_internet = || listen.iter().chain(&external).any(is_public);
		let global_only = self.global_only.unwrap_or_else(is_on_the_internet);
		let defaults = Limits::default();
		Ok(HostConfig {
			transport: TransportConfig {
				global_only,
				..TransportConfig::default()
			},
			limits: Limits {
				total: self.max_connections,
				incoming: defaults.incoming.min(self.max_connections),
				incoming_per_address: self.max_connections_per_address,
				incoming_per_network: self.max_connections_per_network,
				outgoing: defaults.outgoing.min(self.max_connections),
				memory_share: Some(self.memory_share),
				..defaults
			},
			allowed,
			refused,
			agent: concat!("cairn-provider/", env!("CARGO_PKG_VERSION")).into(),
			dht: Some(DhtConfig {
				bootstrap,
				..DhtConfig::default()
			}),
			nat: NatConfig {
				relays,
				hole_punching: self.hole_punching,
				relay_for_others: self.relay_for_others,
				..NatConfig::default()
			},
			rendezvous: RendezvousConfig {
				points,
				serve: self.rendezvous_for_others,
				..RendezvousConfig::default()
			},
			listen,
			external,
			..HostConfig::default()
		})
	}

	/// The addresses to register on chain: those that others reach, else those listened on with a port of one's own
	/// choice.
	///
	/// # Errors
	/// [`SettingsError::Address`].
	pub fn registered(&self) -> Result<Vec<Multiaddr>, SettingsError> {
		let is_chosen = |address: &Multiaddr| {
			!address
				.iter()
				.any(|part| matches!(part, Protocol::Tcp(0) | Protocol::Udp(0)))
		};
		let mut registered = match (self.enabled, self.external.as_slice()) {
			(false, _) => Vec::new(),
			(true, []) => addresses(&self.listen)?,
			(true, external) => addresses(external)?,
		};
		registered.retain(is_chosen);
		Ok(registered)
	}
}

/// Whether the addresses listened on are those that others reach: they name a machine, and no others are given.
/// Addresses of every interface (0.0.0.0) do not; which of them are reached, others find out.
pub(super) fn names_itself(host: &HostConfig) -> bool {
	let is_unspecified = |part: Protocol<'_>| match part {
		Protocol::Ip4(ip) => ip.is_unspecified(),
		Protocol::Ip6(ip) => ip.is_unspecified(),
		_ => false,
	};
	host.external.is_empty()
		&& !host
			.listen
			.iter()
			.any(|address| address.iter().any(is_unspecified))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn the_defaults_are_valid_and_local() {
		let host = Network::default().host().unwrap();
		assert_eq!(host.listen.len(), 2);
		assert!(host
			.listen
			.iter()
			.all(|address| address.to_string().starts_with("/ip4/127.0.0.1/")));
		assert_eq!(Network::default().registered().unwrap(), host.listen);
	}

	#[test]
	fn addresses_of_every_interface_name_nothing() {
		let names_itself = |network: &Network| names_itself(&network.host().unwrap());
		let mut network = Network::default();
		assert!(names_itself(&network));
		network.listen.push("/ip6/::/udp/7601/quic-v1".into());
		assert!(!names_itself(&network));
		network.listen = vec!["/ip4/0.0.0.0/tcp/7601".into()];
		assert!(!names_itself(&network));
		network.listen = vec!["/ip4/192.0.2.1/tcp/7601".into()];
		assert!(names_itself(&network));
		network.external = vec!["/ip4/203.0.113.1/tcp/7601".into()];
		assert!(!names_itself(&network));
	}

	#[test]
	fn hosts_on_the_internet_dial_nothing_local() {
		let global_only = |listen: &str, external: Option<&str>, set| {
			let network = Network {
				listen: vec![listen.into()],
				external: external.into_iter().map(str::to_owned).collect(),
				global_only: set,
				..Network::default()
			};
			network.host().unwrap().transport.global_only
		};
		assert!(!Network::default().host().unwrap().transport.global_only);
		// The machine may be at home in a private network.
		assert!(!global_only("/ip4/0.0.0.0/tcp/1", None, None));
		assert!(!global_only(
			"/ip4/10.1.1.1/tcp/1",
			Some("/dns/provider/tcp/1"),
			None
		));
		assert!(global_only("/ip4/1.2.3.4/tcp/1", None, None));
		assert!(global_only(
			"/ip4/0.0.0.0/tcp/1",
			Some("/ip4/1.2.3.4/tcp/1"),
			None
		));
		assert!(global_only(
			"/ip4/0.0.0.0/tcp/1",
			Some("/dns/provider.example/tcp/1"),
			None
		));
		assert!(!global_only("/ip4/1.2.3.4/tcp/1", None, Some(false)));
		assert!(global_only("/ip4/127.0.0.1/tcp/1", None, Some(true)));
	}

	#[test]
	fn what_is_set_reaches_the_host() {
		let [one, two, three, four] = [(); 4].map(|()| PeerId::random());
		let at = |peer: PeerId| format!("/ip4/1.2.3.4/udp/7601/quic-v1/p2p/{peer}");
		let text = format!(
			"relays = [\"{}\"]\nrelay_for_others = true\nhole_punching = false\nrendezvous = [\"{}\"]\n\
			 rendezvous_for_others = true\nbootstrap = [\"{}\"]\nallowed_peers = [\"{one}\", \"{two}\", \"{three}\"]\n\
			 banned_peers = [\"{four}\"]\n\
			 max_connections = 5\nmax_connections_per_address = 2\nmax_connections_per_network = 3\nmemory_share = 0.5\n",
			at(one),
			at(two),
			at(three),
		);
		let network: Network = toml::from_str(&text).unwrap();
		let host = network.host().unwrap();
		assert_eq!(host.nat.relays, [at(one).parse().unwrap()]);
		assert!(host.nat.relay_for_others && !host.nat.hole_punching && host.nat.probe);
		assert_eq!(host.rendezvous.points, [at(two).parse().unwrap()]);
		assert!(host.rendezvous.serve);
		assert_eq!(host.dht.unwrap().bootstrap, [at(three).parse().unwrap()]);
		assert_eq!(host.allowed, Some(HashSet::from([one, two, three])));
		assert_eq!(host.refused, HashSet::from([four]));
		let limits = host.limits;
		assert_eq!((limits.total, limits.incoming, limits.outgoing), (5, 5, 5));
		assert_eq!((limits.incoming_per_address, limits.incoming_per_network), (2, 3));
		assert_eq!(limits.memory_share, Some(0.5));
		// And anyone may connect with a host that says nothing.
		assert_eq!(Network::default().host().unwrap().allowed, None);
	}

	#[test]
	fn what_is_wrong_is_named() {
		let with = |change: fn(&mut Network)| {
			let mut network = Network::default();
			change(&mut network);
			network.host().map(drop).unwrap_err().to_string()
		};
		assert!(with(|network| network.listen = vec!["127.0.0.1:7601".into()]).contains("`127.0.0.1:7601`"));
		assert!(with(|network| network.external = vec!["/ip4/1.2.3".into()]).contains("/ip4/1.2.3"));
		assert!(with(|network| network.bootstrap = vec!["/ip4/1.2.3.4/tcp/1".into()]).contains("/p2p/"));
		assert!(with(|network| network.relays = vec!["/ip4/1.2.3.4/tcp/1".into()]).contains("/p2p/"));
		assert!(with(|network| network.rendezvous = vec!["nowhere".into()]).contains("`nowhere`"));
		assert!(with(|network| network.allowed_peers = vec!["me".into()]).contains("`me`"));
		assert!(with(|network| network.max_connections = 0).contains("max_connections"));
		assert!(with(|network| network.max_connections_per_address = 0).contains("per_address"));
		assert!(with(|network| network.max_connections_per_network = 0).contains("per_network"));
		for share in [0.0, -1.0, 1.1, f64::NAN] {
			let network = Network {
				memory_share: share,
				..Network::default()
			};
			assert!(
				matches!(network.host(), Err(SettingsError::MemoryShare)),
				"{share}"
			);
		}
		let stranger = PeerId::random();
		let closed = Network {
			relays: vec![format!("/ip4/1.2.3.4/tcp/1/p2p/{stranger}")],
			allowed_peers: vec![PeerId::random().to_string()],
			..Network::default()
		};
		assert!(matches!(closed.host(), Err(SettingsError::NotAllowed(peer)) if peer == stranger));
		assert!(with(|network| network.banned_peers = vec!["you".into()]).contains("`you` in banned_peers"));
		let both = Network {
			banned_peers: vec![stranger.to_string()],
			bootstrap: closed.relays,
			..Network::default()
		};
		assert!(matches!(both.host(), Err(SettingsError::Banned(peer)) if peer == stranger));
	}

	#[test]
	fn only_addresses_that_stay_are_registered() {
		let registered = |network: &Network| -> Vec<String> {
			let addresses = network.registered().unwrap();
			addresses.iter().map(ToString::to_string).collect()
		};
		let mut network = Network {
			listen: vec![
				"/ip4/127.0.0.1/tcp/0".into(),
				"/ip4/127.0.0.1/udp/7/quic-v1".into(),
			],
			..Network::default()
		};
		assert_eq!(registered(&network), ["/ip4/127.0.0.1/udp/7/quic-v1"]);
		network.external = vec!["/dns/p.example/tcp/7601".into()];
		assert_eq!(registered(&network), ["/dns/p.example/tcp/7601"]);
		network.enabled = false;
		assert!(registered(&network).is_empty());
	}
}
