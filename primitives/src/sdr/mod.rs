//! Stacked depth-robust graph: the slow encoding behind the sealed tier.
//!
//! A sector of n leaves is encoded under a key of n labels. The labels come in layers; a label of
//! layer l hashes six labels of its own layer (depth-robust graph, so that the layer cannot be
//! computed in parallel) and eight of the layer before (expander, so that layers cannot be skipped).
//! The last layer is the key: replica = data + key in the BLS12-381 scalar field.
//!
//! Graph, labels and encoding are Filecoin's SDR V1_2, to the bit, under Cairn's own porep_id
//! ([`crate::ProofSpec::porep_id`]). Only the commitments over columns and replica differ: binary
//! SHA-256 trees. See [`crate::sealed`] for the proofs.
//!
//! This module holds the definitions that chain and prover share, one node at a time. Making whole
//! layers fast is the prover's business.

mod encode;
mod feistel;
mod graph;
mod label;
#[cfg(feature = "std")]
pub mod reference;

pub use encode::{decode, encode, is_canonical, NotCanonical, MODULUS};
pub use feistel::{Feistel, FEISTEL_ROUNDS, MAX_CYCLE_WALK};
pub use graph::{Graph, GraphSize, DEGREE, DRG_DEGREE, EXPANDER_DEGREE, MAX_GRAPH_LEAVES};
pub use label::{
	column_leaf, comm_r, label, label_header, replica_id, COLUMN_TAG, LABEL_HEADER_LEN, LABEL_PREIMAGE_LEN,
	REPEATED_PARENTS,
};
