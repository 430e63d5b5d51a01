//! From the multiaddrs that a provider registers to the URL of its server.

use multiaddr::{Multiaddr, Protocol};
use url::Url;

/// The HTTP endpoints among binary multiaddrs, in their order. What is not one is passed over:
/// providers register addresses of other transports too.
pub fn endpoints<'a>(addresses: impl IntoIterator<Item = &'a [u8]>) -> Vec<Url> {
	addresses
		.into_iter()
		.filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok())
		.filter_map(|address| multiaddr_to_url(&address))
		.collect()
}

/// `/ip4/…/tcp/…/http`, `/dns/…/tcp/…/https`, `/…/tls/http` as URL; `None` for anything else.
fn multiaddr_to_url(address: &Multiaddr) -> Option<Url> {
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
		(Protocol::Https, None) | (Protocol::Tls, Some(Protocol::Http)) => "https",
		_ => return None,
	};
	let url: Url = format!("{scheme}://{host}:{port}").parse().ok()?;
	// A host name that smuggles user, path or query would change what is asked.
	let is_plain =
		url.username().is_empty() && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
	is_plain.then_some(url)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn url(text: &str) -> Option<String> {
		multiaddr_to_url(&text.parse().unwrap()).map(|url| url.to_string())
	}

	#[test]
	fn http_addresses() {
		assert_eq!(
			url("/ip4/127.0.0.1/tcp/8080/http").as_deref(),
			Some("http://127.0.0.1:8080/")
		);
		assert_eq!(
			url("/ip6/::1/tcp/8080/http").as_deref(),
			Some("http://[::1]:8080/")
		);
		assert_eq!(
			url("/dns4/p.example/tcp/443/https").as_deref(),
			Some("https://p.example/")
		);
		assert_eq!(
			url("/dns/p.example/tcp/444/tls/http").as_deref(),
			Some("https://p.example:444/")
		);
	}

	#[test]
	fn other_addresses_are_passed_over() {
		for other in [
			"/ip4/1.2.3.4/tcp/1",
			"/ip4/1.2.3.4/udp/1/quic-v1",
			"/ip4/1.2.3.4/tcp/1/ws",
			"/memory/5",
		] {
			assert_eq!(url(other), None, "{other}");
		}
		let good: Multiaddr = "/ip4/1.2.3.4/tcp/5/http".parse().unwrap();
		let bytes = good.to_vec();
		let found = endpoints([&[0xff, 0xff][..], &[], &bytes]);
		assert_eq!(found, ["http://1.2.3.4:5/".parse().unwrap()]);
	}

	#[test]
	fn host_names_cannot_smuggle() {
		for name in ["user@evil.example", "evil.example#", "evil.example?x="] {
			let address = Multiaddr::empty()
				.with(Protocol::Dns(name.into()))
				.with(Protocol::Tcp(80))
				.with(Protocol::Http);
			assert_eq!(multiaddr_to_url(&address), None, "{name}");
		}
	}
}
