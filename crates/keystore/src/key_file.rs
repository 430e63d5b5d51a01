//! Encrypted key files: polkadot.js' JSON, version 3.
//!
//! The account, its name and other facts stand in the clear; the secret is a [`SealedKey`]. Source:
//! `packages/keyring` and `packages/util-crypto` of polkadot-js/common, 14.0.

use crate::{
	address::{self, AddressError},
	keypair::Keypair,
	password::Password,
	private_file::{read_bounded, write_private, Overwrite, ReadError, WriteError},
	sealed_key::{ScryptCost, SealedKey},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
	fmt,
	path::Path,
	time::{SystemTime, UNIX_EPOCH},
};
use thiserror::Error;

/// Larger files are refused unread.
pub const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

const VERSION: &str = "3";
const CONTENT: [&str; 2] = ["pkcs8", "sr25519"];
const ENCRYPTION: [&str; 2] = ["scrypt", "xsalsa20-poly1305"];

/// Why a key could not be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncryptError {
	/// polkadot.js takes an empty password for none and writes the key in the clear.
	#[error("the password is empty")]
	EmptyPassword,
}

/// Why bytes are not a key file of this format.
#[derive(Debug, Error)]
pub enum ParseError {
	/// Not JSON, or a field is missing or of the wrong type.
	#[error("not a key file: {0}")]
	Json(#[from] serde_json::Error),
	/// Another version than 3.
	#[error("key file version {0:?} is not supported, only \"3\" is")]
	Version(String),
	/// A key of another kind than sr25519.
	#[error("the file holds a key of another kind than sr25519")]
	KeyKind,
	/// Not encrypted, or in another way.
	#[error("the key is not encrypted with scrypt and xsalsa20-poly1305")]
	Encryption,
	/// `encoded` has the wrong form or length.
	#[error("the encrypted key has the wrong form or length")]
	Encoded,
	/// scrypt parameters that polkadot.js never wrote.
	#[error("scrypt parameters N = {n}, p = {p}, r = {r} are not among the accepted ones")]
	Scrypt {
		/// Cost.
		n: u32,
		/// Parallelism.
		p: u32,
		/// Block size.
		r: u32,
	},
	/// `address` is no SS58 address.
	#[error(transparent)]
	Address(#[from] AddressError),
	/// The file could not be read.
	#[error(transparent)]
	Read(#[from] ReadError),
}

/// Why a key file did not give up its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecryptError {
	/// The password is wrong, or the encrypted key was changed; the two look the same.
	#[error("wrong password, or the file is damaged")]
	WrongPassword,
	/// The decrypted bytes are not a key.
	#[error("the decrypted bytes are not an sr25519 key")]
	InvalidKey,
	/// The key is not that of the file's address.
	#[error("the file's address is not that of its key")]
	OtherAccount,
}

/// An encrypted key, with the account it belongs to in the clear.
#[derive(Clone, PartialEq)]
pub struct KeyFile {
	account: [u8; 32],
	prefix: u16,
	sealed: SealedKey,
	meta: Map<String, Value>,
}

impl KeyFile {
	/// Encrypts a key. `name` is what wallets show for the account.
	///
	/// Takes up to a second and 128 MiB: keep it off async executor threads.
	///
	/// # Errors
	/// [`EncryptError::EmptyPassword`].
	pub fn encrypt(
		keypair: &Keypair,
		password: &Password,
		name: &str,
		cost: ScryptCost,
	) -> Result<Self, EncryptError> {
		if password.as_str().is_empty() {
			return Err(EncryptError::EmptyPassword);
		}
		// A clock before 1970 is no reason to refuse.
		let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
		let mut meta = Map::new();
		meta.insert("name".into(), name.into());
		meta.insert("whenCreated".into(), (created.as_millis() as u64).into());
		Ok(Self {
			account: keypair.public(),
			prefix: address::DEFAULT_PREFIX,
			sealed: SealedKey::seal(keypair, password, cost),
			meta,
		})
	}

	/// Decrypts the key and checks that it is the one of [`KeyFile::account`].
	///
	/// Takes up to a second and 128 MiB: keep it off async executor threads.
	///
	/// # Errors
	/// [`DecryptError`]; the usual one is a wrong password.
	pub fn decrypt(&self, password: &Password) -> Result<Keypair, DecryptError> {
		let keypair = self.sealed.open(password)?;
		if keypair.public() != self.account {
			return Err(DecryptError::OtherAccount);
		}
		Ok(keypair)
	}

	/// The account the file says it holds. Only decrypting proves it.
	pub fn account(&self) -> [u8; 32] {
		self.account
	}

	/// [`KeyFile::account`] as an address with the default prefix.
	pub fn address(&self) -> String {
		address::encode_default(&self.account)
	}

	/// What wallets show for the account, if the file says.
	pub fn name(&self) -> Option<&str> {
		self.meta.get("name").and_then(Value::as_str)
	}

	/// Reads the JSON. Fields this format does not know are ignored, those under `meta` kept.
	///
	/// # Errors
	/// [`ParseError`] when it is not an encrypted sr25519 key of version 3.
	pub fn from_json(json: &[u8]) -> Result<Self, ParseError> {
		let json: KeyFileJson = serde_json::from_slice(json)?;
		if json.encoding.version != VERSION {
			return Err(ParseError::Version(json.encoding.version));
		}
		if json.encoding.content != CONTENT {
			return Err(ParseError::KeyKind);
		}
		if json.encoding.encryption != ENCRYPTION {
			return Err(ParseError::Encryption);
		}
		let (account, prefix) = address::decode(&json.address)?;
		let sealed = SealedKey::from_base64(&json.encoded)?;
		Ok(Self {
			account,
			prefix,
			sealed,
			meta: json.meta,
		})
	}

	/// Writes the JSON that polkadot.js and its wallets import.
	pub fn to_json(&self) -> String {
		let json = KeyFileJson {
			encoded: self.sealed.to_base64(),
			encoding: Encoding {
				content: CONTENT.map(str::to_owned).to_vec(),
				encryption: ENCRYPTION.map(str::to_owned).to_vec(),
				version: VERSION.to_owned(),
			},
			address: address::encode(&self.account, self.prefix)
				// The prefix is the default one or comes from an address that was decoded.
				.expect("the prefix is one that addresses have"),
			meta: self.meta.clone(),
		};
		let mut text = serde_json::to_string_pretty(&json)
			// Only maps with keys other than strings, and a failing writer, make this fail.
			.expect("strings and JSON values serialise");
		text.push('\n');
		text
	}

	/// Reads a file of at most [`MAX_KEY_FILE_BYTES`].
	///
	/// # Errors
	/// [`ParseError::Read`] when it cannot be read or is larger, the others as in [`KeyFile::from_json`].
	pub fn load(path: &Path) -> Result<Self, ParseError> {
		Self::from_json(&read_bounded(path, MAX_KEY_FILE_BYTES)?)
	}

	/// Writes the file, readable by its owner only, whole or not at all.
	///
	/// # Errors
	/// [`WriteError::Exists`] when there is one and `overwrite` does not allow to replace it, and I/O errors.
	pub fn store(&self, path: &Path, overwrite: Overwrite) -> Result<(), WriteError> {
		write_private(path, self.to_json().as_bytes(), overwrite)
	}
}

impl fmt::Debug for KeyFile {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("KeyFile")
			.field("address", &self.address())
			.field("name", &self.name())
			.finish()
	}
}

#[derive(Serialize, Deserialize)]
struct KeyFileJson {
	encoded: String,
	encoding: Encoding,
	address: String,
	#[serde(default)]
	meta: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Encoding {
	content: Vec<String>,
	#[serde(rename = "type")]
	encryption: Vec<String>,
	version: String,
}

#[cfg(test)]
pub(crate) mod tests {
	use super::*;

