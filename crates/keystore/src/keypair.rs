//! sr25519 key pairs: derivation, signing, checking.

use crate::{
	address,
	mnemonic::Mnemonic,
	pkcs8::ED25519_SECRET_BYTES,
	suri::{Junction, Root, SecretUri},
};
use rand_core::{OsRng, RngCore};
use schnorrkel::{
	derive::{ChainCode, Derivation},
	ExpansionMode, MiniSecretKey, PublicKey, SecretKey, Signature,
};
use std::{fmt, str::FromStr};
use thiserror::Error;
use zeroize::Zeroizing;

/// The context every Substrate chain signs in.
const SIGNING_CONTEXT: &[u8] = b"substrate";
const WRAP_PREFIX: &[u8] = b"<Bytes>";
const WRAP_SUFFIX: &[u8] = b"</Bytes>";

/// The bytes are not a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are not an sr25519 secret key")]
pub struct InvalidSecret;

/// An sr25519 key pair; its public key is the account. The secret is wiped when dropped.
///
/// ```
/// use cairn_keystore::{verify, Keypair, SecretUri};
///
/// let suri: SecretUri = "//Alice".parse()?;
/// let alice = Keypair::from_suri(&suri);
/// assert_eq!(alice.address(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
/// let signature = alice.sign(b"a deal");
/// assert!(verify(&alice.public(), b"a deal", &signature));
/// # Ok::<(), cairn_keystore::SuriError>(())
/// ```
#[derive(Clone)]
pub struct Keypair(schnorrkel::Keypair);

impl Keypair {
	/// A new random key. It cannot be written down as a phrase; see [`Mnemonic::generate`] for one that can.
	pub fn generate() -> Self {
		let mut seed = Zeroizing::new([0; 32]);
		OsRng.fill_bytes(seed.as_mut());
		Self::from_seed(&seed)
	}

	/// The key of a 32-byte seed ("mini secret").
	pub fn from_seed(seed: &[u8; 32]) -> Self {
		// Fails on a wrong length only.
		let mini = MiniSecretKey::from_bytes(seed).expect("a mini secret has 32 bytes");
		Self(mini.expand_to_keypair(ExpansionMode::Ed25519))
	}

	/// The key of a phrase and its optional password (empty for none), as `substrate-bip39` derives it: from
	/// the entropy instead of from the words.
	pub fn from_mnemonic(mnemonic: &Mnemonic, password: &str) -> Self {
		let mini = substrate_bip39::mini_secret_from_entropy(mnemonic.entropy(), password)
			// The only error is a wrong length.
			.expect("a mnemonic's entropy has a length that BIP-39 allows");
		Self(mini.expand_to_keypair(ExpansionMode::Ed25519))
	}

	/// The key that a secret URI names. A password beside a `0x` seed has no effect, as in Substrate.
	pub fn from_suri(suri: &SecretUri) -> Self {
		let root = match &suri.root {
			Root::Seed(seed) => Self::from_seed(seed),
			Root::Phrase(phrase) => {
				Self::from_mnemonic(phrase, suri.password.as_deref().map_or("", |text| text))
			}
		};
		root.derive(&suri.junctions)
	}

	/// The key at the end of a derivation path.
	pub fn derive(&self, path: &[Junction]) -> Self {
		let mut secret = self.0.secret.clone();
		for junction in path {
			secret = match junction {
				Junction::Soft(code) => secret.derived_key_simple(ChainCode(*code), []).0,
				Junction::Hard(code) => {
					let (mini, _) = secret.hard_derive_mini_secret_key(Some(ChainCode(*code)), b"");
					mini.expand(ExpansionMode::Ed25519)
				}
			};
		}
		Self(secret.into())
	}

	/// The public key, which is the account.
	pub fn public(&self) -> [u8; 32] {
		self.0.public.to_bytes()
	}

	/// The account as an SS58 address with the default prefix.
	pub fn address(&self) -> String {
		address::encode_default(&self.public())
	}

	/// Signs a message in Substrate's context. Randomised: two signatures of one message differ.
	pub fn sign(&self, message: &[u8]) -> [u8; 64] {
		self.0.sign_simple(SIGNING_CONTEXT, message).to_bytes()
	}

	/// The secret in the 64-byte form of key files: an ed25519 scalar and a nonce seed.
	pub(crate) fn to_ed25519_secret(&self) -> Zeroizing<[u8; ED25519_SECRET_BYTES]> {
		Zeroizing::new(self.0.secret.to_ed25519_bytes())
	}

