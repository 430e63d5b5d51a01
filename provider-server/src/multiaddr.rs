//! Multiaddresses of HTTP endpoints, as providers register them on chain.
//!
//! Only what such an endpoint needs: `/ip4`, `/ip6`, `/dns`, `/dns4`, `/dns6`, `/tcp`, `/tls`,
//! `/http`, `/https`. The binary form is that of the [multiaddr specification](https://github.com/multiformats/multiaddr).

use cairn_chain_client::ProviderContact;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a text or bytes are not the multiaddress of an HTTP endpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MultiaddrError {
	/// A part that is not known here.
	#[error("`{0}` is not a part of an HTTP endpoint's multiaddress such as /ip4/203.0.113.7/tcp/7600/http")]
	Protocol(String),
	/// A part without its value, or with a wrong one.
	#[error("`/{0}` needs a valid value")]
	Value(&'static str),
	/// Too many addresses, or a longer one than the chain stores.
	#[error("at most 8 addresses of at most 128 bytes can be registered")]
	TooLong,
}

const IP4: u64 = 4;
const TCP: u64 = 6;
const IP6: u64 = 41;
const DNS: u64 = 53;
const DNS4: u64 = 54;
const DNS6: u64 = 55;
const HTTPS: u64 = 443;
const TLS: u64 = 448;
const HTTP: u64 = 480;

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
	while value >= 0x80 {
		bytes.push(value as u8 | 0x80);
		value >>= 7;
	}
	bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
	let mut value = 0u64;
	for shift in (0..63).step_by(7) {
		let (byte, rest) = bytes.split_first()?;
		*bytes = rest;
		value |= u64::from(byte & 0x7f) << shift;
		if byte & 0x80 == 0 {
			return Some(value);
		}
	}
	None
}

/// Reads a text into the binary form.
///
/// # Errors
/// See [`MultiaddrError`].
pub fn encode(text: &str) -> Result<Vec<u8>, MultiaddrError> {
	let mut parts = text.split('/');
	if parts.next() != Some("") || text.len() < 2 {
		return Err(MultiaddrError::Protocol(text.into()));
	}
	let mut bytes = Vec::new();
	while let Some(name) = parts.next() {
		let mut value = |name| {
			parts
				.next()
				.filter(|value| !value.is_empty())
				.ok_or(MultiaddrError::Value(name))
		};
		match name {
			"ip4" => {
				let ip: Ipv4Addr = value("ip4")?.parse().map_err(|_| MultiaddrError::Value("ip4"))?;
				put_varint(&mut bytes, IP4);
				bytes.extend(ip.octets());
			}
			"ip6" => {
				let ip: Ipv6Addr = value("ip6")?.parse().map_err(|_| MultiaddrError::Value("ip6"))?;
				put_varint(&mut bytes, IP6);
				bytes.extend(ip.octets());
			}
			"tcp" => {
				let port: u16 = value("tcp")?.parse().map_err(|_| MultiaddrError::Value("tcp"))?;
				put_varint(&mut bytes, TCP);
				bytes.extend(port.to_be_bytes());
			}
			"dns" | "dns4" | "dns6" => {
				let host = value("dns")?;
				put_varint(
					&mut bytes,
					[("dns", DNS), ("dns4", DNS4), ("dns6", DNS6)]
						.iter()
						.find(|(n, _)| *n == name)
						.map_or(DNS, |(_, code)| *code),
				);
				put_varint(&mut bytes, host.len() as u64);
				bytes.extend(host.bytes());
			}
			"tls" => put_varint(&mut bytes, TLS),
			"http" => put_varint(&mut bytes, HTTP),
			"https" => put_varint(&mut bytes, HTTPS),
			other => return Err(MultiaddrError::Protocol(format!("/{other}"))),
		}
	}
	Ok(bytes)
}

