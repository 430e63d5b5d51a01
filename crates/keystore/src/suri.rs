//! Secret URIs: one line of text that names a key.
//!
//! `phrase/soft//hard///password`: a BIP-39 phrase or a `0x` seed, then derivation junctions, then the
//! phrase's password. Without a phrase it is the development phrase, so `//Alice` is the well-known account
//! of development chains. The grammar is that of `sp_core::crypto::SecretUri` and of polkadot.js.

use crate::mnemonic::{Mnemonic, MnemonicError};
use codec::Encode;
use std::{fmt, str::FromStr};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The phrase of the publicly known development accounts.
pub const DEV_PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// Longer texts are refused unread.
const MAX_SURI_BYTES: usize = 4096;
const SEED_BYTES: usize = 32;

/// Why a text is not a secret URI. Carries nothing of the text, which is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SuriError {
	/// More than 4,096 bytes.
	#[error("a secret URI has at most {MAX_SURI_BYTES} bytes")]
	TooLong,
	/// A junction is empty: the URI ends in `/` or `//`.
	#[error("a derivation junction is empty")]
	EmptyJunction,
	/// A seed starts with `0x` and goes on with 64 hexadecimal digits.
	#[error("a seed is 0x and 64 hexadecimal digits")]
	Seed,
	/// The part before the first `/` is no BIP-39 phrase.
	#[error(transparent)]
	Phrase(#[from] MnemonicError),
}

/// One step of a key derivation, with its 32-byte chain code.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub enum Junction {
	/// `/name`: the public key derives without the secret.
	Soft([u8; 32]),
	/// `//name`: only the secret derives.
	Hard([u8; 32]),
}

impl Junction {
	/// The soft junction of a name. A decimal number below 2^64 means its little-endian bytes; other names
	/// their SCALE encoding, hashed with BLAKE2b-256 when longer than 32 bytes.
	pub fn soft(name: &str) -> Self {
		Self::Soft(chain_code(name))
	}

	/// The hard junction of a name, its chain code as in [`Junction::soft`].
	pub fn hard(name: &str) -> Self {
		Self::Hard(chain_code(name))
	}
}

impl fmt::Debug for Junction {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(match self {
			Self::Soft(_) => "Soft(..)",
			Self::Hard(_) => "Hard(..)",
		})
	}
}

fn chain_code(name: &str) -> [u8; 32] {
	let encoded = Zeroizing::new(match name.parse::<u64>() {
		Ok(number) => number.encode(),
		Err(_) => name.encode(),
	});
	let mut code = [0; 32];
	if encoded.len() > code.len() {
		let hash = blake2b_simd::Params::new().hash_length(32).hash(&encoded);
		code.copy_from_slice(hash.as_bytes());
	} else {
		code[..encoded.len()].copy_from_slice(&encoded);
	}
	code
}

/// What the derivation starts from.
pub(crate) enum Root {
	Seed(Zeroizing<[u8; SEED_BYTES]>),
	Phrase(Mnemonic),
}

/// A parsed secret URI. [`crate::Keypair::from_suri`] derives its key.
pub struct SecretUri {
	pub(crate) root: Root,
	pub(crate) junctions: Vec<Junction>,
	pub(crate) password: Option<Zeroizing<String>>,
}

impl SecretUri {
	/// Whether anybody knows this key: it derives from [`DEV_PHRASE`] without a password. Such keys must sign
	/// on development chains only.
	pub fn is_development(&self) -> bool {
		let no_password = self
			.password
			.as_deref()
			.is_none_or(|password| password.is_empty());
		match &self.root {
			Root::Phrase(phrase) => no_password && phrase.phrase().as_str() == DEV_PHRASE,
			Root::Seed(_) => false,
		}
	}
}

impl FromStr for SecretUri {
	type Err = SuriError;

	fn from_str(text: &str) -> Result<Self, SuriError> {
		if text.len() > MAX_SURI_BYTES {
			return Err(SuriError::TooLong);
		}
		let (root, mut rest) = text.split_at(text.find('/').unwrap_or(text.len()));
		let root = if let Some(digits) = root.strip_prefix("0x") {
			let mut seed = Zeroizing::new([0; SEED_BYTES]);
			hex::decode_to_slice(digits, seed.as_mut()).map_err(|_| SuriError::Seed)?;
			Root::Seed(seed)
		} else if root.is_empty() {
			Root::Phrase(DEV_PHRASE.parse()?)
		} else {
			Root::Phrase(root.parse()?)
		};

		let mut junctions = Vec::new();
		let mut password = None;
		while !rest.is_empty() {
			if let Some(text) = rest.strip_prefix("///") {
				password = Some(Zeroizing::new(text.to_owned()));
				break;
			}
			let (name, is_hard) = match rest.strip_prefix("//") {
				Some(name) => (name, true),
				None => (&rest[1..], false),
			};
			let (name, after) = name.split_at(name.find('/').unwrap_or(name.len()));
			if name.is_empty() {
				return Err(SuriError::EmptyJunction);
			}
			junctions.push(if is_hard {
				Junction::hard(name)
			} else {
				Junction::soft(name)
			});
			rest = after;
		}
		Ok(Self {
			root,
			junctions,
			password,
		})
	}
}

impl fmt::Debug for SecretUri {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("SecretUri(..)")
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn error(text: &str) -> SuriError {
		text.parse::<SecretUri>().unwrap_err()
	}

	#[test]
	fn splits_path_and_password() {
		let suri: SecretUri = "//Alice/1///pass/w//ord".parse().unwrap();
		assert_eq!(suri.junctions, [Junction::hard("Alice"), Junction::soft("1")]);
		assert_eq!(suri.password.as_ref().unwrap().as_str(), "pass/w//ord");
		assert!(!suri.is_development());

		let suri: SecretUri = "//Alice///".parse().unwrap();
		assert_eq!(suri.password.as_ref().unwrap().as_str(), "");
		assert!(suri.is_development());
	}

	#[test]
	fn knows_the_development_accounts() {
		assert!("".parse::<SecretUri>().unwrap().is_development());
		assert!("//Alice/1".parse::<SecretUri>().unwrap().is_development());
		assert!(DEV_PHRASE
			.replace(' ', "  ")
			.parse::<SecretUri>()
			.unwrap()
			.is_development());
		let other = "legal winner thank year wave sausage worth useful legal winner thank yellow//Alice";
		assert!(!other.parse::<SecretUri>().unwrap().is_development());
	}

	#[test]
	fn refuses_malformed_text() {
		assert_eq!(error("//Alice/"), SuriError::EmptyJunction);
		assert_eq!(error("//Alice//"), SuriError::EmptyJunction);
		assert_eq!(error("0x00"), SuriError::Seed);
		assert_eq!(error(&format!("0x{}", "0".repeat(65))), SuriError::Seed);
		assert_eq!(error(&format!("0x{}", "g".repeat(64))), SuriError::Seed);
		assert_eq!(error("Alice"), SuriError::Phrase(MnemonicError::WordCount(1)));
		assert_eq!(error(&"/a".repeat(MAX_SURI_BYTES)), SuriError::TooLong);
	}

	#[test]
	fn debug_shows_no_secret() {
		let suri: SecretUri = "//Alice//hidden///password".parse().unwrap();
		assert_eq!(format!("{suri:?}"), "SecretUri(..)");
		assert_eq!(format!("{:?}", suri.junctions), "[Hard(..), Hard(..)]");
	}
}
