//! Content-addressed blocks and the graphs they form.
//!
//! A [`Block`] is bytes under the [`Cid`] they hash to. A codec ([`codec`]) says which links a block
//! holds, a [`BlockSource`] finds blocks by CID, and [`walk`] follows links through any source. Two
//! ways to keep files are built on that: [`unixfs`] maps files and folders to DAGs and back, with the
//! CIDs IPFS gives them, and [`codex`] does datasets of blocks of one size, with Codex's.
//!
//! Codecs for git, BitTorrent, Ethereum and the IPLD data model (dag-cbor, dag-json) are there so that
//! graphs made by others can be walked, stored and served; nothing here makes such blocks. Each is a
//! cargo feature, on by default.
//!
//! This crate does no networking and keeps nothing on disk by itself: archives are `cairn-car`,
//! stores `cairn-blockstore`. It is synchronous, because everything it does is hashing, parsing or
//! reading local files; see [`source`] for how asynchronous callers use it.
//!
//! Everything read is taken as hostile: sizes, depths and counts are bounded, every failure is a
//! typed error, and no input makes it panic.
//!
//! Start reading at [`block`] and [`codec`], then [`unixfs`].

mod address;
pub mod block;
pub mod codec;
#[cfg(feature = "codex")]
pub mod codex;
pub mod hash;
pub mod source;
pub mod unixfs;
pub mod varint;
pub mod walk;

pub use address::{BlockAddress, InvalidAddress};
pub use block::{read_cid, Block, BlockError};
pub use cid::{self, Cid, Version as CidVersion};
pub use codec::{links, validate, Codec, CodecError};
pub use hash::HashFunction;
pub use source::{BlockSink, BlockSource, MemoryBlocks, NullSink, SinkError, SourceError};
