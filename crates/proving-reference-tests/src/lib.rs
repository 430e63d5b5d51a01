//! Differential tests of `cairn-proving` and `cairn-primitives` against Filecoin's own
//! implementation (`filecoin-proofs`, `storage-proofs-porep`): piece and data commitments, the
//! graph's parents, the labels of every layer, the replica's bytes.
//!
//! A crate of its own, because the reference brings a proof system and two curve libraries with it:
//! working on the provers must not wait for them.
