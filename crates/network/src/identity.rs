//! The host's key, and a statement that binds it to an account of the chain.
//!
//! A provider is an account on the chain and a peer in the network. Its registration on the chain names the
//! peer id, in a transaction that the account signed; whoever reads the registry needs nothing more. Where
//! there is no registry to ask (a provider that answers a stranger, a message that is kept), the same is said
//! by a [`PeerStatement`]: the account signs [`PeerStatement::signing_bytes`], the peer shows the signature,
//! and the reader calls [`PeerStatement::verify`]. That the peer holds its key is proven by every connection.

use cairn_keystore::SignatureError;
use libp2p::{identity::Keypair, PeerId};
use std::fmt;
use thiserror::Error;

/// Why bytes are not a host's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
	/// An ed25519 secret key has 32 bytes.
	#[error("an ed25519 secret key has 32 bytes, not {0}")]
	Length(usize),
	/// The bytes are no libp2p private key, or not one of ed25519.
	#[error("the bytes are not the protobuf form of an ed25519 private key")]
	Encoding,
}

/// An ed25519 key pair that names the host. Nothing prints the secret.
#[derive(Clone)]
pub struct Identity(Keypair);

impl Identity {
	/// A new random key.
	pub fn generate() -> Self {
		Self(Keypair::generate_ed25519())
	}

	/// The key of a 32-byte ed25519 secret. The bytes given are zeroed.
	///
	/// # Errors
	/// If there are not 32.
	pub fn from_secret(secret: &mut [u8]) -> Result<Self, IdentityError> {
		let length = secret.len();
		let key = Keypair::ed25519_from_bytes(secret);
		key.map(Self).map_err(|_| IdentityError::Length(length))
	}

	/// Reads what [`to_protobuf`](Self::to_protobuf) wrote: libp2p's form of a private key, which kubo and
	/// others use too.
	///
	/// # Errors
	/// If the bytes are something else or a key of another kind.
	pub fn from_protobuf(bytes: &[u8]) -> Result<Self, IdentityError> {
		let key = Keypair::from_protobuf_encoding(bytes).map_err(|_| IdentityError::Encoding)?;
		match key.clone().try_into_ed25519() {
			Ok(_) => Ok(Self(key)),
			Err(_) => Err(IdentityError::Encoding),
		}
	}

	/// The secret in libp2p's protobuf form, to be stored where only the host reads it.
	pub fn to_protobuf(&self) -> Vec<u8> {
		// Fails for key types that this build leaves out only.
		self.0
			.to_protobuf_encoding()
			.expect("ed25519 keys have a protobuf form")
	}

	/// The name that others know the host by.
	pub fn peer_id(&self) -> PeerId {
		self.0.public().to_peer_id()
	}

	pub(crate) fn keypair(&self) -> &Keypair {
		&self.0
	}
}

impl fmt::Debug for Identity {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_tuple("Identity").field(&self.peer_id()).finish()
	}
}

/// First bytes of what an account signs to say which peer is its own.
pub const STATEMENT_DOMAIN: &[u8] = b"cairn/peer/v1";

/// "On this chain, this account runs this peer."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatement {
	/// Hash of the chain's genesis block, so that the statement says nothing on another chain.
	pub genesis_hash: [u8; 32],
	/// The account that speaks.
	pub account: [u8; 32],
	/// The peer it runs.
	pub peer: PeerId,
}

impl PeerStatement {
	/// Bytes that the account signs: domain, genesis hash, account, and the peer id, a multihash of at most
	/// 66 bytes.
	pub fn signing_bytes(&self) -> Vec<u8> {
		let peer = self.peer.to_bytes();
		[
			STATEMENT_DOMAIN,
			&self.genesis_hash[..],
			&self.account[..],
			&peer[..],
		]
		.concat()
	}

	/// Checks `signature`, the SCALE form of a `MultiSignature`: what wallets give, over the bytes or over
	/// their `<Bytes>` wrapping.
	///
	/// # Errors
	/// If it is malformed or not the account's over this statement.
	pub fn verify(&self, signature: &[u8]) -> Result<(), SignatureError> {
		cairn_keystore::verify_multi_signature(&self.account, &self.signing_bytes(), signature)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// The secret key of RFC 8032's first test vector, and the peer id of its public key.
	const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
	const PEER: &str = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV";

	#[test]
	fn keys_are_read_written_and_not_shown() {
		let mut secret = hex::decode(SECRET).unwrap();
		let identity = Identity::from_secret(&mut secret).unwrap();
		assert_eq!(secret, [0; 32]);
		assert_eq!(identity.peer_id().to_string(), PEER);
		let again = Identity::from_protobuf(&identity.to_protobuf()).unwrap();
		assert_eq!(again.peer_id(), identity.peer_id());
		assert_eq!(format!("{identity:?}"), format!("Identity(PeerId(\"{PEER}\"))"));
		assert_eq!(
			Identity::from_secret(&mut [1; 31]).unwrap_err(),
			IdentityError::Length(31)
		);
		assert_eq!(
			Identity::from_protobuf(&[8, 1, 18, 1, 0]).unwrap_err(),
			IdentityError::Encoding
		);
		assert_ne!(Identity::generate().peer_id(), Identity::generate().peer_id());
	}

	#[test]
	fn only_the_account_binds_a_peer_and_only_on_its_chain() {
		let account = cairn_keystore::Keypair::from_seed(&[7; 32]);
		let statement = PeerStatement {
			genesis_hash: [9; 32],
			account: account.public(),
			peer: PEER.parse().unwrap(),
		};
		let bytes = statement.signing_bytes();
		assert_eq!(bytes.len(), 13 + 32 + 32 + 38);
		assert!(bytes.starts_with(b"cairn/peer/v1\x09"));
		// Variant 1 of MultiSignature is sr25519.
		let sign = |bytes: &[u8]| [&[1][..], &account.sign(bytes)[..]].concat();
		assert_eq!(statement.verify(&sign(&bytes)), Ok(()));
		let wrapped = [b"<Bytes>", &bytes[..], b"</Bytes>"].concat();
		assert_eq!(statement.verify(&sign(&wrapped)), Ok(()));
		for wrong in [
			PeerStatement {
				genesis_hash: [8; 32],
				..statement
			},
			PeerStatement {
				account: [1; 32],
				..statement
			},
			PeerStatement {
				peer: PeerId::random(),
				..statement
			},
		] {
			assert_eq!(wrong.verify(&sign(&bytes)), Err(SignatureError::Wrong));
		}
		assert_eq!(statement.verify(&[]), Err(SignatureError::Malformed));
	}
}
