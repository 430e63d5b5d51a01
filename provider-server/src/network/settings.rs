//! `[network]` of the configuration.

use cairn_network::{
	address::{ParseAddressError, PeerAddress},
	host::{DhtConfig, HostConfig, Limits, TransportConfig},
	Multiaddr, Protocol,
};
use serde::{Deserialize, Serialize};

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
	/// Dial no loopback, private or otherwise local address, whoever names it. For hosts on the public network.
	pub global_only: bool,
	/// Speak Bitswap, so that IPFS nodes fetch from this provider.
	pub bitswap: bool,
	/// Open connections at the same time.
	pub max_connections: u32,
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
			global_only: false,
			bitswap: true,
			max_connections: 640,
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
	/// A peer to join the DHT through is not one.
	#[error(transparent)]
	Bootstrap(#[from] ParseAddressError),
	/// Nobody could connect.
	#[error("max_connections must be at least 1")]
	NoConnections,
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

impl Network {
	/// The host's configuration.
	///
	/// # Errors
	/// See [`SettingsError`].
	pub fn host(&self) -> Result<HostConfig, SettingsError> {
		if self.max_connections == 0 {
			return Err(SettingsError::NoConnections);
		}
		let bootstrap = self.bootstrap.iter().map(|text| text.parse::<PeerAddress>());
		let defaults = Limits::default();
		Ok(HostConfig {
			listen: addresses(&self.listen)?,
			external: addresses(&self.external)?,
			limits: Limits {
				total: self.max_connections,
				incoming: defaults.incoming.min(self.max_connections),
				outgoing: defaults.outgoing.min(self.max_connections),
				..defaults
			},
			transport: TransportConfig {
				global_only: self.global_only,
				..TransportConfig::default()
			},
			agent: concat!("cairn-provider/", env!("CARGO_PKG_VERSION")).into(),
			dht: Some(DhtConfig {
				bootstrap: bootstrap.collect::<Result<_, _>>()?,
				..DhtConfig::default()
			}),
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
	fn what_is_wrong_is_named() {
		let with = |change: fn(&mut Network)| {
			let mut network = Network::default();
			change(&mut network);
			network.host().map(drop).unwrap_err().to_string()
		};
		assert!(with(|network| network.listen = vec!["127.0.0.1:7601".into()]).contains("`127.0.0.1:7601`"));
		assert!(with(|network| network.external = vec!["/ip4/1.2.3".into()]).contains("/ip4/1.2.3"));
		assert!(with(|network| network.bootstrap = vec!["/ip4/1.2.3.4/tcp/1".into()]).contains("/p2p/"));
		assert!(with(|network| network.max_connections = 0).contains("max_connections"));
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
