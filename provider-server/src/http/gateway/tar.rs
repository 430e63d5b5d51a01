//! Files and folders as a TAR, made as it is sent.

use super::{
	file,
	representation::{Content, Representation},
	resolve::Target,
	walk_memory::{Held, Metered, Remembered, WalkMemory},
	Asked, TAR,
};
use crate::{http::body::BodyWriter, retrieval::NodeBlocks};
use ::tar::{Builder, EntryType, Header};
use bytes::{Buf, Bytes};
use cairn_dag::{
	unixfs::{self, ByteRange, FileChunks, Metadata, Node},
	Block, BlockSource,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{
	io::{self, Read},
	path::{Component, Path, PathBuf},
	sync::Arc,
};

/// Deepest nesting of folders.
const MAX_DEPTH: usize = 128;
/// Most files, folders and links.
const MAX_ENTRIES: u64 = 1_000_000;
/// Bytes of paths and targets of symbolic links, which wait for the end of the archive.
const MAX_LINKS: usize = 4 << 20;

/// A TAR whose only top entry is the target, under its CID.
///
/// # Errors
/// `Malformed` if the target is not UnixFS, as the specification has it; `Busy` if no memory is left to walk it.
pub(super) fn represent(
	blocks: Arc<NodeBlocks>,
	asked: &Asked,
	target: Target,
	memory: &WalkMemory,
) -> Result<Representation, Problem> {
	let cid = *target.cid();
	// Files, folders and links are all that a TAR holds.
	file::decode(&target.block).map_err(|problem| match problem.kind {
		ErrorKind::NotAcceptable => Problem {
			kind: ErrorKind::Malformed,
			..problem
		},
		_ => problem,
	})?;
	let memory = memory.clone();
	let links_held = memory.hold(1)?;
	Ok(Representation {
		disposition: Some(asked.named(true, &cid, "tar")),
		..Representation::new(
			format!("W/\"{cid}.x-tar\""),
			TAR,
			Content::Stream(Box::new(move |out| {
				write(&blocks, target.block, &memory, links_held, out)
			})),
		)
	})
}

fn write(
	blocks: &NodeBlocks,
	root: Block,
	memory: &WalkMemory,
	links_held: Held,
	out: &mut BodyWriter,
) -> io::Result<()> {
	let mut archive = Archive {
		blocks,
		memory,
		builder: Builder::new(out),
		entries: 0,
		links: Vec::new(),
		links_len: 0,
		links_held,
	};
	let name = root.cid().to_string();
	archive.append(root, Path::new(&name), 0)?;
	archive.append_links()?;
	archive.builder.finish()
}

struct Archive<'a> {
	blocks: &'a NodeBlocks,
	memory: &'a WalkMemory,
	builder: Builder<&'a mut BodyWriter>,
	entries: u64,
	/// Symbolic links. They come last, the deepest first: a folder that has one name twice could else have a file
	/// written through a link, out of the folder in which the archive is unpacked.
	links: Vec<(PathBuf, String, Metadata)>,
	links_len: usize,
	links_held: Held,
}

