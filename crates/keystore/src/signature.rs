//! Checking signatures as the chain does (`sp_runtime::MultiSignature::verify`), for each of its schemes.
//!
//! Every check takes a message as it is or wrapped by [`wrap_bytes`]: wallets sign raw bytes only in that
//! wrapping, so that nobody is made to sign a transaction as if it were a text.

use codec::{Decode, DecodeAll};
use schnorrkel::{PublicKey, Signature};
use secp256k1::{
	ecdsa::{RecoverableSignature, RecoveryId},
	Message, Secp256k1,
};
use sp_crypto_hashing::{blake2_256, keccak_256};
use thiserror::Error;

/// The context every Substrate chain signs in.
pub(crate) const SIGNING_CONTEXT: &[u8] = b"substrate";
const WRAP_PREFIX: &[u8] = b"<Bytes>";
const WRAP_SUFFIX: &[u8] = b"</Bytes>";

/// Why a signature is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SignatureError {
	/// Not exactly one `MultiSignature`.
	#[error("the signature is not one SCALE-encoded MultiSignature")]
	Malformed,
	/// Not the account's over this message.
	#[error("the signature is not the account's over this message")]
	Wrong,
}

/// `sp_runtime::MultiSignature`.
#[derive(Decode)]
enum MultiSignature {
	#[codec(index = 0)]
	Ed25519([u8; 64]),
	#[codec(index = 1)]
	Sr25519([u8; 64]),
	#[codec(index = 2)]
	Ecdsa([u8; 65]),
	#[codec(index = 3)]
	Eth([u8; 65]),
}

/// Checks that `signature`, SCALE of a `MultiSignature`, is the account's over `message`, whatever its scheme is:
/// sr25519 or ed25519, whose accounts are public keys, or ECDSA over secp256k1, whose accounts are hashes of them.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify_multi_signature(
	account: &[u8; 32],
	message: &[u8],
	signature: &[u8],
) -> Result<(), SignatureError> {
	let signature = MultiSignature::decode_all(&mut &signature[..]).map_err(|_| SignatureError::Malformed)?;
	let is_signed = match signature {
		MultiSignature::Ed25519(signature) => verify_ed25519(account, message, &signature),
		MultiSignature::Sr25519(signature) => verify(account, message, &signature),
		MultiSignature::Ecdsa(signature) => verify_ecdsa(account, message, &signature),
		MultiSignature::Eth(signature) => verify_eth(account, message, &signature),
	};
	is_signed.then_some(()).ok_or(SignatureError::Wrong)
}

/// Whether the sr25519 key `public`, which is also the account, signed `message`.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
	let (Ok(public), Ok(signature)) = (PublicKey::from_bytes(public), Signature::from_bytes(signature))
	else {
		return false;
	};
	raw_or_wrapped(message, |message| {
		public.verify_simple(SIGNING_CONTEXT, message, &signature).is_ok()
	})
}

/// Whether the ed25519 key `public`, which is also the account, signed `message`. The rules are those of ZIP 215.
fn verify_ed25519(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
	let Ok(public) = ed25519_zebra::VerificationKey::try_from(&public[..]) else {
		return false;
	};
	let signature = ed25519_zebra::Signature::from_bytes(signature);
	raw_or_wrapped(message, |message| public.verify(&signature, message).is_ok())
}

/// Whether the owner of a secp256k1 key signed `message`. The account is BLAKE2b-256 of the compressed public key;
/// the signature is of BLAKE2b-256 of the message: r, s, and a recovery id that may count from 0 or from 27.
fn verify_ecdsa(account: &[u8; 32], message: &[u8], signature: &[u8; 65]) -> bool {
	recovers(signature, message, blake2_256, |public| {
		blake2_256(public) == *account
	})
}

/// As [`verify_ecdsa`] with Keccak-256 in place of BLAKE2b-256; the account is the last 20 bytes of the key's hash,
/// filled up with `0xee`.
fn verify_eth(account: &[u8; 32], message: &[u8], signature: &[u8; 65]) -> bool {
	recovers(signature, message, keccak_256, |public| {
		let (address, filling) = account.split_at(20);
		keccak_256(public)[12..] == *address && filling == [0xee; 12]
	})
}

