//! Calls of the proofs pallet.

use super::calls;
use cairn_primitives::{ProofSpec, ProofTypeId};

calls! { "Proofs";
	/// Registers a proof type. Root only.
	pub fn register_proof_type(id: ProofTypeId, spec: &ProofSpec);
	/// Lets a proof type take no new sectors. Root only.
	pub fn retire_proof_type(id: ProofTypeId);
}