/// Writes the binary form as text; none for parts that are not known here.
pub fn decode(mut bytes: &[u8]) -> Option<String> {
	let mut text = String::new();
	while !bytes.is_empty() {
		let take = |bytes: &mut &[u8], len: usize| -> Option<Vec<u8>> {
			let taken = bytes.get(..len)?.to_vec();
			*bytes = &bytes[len..];
			Some(taken)
		};
		match take_varint(&mut bytes)? {
			IP4 => {
				let octets: [u8; 4] = take(&mut bytes, 4)?.try_into().ok()?;
				text.push_str(&format!("/ip4/{}", Ipv4Addr::from(octets)));
			}
			IP6 => {
				let octets: [u8; 16] = take(&mut bytes, 16)?.try_into().ok()?;
				text.push_str(&format!("/ip6/{}", Ipv6Addr::from(octets)));
			}
			TCP => {
				let port: [u8; 2] = take(&mut bytes, 2)?.try_into().ok()?;
				text.push_str(&format!("/tcp/{}", u16::from_be_bytes(port)));
			}
			code @ (DNS | DNS4 | DNS6) => {
				let len = usize::try_from(take_varint(&mut bytes)?).ok()?;
				let host = String::from_utf8(take(&mut bytes, len)?).ok()?;
				let name = match code {
					DNS4 => "dns4",
					DNS6 => "dns6",
					_ => "dns",
				};
				text.push_str(&format!("/{name}/{host}"));
			}
			TLS => text.push_str("/tls"),
			HTTP => text.push_str("/http"),
			HTTPS => text.push_str("/https"),
			_ => return None,
		}
	}
	Some(text)
}

/// The multiaddress of an HTTP endpoint on a socket address.
pub fn http(address: SocketAddr) -> String {
	match address.ip() {
		IpAddr::V4(ip) => format!("/ip4/{ip}/tcp/{}/http", address.port()),
		IpAddr::V6(ip) => format!("/ip6/{ip}/tcp/{}/http", address.port()),
	}
}

/// Reads several texts.
///
/// # Errors
/// See [`MultiaddrError`].
pub fn encode_all(texts: &[String]) -> Result<Vec<Vec<u8>>, MultiaddrError> {
	texts.iter().map(|text| encode(text)).collect()
}

/// The contact that a provider registers: no peer id yet, these HTTP addresses.
///
/// # Errors
/// See [`MultiaddrError`].
pub fn contact(texts: &[String]) -> Result<ProviderContact, MultiaddrError> {
	let addresses = encode_all(texts)?
		.into_iter()
		.map(|address| address.try_into().map_err(|_| MultiaddrError::TooLong))
		.collect::<Result<Vec<_>, _>>()?
		.try_into()
		.map_err(|_| MultiaddrError::TooLong)?;
	Ok(ProviderContact::V1 {
		peer_id: Default::default(),
		addresses,
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn texts_round_trip() {
		for text in [
			"/ip4/127.0.0.1/tcp/7600/http",
			"/ip6/::1/tcp/443/https",
			"/dns/storage.example/tcp/443/tls/http",
			"/dns4/a.example/tcp/80/http",
			"/dns6/b.example/tcp/80/http",
		] {
			assert_eq!(decode(&encode(text).unwrap()).as_deref(), Some(text));
		}
	}

	/// Vector of the multiaddr specification's table.
	#[test]
	fn binary_form() {
		assert_eq!(
			hex::encode(encode("/ip4/127.0.0.1/tcp/7600/http").unwrap()),
			"047f000001061db0e003"
		);
	}

	#[test]
	fn nonsense_is_refused() {
		for bad in [
			"",
			"/",
			"ip4/1.2.3.4",
			"/ip4",
			"/ip4/1.2.3",
			"/tcp/70000",
			"/udp/1",
			"/dns/",
			"http://x",
		] {
			assert!(encode(bad).is_err(), "{bad}");
		}
		for bad in [&[4u8, 1, 2][..], &[0xff; 12], &[53, 200, 1], &[99]] {
			assert_eq!(decode(bad), None);
		}
	}

	#[test]
	fn contacts_are_bounded() {
		assert!(contact(&vec!["/ip4/1.2.3.4/tcp/1/http".into(); 8]).is_ok());
		assert_eq!(
			contact(&vec!["/ip4/1.2.3.4/tcp/1/http".into(); 9]),
			Err(MultiaddrError::TooLong)
		);
		assert_eq!(
			contact(&[format!("/dns/{}/http", "a".repeat(200))]),
			Err(MultiaddrError::TooLong)
		);
	}
}
