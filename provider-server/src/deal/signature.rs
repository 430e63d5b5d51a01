//! Checking a client's signature before money and disk are spent on its proposal.

use super::Proposal;
use cairn_keystore::SignatureError;

/// Checks the client's signature over a proposal on the chain of `genesis_hash`: SCALE of a `MultiSignature`, of any
/// scheme that the chain takes, over the proposal's signing bytes, raw or wrapped in `<Bytes>…</Bytes>`.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify_client_signature(
	proposal: &Proposal,
	genesis_hash: &[u8; 32],
	signature: &[u8],
) -> Result<(), SignatureError> {
	let message = proposal.signing_bytes(genesis_hash);
	cairn_keystore::verify_multi_signature(&proposal.client, &message, signature)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::deal::record::tests::proposal;
	use cairn_chain_client::MultiSignature;
	use cairn_keystore::Keypair;
	use codec::Encode;

	fn signed(message: impl Fn(&Proposal) -> Vec<u8>) -> (Proposal, Vec<u8>) {
		let client: Keypair = "//Alice".parse().unwrap();
		let proposal = Proposal {
			client: client.public(),
			..proposal(1)
		};
		let signature = client.sign(&message(&proposal));
		(proposal, MultiSignature::Sr25519(signature).encode())
	}

	#[test]
	fn raw_and_wrapped_signatures_are_taken() {
		let (proposal, signature) = signed(|proposal| proposal.signing_bytes(&[7; 32]));
		assert_eq!(verify_client_signature(&proposal, &[7; 32], &signature), Ok(()));
		let (proposal, signature) = signed(|proposal| {
			cairn_primitives::deal::wrapped_signing_bytes(&proposal.signing_bytes(&[7; 32]))
		});
		assert_eq!(verify_client_signature(&proposal, &[7; 32], &signature), Ok(()));
	}

	#[test]
	fn other_chains_terms_and_forms_are_refused() {
		let (proposal, mut signature) = signed(|proposal| proposal.signing_bytes(&[7; 32]));
		assert_eq!(
			verify_client_signature(&proposal, &[8; 32], &signature),
			Err(SignatureError::Wrong)
		);
		let dearer = Proposal {
			price_per_block: 8,
			..proposal.clone()
		};
		assert_eq!(
			verify_client_signature(&dearer, &[7; 32], &signature),
			Err(SignatureError::Wrong)
		);
		signature.push(0);
		assert_eq!(
			verify_client_signature(&proposal, &[7; 32], &signature),
			Err(SignatureError::Malformed)
		);
		assert_eq!(
			verify_client_signature(&proposal, &[7; 32], &[]),
			Err(SignatureError::Malformed)
		);
		let ecdsa = MultiSignature::Ecdsa([1; 65]).encode();
		assert_eq!(
			verify_client_signature(&proposal, &[7; 32], &ecdsa),
			Err(SignatureError::Wrong)
		);
	}

	/// Signatures by `sp_core` 43.0.0 with keys of the seed 7, 7, … over proposal 1 on chain 7, 7, …, raw and wrapped.
	/// What is stored for the deal is what the chain gets.
	#[test]
	fn every_scheme_of_the_chain_is_taken() {
		const SIGNED: [[&str; 3]; 3] = [
			[
				"ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
				"00cf9a3b8ba7fb30004d93bcce4f2fc0f2d0451f5266c645a54ae7a401902bc2b9\
				 ece4ddd04ab790166bc91f1f7fc6760e18ed7615ff237aab249163549fff2001",
				"0065897521346feb7032e81fd397d0932163d2fc260a54a22887356c28f1fb6aed\
				 dbcf3664fe76a9a1f6577a77142306e8bf8e40f493c40ca0b61dbc643c731701",
			],
			[
				"4b9feced8f3a8ca1610230cf330053ea8119bacaab5736f336717c7d48366749",
				"02bea13b4471ec6d5c953f75b10cba1d2e8f410060bcb0b39e8a733e2ebe21b207\
				 51775ada19fc1e1cfb43fd8ce5599fceca619bbce9146f138f7e245931fab86e00",
				"02e8f91b1440b874643e2b1fb3233950a4af0c857196a3f47cd0224d54d7251d72\
				 5916cb08b16919646cd1c9af83d017fcfefeced1017ef864be9bbe700267808800",
			],
			[
				"b4f9285f71cedd0eead7e06b418797fc2d9ddd88eeeeeeeeeeeeeeeeeeeeeeee",
				"033da28e0e796db9537c9229ed3edb1ee0df7688d52b058f18d5ef9868bf505355\
				 3bede30e374cd99243b95a2cc297d64ff7eaa7511dfbd52e6fd1ac7fb21fd77201",
				"03a8650fe6828c96cb75959706f8a713eaeb7526d8a94ac597d737a3789c30c27a\
				 3212eb9a26878d11310c68790bf2eb91f0fa19d47fe2a5e6c8c7307823125c7400",
			],
		];
		for [account, raw, wrapped] in SIGNED {
			let mut proposal = proposal(1);
			hex::decode_to_slice(account, &mut proposal.client).unwrap();
			for text in [raw, wrapped] {
				let signature = hex::decode(text).unwrap();
				assert_eq!(
					verify_client_signature(&proposal, &[7; 32], &signature),
					Ok(()),
					"{text}"
				);
				assert_eq!(
					verify_client_signature(&proposal, &[8; 32], &signature),
					Err(SignatureError::Wrong)
				);
				let forwarded: MultiSignature = codec::DecodeAll::decode_all(&mut &signature[..]).unwrap();
				assert_eq!(forwarded.encode(), signature);
			}
		}
	}
}
