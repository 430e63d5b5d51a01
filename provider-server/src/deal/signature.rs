//! Checking a client's signature before money and disk are spent on its proposal.

use super::Proposal;
use cairn_chain_client::MultiSignature;
use codec::DecodeAll;

/// Why a signature is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
	/// Not exactly one `MultiSignature`.
	#[error("the signature is not one SCALE-encoded MultiSignature")]
	Malformed,
	/// A scheme that is not checked here.
	#[error("only sr25519 signatures are taken")]
	Scheme,
	/// Not the client's over this proposal on this chain.
	#[error("the signature is not the client's over this proposal on this chain")]
	Wrong,
}

/// Checks the client's signature over a proposal on the chain of `genesis_hash`, raw or wrapped in
/// `<Bytes>…</Bytes>`.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify_client_signature(
	proposal: &Proposal,
	genesis_hash: &[u8; 32],
	signature: &[u8],
) -> Result<(), SignatureError> {
	let signature = MultiSignature::decode_all(&mut &signature[..]).map_err(|_| SignatureError::Malformed)?;
	let MultiSignature::Sr25519(signature) = signature else {
		return Err(SignatureError::Scheme);
	};
	let message = proposal.signing_bytes(genesis_hash);
	if cairn_keystore::verify(&proposal.client, &message, &signature) {
		Ok(())
	} else {
		Err(SignatureError::Wrong)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::deal::record::tests::proposal;
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
			Err(SignatureError::Scheme)
		);
	}
}
