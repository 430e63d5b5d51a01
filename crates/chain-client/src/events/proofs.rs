//! Events of the proofs pallet. Encoded like the pallet's own.

use cairn_primitives::{ProofSpec, ProofTypeId};
use codec::{Decode, Encode};
use scale_info::TypeInfo;

/// What happened to proof types.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProofsEvent {
	/// A proof type was registered.
	#[codec(index = 0)]
	ProofTypeRegistered {
		/// Its id.
		id: ProofTypeId,
		/// Its parameters.
		spec: ProofSpec,
	},
	/// A proof type takes no new sectors any more.
	#[codec(index = 1)]
	ProofTypeRetired {
		/// Its id.
		id: ProofTypeId,
	},
}
