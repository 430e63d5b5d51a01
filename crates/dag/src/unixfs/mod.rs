//! UnixFS: files, folders and symbolic links as DAGs.
//!
//! Source: the [UnixFS specification](https://specs.ipfs.tech/unixfs/). A file is a raw block, or a
//! tree of dag-pb nodes over raw (or dag-pb) leaves; a folder is a dag-pb node whose links carry the
//! entries' names. A folder too large for one block is sharded by the hash of the names.
//!
//! - [`node`]: what one block says.
//! - [`hamt`]: sharded folders.
//! - [`read`]: content of files, by range; lists of folders; paths.
//! - [`import`]: files and folders from disk to blocks.
//! - [`export`]: blocks to files and folders on disk.

pub mod export;
pub mod hamt;
pub mod import;
mod layout;
pub mod node;
pub mod read;

pub use node::{DirectoryEntry, Kind, Metadata, Mtime, Node, NodeError};
pub use read::{
	entries, list, resolve, stat, ByteRange, Entries, FileChunks, ReadError, ResolveError, Resolved, Stat,
};
