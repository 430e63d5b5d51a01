//! A peer together with where it may be reached.

use libp2p::{multiaddr::Protocol, Multiaddr, PeerId};
use std::{
	fmt,
	net::{Ipv4Addr, Ipv6Addr},
	str::FromStr,
};
use thiserror::Error;

/// Addresses kept of one peer; others say more than they should.
pub const MAX_ADDRESSES: usize = 16;
/// Longest binary address that is kept, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 256;

/// Why a text is not the address of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseAddressError {
	/// It is no multiaddress.
	#[error("`{text}` is not a multiaddress: {reason}")]
	Malformed {
		/// The text.
		text: String,
		/// What is wrong with it.
		reason: String,
	},
	/// It does not end with the peer's id.
	#[error("`{0}` does not end with /p2p/ and a peer id")]
	NoPeerId(String),
}

/// Why a registration, as a chain keeps it, names no peer that could be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegisteredPeerError {
	/// There is no peer id: who registered is no peer of the network.
	#[error("no peer id is registered")]
	NoPeerId,
	/// What stands for the peer id is none.
	#[error("what is registered is not a peer id")]
	PeerId,
	/// None of the addresses leads to a peer.
	#[error("no address of the peer is registered")]
	NoAddress,
}

/// A peer and the addresses under which it may be reached, without `/p2p` at their ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
	/// The peer.
	pub peer: PeerId,
	/// Where it may be; can be empty.
	pub addresses: Vec<Multiaddr>,
}

impl PeerAddress {
	/// A peer with those of the addresses that can be its own: within the limits of this module, each once,
	/// and not naming another peer.
	pub fn new(peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
		let mut known = Self {
			peer,
			addresses: Vec::new(),
		};
		known.extend(addresses);
		known
	}

	/// Reads what somebody registered: a peer id and multiaddresses in their binary forms, which nobody has checked.
	/// What is no multiaddress, leads to an HTTP server or names another peer is passed over.
	///
	/// # Errors
	/// See [`RegisteredPeerError`].
	pub fn from_registered<'a>(
		peer_id: &[u8],
		addresses: impl IntoIterator<Item = &'a [u8]>,
	) -> Result<Self, RegisteredPeerError> {
		if peer_id.is_empty() {
			return Err(RegisteredPeerError::NoPeerId);
		}
		let id = PeerId::from_bytes(peer_id).map_err(|_| RegisteredPeerError::PeerId)?;
		let is_http = |address: &Multiaddr| {
			address
				.iter()
				.any(|part| matches!(part, Protocol::Http | Protocol::Https))
		};
		let addresses = addresses
			.into_iter()
			.filter(|bytes| bytes.len() <= MAX_ADDRESS_BYTES)
			.filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok())
			.filter(|address| !is_http(address));
		let peer = Self::new(id, addresses);
		if peer.addresses.is_empty() {
			return Err(RegisteredPeerError::NoAddress);
		}
		Ok(peer)
	}

	/// Adds those of the addresses that can be the peer's own, up to the limit.
	pub fn extend(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
		for mut address in addresses {
			if self.addresses.len() == MAX_ADDRESSES {
				break;
			}
			if let Some(Protocol::P2p(named)) = address.iter().last() {
				if named != self.peer {
					continue;
				}
				address.pop();
			}
			let fits = !address.is_empty() && address.len() <= MAX_ADDRESS_BYTES;
			if fits && !self.addresses.contains(&address) {
				self.addresses.push(address);
			}
		}
	}
}

impl FromStr for PeerAddress {
	type Err = ParseAddressError;

	/// Reads one address that ends with the peer's id, as in `/ip4/203.0.113.7/udp/7601/quic-v1/p2p/12D3…`.
	fn from_str(text: &str) -> Result<Self, Self::Err> {
		let address: Multiaddr = text.parse().map_err(|reason| ParseAddressError::Malformed {
			text: text.into(),
			reason: format!("{reason}"),
		})?;
		match address.iter().last() {
			Some(Protocol::P2p(peer)) => Ok(Self::new(peer, [address])),
			_ => Err(ParseAddressError::NoPeerId(text.into())),
		}
	}
}

