//! Content-addressable archives: many blocks in one file or stream.
//!
//! CARv1 is a header with the roots, then blocks, each under its CID. CARv2 wraps a CARv1 and adds an
//! index from hashes to offsets. This crate reads and writes both, streaming and in bounded memory:
//!
//! - [`CarReader`]: blocks of either version from any stream, in order;
//! - [`CarWriter`]: CARv1 to any stream; [`CarV2Writer`]: CARv2 with an index to a file;
//! - [`CarFile`]: random access by CID, also to an archive inside a larger file; a
//!   [`BlockSource`](cairn_dag::BlockSource);
//! - [`pack`]: files and folders to a CARv2 in one pass; [`extract`]: back to disk;
//! - [`verify`]: everything that can be checked about an archive; [`completeness`]: what a DAG lacks;
//! - [`split`](mod@split): one archive to several of bounded size; [`join`]: back to one;
//! - [`salvage`](mod@salvage): every sound block of a damaged archive to a new one.
//!
//! Every block read is hashed and compared with its CID, unless [`ReadOptions::verify`] is off. Sizes
//! that an archive claims are checked against limits before memory is taken.
//!
//! Sources: [CARv1](https://ipld.io/specs/transport/car/carv1/) and
//! [CARv2](https://ipld.io/specs/transport/car/carv2/), and for the index what go-car writes where
//! the specification is silent or differs (see [`index`]).

mod completeness;
mod extract;
mod file;
mod header;
pub mod index;
mod join;
mod pack;
mod read_at;
mod reader;
pub mod salvage;
pub mod split;
mod verify;
mod writer;

pub use cairn_dag::unixfs::import::{ImportOptions, Progress};
pub use completeness::{completeness, Completeness, MAX_MISSING_CIDS};
pub use extract::{extract, ExtractError};
pub use file::{BlockLocation, CarFile, IndexSource, OpenError, SectionHead, SectionHeads};
pub use header::Version;
pub use index::{Index, IndexError, IndexFormat};
pub use join::{join, JoinError, JoinOptions, Joined};
pub use pack::{pack, pack_reader, pack_to_file, PackError, PackOptions, Packed};
pub use read_at::{ReadAt, Seekable, Window};
pub use reader::{CarReader, ReadError, ReadOptions, Section};
pub use salvage::{salvage, Lost, LostReason, RootsFrom, SalvageError, SalvageOptions, Salvaged};
pub use split::{split, split_to_folder, SplitError, SplitOptions, SplitStrategy};
pub use verify::{verify, IndexCheck, Verified, VerifyError, VerifyOptions};
pub use writer::{CarV2Writer, CarWriter, WriteError, Written};