impl Archive<'_> {
	fn append(&mut self, block: Block, path: &Path, depth: usize) -> io::Result<()> {
		self.entries += 1;
		if self.entries > MAX_ENTRIES || depth > MAX_DEPTH {
			return Err(io::Error::other("the folder is too large or too deep for a TAR"));
		}
		let node = Node::decode(&block).map_err(io::Error::other)?;
		let metadata = Metadata::decode(&block).map_err(io::Error::other)?;
		let cid = *block.cid();
		// Folders below a folder are many: none waits with its block in memory.
		drop(block);
		match node {
			Node::File(file) => {
				let mut header = header(EntryType::Regular, file.size, 0o644, metadata);
				drop(file);
				let blocks = Metered::new(self.blocks, Remembered::WithLinks, self.memory)
					.map_err(io::Error::other)?;
				let content = FileReader {
					chunks: FileChunks::new(&blocks, cid, ByteRange::ALL),
					chunk: Bytes::new(),
				};
				self.builder.append_data(&mut header, path, content)
			}
			Node::Symlink(target) => {
				self.links_len += path.as_os_str().len() + target.len();
				if self.links_len > MAX_LINKS {
					return Err(io::Error::other("the folder has too many links for a TAR"));
				}
				self.links_held
					.grow_to(self.links_len as u64)
					.map_err(io::Error::other)?;
				self.links.push((path.to_owned(), target, metadata));
				Ok(())
			}
			node @ (Node::Directory(_) | Node::ShardedDirectory) => {
				drop(node);
				let mut header = header(EntryType::Directory, 0, 0o755, metadata);
				self.builder.append_data(&mut header, path, io::empty())?;
				self.append_entries(&cid, path, depth)
			}
		}
	}

	fn append_entries(&mut self, folder: &Cid, path: &Path, depth: usize) -> io::Result<()> {
		let blocks = Metered::new(self.blocks, Remembered::Always, self.memory)
			.map_err(io::Error::other)?
			.nested();
		for entry in unixfs::entries(&blocks, folder).map_err(io::Error::other)? {
			let entry = entry.map_err(io::Error::other)?;
			if !is_plain(&entry.name) {
				return Err(io::Error::other(format!(
					"{folder} has an entry whose name leads elsewhere"
				)));
			}
			let block = match Block::from_identity(&entry.cid) {
				Some(block) => block,
				None => self
					.blocks
					.get(&entry.cid)
					.map_err(io::Error::other)?
					.ok_or_else(|| io::Error::other(format!("block {} is missing", entry.cid)))?,
			};
			self.append(block, &path.join(&entry.name), depth + 1)?;
		}
		Ok(())
	}

	fn append_links(&mut self) -> io::Result<()> {
		self.links
			.sort_by_cached_key(|(path, ..)| std::cmp::Reverse(path.components().count()));
		for (path, target, metadata) in std::mem::take(&mut self.links) {
			let mut header = header(EntryType::Symlink, 0, 0o777, metadata);
			self.builder.append_link(&mut header, path, target)?;
		}
		Ok(())
	}
}

/// Whether an entry's name is a single, ordinary component of a path.
fn is_plain(name: &str) -> bool {
	let mut components = Path::new(name).components();
	let single = matches!(
		(components.next(), components.next()),
		(Some(Component::Normal(_)), None)
	);
	single && !name.contains(['/', '\\', '\0'])
}

fn header(kind: EntryType, size: u64, mode: u32, metadata: Metadata) -> Header {
	let mut header = Header::new_gnu();
	header.set_entry_type(kind);
	header.set_size(size);
	// Without the bits that give a program its owner's rights.
	header.set_mode(metadata.mode.unwrap_or(mode) & 0o777);
	let mtime = metadata.mtime.map_or(0, |time| time.seconds.max(0));
	header.set_mtime(mtime.unsigned_abs());
	header
}

/// A file's content as a stream of bytes.
struct FileReader<'a> {
	chunks: FileChunks<&'a Metered<&'a NodeBlocks>>,
	chunk: Bytes,
}

impl Read for FileReader<'_> {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		if self.chunk.is_empty() {
			match self.chunks.next() {
				Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
				None => return Ok(0),
			}
		}
		let len = buffer.len().min(self.chunk.len());
		self.chunk.copy_to_slice(&mut buffer[..len]);
		Ok(len)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn names_stay_in_their_folder() {
		for name in ["a", "a b", "...", ".hidden", "ą"] {
			assert!(is_plain(name), "{name}");
		}
		for name in ["", ".", "..", "a/b", "/a", "a/", "../a", "a\\b", "a\0b"] {
			assert!(!is_plain(name), "{name}");
		}
	}
}
