//! sr25519 key pairs: derivation and signing.

use crate::{
	address,
	mnemonic::Mnemonic,
	pkcs8::ED25519_SECRET_BYTES,
	signature::SIGNING_CONTEXT,
	suri::{Junction, Root, SecretUri},
};
use rand_core::{OsRng, RngCore};
use schnorrkel::{
	derive::{ChainCode, Derivation},
	ExpansionMode, MiniSecretKey, SecretKey,
};
use std::{fmt, str::FromStr};
use thiserror::Error;
use zeroize::Zeroizing;

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

#[cfg(test)]
mod tests {
	use super::*;

	const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
	const SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";

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
