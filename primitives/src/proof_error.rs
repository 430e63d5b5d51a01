//! Why a proof is refused.

/// Why a proof is refused. The causes are ordered from cheap to expensive to detect; a proof with
/// several flaws reports the first one met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
	/// The proof type's parameters are out of bounds or belong to the other tier.
	#[error("the proof type does not fit this verification")]
	WrongProofType,
	/// The proof is to answer no challenge at all, or challenges beyond the type's number.
	#[error("the proof answers no challenge or one beyond the proof type's number")]
	ChallengeRange,
	/// The proof is not exactly as long as its layout demands.
	#[error("the proof has the wrong length")]
	Length,
	/// A challenged leaf lies outside the tree.
	#[error("a challenged leaf lies outside the tree")]
	IndexOutOfRange,
	/// A data leaf has one of its two highest bits set.
	#[error("a data leaf exceeds 254 bits")]
	DataLeafHighBits,
	/// A replica leaf is not below the order of the scalar field.
	#[error("a replica leaf is not a canonical field element")]
	ReplicaLeafNotCanonical,
	/// `trunc(SHA-256(CommC ‖ CommRLast))` is not the sector's CommR.
	#[error("CommC and CommRLast do not hash to CommR")]
	CommRMismatch,
	/// A data leaf's path does not lead to CommD.
	#[error("a data leaf is not in CommD")]
	DataPath,
	/// A parent's column is not in CommC at the parent's place.
	#[error("a parent's column is not in CommC")]
	ParentColumnPath,
	/// The challenged node's recomputed column is not in CommC.
	#[error("the challenged column is not in CommC")]
	ColumnPath,
	/// A replica leaf, recomputed or sent, is not in CommRLast.
	#[error("a replica leaf is not in CommRLast")]
	ReplicaPath,
}