	/// Written by `@polkadot/keyring` 14.0.3 for `//Alice//vector`.
	const WRITTEN_BY_POLKADOT_JS: &str = r#"{"encoded":"U/bzE9yK8WabjzkySrC8qJYeTWL3eK760zXjw/u0b7cAAAIAAQAAAAgAAABCQ6Wp2hRpDU5PcaLbHEktDFbIIvegmFjXnh1xQSWc8lHqlkmOBlEFL939eK3QchVZcMonk5Cg7k88b+dPzi06FQhM3ZTl4wUwN2BRJnZqO5ne7MZTR1/IJGodjS5elW4x0vJ+efmmJfe9AOpHZ7WZCyDco2OBXtCjGC2IFP9EM64oJ0HpM11vN2zFTJ3wDPuPJOkkoZwJ/Rs74qvQ","encoding":{"content":["pkcs8","sr25519"],"type":["scrypt","xsalsa20-poly1305"],"version":"3"},"address":"5DPYxjBvinrSL8qtaRXcRuPSTkX79fecqZZ1ZCri3EWPdQRD","meta":{"name":"Vector","whenCreated":1700000000000}}"#;
	const ITS_PASSWORD: &str = "correct horse – ünïcode";

	/// From the tests of subxt-signer 0.50, exported by an older polkadot.js with N = 2^15.
	pub(crate) const OLDER_FILE: &str = r#"{
		"encoded": "DumgApKCTqoCty1OZW/8WS+sgo6RdpHhCwAkA2IoDBMAgAAAAQAAAAgAAAB6IG/q24EeVf0JqWqcBd5m2tKq5BlyY84IQ8oamLn9DZe9Ouhgunr7i36J1XxUnTI801axqL/ym1gil0U8440Qvj0lFVKwGuxq38zuifgoj0B3Yru0CI6QKEvQPU5xxj4MpyxdSxP+2PnTzYao0HDH0fulaGvlAYXfqtU89xrx2/z9z7IjSwS3oDFPXRQ9kAdDebtyCVreZ9Otw9v3",
		"encoding": {"content": ["pkcs8", "sr25519"], "type": ["scrypt", "xsalsa20-poly1305"], "version": "3"},
		"address": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
		"meta": {"genesisHash": "", "name": "Alice", "whenCreated": 1718265838755}
	}"#;