/// Whether the key that made a recoverable signature of the message's hash is the right one. High values of s
/// count, as on chain.
fn recovers(
	signature: &[u8; 65],
	message: &[u8],
	hash: impl Fn(&[u8]) -> [u8; 32],
	is_right: impl Fn(&[u8; 33]) -> bool,
) -> bool {
	let [compact @ .., id] = signature;
	let id = if *id > 26 { id - 27 } else { *id };
	let parsed =
		RecoveryId::from_i32(id.into()).and_then(|id| RecoverableSignature::from_compact(compact, id));
	let Ok(signature) = parsed else {
		return false;
	};
	let secp256k1 = Secp256k1::verification_only();
	raw_or_wrapped(message, |message| {
		secp256k1
			.recover_ecdsa(&Message::from_digest(hash(message)), &signature)
			.is_ok_and(|public| is_right(&public.serialize()))
	})
}

fn raw_or_wrapped(message: &[u8], is_signed: impl Fn(&[u8]) -> bool) -> bool {
	is_signed(message) || (!is_wrapped(message) && is_signed(&wrap_bytes(message)))
}

/// `<Bytes>message</Bytes>`, what wallets sign when asked to sign raw bytes; a message that has this form
/// already stays as it is.
pub fn wrap_bytes(message: &[u8]) -> Vec<u8> {
	if is_wrapped(message) {
		return message.to_vec();
	}
	[WRAP_PREFIX, message, WRAP_SUFFIX].concat()
}

