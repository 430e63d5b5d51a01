//! Addresses that providers register: whoever reads them follows them.

use crate::{chain::provider_view, Seed};
use cairn_chain_client::ProviderContact;
use cairn_provider_api::endpoint;
use codec::{DecodeAll, Encode};

/// Reads a multiaddress in both forms, and the contact that holds several.
pub fn provider_contact(data: &[u8]) {
	registered(data);
	if let Ok(contact) = ProviderContact::decode_all(&mut &data[..]) {
		assert_eq!(contact.encode(), data, "a contact has two encodings");
		let ProviderContact::V1 { addresses, .. } = &contact;
		let urls = endpoint::urls(addresses.iter().map(|address| address.as_slice()));
		assert!(urls.len() <= addresses.len());
		addresses.iter().for_each(|address| registered(address));
	}
	let Ok(text) = std::str::from_utf8(data) else {
		return;
	};
	if let Ok(bytes) = endpoint::parse(text) {
		assert_eq!(endpoint::urls([&bytes[..]]).len(), 1, "an endpoint without a URL");
		let written = endpoint::text(&bytes).expect("what was encoded is decoded");
		assert_eq!(
			endpoint::parse(&written).ok(),
			Some(bytes),
			"an address has two forms"
		);
	}
}

/// An address as the chain has it. Nobody has looked inside yet.
fn registered(address: &[u8]) {
	let text = endpoint::text(address);
	for url in endpoint::urls([address]) {
		assert!(text.is_some());
		assert!(matches!(url.scheme(), "http" | "https"));
		assert!(url.host_str().is_some_and(|host| !host.is_empty()));
		assert_eq!(
			(url.username(), url.password()),
			("", None),
			"an address carries credentials"
		);
		assert_eq!((url.path(), url.query(), url.fragment()), ("/", None, None));
		assert_eq!(url.as_str().parse().as_ref(), Ok(&url));
	}
}

/// Seeds of [`provider_contact`].
pub(crate) fn seeds() -> Vec<Seed> {
	let texts = [
		("ip4", "/ip4/127.0.0.1/tcp/7600/http"),
		("ip6", "/ip6/::1/tcp/443/https"),
		("tls", "/dns/storage.example/tcp/444/tls/http"),
		("other", "/ip4/1.2.3.4/udp/1/quic-v1"),
	];
	let mut seeds: Vec<Seed> = texts
		.iter()
		.map(|(name, text)| (*name, text.as_bytes().to_vec()))
		.collect();
	let encoded = |text| endpoint::parse(text).expect("an HTTP endpoint's address");
	seeds.push(("ip4-binary", encoded(texts[0].1)));
	seeds.push(("tls-binary", encoded(texts[2].1)));
	// `/dns/:secret@evil.example/tcp/80/http`
	let mut credentials = vec![53, 20];
	credentials.extend_from_slice(b":secret@evil.example");
	credentials.extend_from_slice(&[6, 0, 80, 0xe0, 0x03]);
	seeds.push(("credentials", credentials));
	seeds.push(("contact", provider_view().contact.encode()));
	seeds
}
