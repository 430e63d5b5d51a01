//! What a single block says in UnixFS terms.

use crate::{
	block::Block,
	codec::{
		dag_pb::{PbLink, PbNode},
		Codec, CodecError,
	},
};
use bytes::Bytes;
use cid::Cid;
use prost::Message;

/// What a UnixFS root is to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
	/// A file, in one block or many.
	File,
	/// A folder, in one block or sharded.
	Directory,
	/// A symbolic link.
	Symlink,
}

impl std::fmt::Display for Kind {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.write_str(match self {
			Self::File => "file",
			Self::Directory => "directory",
			Self::Symlink => "symbolic link",
		})
	}
}

/// A decoded UnixFS block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
	/// A file or a part of one.
	File(FileNode),
	/// A folder with all its entries.
	Directory(Vec<DirectoryEntry>),
	/// The root of a sharded folder, or a shard of one; see
	/// [`Shard::decode`](super::hamt::Shard::decode).
	ShardedDirectory,
	/// A symbolic link's target, as it was on disk.
	Symlink(String),
}

/// A file, or a part of one: own bytes first, then those of the children in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileNode {
	/// Bytes in this very block.
	pub data: Bytes,
	/// What follows.
	pub children: Vec<FileChild>,
	/// Content bytes of this node and all below it, as this block claims.
	pub size: u64,
}

/// A child of a [`FileNode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChild {
	/// Its address.
	pub cid: Cid,
	/// Its content bytes, as its parent claims.
	pub size: u64,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
	/// Name, not to be trusted as a path.
	pub name: String,
	/// The entry's root.
	pub cid: Cid,
	/// Bytes of all its blocks, as the folder claims.
	pub tsize: Option<u64>,
}

impl Node {
	/// Decodes a block. A raw block is a file.
	///
	/// # Errors
	/// [`NodeError`] if the block is not UnixFS or contradicts itself.
	pub fn decode(block: &Block) -> Result<Self, NodeError> {
		match Codec::of(block.cid())? {
			Codec::Raw => Ok(Self::File(FileNode {
				data: block.bytes().clone(),
				children: Vec::new(),
				size: block.data().len() as u64,
			})),
			_ => {
				let (node, data) = Self::pb_parts(block)?;
				Self::from_pb(node, data)
			}
		}
	}

	/// The links and the UnixFS message of a dag-pb block.
	pub(super) fn pb_parts(block: &Block) -> Result<(PbNode, Data), NodeError> {
		if Codec::of(block.cid())? != Codec::DagPb {
			return Err(NodeError::NotUnixFs {
				reason: "a block of another codec",
			});
		}
		let mut node = PbNode::decode(block.bytes())?;
		let data = node.data.take().ok_or(NodeError::NotUnixFs {
			reason: "a dag-pb node without data",
		})?;
		let data = Data::decode(data).map_err(|_| NodeError::NotUnixFs {
			reason: "the data is not UnixFS",
		})?;
		Ok((node, data))
	}

	fn from_pb(node: PbNode, data: Data) -> Result<Self, NodeError> {
		let kind = data.kind.ok_or(NodeError::NotUnixFs {
			reason: "the data has no type",
		})?;
		match DataType::try_from(kind).map_err(|_| NodeError::UnknownType { code: kind })? {
			DataType::Raw | DataType::File => file(data, node.links),
			DataType::Directory => {
				let entry = |PbLink { cid, name, tsize }| DirectoryEntry {
					name: name.unwrap_or_default(),
					cid,
					tsize,
				};
				Ok(Self::Directory(node.links.into_iter().map(entry).collect()))
			}
			DataType::Symlink => {
				if !node.links.is_empty() {
					return Err(NodeError::NotUnixFs {
						reason: "a symbolic link with links",
					});
				}
				String::from_utf8(data.data.unwrap_or_default().to_vec())
					.map(Self::Symlink)
					.map_err(|_| NodeError::NotUnixFs {
						reason: "a symbolic link's target is not UTF-8",
					})
			}
			DataType::HamtShard => Ok(Self::ShardedDirectory),
			DataType::Metadata => Err(NodeError::UnknownType { code: kind }),
		}
	}

	/// What the node is a part of.
	pub fn kind(&self) -> Kind {
		match self {
			Self::File(_) => Kind::File,
			Self::Directory(_) | Self::ShardedDirectory => Kind::Directory,
			Self::Symlink(_) => Kind::Symlink,
		}
	}
}

/// What a UnixFS node may say about itself beside its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
	/// Permissions, as on Unix.
	pub mode: Option<u32>,
	/// When it was last changed.
	pub mtime: Option<Mtime>,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mtime {
	/// Seconds since 1970, negative before.
	pub seconds: i64,
	/// Nanoseconds after that second.
	pub nanoseconds: u32,
}