fn is_wrapped(message: &[u8]) -> bool {
	message.len() >= WRAP_PREFIX.len() + WRAP_SUFFIX.len()
		&& message.starts_with(WRAP_PREFIX)
		&& message.ends_with(WRAP_SUFFIX)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::Keypair;
	use codec::Encode;
	use sp_core::{ecdsa, ed25519, sr25519, Pair};
	use sp_runtime::{
		traits::{IdentifyAccount, Verify},
		AccountId32, MultiSignature, MultiSigner,
	};

	fn bytes<const N: usize>(text: &str) -> [u8; N] {
		let mut bytes = [0; N];
		hex::decode_to_slice(text, &mut bytes).unwrap();
		bytes
	}

	/// Signatures of "storage deal 1" by `//Alice//vector` made by `@polkadot/keyring` 14.0.3.
	#[test]
	fn accepts_what_polkadot_js_signs() {
		let public = bytes("3a9bf37cd67482d28c155895424ae83e182fdf8e380c0e9895fcb07d96ebf366");
		let raw = bytes(
			"400a024c7e10adb7d9da74c33e7115d60603b29e701e44cfb10711dfa4f54671\
			 5bd31c4f9240e528783dfe2cffe88c960768617b8f0a03453ea0638cde462086",
		);
		let wrapped = bytes(
			"bcc488e2c9ada7078d0f989e312a4a0638fe37a3bf88696dbf157fa7a021b334\
			 f687fc3ff3d132f3b3a70850911792c7838ccb820dd620380fae705ee77ab980",
		);
		let message = b"storage deal 1";
		assert!(verify(&public, message, &raw));
		assert!(verify(&public, message, &wrapped));
		assert!(verify(&public, b"<Bytes>storage deal 1</Bytes>", &wrapped));
		assert!(!verify(&public, b"<Bytes>storage deal 1</Bytes>", &raw));
		assert!(!verify(&public, b"storage deal 2", &raw));
		assert!(!verify(&public, b"storage deal 2", &wrapped));
	}

	#[test]
	fn signatures_bind_key_and_message() {
		let (alice, bob): (Keypair, Keypair) = ("//Alice".parse().unwrap(), "//Bob".parse().unwrap());
		for message in [&b""[..], b"x", &[0xff; 10_000]] {
			let signature = alice.sign(message);
			assert!(verify(&alice.public(), message, &signature));
			assert!(!verify(&bob.public(), message, &signature));
			assert!(!verify(&alice.public(), b"other", &signature));
			for bit in [0, 200, 255, 256, 504, 511] {
				let mut bad = signature;
				bad[bit / 8] ^= 1 << (bit % 8);
				assert!(!verify(&alice.public(), message, &bad), "bit {bit}");
			}
		}
		assert!(!verify(&[0xff; 32], b"", &[0xff; 64]));
		assert!(!verify(&alice.public(), b"", &[0; 64]));
	}

	#[test]
	fn wraps_once() {
		assert_eq!(wrap_bytes(b""), b"<Bytes></Bytes>");
		assert_eq!(wrap_bytes(&wrap_bytes(b"a")), b"<Bytes>a</Bytes>");
		assert_eq!(wrap_bytes(b"<Bytes>"), b"<Bytes><Bytes></Bytes>");
		assert_eq!(wrap_bytes(b"<Bytes></Byte>"), b"<Bytes><Bytes></Byte></Bytes>");
	}

	const MESSAGE: &[u8] = b"cairn/deal/v1 terms";

	/// This crate's verdict on a signature.
	fn ours(signature: &MultiSignature, account: &AccountId32, message: &[u8]) -> bool {
		verify_multi_signature(account.as_ref(), message, &signature.encode()).is_ok()
	}

	/// The market pallet's verdict: the runtime's over the message as it is, or wrapped.
	fn chains(signature: &MultiSignature, account: &AccountId32, message: &[u8]) -> bool {
		signature.verify(message, account) || signature.verify(&wrap_bytes(message)[..], account)
	}

	/// A signature of each scheme over `message`, with the signer's account.
	fn signed(message: &[u8]) -> Vec<(MultiSignature, AccountId32)> {
		let seed = [7; 32];
		let sr25519 = sr25519::Pair::from_seed(&seed);
		let ed25519 = ed25519::Pair::from_seed(&seed);
		let ecdsa = ecdsa::Pair::from_seed(&seed);
		let eth = ecdsa::KeccakPair::from_seed(&seed);
		vec![
			(
				sr25519.sign(message).into(),
				MultiSigner::from(sr25519.public()).into_account(),
			),
			(
				ed25519.sign(message).into(),
				MultiSigner::from(ed25519.public()).into_account(),
			),
			(
				ecdsa.sign(message).into(),
				MultiSigner::from(ecdsa.public()).into_account(),
			),
			(
				MultiSignature::Eth(eth.sign(message)),
				MultiSigner::Eth(eth.public()).into_account(),
			),
		]
	}

	fn raw(signature: &mut MultiSignature) -> &mut [u8] {
		match signature {
			MultiSignature::Sr25519(signature) => &mut signature.0,
			MultiSignature::Ed25519(signature) => &mut signature.0,
			MultiSignature::Ecdsa(signature) => &mut signature.0,
			MultiSignature::Eth(signature) => &mut signature.0,
		}
	}

	#[test]
	fn every_scheme_is_checked_as_on_chain() {
		for form in [MESSAGE.to_vec(), wrap_bytes(MESSAGE)] {
			for (signature, account) in signed(&form) {
				assert!(chains(&signature, &account, MESSAGE), "{signature:?}");
				assert!(ours(&signature, &account, MESSAGE), "{signature:?}");
				assert!(!ours(&signature, &account, b"other"), "{signature:?}");
				assert!(!ours(&signature, &AccountId32::new([9; 32]), MESSAGE));
				for bit in 0..raw(&mut signature.clone()).len() * 8 {
					let mut bad = signature.clone();
					raw(&mut bad)[bit / 8] ^= 1 << (bit % 8);
					assert_eq!(
						ours(&bad, &account, MESSAGE),
						chains(&bad, &account, MESSAGE),
						"{bad:?}, bit {bit}"
					);
				}
			}
		}
	}

	#[test]
	fn what_is_not_one_signature_is_malformed() {
		let account = [7; 32];
		let (signature, _) = signed(MESSAGE).swap_remove(0);
		let mut scale = signature.encode();
		scale.push(0);
		for bad in [
			&[][..],
			&[1],
			&scale[..64],
			&scale,
			&[[4].as_slice(), &[0; 65]].concat(),
		] {
			assert_eq!(
				verify_multi_signature(&account, MESSAGE, bad),
				Err(SignatureError::Malformed)
			);
		}
	}

	/// Recovery ids, high values of s and values out of range: what of them counts is the chain's to say.
	#[test]
	fn unusual_ecdsa_signatures_are_taken_as_on_chain() {
		/// The order of the curve's group.
		const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
		let order: [u8; 32] = bytes(ORDER);
		let mut taken = 0;
		for (signature, account) in signed(MESSAGE).split_off(2) {
			let mut negated = signature.clone();
			let mut borrow = 0i16;
			for index in (0..32).rev() {
				let digit = i16::from(order[index]) - i16::from(raw(&mut negated)[32 + index]) - borrow;
				borrow = i16::from(digit < 0);
				raw(&mut negated)[32 + index] = digit.rem_euclid(256) as u8;
			}
			let mut cases = vec![signature.clone(), negated];
			for (range, value) in [
				(0..32, [0; 32]),
				(32..64, [0; 32]),
				(0..32, order),
				(32..64, order),
			] {
				let mut case = signature.clone();
				raw(&mut case)[range].copy_from_slice(&value);
				cases.push(case);
			}
			for case in cases {
				for id in 0..=u8::MAX {
					let mut case = case.clone();
					raw(&mut case)[64] = id;
					let expected = chains(&case, &account, MESSAGE);
					taken += usize::from(expected);
					assert_eq!(ours(&case, &account, MESSAGE), expected, "{case:?}");
				}
			}
		}
		// Both schemes, low and high s, recovery ids from 0 and from 27.
		assert_eq!(taken, 8);
	}
}
