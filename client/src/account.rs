//! The account that signs.

use cairn_chain_client::{MultiSignature, Signer};
use cairn_keystore::{address, Keypair};
use codec::Encode;
use std::sync::Arc;

/// An unlocked account.
#[derive(Clone, Debug)]
pub struct Account(Arc<Keypair>);

impl Account {
	/// Takes a key over.
	pub fn new(keypair: Keypair) -> Self {
		Account(Arc::new(keypair))
	}

	/// The account's 32 bytes.
	pub fn id(&self) -> [u8; 32] {
		self.0.public()
	}

	/// SCALE of the account's `MultiSignature` over a message.
	pub fn multi_signature(&self, message: &[u8]) -> Vec<u8> {
		MultiSignature::Sr25519(self.0.sign(message)).encode()
	}
}

impl Signer for Account {
	fn account(&self) -> [u8; 32] {
		self.0.public()
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		self.0.sign(message)
	}
}

/// An account as people read it.
pub fn display(account: &[u8; 32]) -> String {
	address::encode_default(account)
}

/// An account, shortened for tables: its first and last characters.
pub fn short(account: &[u8; 32]) -> String {
	let full = display(account);
	format!("{}…{}", &full[..6], &full[full.len() - 4..])
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn signatures_name_their_scheme() {
		let account = Account::new("//Alice".parse().unwrap());
		let signature = account.multi_signature(b"message");
		assert_eq!((signature.len(), signature[0]), (65, 1));
		let raw: [u8; 64] = signature[1..].try_into().unwrap();
		assert!(cairn_keystore::verify(&account.id(), b"message", &raw));
		assert_eq!(short(&account.id()), "5Grwva…utQY");
	}
}
