//! The plaintext of a key file: polkadot.js' PKCS #8-like record of a secret and its public key.

use crate::keypair::{InvalidSecret, Keypair};
use zeroize::Zeroizing;

/// A secret key in ed25519's expanded form: scalar and nonce seed.
pub(crate) const ED25519_SECRET_BYTES: usize = 64;

const HEADER: [u8; 16] = [48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
const DIVIDER: [u8; 5] = [161, 35, 3, 33, 0];
const DIVIDER_START: usize = HEADER.len() + ED25519_SECRET_BYTES;
const PUBLIC_START: usize = DIVIDER_START + DIVIDER.len();

/// Header, secret, divider, public key.
pub(crate) const RECORD_BYTES: usize = PUBLIC_START + 32;

/// The record of a key.
pub(crate) fn encode(keypair: &Keypair) -> Zeroizing<[u8; RECORD_BYTES]> {
	let mut record = Zeroizing::new([0; RECORD_BYTES]);
	record[..HEADER.len()].copy_from_slice(&HEADER);
	record[HEADER.len()..DIVIDER_START].copy_from_slice(keypair.to_ed25519_secret().as_ref());
	record[DIVIDER_START..PUBLIC_START].copy_from_slice(&DIVIDER);
	record[PUBLIC_START..].copy_from_slice(&keypair.public());
	record
}

/// The key of a record, whose two halves must belong together.
pub(crate) fn decode(record: &[u8]) -> Result<Keypair, InvalidSecret> {
	let record: &[u8; RECORD_BYTES] = record.try_into().map_err(|_| InvalidSecret)?;
	if record[..HEADER.len()] != HEADER || record[DIVIDER_START..PUBLIC_START] != DIVIDER {
		return Err(InvalidSecret);
	}
	let mut secret = Zeroizing::new([0; ED25519_SECRET_BYTES]);
	secret.copy_from_slice(&record[HEADER.len()..DIVIDER_START]);
	let keypair = Keypair::from_ed25519_secret(&secret)?;
	if keypair.public() != record[PUBLIC_START..] {
		return Err(InvalidSecret);
	}
	Ok(keypair)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::suri::Junction;

	#[test]
	fn records_come_back() {
		let mut keypair = Keypair::generate();
		for round in 0..20 {
			let again = decode(encode(&keypair).as_ref()).unwrap();
			assert_eq!(again.public(), keypair.public());
			let signature = again.sign(b"message");
			assert!(
				crate::verify(&keypair.public(), b"message", &signature),
				"round {round}"
			);
			// Hard derivation depends on the nonce seed as well, so this compares all of the secret.
			let path = [Junction::soft("a"), Junction::hard("b")];
			assert_eq!(again.derive(&path).public(), keypair.derive(&path).public());
			keypair = keypair.derive(&path[..1 + round % 2]);
		}
	}

	#[test]
	fn refuses_records_that_do_not_fit() {
		let good = encode(&Keypair::generate());
		assert!(decode(&good[1..]).is_err());
		assert!(decode(&[]).is_err());
		for index in [
			0,
			HEADER.len() - 1,
			HEADER.len() + 1,
			DIVIDER_START,
			PUBLIC_START,
			RECORD_BYTES - 1,
		] {
			let mut bad = good.clone();
			bad[index] ^= 0x10;
			assert!(decode(bad.as_ref()).is_err(), "byte {index}");
		}
	}
}
