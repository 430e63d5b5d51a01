//! The encrypted secret in a key file.
//!
//! As text it is base64 of `salt (32) | N | p | r (u32 little-endian each) | nonce (24) | secretbox`, the
//! secretbox (XSalsa20-Poly1305, tag first) of a [`pkcs8`] record under the key that scrypt makes of the
//! password.

use crate::{
	key_file::{DecryptError, ParseError},
	keypair::Keypair,
	password::Password,
	pkcs8,
};
use base64::{engine::general_purpose::STANDARD, Engine};
use crypto_secretbox::{
	aead::{Aead, KeyInit},
	Key, Nonce, XSalsa20Poly1305,
};
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

const SALT_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const PARAMS_START: usize = SALT_BYTES;
const NONCE_START: usize = PARAMS_START + 3 * 4;
const BOX_START: usize = NONCE_START + NONCE_BYTES;
const ENCODED_BYTES: usize = BOX_START + TAG_BYTES + pkcs8::RECORD_BYTES;

/// scrypt's `(log2 N, p, r)` that polkadot.js writes or has written. Others are refused: a hostile file could
/// otherwise ask for any amount of memory and time. The largest takes 128 MiB.
const ALLOWED_SCRYPT: [(u8, u32, u32); 6] = [
	(13, 10, 8),
	(14, 5, 8),
	(15, 3, 8),
	(15, 1, 8),
	(16, 2, 8),
	(17, 1, 8),
];

/// How much work guessing a password of a new file takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScryptCost {
	/// N = 2^17: 128 MiB and about half a second. What polkadot.js 14 writes.
	#[default]
	Strong,
	/// N = 2^15: 32 MiB. The only one that older polkadot.js reads.
	Legacy,
}

impl ScryptCost {
	fn params(self) -> ScryptParams {
		match self {
			Self::Strong => ScryptParams {
				log_n: 17,
				p: 1,
				r: 8,
			},
			Self::Legacy => ScryptParams {
				log_n: 15,
				p: 1,
				r: 8,
			},
		}
	}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScryptParams {
	log_n: u8,
	p: u32,
	r: u32,
}

/// A key under a password, as its parts.
#[derive(Clone, PartialEq)]
pub(crate) struct SealedKey {
	salt: [u8; SALT_BYTES],
	params: ScryptParams,
	nonce: [u8; NONCE_BYTES],
	/// Tag and encrypted record.
	secretbox: Vec<u8>,
}

impl SealedKey {
	/// Encrypts with a new salt and nonce.
	pub(crate) fn seal(keypair: &Keypair, password: &Password, cost: ScryptCost) -> Self {
		let mut salt = [0; SALT_BYTES];
		let mut nonce = [0; NONCE_BYTES];
		OsRng.fill_bytes(&mut salt);
		OsRng.fill_bytes(&mut nonce);
		Self::seal_with(keypair, password, cost.params(), salt, nonce)
	}

	fn seal_with(
		keypair: &Keypair,
		password: &Password,
		params: ScryptParams,
		salt: [u8; SALT_BYTES],
		nonce: [u8; NONCE_BYTES],
	) -> Self {
		let secretbox = cipher(password, params, &salt)
			.encrypt(Nonce::from_slice(&nonce), pkcs8::encode(keypair).as_ref())
			// Only messages beyond 2^38 bytes make the cipher fail.
			.expect("a record is short");
		Self {
			salt,
			params,
			nonce,
			secretbox,
		}
	}

	pub(crate) fn open(&self, password: &Password) -> Result<Keypair, DecryptError> {
		let record = cipher(password, self.params, &self.salt)
			.decrypt(Nonce::from_slice(&self.nonce), self.secretbox.as_ref())
			.map_err(|_| DecryptError::WrongPassword)?;
		pkcs8::decode(&Zeroizing::new(record)).map_err(|_| DecryptError::InvalidKey)
	}