	pub(crate) const OLDER_PASSWORD: &str = "whoisalice";

	pub(crate) fn password(text: &str) -> Password {
		Password::new(text.to_owned()).unwrap()
	}

	fn edited(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
		let mut json: Value = serde_json::from_str(OLDER_FILE).unwrap();
		edit(&mut json);
		json.to_string().into_bytes()
	}

	#[test]
	fn reads_what_polkadot_js_wrote() {
		let file = KeyFile::from_json(WRITTEN_BY_POLKADOT_JS.as_bytes()).unwrap();
		assert_eq!(file.name(), Some("Vector"));
		let key = file.decrypt(&password(ITS_PASSWORD)).unwrap();
		assert_eq!(
			key.public(),
			"//Alice//vector".parse::<Keypair>().unwrap().public()
		);
		assert_eq!(key.public(), file.account());

		let file = KeyFile::from_json(OLDER_FILE.as_bytes()).unwrap();
		let key = file.decrypt(&password(OLDER_PASSWORD)).unwrap();
		assert_eq!(key.public(), "//Alice".parse::<Keypair>().unwrap().public());
	}

	#[test]
	fn comes_back() {
		let keypair = Keypair::generate();
		let file = KeyFile::encrypt(&keypair, &password("päss"), "mine", ScryptCost::Legacy).unwrap();
		let again = KeyFile::from_json(file.to_json().as_bytes()).unwrap();
		assert!(again == file);
		assert_eq!(again.name(), Some("mine"));
		assert_eq!(
			again.decrypt(&password("päss")).unwrap().public(),
			keypair.public()
		);
		assert_eq!(
			again.decrypt(&password("pass")).unwrap_err(),
			DecryptError::WrongPassword
		);
	}

	#[test]
	fn a_password_is_needed() {
		let error =
			KeyFile::encrypt(&Keypair::generate(), &password(""), "", ScryptCost::Legacy).unwrap_err();
		assert_eq!(error, EncryptError::EmptyPassword);
	}

	#[test]
	fn a_foreign_address_is_noticed() {
		let bob = "//Bob".parse::<Keypair>().unwrap().address();
		let file = KeyFile::from_json(&edited(|json| json["address"] = bob.into())).unwrap();
		assert_eq!(
			file.decrypt(&password(OLDER_PASSWORD)).unwrap_err(),
			DecryptError::OtherAccount
		);
	}

	#[test]
	fn says_why_a_file_is_refused() {
		let error = |edit: fn(&mut Value)| KeyFile::from_json(&edited(edit)).unwrap_err();
		assert!(matches!(
			error(|json| json["encoding"]["version"] = "4".into()),
			ParseError::Version(_)
		));
		assert!(matches!(
			error(|json| json["encoding"]["content"][1] = "ed25519".into()),
			ParseError::KeyKind
		));
		let unencrypted = error(|json| json["encoding"]["type"] = vec!["none"].into());
		assert!(matches!(unencrypted, ParseError::Encryption));
		assert!(matches!(
			error(|json| json["encoded"] = "AAAA".into()),
			ParseError::Encoded
		));
		assert!(matches!(
			error(|json| json["encoded"] = "*".into()),
			ParseError::Encoded
		));
		assert!(matches!(
			error(|json| json["address"] = "5Grw".into()),
			ParseError::Address(_)
		));
		assert!(matches!(
			error(|json| json["address"] = Value::Null),
			ParseError::Json(_)
		));
		let nested = "[".repeat(100_000);
		assert!(matches!(
			KeyFile::from_json(nested.as_bytes()).unwrap_err(),
			ParseError::Json(_)
		));
	}

	#[test]
	fn debug_shows_no_ciphertext() {
		let file = KeyFile::from_json(OLDER_FILE.as_bytes()).unwrap();
		let shown = format!("{file:?}");
		assert!(shown.contains(&file.address()) && shown.len() < 120, "{shown}");
	}
}
