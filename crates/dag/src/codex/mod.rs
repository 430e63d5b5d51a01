//! Codex datasets: data in blocks of one size, a Merkle tree over them, and a manifest.
//!
//! Same bytes and CIDs as [Codex](https://codex.storage) (nim-codex, since renamed Logos Storage): the
//! CID of the manifest is the dataset's, and the one its users pass around.
//!
//! - [`Manifest`]: what a dataset is; protobuf.
//! - [`Tree`], [`TreeNode`], [`TreeBuilder`]: the tree, whole in memory, node by node, or streaming; [`Subtree`]: where a
//!   node is in it.
//! - [`TreeProof`]: that a block is a dataset's block number so and so.
//! - [`import()`]: data to a dataset, streaming; [`DatasetBuilder`] the same for data that comes in pieces.
//! - [`DatasetChunks`]: a dataset's data, by byte range.
//!
//! Erasure coding and slots are read, and their manifests checked, but not made: that takes Leopard
//! and Poseidon2, which nothing in Cairn needs.

mod build;
mod import;
mod manifest;
mod proof;
mod read;
mod tree;

pub use build::DatasetBuilder;
pub use import::{import, Dataset, DatasetOptions, ImportError, DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE};
pub use manifest::{Manifest, Protection, Strategy, Verification};
pub use proof::{InvalidProof, ProofError, TreeProof};
pub use read::{DatasetChunks, ReadError};
pub use tree::{depth, Digest, EmptyTree, InvalidTree, Subtree, Tree, TreeBuilder, TreeNode};