impl Metadata {
	/// Reads what a block says; a raw block says nothing.
	///
	/// # Errors
	/// [`NodeError`] if the block is not UnixFS.
	pub fn decode(block: &Block) -> Result<Self, NodeError> {
		if Codec::of(block.cid())? == Codec::Raw {
			return Ok(Self::default());
		}
		let (_, data) = Node::pb_parts(block)?;
		let mtime = data.mtime.map(|time| {
			let nanoseconds = time.fractional_nanoseconds.unwrap_or_default();
			if nanoseconds >= 1_000_000_000 {
				return Err(NodeError::NotUnixFs {
					reason: "a second has less nanoseconds",
				});
			}
			Ok(Mtime {
				seconds: time.seconds.unwrap_or_default(),
				nanoseconds,
			})
		});
		Ok(Self {
			mode: data.mode,
			mtime: mtime.transpose()?,
		})
	}
}

fn file(data: Data, links: Vec<PbLink>) -> Result<Node, NodeError> {
	if data.blocksizes.len() != links.len() {
		return Err(NodeError::NotUnixFs {
			reason: "a file's sizes and links differ in number",
		});
	}
	let content = data.data.unwrap_or_default();
	let size = data
		.blocksizes
		.iter()
		.try_fold(content.len() as u64, |sum, size| sum.checked_add(*size))
		.ok_or(NodeError::NotUnixFs {
			reason: "a file's size overflows",
		})?;
	if data.filesize.is_some_and(|claimed| claimed != size) {
		return Err(NodeError::NotUnixFs {
			reason: "a file's size is not the sum of its parts",
		});
	}
	let children = links
		.into_iter()
		.zip(data.blocksizes)
		.map(|(link, size)| FileChild { cid: link.cid, size })
		.collect();
	Ok(Node::File(FileNode {
		data: content,
		children,
		size,
	}))
}

/// Why a block is not UnixFS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
	/// The block is not even well-formed, or of a codec without UnixFS.
	#[error(transparent)]
	Codec(#[from] CodecError),
	/// Well-formed, but not UnixFS.
	#[error("not UnixFS: {reason}")]
	NotUnixFs {
		/// What is wrong.
		reason: &'static str,
	},
	/// UnixFS of a type that Cairn does not know.
	#[error("UnixFS type {code} is not supported")]
	UnknownType {
		/// The type's number in the protobuf.
		code: i32,
	},
}

/// The bytes of an inner file node over `children`, which are (CID, content bytes, DAG bytes).
pub(super) fn encode_file(children: &[(Cid, u64, u64)]) -> Vec<u8> {
	let size = children.iter().map(|(_, size, _)| size).sum();
	let data = Data {
		kind: Some(DataType::File.into()),
		filesize: Some(size),
		blocksizes: children.iter().map(|(_, size, _)| *size).collect(),
		..Default::default()
	};
	let links = children
		.iter()
		.map(|(cid, _, dag_size)| PbLink {
			cid: *cid,
			name: Some(String::new()),
			tsize: Some(*dag_size),
		})
		.collect();
	PbNode {
		links,
		data: Some(data.encode_to_vec().into()),
	}
	.encode()
}

/// The bytes of a file leaf with the protobuf around it, for layouts without raw leaves.
pub(super) fn encode_leaf(content: Bytes, kind: LeafKind) -> Vec<u8> {
	let size = content.len() as u64;
	let kind = match kind {
		LeafKind::File => DataType::File,
		LeafKind::Raw => DataType::Raw,
	};
	let data = Data {
		kind: Some(kind.into()),
		// As IPFS writes it: an empty file has no data field.
		data: (size > 0).then_some(content),
		filesize: Some(size),
		..Default::default()
	};
	PbNode {
		links: Vec::new(),
		data: Some(data.encode_to_vec().into()),
	}
	.encode()
}

/// What a leaf with the protobuf around it calls itself; both mean the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeafKind {
	/// As in the balanced layout.
	File,
	/// As in the trickle layout.
	Raw,
}

/// The bytes of a symbolic link.
pub(super) fn encode_symlink(target: &str) -> Vec<u8> {
	let data = Data {
		kind: Some(DataType::Symlink.into()),
		data: Some(Bytes::copy_from_slice(target.as_bytes())),
		..Default::default()
	};
	PbNode {
		links: Vec::new(),
		data: Some(data.encode_to_vec().into()),
	}
	.encode()
}

/// The node of a folder with these entries.
pub(super) fn directory(entries: Vec<PbLink>) -> PbNode {
	let data = Data {
		kind: Some(DataType::Directory.into()),
		..Default::default()
	};
	PbNode {
		links: entries,
		data: Some(data.encode_to_vec().into()),
	}
}