impl fmt::Display for PeerAddress {
	/// The peer's first address with its id, or the id alone.
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self.addresses.first() {
			Some(address) => write!(f, "{address}/p2p/{}", self.peer),
			None => write!(f, "/p2p/{}", self.peer),
		}
	}
}

/// Whether an address can be reached from anywhere: it begins with an IP address of the public Internet, or with a DNS
/// name that is not set aside for local use.
pub fn is_public(address: &Multiaddr) -> bool {
	match address.iter().next() {
		Some(Protocol::Ip4(ip)) => is_public_v4(ip),
		Some(Protocol::Ip6(ip)) => match ip.to_ipv4_mapped() {
			Some(ip) => is_public_v4(ip),
			None => is_public_v6(ip),
		},
		Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) | Protocol::Dnsaddr(name)) => {
			is_public_name(&name)
		}
		_ => false,
	}
}

/// As the IANA IPv4 Special-Purpose Address Registry has it.
fn is_public_v4(ip: Ipv4Addr) -> bool {
	let [a, b, c, _] = ip.octets();
	let is_shared = a == 100 && b & 0xc0 == 64;
	let is_protocol_assignment = (a, b, c) == (192, 0, 0);
	let is_benchmark = a == 198 && b & 0xfe == 18;
	!(a == 0
		|| ip.is_private()
		|| ip.is_loopback()
		|| ip.is_link_local()
		|| ip.is_documentation()
		|| is_shared
		|| is_protocol_assignment
		|| is_benchmark
		|| a >= 224)
}

/// The global unicast addresses that are assigned, without those of documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
	let [first, second, ..] = ip.segments();
	let is_documentation = (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second < 0x1000);
	first & 0xe000 == 0x2000 && !is_documentation
}