	pub(crate) fn from_ed25519_secret(secret: &[u8; ED25519_SECRET_BYTES]) -> Result<Self, InvalidSecret> {
		let secret = SecretKey::from_ed25519_bytes(secret).map_err(|_| InvalidSecret)?;
		Ok(Self(secret.into()))
	}
}

impl FromStr for Keypair {
	type Err = crate::SuriError;

	/// Reads a secret URI, as in [`Keypair::from_suri`].
	fn from_str(suri: &str) -> Result<Self, Self::Err> {
		Ok(Self::from_suri(&suri.parse()?))
	}
}

impl fmt::Debug for Keypair {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_tuple("Keypair").field(&self.address()).finish()
	}
}

/// Whether `public` signed `message`, as it is or wrapped by [`wrap_bytes`]: wallets sign raw bytes only in
/// that wrapping, so that nobody is made to sign a transaction as if it were a text.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
	let Ok(public) = PublicKey::from_bytes(public) else {
		return false;
	};
	let Ok(signature) = Signature::from_bytes(signature) else {
		return false;
	};
	let signed = |message: &[u8]| public.verify_simple(SIGNING_CONTEXT, message, &signature).is_ok();
	signed(message) || (!is_wrapped(message) && signed(&wrap_bytes(message)))
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

	const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
	const SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";

	fn bytes<const N: usize>(text: &str) -> [u8; N] {
		let mut bytes = [0; N];
		hex::decode_to_slice(text, &mut bytes).unwrap();
		bytes
	}

	fn address(suri: &str) -> String {
		suri.parse::<Keypair>().unwrap().address()
	}

	/// Addresses that `@polkadot/keyring` 14.0.3 derives.
	#[test]
	fn derives_as_polkadot_js() {
		let cases = [
			("//Alice", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
			("//Bob", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"),
			(
				"//Alice//stash",
				"5GNJqTPyNqANBkUVMN1LPPrxXnFouWXoe2wNSmmEoLctxiZY",
			),
			(
				"//Alice/soft/7",
				"5Egwps1VQTLBwdqQ8XxYHf3pgjHHEz5HJ4eDV1dtq4G4tFXv",
			),
			("//0", "5D34dL5prEUaGNQtPPZ3yN5Y6BnkfXunKXXz6fo7ZJbLwRRH"),
			("//00042/1", "5EEicpwnr4aEtEXsMeyeGmqhQW53HFYmfTpdLdi5vSiCsjsA"),
			(
				"//18446744073709551615",
				"5FnmmEqtcYdJa7ikbQXggS685DpNeE9j7ob6oBYMyD9kQLxz",
			),
			(
				"//this junction is longer than thirty-two bytes for sure",
				"5CXRAryF11hJEzzopZXVZuB5JSoiEu9VcW77npV9c1UJ7xh8",
			),
			("//Ünïcode", "5Dfm2Ns6CwRS6ouSeqnPhKGydUKK4wQTGhqfUsSg1iHvkHnb"),
			(SEED, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
		];
		for (suri, expected) in cases {
			assert_eq!(address(suri), expected, "{suri}");
		}
		let with_phrase = [
			("", "5EHgWw2Af1pnoc7f1A8bfmM97W3DAYW8xr82RfhLL9oAabAe"),
			("/soft", "5ERZRxgNoWJk34eh7moUNKBPKLRtCp7nzUQ5c7fQzUBpj9hq"),
			("///Substrate", "5H9ThmkruLMgVPrVf8b9BLkAxctNj6nttcWoKN9eMX2Rsadz"),
			(
				"//Alice/a///pass/word",
				"5CZheUaxcAJcB89D4zqXV8E2w3nyJigYTUcggEKe9KG7ELCb",
			),
		];
		for (path, expected) in with_phrase {
			assert_eq!(address(&format!("{PHRASE}{path}")), expected, "{path}");
		}
		assert_eq!(
			address(&format!("{SEED}//Alice")),
			"5E5C7orWpVwF7Xpfd5sNuwgdTMLTM2FxHurDLeBL78DBjHkW"
		);
	}

	#[test]
	fn a_password_beside_a_seed_has_no_effect() {
		assert_eq!(address(&format!("{SEED}///password")), address(SEED));
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

	#[test]
	fn new_keys_differ() {
		assert_ne!(Keypair::generate().public(), Keypair::generate().public());
	}

	#[test]
	fn debug_shows_the_address_only() {
		let alice: Keypair = "//Alice".parse().unwrap();
		assert_eq!(
			format!("{alice:?}"),
			"Keypair(\"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\")"
		);
	}
}
