//! A peer together with where it may be reached.

use libp2p::{multiaddr::Protocol, Multiaddr, PeerId};
use std::{fmt, str::FromStr};
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

#[cfg(test)]
mod tests {
	use super::*;

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