/// Names without a dot are those of machines beside this one; RFC 6761 and its successors set aside the rest.
fn is_public_name(name: &str) -> bool {
	const LOCAL: [&str; 7] = ["local", "localhost", "internal", "test", "invalid", "lan", "arpa"];
	let name = name.strip_suffix('.').unwrap_or(name);
	match name.rsplit_once('.') {
		Some((_, last)) => !LOCAL.iter().any(|local| local.eq_ignore_ascii_case(last)),
		None => false,
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn public_addresses_are_told_from_local_ones() {
		for (address, expected) in [
			("/ip4/1.2.3.4/tcp/1", true),
			("/ip4/0.0.0.0/tcp/1", false),
			("/ip4/10.1.2.3/udp/1/quic-v1", false),
			("/ip4/100.64.0.1/tcp/1", false),
			("/ip4/100.128.0.1/tcp/1", true),
			("/ip4/127.0.0.1/tcp/1", false),
			("/ip4/169.254.1.1/tcp/1", false),
			("/ip4/172.31.0.1/tcp/1", false),
			("/ip4/172.32.0.1/tcp/1", true),
			("/ip4/192.0.0.8/tcp/1", false),
			("/ip4/192.168.1.1/tcp/1", false),
			("/ip4/198.19.0.1/tcp/1", false),
			("/ip4/203.0.113.1/tcp/1", false),
			("/ip4/224.0.0.1/udp/1", false),
			("/ip4/255.255.255.255/udp/1", false),
			("/ip6/::/tcp/1", false),
			("/ip6/::1/tcp/1", false),
			("/ip6/::ffff:10.0.0.1/tcp/1", false),
			("/ip6/::ffff:1.2.3.4/tcp/1", true),
			("/ip6/fd00::1/tcp/1", false),
			("/ip6/fe80::1/tcp/1", false),
			("/ip6/2001:db8::1/tcp/1", false),
			("/ip6/2a01:4f8::1/tcp/1", true),
			("/dns/provider.example/tcp/1", true),
			("/dns4/provider/tcp/1", false),
			("/dns6/provider.Local./tcp/1", false),
			("/memory/1", false),
		] {
			assert_eq!(is_public(&address.parse().unwrap()), expected, "{address}");
		}
	}

	#[test]
	fn texts_are_read_and_shown() {
		let peer = PeerId::random();
		let text = format!("/ip4/203.0.113.7/udp/7601/quic-v1/p2p/{peer}");
		let address: PeerAddress = text.parse().unwrap();
		assert_eq!(address.peer, peer);
		assert_eq!(
			address.addresses,
			["/ip4/203.0.113.7/udp/7601/quic-v1".parse().unwrap()]
		);
		assert_eq!(address.to_string(), text);
		let bare: PeerAddress = format!("/p2p/{peer}").parse().unwrap();
		assert!(bare.addresses.is_empty());
		assert_eq!(bare.to_string(), format!("/p2p/{peer}"));
		assert_eq!(
			"/ip4/203.0.113.7/tcp/1".parse::<PeerAddress>(),
			Err(ParseAddressError::NoPeerId("/ip4/203.0.113.7/tcp/1".into()))
		);
		assert!(matches!(
			"203.0.113.7".parse::<PeerAddress>(),
			Err(ParseAddressError::Malformed { .. })
		));
	}

	#[test]
	fn registrations_are_read_as_far_as_they_are_sound() {
		let id = PeerId::random();
		let bytes = |text: &str| text.parse::<Multiaddr>().unwrap().to_vec();
		let foreign = format!("/ip4/1.2.3.4/tcp/5/p2p/{}", PeerId::random());
		let registered = [
			bytes("/ip4/1.2.3.4/tcp/80/http"),
			bytes("/ip4/1.2.3.4/udp/5/quic-v1"),
			vec![0xff, 0xff],
			vec![0x04; 10_000],
			bytes(&foreign),
			bytes(&format!("/dns/p.example/tcp/6/p2p/{id}")),
			bytes("/dns/p.example/tcp/443/tls/http"),
			Vec::new(),
		];
		let read = |peer_id: &[u8], count: usize| {
			PeerAddress::from_registered(peer_id, registered[..count].iter().map(Vec::as_slice))
		};
		let peer = read(&id.to_bytes(), 8).unwrap();
		let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
		assert_eq!(peer.peer, id);
		assert_eq!(addresses, ["/ip4/1.2.3.4/udp/5/quic-v1", "/dns/p.example/tcp/6"]);
		assert_eq!(
			read(&id.to_bytes(), 1),
			Err(RegisteredPeerError::NoAddress),
			"only HTTP"
		);
		assert_eq!(read(&id.to_bytes(), 0), Err(RegisteredPeerError::NoAddress));
		assert_eq!(read(&[], 8), Err(RegisteredPeerError::NoPeerId));
		for garbage in [&[1, 2, 3][..], &[0xff; 64], &[0x12, 0x20]] {
			assert_eq!(read(garbage, 8), Err(RegisteredPeerError::PeerId));
		}
	}

	#[test]
	fn addresses_are_bounded_and_the_peers_own() {
		let peer = PeerId::random();
		let foreign: Multiaddr = format!("/memory/1/p2p/{}", PeerId::random()).parse().unwrap();
		let long: Multiaddr = format!("/dns/{}/tcp/1", "a".repeat(300)).parse().unwrap();
		let own: Multiaddr = format!("/memory/1/p2p/{peer}").parse().unwrap();
		let twice: Multiaddr = "/memory/1".parse().unwrap();
		let many = (2..100).map(|port: u64| Multiaddr::from(Protocol::Memory(port)));
		let address = PeerAddress::new(peer, [foreign, long, own, twice.clone()].into_iter().chain(many));
		assert_eq!(address.addresses.len(), MAX_ADDRESSES);
		assert_eq!(address.addresses[0], twice);
		assert_eq!(address.addresses[1], Multiaddr::from(Protocol::Memory(2)));
	}
}
