//! How to reach the provider, as it is registered on chain.

use cairn_chain_client::{ProviderContact, MAX_ADDRESSES, MAX_ADDRESS_LEN};
use cairn_provider_api::endpoint::{self, EndpointError};

/// Why addresses cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
	/// One of them is not the multiaddress of an HTTP endpoint.
	#[error(transparent)]
	Endpoint(#[from] EndpointError),
	/// There are too many, or one is longer than the chain stores.
	#[error("at most {MAX_ADDRESSES} addresses of at most {MAX_ADDRESS_LEN} bytes can be registered")]
	TooLong,
}

/// The binary form of an HTTP server's multiaddresses.
///
/// # Errors
/// See [`ContactError`].
pub fn http_addresses(addresses: &[String]) -> Result<Vec<Vec<u8>>, ContactError> {
	let parsed = addresses.iter().map(|text| endpoint::parse(text));
	Ok(parsed.collect::<Result<_, _>>()?)
}

/// The contact of a provider with these addresses in binary form, and this peer id if it is a peer of the network.
///
/// # Errors
/// [`ContactError::TooLong`].
pub fn contact(addresses: Vec<Vec<u8>>, peer_id: Option<Vec<u8>>) -> Result<ProviderContact, ContactError> {
	let addresses = addresses
		.into_iter()
		.map(|address| address.try_into().map_err(|_| ContactError::TooLong))
		.collect::<Result<Vec<_>, _>>()?;
	Ok(ProviderContact::V1 {
		peer_id: peer_id
			.unwrap_or_default()
			.try_into()
			.map_err(|_| ContactError::TooLong)?,
		addresses: addresses.try_into().map_err(|_| ContactError::TooLong)?,
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn contacts_are_bounded() {
		let contact = |texts: &[String]| contact(http_addresses(texts)?, None);
		let address = || "/ip4/1.2.3.4/tcp/1/http".to_owned();
		assert!(contact(&vec![address(); 8]).is_ok());
		assert!(matches!(contact(&vec![address(); 9]), Err(ContactError::TooLong)));
		let long = format!("/dns/{}/tcp/1/http", "a".repeat(200));
		assert!(matches!(contact(&[long]), Err(ContactError::TooLong)));
		assert!(matches!(
			contact(&[address(), "http://x".into()]),
			Err(ContactError::Endpoint(_))
		));
	}
}