	pub(crate) fn from_base64(text: &str) -> Result<Self, ParseError> {
		let bytes = STANDARD.decode(text).map_err(|_| ParseError::Encoded)?;
		if bytes.len() != ENCODED_BYTES {
			return Err(ParseError::Encoded);
		}
		let number = |index: usize| {
			let start = PARAMS_START + 4 * index;
			u32::from_le_bytes([bytes[start], bytes[start + 1], bytes[start + 2], bytes[start + 3]])
		};
		let (n, p, r) = (number(0), number(1), number(2));
		let &(log_n, ..) = ALLOWED_SCRYPT
			.iter()
			.find(|allowed| (1 << allowed.0, allowed.1, allowed.2) == (n, p, r))
			.ok_or(ParseError::Scrypt { n, p, r })?;
		let mut sealed = Self {
			salt: [0; SALT_BYTES],
			params: ScryptParams { log_n, p, r },
			nonce: [0; NONCE_BYTES],
			secretbox: bytes[BOX_START..].to_vec(),
		};
		sealed.salt.copy_from_slice(&bytes[..PARAMS_START]);
		sealed.nonce.copy_from_slice(&bytes[NONCE_START..BOX_START]);
		Ok(sealed)
	}

	pub(crate) fn to_base64(&self) -> String {
		let mut bytes = Vec::with_capacity(ENCODED_BYTES);
		bytes.extend_from_slice(&self.salt);
		for number in [1 << self.params.log_n, self.params.p, self.params.r] {
			bytes.extend_from_slice(&u32::to_le_bytes(number));
		}
		bytes.extend_from_slice(&self.nonce);
		bytes.extend_from_slice(&self.secretbox);
		STANDARD.encode(bytes)
	}
}

fn cipher(password: &Password, params: ScryptParams, salt: &[u8]) -> XSalsa20Poly1305 {
	let mut key = Zeroizing::new([0; 32]);
	// Both fail only for parameters out of range, and `params` is one of the accepted ones.
	let params = scrypt::Params::new(params.log_n, params.r, params.p, key.len())
		.expect("the accepted parameters are in scrypt's range");
	scrypt::scrypt(password.as_str().as_bytes(), salt, &params, key.as_mut()).expect("a key has 32 bytes");
	XSalsa20Poly1305::new(Key::from_slice(key.as_ref()))
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::key_file::tests::{password, OLDER_FILE, OLDER_PASSWORD};

	/// What polkadot.js wrote for `//Alice`.
	fn written() -> String {
		let json: serde_json::Value = serde_json::from_str(OLDER_FILE).unwrap();
		json["encoded"].as_str().unwrap().to_owned()
	}

	/// The same with the scrypt parameter of this index replaced.
	fn with_param(index: usize, value: u32) -> String {
		let mut bytes = STANDARD.decode(written()).unwrap();
		bytes[PARAMS_START + 4 * index..][..4].copy_from_slice(&value.to_le_bytes());
		STANDARD.encode(bytes)
	}

	/// With the salt and nonce that polkadot.js drew, we write its bytes.
	#[test]
	fn writes_what_polkadot_js_wrote() {
		let SealedKey { salt, nonce, .. } = SealedKey::from_base64(&written()).unwrap();
		let (alice, password) = ("//Alice".parse().unwrap(), password(OLDER_PASSWORD));
		let ours = SealedKey::seal_with(&alice, &password, ScryptCost::Legacy.params(), salt, nonce);
		assert_eq!(ours.to_base64(), written());
	}

	#[test]
	fn salt_and_nonce_are_drawn_anew() {
		let seal = || SealedKey::seal(&Keypair::generate(), &password("x"), ScryptCost::Legacy);
		let (one, two) = (seal(), seal());
		assert!(one.salt != two.salt && one.nonce != two.nonce);
	}

	#[test]
	fn a_changed_byte_is_noticed() {
		let good = SealedKey::from_base64(&written()).unwrap();
		for index in [0, good.secretbox.len() - 1] {
			let mut bad = good.clone();
			bad.secretbox[index] ^= 1;
			assert_eq!(
				bad.open(&password(OLDER_PASSWORD)).unwrap_err(),
				DecryptError::WrongPassword
			);
		}
	}

	#[test]
	fn the_costs_of_new_files_are_among_the_accepted() {
		for cost in [ScryptCost::Strong, ScryptCost::Legacy] {
			let ScryptParams { log_n, p, r } = cost.params();
			assert!(ALLOWED_SCRYPT.contains(&(log_n, p, r)));
		}
	}

	#[test]
	fn hostile_scrypt_parameters_are_refused() {
		let hostile = [
			(0, 1 << 31),
			(0, 0),
			(0, 3),
			(0, 1 << 18),
			(1, u32::MAX),
			(1, 0),
			(2, 1 << 20),
			(2, 0),
		];
		for (index, value) in hostile {
			let error = SealedKey::from_base64(&with_param(index, value)).err().unwrap();
			assert!(
				matches!(error, ParseError::Scrypt { .. }),
				"{index} {value}: {error}"
			);
		}
	}
}