/// The UnixFS message of a shard.
pub(super) fn shard_data(bit_field: Vec<u8>) -> Bytes {
	let data = Data {
		kind: Some(DataType::HamtShard.into()),
		data: Some(bit_field.into()),
		hash_type: Some(super::hamt::MURMUR3),
		fanout: Some(super::hamt::FANOUT),
		..Default::default()
	};
	data.encode_to_vec().into()
}

impl Data {
	/// Slots of the shard that this is, or `None` if it is none.
	pub(super) fn shard_fanout(&self) -> Option<u64> {
		let is_shard = self.kind == Some(DataType::HamtShard.into());
		self.fanout.filter(|_| is_shard)
	}
}

/// The UnixFS protobuf message. Field numbers: the specification's `Data`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Data {
	/// Required by the schema; optional here so that its absence is noticed.
	#[prost(enumeration = "DataType", optional, tag = "1")]
	kind: Option<i32>,
	#[prost(bytes = "bytes", optional, tag = "2")]
	pub(super) data: Option<Bytes>,
	#[prost(uint64, optional, tag = "3")]
	filesize: Option<u64>,
	#[prost(uint64, repeated, packed = "false", tag = "4")]
	blocksizes: Vec<u64>,
	#[prost(uint64, optional, tag = "5")]
	pub(super) hash_type: Option<u64>,
	#[prost(uint64, optional, tag = "6")]
	fanout: Option<u64>,
	#[prost(uint32, optional, tag = "7")]
	mode: Option<u32>,
	#[prost(message, optional, tag = "8")]
	mtime: Option<UnixTime>,
}

#[derive(Clone, PartialEq, Message)]
struct UnixTime {
	#[prost(int64, optional, tag = "1")]
	seconds: Option<i64>,
	#[prost(fixed32, optional, tag = "2")]
	fractional_nanoseconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum DataType {
	Raw = 0,
	Directory = 1,
	File = 2,
	Metadata = 3,
	Symlink = 4,
	HamtShard = 5,
}

#[cfg(test)]
mod tests {
	use super::*;

	fn pb(data: Data, links: usize) -> Block {
		let links = (0..links)
			.map(|i| PbLink {
				cid: *Block::encode(Codec::Raw, vec![i as u8]).cid(),
				name: None,
				tsize: None,
			})
			.collect();
		let node = PbNode {
			links,
			data: Some(data.encode_to_vec().into()),
		};
		Block::encode(Codec::DagPb, node.encode())
	}

	fn file_data(filesize: Option<u64>, blocksizes: Vec<u64>) -> Data {
		Data {
			kind: Some(2),
			filesize,
			blocksizes,
			..Default::default()
		}
	}

	#[test]
	fn self_contradicting_files_are_refused() {
		assert!(Node::decode(&pb(file_data(Some(2), vec![1, 1]), 2)).is_ok());
		assert!(Node::decode(&pb(file_data(None, vec![1, 1]), 2)).is_ok());
		for wrong in [
			pb(file_data(Some(3), vec![1, 1]), 2),
			pb(file_data(Some(2), vec![1, 1]), 1),
			pb(file_data(Some(2), vec![1, 1]), 3),
			pb(file_data(None, vec![u64::MAX, 1]), 2),
			pb(
				Data {
					kind: None,
					..Default::default()
				},
				0,
			),
			pb(
				Data {
					kind: Some(4),
					data: Some(Bytes::from_static(b"\xff")),
					..Default::default()
				},
				0,
			),
			pb(
				Data {
					kind: Some(4),
					..Default::default()
				},
				1,
			),
			Block::encode(Codec::DagPb, &b""[..]),
			Block::encode(Codec::DagPb, &b"\x0a\x02\xff\xff"[..]),
		] {
			assert!(
				matches!(Node::decode(&wrong), Err(NodeError::NotUnixFs { .. })),
				"{wrong:?}"
			);
		}
		for code in [3, 6] {
			let block = pb(
				Data {
					kind: Some(code),
					..Default::default()
				},
				0,
			);
			assert_eq!(Node::decode(&block), Err(NodeError::UnknownType { code }));
		}
		assert_eq!(
			Node::decode(&pb(
				Data {
					kind: Some(5),
					..Default::default()
				},
				0
			)),
			Ok(Node::ShardedDirectory)
		);
	}

	#[test]
	fn unknown_codecs_are_refused() {
		let raw = Block::encode(Codec::Raw, &b"x"[..]);
		let under = |codec| Block::new(Cid::new_v1(codec, *raw.cid().hash()), raw.bytes().clone()).unwrap();
		// JSON, which is not dag-json.
		assert_eq!(
			Node::decode(&under(0x0200)),
			Err(NodeError::Codec(CodecError::Unsupported { code: 0x0200 }))
		);
		#[cfg(feature = "dag-cbor")]
		assert!(matches!(
			Node::decode(&under(0x71)),
			Err(NodeError::NotUnixFs { .. })
		));
	}
}
