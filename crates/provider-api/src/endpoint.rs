//! Where a provider's server is: the multiaddresses that the provider registers on chain, as texts and as URLs.
//!
//! The chain stores the binary form of the [multiaddr specification] and does not look inside. A server is
//! `/ip4/…/tcp/…/http`, with `/ip6`, `/dns`, `/dns4` or `/dns6` as well, and with `/https` or `/tls/http`.
//!
//! [multiaddr specification]: https://github.com/multiformats/multiaddr

use multiaddr::{Multiaddr, Protocol};
use std::net::SocketAddr;
use url::Url;

/// Why a text is not the multiaddress of an HTTP endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
	/// It is no multiaddress.
	#[error("`{text}` is not a multiaddress: {reason}")]
	Malformed {
		/// The text.
		text: String,
		/// What is wrong.
		reason: multiaddr::Error,
	},
	/// It is the address of something else.
	#[error("`{0}` is not the multiaddress of an HTTP endpoint, such as /ip4/203.0.113.7/tcp/7600/http")]
	NotHttp(String),
}

/// Reads the multiaddress of an HTTP endpoint into its binary form.
///
/// # Errors
/// See [`EndpointError`].
pub fn parse(text: &str) -> Result<Vec<u8>, EndpointError> {
	let address: Multiaddr = text.parse().map_err(|reason| EndpointError::Malformed {
		text: text.into(),
		reason,
	})?;
	match url(&address) {
		Some(_) => Ok(address.to_vec()),
		None => Err(EndpointError::NotHttp(text.into())),
	}
}

/// The multiaddress of a server on a socket address, as text.
pub fn of_socket(address: SocketAddr) -> String {
	Multiaddr::from(address.ip())
		.with(Protocol::Tcp(address.port()))
		.with(Protocol::Http)
		.to_string()
}

/// A registered address as text. `None` if it is no multiaddress.
pub fn text(address: &[u8]) -> Option<String> {
	let address = Multiaddr::try_from(address.to_vec()).ok()?;
	Some(address.to_string())
}

/// The HTTP endpoints among registered addresses, in their order. What is not one is passed over:
/// providers register addresses of other transports too.
pub fn urls<'a>(addresses: impl IntoIterator<Item = &'a [u8]>) -> Vec<Url> {
	addresses
		.into_iter()
		.filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok())
		.filter_map(|address| url(&address))
		.collect()
}

/// An HTTP endpoint as URL; `None` for anything else.
fn url(address: &Multiaddr) -> Option<Url> {
	let mut parts = address.iter();
	let host = match parts.next()? {
		Protocol::Ip4(ip) => ip.to_string(),
		Protocol::Ip6(ip) => format!("[{ip}]"),
		Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
		_ => return None,
	};
	let Protocol::Tcp(port) = parts.next()? else {
		return None;
	};
	let scheme = match (parts.next()?, parts.next()) {
		(Protocol::Http, None) => "http",
		(Protocol::Https, None) => "https",
		(Protocol::Tls, Some(Protocol::Http)) if parts.next().is_none() => "https",
		_ => return None,
	};
	let url: Url = format!("{scheme}://{host}:{port}").parse().ok()?;
	// A host name that smuggles user, password, path or query would change what is asked.
	let is_plain = url.username().is_empty()
		&& url.password().is_none()
		&& url.path() == "/"
		&& url.query().is_none()
		&& url.fragment().is_none();
	is_plain.then_some(url)
}

#[cfg(test)]
mod tests {
	use super::*;

	/// The URL of a text's binary form, which must give the text back.
	fn round_trip(address: &str) -> String {
		let bytes = parse(address).unwrap();
		assert_eq!(text(&bytes).as_deref(), Some(address));
		let [url] = <[Url; 1]>::try_from(urls([bytes.as_slice()])).unwrap();
		url.to_string()
	}

	#[test]
	fn http_addresses() {
		for (address, url) in [
			("/ip4/127.0.0.1/tcp/8080/http", "http://127.0.0.1:8080/"),
			("/ip6/::1/tcp/8080/http", "http://[::1]:8080/"),
			("/dns4/p.example/tcp/443/https", "https://p.example/"),
			("/dns6/p.example/tcp/80/http", "http://p.example/"),
			("/dns/p.example/tcp/444/tls/http", "https://p.example:444/"),
		] {
			assert_eq!(round_trip(address), url);
		}
		for (socket, address) in [
			("127.0.0.1:7600", "/ip4/127.0.0.1/tcp/7600/http"),
			("[::1]:7600", "/ip6/::1/tcp/7600/http"),
		] {
			assert_eq!(of_socket(socket.parse().unwrap()), address);
		}
	}

	/// Vector of the multiaddr specification's table.
	#[test]
	fn binary_form() {
		let bytes = parse("/ip4/127.0.0.1/tcp/7600/http").unwrap();
		assert_eq!(hex::encode(bytes), "047f000001061db0e003");
	}

	#[test]
	fn other_addresses_are_passed_over() {
		let others = [
			"/ip4/1.2.3.4",
			"/ip4/1.2.3.4/tcp/1",
			"/ip4/1.2.3.4/udp/1/quic-v1",
			"/ip4/1.2.3.4/tcp/1/ws",
			"/ip4/1.2.3.4/tcp/1/tls/http/http",
			"/memory/5",
		];
		for other in others {
			assert!(matches!(parse(other), Err(EndpointError::NotHttp(_))), "{other}");
		}
		let mut registered = vec![vec![0xff, 0xff], vec![]];
		registered.extend(others.map(|other| other.parse::<Multiaddr>().unwrap().to_vec()));
		registered.push(parse("/ip4/1.2.3.4/tcp/5/http").unwrap());
		let found = urls(registered.iter().map(Vec::as_slice));
		assert_eq!(found, ["http://1.2.3.4:5/".parse().unwrap()]);
	}

	#[test]
	fn nonsense_is_refused() {
		for bad in [
			"/",
			"ip4/1.2.3.4",
			"/ip4",
			"/ip4/1.2.3/tcp/1/http",
			"/ip4/1.2.3.4/tcp/70000/http",
			"http://x",
		] {
			assert!(
				matches!(parse(bad), Err(EndpointError::Malformed { .. })),
				"{bad}"
			);
		}
		assert!(parse("").is_err());
		for bad in [&[4u8, 1, 2][..], &[0xff; 12], &[53, 200, 1], &[99]] {
			assert_eq!(text(bad), None);
		}
	}

	#[test]
	fn host_names_cannot_smuggle() {
		for name in [
			"user@evil.example",
			":password@evil.example",
			"evil.example#",
			"evil.example?x=",
		] {
			let address = Multiaddr::empty()
				.with(Protocol::Dns(name.into()))
				.with(Protocol::Tcp(80))
				.with(Protocol::Http);
			assert_eq!(url(&address), None, "{name}");
		}
	}
}
