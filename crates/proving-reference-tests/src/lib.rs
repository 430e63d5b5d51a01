//! Differential tests of [`cairn-proving`] and `cairn-primitives` against Filecoin's own
//! implementation (`filecoin-proofs`, `storage-proofs-porep`).
//!
//! A crate of its own, because the reference brings a proof system, two curve libraries and an
//! assembler with it: working on the provers must not wait for them.
//!
//! [`cairn-proving`]: https://github.com/cairn-storage/cairn
