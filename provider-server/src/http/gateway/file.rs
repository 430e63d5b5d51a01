//! UnixFS as its reader knows it: files, symbolic links, and what folders show.

use super::{
	content_type, directory, disposition, escape,
	representation::{Content, Representation},
	resolve::Target,
	walk_memory::{Metered, Remembered, WalkMemory},
	Asked, Found,
};
use crate::retrieval::NodeBlocks;
use cairn_dag::{
	unixfs::{ByteRange, FileChunks, Node, NodeError, ReadError},
	Block, CodecError,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{
	io::{self, Write},
	ops::Range,
	sync::Arc,
};

/// What a document of a stranger may do: everything but be of this server's origin.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

/// A file, what a symbolic link holds, or what a folder shows.
///
/// # Errors
/// `NotAcceptable` if the block is not UnixFS, and failures to read it.
pub(super) fn represent(
	blocks: Arc<NodeBlocks>,
	asked: &Asked,
	target: Target,
	memory: &WalkMemory,
) -> Result<Found, Problem> {
	match decode(&target.block)? {
		Node::File(file) => {
			let cid = *target.cid();
			let name = asked.file_name().or(asked.last_name());
			let file = File {
				cid,
				tag: cid,
				size: file.size,
			};
			serve(blocks, asked, &file, name, memory).map(Found::Here)
		}
		Node::Symlink(link) => {
			let etag = format!("\"{}\"", target.cid());
			let content = Content::Bytes(link.into_bytes().into());
			Ok(Found::Here(Representation {
				disposition: requested_disposition(asked),
				..Representation::new(etag, "inode/symlink", content)
			}))
		}
		Node::Directory(_) | Node::ShardedDirectory if !asked.uri.path().ends_with('/') => {
			// Relative links in what the folder shows begin from here.
			let query = asked
				.uri
				.query()
				.map(|query| format!("?{query}"))
				.unwrap_or_default();
			Ok(Found::Elsewhere(format!(
				"{}/{query}",
				escape::uri_path(&asked.uri)
			)))
		}
		Node::Directory(_) | Node::ShardedDirectory => {
			directory::represent(blocks, asked, &target, memory).map(Found::Here)
		}
	}
}

/// The node of a block.
pub(super) fn decode(block: &Block) -> Result<Node, Problem> {
	Node::decode(block).map_err(|error| match error {
		NodeError::Codec(error @ CodecError::Malformed { .. }) => {
			tracing::warn!(cid = %block.cid(), %error, "a stored block is not of its codec");
			Problem::new(ErrorKind::Internal, format!("block {} is malformed", block.cid()))
				.hint("add ?format=raw to see its bytes")
		}
		error => Problem::new(
			ErrorKind::NotAcceptable,
			format!("block {} is no file or folder: {error}", block.cid()),
		)
		.hint("add ?format=raw, ?format=car or ?format=dag-json"),
	})
}

/// A file, as it is served.
pub(super) struct File {
	pub cid: Cid,
	/// The CID that its entity tag has.
	pub tag: Cid,
	/// Bytes.
	pub size: u64,
}

/// The file, whose last name on its path is `name`.
///
/// # Errors
/// Failures to read how it begins, where its name does not tell what it is; `Busy` if no memory is left to read it.
pub(super) fn serve(
	blocks: Arc<NodeBlocks>,
	asked: &Asked,
	file: &File,
	name: Option<&str>,
	memory: &WalkMemory,
) -> Result<Representation, Problem> {
	let File { cid, tag, size } = *file;
	let content_type = match name.and_then(content_type::by_name) {
		Some(known) => known,
		None => {
			let start = read_start(&blocks, cid, size)?;
			content_type::by_content(&start, start.len() as u64 == size)
		}
	};
	Ok(Representation {
		disposition: requested_disposition(asked),
		// Browsers show PDFs in a sandbox of their own, and in no other.
		policy: (content_type != "application/pdf").then_some(SANDBOX),
		..Representation::new(
			format!("\"{tag}\""),
			content_type,
			Content::File {
				blocks: Metered::new(blocks, Remembered::WithLinks, memory)?,
				cid,
				size,
			},
		)
	})
}

/// `Content-Disposition`, where the request says something about it.
fn requested_disposition(asked: &Asked) -> Option<String> {
	let (name, download) = (asked.file_name(), asked.download());
	(name.is_some() || download.is_some()).then(|| {
		let attachment = download.unwrap_or(false);
		let name = name.or(asked.last_name().filter(|_| attachment));
		disposition(attachment, name)
	})
}

fn read_start(blocks: &NodeBlocks, cid: Cid, size: u64) -> Result<Vec<u8>, Problem> {
	let range = ByteRange::from(0..size.min(content_type::SNIFFED));
	let mut start = Vec::new();
	for chunk in FileChunks::new(blocks, cid, range) {
		let chunk = chunk.map_err(|error| match error {
			ReadError::Missing { cid } => super::missing(&cid),
			ReadError::Source(error) => super::damaged(&cid, &error),
			error => Problem::new(
				ErrorKind::Internal,
				format!("the file contradicts itself: {error}"),
			)
			.hint("add ?format=car to see its blocks"),
		})?;
		start.extend_from_slice(&chunk);
	}
	Ok(start)
}

/// Writes bytes of a file of `size` bytes.
///
/// # Errors
/// If a block is missing, damaged or no part of the file, or the client is gone.
pub(super) fn write(
	blocks: &Metered<Arc<NodeBlocks>>,
	cid: Cid,
	wanted: Range<u64>,
	size: u64,
	out: &mut impl Write,
) -> io::Result<()> {
	let range = if wanted == (0..size) {
		ByteRange::ALL
	} else {
		wanted.into()
	};
	for chunk in FileChunks::new(blocks, cid, range) {
		out.write_all(&chunk.map_err(io::Error::other)?)?;
	}
	Ok(())
}
