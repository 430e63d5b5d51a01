//! UnixFS: files, folders and symbolic links as DAGs.
//!
//! Source: the [UnixFS specification](https://specs.ipfs.tech/unixfs/). A file is a raw block, or a
//! tree of dag-pb nodes over raw (or dag-pb) leaves; a folder is a dag-pb node whose links carry the
//! entries' names. Folders too large for one block are sharded by hash (HAMT): those are recognised
//! and refused with a typed error for now.
//!
//! - [`node`]: what one block says.
//! - [`read`]: content of files, by range; lists of folders; paths.
//! - [`import`]: files and folders from disk to blocks.
//! - [`export`]: blocks to files and folders on disk.

pub mod export;
pub mod import;
mod layout;
pub mod node;
pub mod read;

pub use node::{DirectoryEntry, Kind, Node, NodeError};
pub use read::{list, resolve, stat, ByteRange, FileChunks, ReadError, ResolveError, Resolved, Stat};
