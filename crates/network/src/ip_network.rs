//! The networks that addresses are in: what one machine or one owner has many addresses of counts as one.

use crate::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network of IP addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IpNetwork(IpAddr);

impl IpNetwork {
	/// What one machine can have without effort: an IPv4 address, or an IPv6 network of 64 bits.
	pub fn machine(address: IpAddr) -> Self {
		Self::of(address, 32, 64)
	}

	/// What one owner can have without effort: an IPv4 network of 24 bits, or an IPv6 network of 48.
	pub fn site(address: IpAddr) -> Self {
		Self::of(address, 24, 48)
	}

	fn of(address: IpAddr, v4_bits: u32, v6_bits: u32) -> Self {
		// An IPv4 address that came in over an IPv6 socket is one.
		Self(match address.to_canonical() {
			IpAddr::V4(address) => {
				let mask = u32::MAX << (32 - v4_bits);
				Ipv4Addr::from_bits(address.to_bits() & mask).into()
			}
			IpAddr::V6(address) => {
				let mask = u128::MAX << (128 - v6_bits);
				Ipv6Addr::from_bits(address.to_bits() & mask).into()
			}
		})
	}

	/// Its first address: 4 bytes of IPv4, 16 of IPv6.
	pub fn to_bytes(self) -> Vec<u8> {
		match self.0 {
			IpAddr::V4(address) => address.octets().into(),
			IpAddr::V6(address) => address.octets().into(),
		}
	}

	/// The site of which this is an address. `None` if it is neither 4 nor 16 bytes.
	pub fn site_from_bytes(bytes: &[u8]) -> Option<Self> {
		let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
		let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
		address.ok().map(Self::site)
	}
}

/// The machine at the other end of a connection with this address. `None` if the connection is relayed, or not over
/// IP.
pub(crate) fn remote_ip(address: &Multiaddr) -> Option<IpAddr> {
	let mut parts = address.iter();
	let ip = match parts.next()? {
		Protocol::Ip4(ip) => ip.into(),
		Protocol::Ip6(ip) => ip.into(),
		_ => return None,
	};
	(!parts.any(|part| matches!(part, Protocol::P2pCircuit))).then_some(ip)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn ip(text: &str) -> IpAddr {
		text.parse().unwrap()
	}

	#[test]
	fn addresses_of_one_machine_and_one_site_are_one() {
		for (one, other, same_machine, same_site) in [
			("1.2.3.4", "1.2.3.4", true, true),
			("1.2.3.4", "1.2.3.5", false, true),
			("1.2.3.4", "1.2.4.4", false, false),
			("1.2.3.4", "::ffff:1.2.3.4", true, true),
			("2001:db8:1:2::1", "2001:db8:1:2:ffff::", true, true),
			("2001:db8:1:2::1", "2001:db8:1:3::1", false, true),
			("2001:db8:1:2::1", "2001:db8:2:2::1", false, false),
		] {
			let (one, other) = (ip(one), ip(other));
			assert_eq!(IpNetwork::machine(one) == IpNetwork::machine(other), same_machine);
			assert_eq!(IpNetwork::site(one) == IpNetwork::site(other), same_site);
		}
	}

	#[test]
	fn bytes_are_read_back() {
		for text in ["1.2.3.4", "2001:db8:1:2::1"] {
			let site = IpNetwork::site(ip(text));
			assert_eq!(IpNetwork::site_from_bytes(&site.to_bytes()), Some(site));
		}
		assert_eq!(IpNetwork::site_from_bytes(&[1, 2, 3]), None);
		assert_eq!(IpNetwork::site_from_bytes(&[]), None);
	}

	#[test]
	fn relays_are_not_who_is_behind_them() {
		let peer = libp2p::PeerId::random();
		for (address, expected) in [
			("/ip4/1.2.3.4/udp/1/quic-v1".to_owned(), Some(ip("1.2.3.4"))),
			(
				format!("/ip6/2001:db8::1/tcp/1/p2p/{peer}"),
				Some(ip("2001:db8::1")),
			),
			(format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}/p2p-circuit"), None),
			(format!("/p2p/{peer}"), None),
			("/memory/7".to_owned(), None),
			("/dns/a.example/tcp/1".to_owned(), None),
		] {
			assert_eq!(remote_ip(&address.parse().unwrap()), expected, "{address}");
		}
	}
}
