//! Accounts, signatures and who makes them.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use std::sync::Arc;

/// An account: its 32-byte public key. SCALE-encoded like `AccountId32`.
pub type AccountId = [u8; 32];

/// A signature of one of the chain's schemes. SCALE-encoded like `sp_runtime::MultiSignature`.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub enum MultiSignature {
	/// Ed25519.
	#[codec(index = 0)]
	Ed25519([u8; 64]),
	/// Schnorr over Ristretto25519 with signing context `substrate`.
	#[codec(index = 1)]
	Sr25519([u8; 64]),
	/// ECDSA over secp256k1 with a recovery id; the message is hashed with BLAKE2b-256.
	#[codec(index = 2)]
	Ecdsa([u8; 65]),
	/// ECDSA over secp256k1 with a recovery id; the message is hashed with Keccak-256.
	#[codec(index = 3)]
	Eth([u8; 65]),
}

/// Signs in the name of one account.
///
/// Implementations hold the key; this crate never sees it. `sign` may be called from any thread,
/// also from several at once.
pub trait Signer: Send + Sync + 'static {
	/// The account that signs.
	fn account(&self) -> AccountId;

	/// An sr25519 signature of `message` with signing context `substrate`.
	fn sign(&self, message: &[u8]) -> [u8; 64];
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
	fn account(&self) -> AccountId {
		(**self).account()
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		(**self).sign(message)
	}
}

impl<S: Signer + ?Sized> Signer for Box<S> {
	fn account(&self) -> AccountId {
		(**self).account()
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		(**self).sign(message)
	}
}
