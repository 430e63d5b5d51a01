//! What users bring along: key files, secret URIs, addresses.

use crate::Seed;
use cairn_keystore::{
	address, KeyFile, Keypair, Keystore, Mnemonic, ParseError, PasswordSource, SecretUri, SuriError,
	MAX_NAME_BYTES,
};
use std::path::Path;

/// Reads a key file. Decrypting is left out: it takes its time, and a wrong password changes nothing.
pub fn key_file(data: &[u8]) {
	let file = match KeyFile::from_json(data) {
		Ok(file) => file,
		Err(ParseError::Read(error)) => panic!("nothing was to be read: {error}"),
		Err(_) => return,
	};
	let again = KeyFile::from_json(file.to_json().as_bytes()).expect("what was written can be read");
	assert_eq!((again.account(), again.name()), (file.account(), file.name()));
	assert_eq!(
		address::decode(&file.address()).ok().map(|(account, _)| account),
		Some(file.account())
	);
	assert!(!format!("{file:?}").contains("encoded"));
}

/// Reads a secret URI, a phrase, and the source of a password. Derives keys of seeds only: phrases are slow
/// on purpose.
pub fn secret_uri(data: &[u8]) {
	let Ok(text) = std::str::from_utf8(data) else {
		return;
	};
	match text.parse::<SecretUri>() {
		Ok(uri) => {
			assert!(text.len() <= 4096);
			if text.starts_with("0x") {
				assert!(!uri.is_development());
				let (one, other) = (Keypair::from_suri(&uri), Keypair::from_suri(&uri));
				assert_eq!(one.public(), other.public());
			}
		}
		Err(SuriError::TooLong) => assert!(text.len() > 4096),
		Err(_) => {}
	}
	if let Ok(phrase) = text.parse::<Mnemonic>() {
		let words = phrase.phrase();
		let again: Mnemonic = words.parse().expect("a phrase reads back");
		assert_eq!(*again.phrase(), *words);
		assert!(text.split_whitespace().eq(words.split(' ')));
	}
	if let Ok(PasswordSource::File(path)) = text.parse::<PasswordSource>() {
		assert_eq!(Some(path.as_path()), text.strip_prefix("file:").map(Path::new));
	}
}

/// Reads an address, and takes the text for an account's name.
pub fn account_address(data: &[u8]) {
	let Ok(text) = std::str::from_utf8(data) else {
		return;
	};
	if let Ok((account, prefix)) = address::decode(text) {
		let written = address::encode(&account, prefix).expect("the prefix was read");
		assert_eq!(address::decode(&written), Ok((account, prefix)));
		// Prefixes below 64 can also be written in two bytes, which other implementations read too.
		assert!(written == text || prefix < 64, "an address has two forms");
	}
	let folder = Path::new("/keys");
	if let Ok(path) = Keystore::new(folder).path(text) {
		assert!(text.len() <= MAX_NAME_BYTES);
		assert_eq!(path.parent(), Some(folder), "a name leads out of the folder");
		assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(text));
	}
}

/// Exported by polkadot.js: `//Alice` with the password `whoisalice`.
const KEY_FILE: &str = r#"{"encoded":"DumgApKCTqoCty1OZW/8WS+sgo6RdpHhCwAkA2IoDBMAgAAAAQAAAAgAAAB6IG/q24EeVf0JqWqcBd5m2tKq5BlyY84IQ8oamLn9DZe9Ouhgunr7i36J1XxUnTI801axqL/ym1gil0U8440Qvj0lFVKwGuxq38zuifgoj0B3Yru0CI6QKEvQPU5xxj4MpyxdSxP+2PnTzYao0HDH0fulaGvlAYXfqtU89xrx2/z9z7IjSwS3oDFPXRQ9kAdDebtyCVreZ9Otw9v3","encoding":{"content":["pkcs8","sr25519"],"type":["scrypt","xsalsa20-poly1305"],"version":"3"},"address":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY","meta":{"genesisHash":"","name":"Alice","whenCreated":1718265838755}}"#;

/// Seeds of [`key_file`].
pub(crate) fn key_file_seeds() -> Vec<Seed> {
	let without_meta = KEY_FILE.replace(
		r#","meta":{"genesisHash":"","name":"Alice","whenCreated":1718265838755}"#,
		"",
	);
	let old = KEY_FILE.replace(r#""version":"3""#, r#""version":"2""#);
	vec![
		("polkadot-js", KEY_FILE.into()),
		("without-meta", without_meta.into()),
		("other-version", old.into()),
		("nested", "[".repeat(300).into()),
	]
}

/// Seeds of [`secret_uri`].
pub(crate) fn uri_seeds() -> Vec<Seed> {
	let phrase = cairn_keystore::DEV_PHRASE;
	let seed = format!("0x{}//hard/soft/7///password", "1f".repeat(32));
	vec![
		("development", b"//Alice/1///pass/w//ord".to_vec()),
		("phrase", phrase.into()),
		("phrase-path", format!("{phrase}//stash").into()),
		("seed", seed.into()),
		("password-file", b"file:/run/secrets/key".to_vec()),
		("password-environment", b"env:PASSWORD".to_vec()),
	]
}

/// Seeds of [`account_address`].
pub(crate) fn address_seeds() -> Vec<Seed> {
	let texts = [
		("default", "5DPYxjBvinrSL8qtaRXcRuPSTkX79fecqZZ1ZCri3EWPdQRD"),
		("prefix-0", "12Kr74Szaa7umfrQY4aca4DbKNWkqyCkv4HViVr4bKXuooiW"),
		("prefix-255", "yGE4MaVWXbX4BdNFXZxwPnqkhp9DMmdiytyuSHkWo9qnjnLii"),
		(
			"prefix-16383",
			"yNWeurzcvor9yU4jkdWMtacWUXiDtEBPmnEoi3p2mKiFTWeC8",
		),
		("name", "my_account-1.2"),
		("no-name", "../keys/other"),
	];
	texts.map(|(name, text)| (name, text.into())).to_vec()
}
