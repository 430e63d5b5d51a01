//! Content-addressed blocks and the graphs they form.
//!
//! A [`Block`] is bytes under the [`Cid`] they hash to. A codec ([`codec`]) says which links a block
//! holds, a [`BlockSource`] finds blocks by CID, [`walk`] follows links through any source, and
//! [`unixfs`] maps files and folders to DAGs and back, with the CIDs IPFS gives them.
//!
//! This crate does no networking and keeps nothing on disk by itself: archives are `cairn-car`,
//! stores `cairn-blockstore`. It is synchronous, because everything it does is hashing, parsing or
//! reading local files; see [`source`] for how asynchronous callers use it.
//!
//! Everything read is taken as hostile: sizes, depths and counts are bounded, every failure is a
//! typed error, and no input makes it panic.
//!
//! Start reading at [`block`], then [`unixfs`].

pub mod block;
pub mod codec;
pub mod hash;
pub mod source;
pub mod unixfs;
pub mod varint;
pub mod walk;

pub use block::{Block, BlockError};
pub use cid::{self, Cid, Version as CidVersion};
pub use codec::{links, validate, Codec, CodecError};
pub use hash::HashFunction;
pub use source::{BlockSink, BlockSource, MemoryBlocks, NullSink, SinkError, SourceError};
