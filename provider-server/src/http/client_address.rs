//! Who sends a request: the connection's peer, or whom a trusted proxy names.

use axum::http::HeaderMap;
use std::{
	future::Future,
	net::{IpAddr, SocketAddr},
};

tokio::task_local! {
	/// Whose request the task works on, if limits hold for them.
	static CLIENT: Option<IpAddr>;
}

/// Runs a request's handler so that [`limited`] knows whose it is.
pub(super) fn with_client<T>(
	client: Option<IpAddr>,
	handler: impl Future<Output = T>,
) -> impl Future<Output = T> {
	CLIENT.scope(client, handler)
}

/// The client whose request the task works on; `None` for programs on the provider's own machine, for which there
/// are no limits.
pub(super) fn limited() -> Option<IpAddr> {
	CLIENT.try_with(|client| *client).ok().flatten()
}

/// The other end of the connection, as an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub IpAddr);

/// The header in which proxies say whom they speak for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: `peer`, unless that is a trusted proxy. Then it is the last address in
/// `x-forwarded-for` that is no trusted proxy itself: what stands before it was written by whoever sent it, and
/// may be a lie. `None` if a trusted proxy names nobody, which is how programs on the provider's own machine
/// look.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
	let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.to_canonical() == address);
	let peer = peer.to_canonical();
	if !is_trusted(peer) {
		return Some(peer);
	}
	for header in headers.get_all(FORWARDED_FOR).iter().rev() {
		// A name that cannot be read hides whoever stands before it.
		for name in header.to_str().ok()?.rsplit(',') {
			let address = address(name.trim())?;
			if !is_trusted(address) {
				return Some(address);
			}
		}
	}
	None
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
	let plain = text
		.strip_prefix('[')
		.and_then(|text| text.strip_suffix(']'))
		.unwrap_or(text);
	let address = match plain.parse() {
		Ok(address) => address,
		Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
	};
	Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
	use super::*;

	fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Option<String> {
		let mut headers = HeaderMap::new();
		for value in forwarded {
			headers.append(FORWARDED_FOR, value.parse().unwrap());
		}
		let trusted: Vec<IpAddr> = trusted.iter().map(|text| text.parse().unwrap()).collect();
		client(peer.parse().unwrap(), &headers, &trusted).map(|address| address.to_string())
	}

	#[test]
	fn only_trusted_proxies_are_believed() {
		let some = |text: &str| Some(text.to_owned());
		let proxies = &["127.0.0.1", "10.0.0.1"];
		assert_eq!(of("1.2.3.4", &["5.6.7.8"], proxies), some("1.2.3.4"));
		assert_eq!(of("127.0.0.1", &["5.6.7.8"], proxies), some("5.6.7.8"));
		assert_eq!(
			of("127.0.0.1", &["9.9.9.9, 5.6.7.8, 10.0.0.1"], proxies),
			some("5.6.7.8")
		);
		assert_eq!(of("127.0.0.1", &["9.9.9.9", "5.6.7.8"], proxies), some("5.6.7.8"));
		assert_eq!(of("127.0.0.1", &[], proxies), None);
		assert_eq!(of("127.0.0.1", &["10.0.0.1"], proxies), None);
		assert_eq!(of("127.0.0.1", &["5.6.7.8, unknown"], proxies), None);
		assert_eq!(of("127.0.0.1", &["5.6.7.8"], &[]), some("127.0.0.1"));
	}

	#[test]
	fn addresses_have_many_forms() {
		let proxies = &["::1"];
		for (text, address) in [
			("5.6.7.8:90", "5.6.7.8"),
			("2001:db8::1", "2001:db8::1"),
			("[2001:db8::1]", "2001:db8::1"),
			("[2001:db8::1]:90", "2001:db8::1"),
			("::ffff:5.6.7.8", "5.6.7.8"),
		] {
			assert_eq!(of("::1", &[text], proxies).as_deref(), Some(address));
		}
		assert_eq!(
			of("::ffff:127.0.0.1", &["5.6.7.8"], &["127.0.0.1"]).as_deref(),
			Some("5.6.7.8")
		);
	}
}
