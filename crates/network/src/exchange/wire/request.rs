//! What a requester sends.

use super::{
	body::{frame, last_id, Body},
	tag, FrameError, Id, MAX_CIDS,
};
use cairn_dag::{varint, Cid};

/// What is wanted of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WantKind {
	/// The block, or the answer that there is none.
	Block,
	/// Whether there is one.
	Have,
}

/// Blocks in the order in which a walk comes to them; see [`walk`](super::walk).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
	/// The blocks that bytes of a UnixFS file need.
	Bytes {
		/// Root of the file.
		root: Cid,
		/// First byte.
		start: u64,
		/// Number of bytes, more than 0; as many as there are if there are fewer.
		len: u64,
	},
	/// Blocks of a dataset, and the nodes of its tree that lead to them.
	Leaves {
		/// Root of the tree.
		tree: Cid,
		/// First block.
		start: u64,
		/// Number of blocks, more than 0; as many as there are if there are fewer.
		len: u64,
	},
}

impl Range {
	/// The CID to look for providers of.
	pub fn root(&self) -> &Cid {
		match self {
			Self::Bytes { root, .. } | Self::Leaves { tree: root, .. } => root,
		}
	}
}

/// What a requester sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
	/// Wants blocks; the first has number `id`, the others those that follow.
	Want {
		/// Number of the first.
		id: Id,
		/// What is wanted of each.
		kind: WantKind,
		/// Which, between 1 and [`MAX_CIDS`].
		cids: Vec<Cid>,
	},
	/// Withdraws wants and walks.
	Cancel {
		/// Number of the first.
		id: Id,
		/// How many.
		count: u32,
	},
	/// Wants all blocks of a range, in order.
	Walk {
		/// Its number.
		id: Id,
		/// Which.
		range: Range,
	},
}

impl Request {
	/// Reads a frame: the bytes behind the length.
	///
	/// # Errors
	/// [`FrameError`].
	pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
		let mut body = Body::new(frame)?;
		let request = match body.byte()? {
			tag::WANT => {
				let id = body.id()?;
				let kind = match body.byte()? {
					0 => WantKind::Block,
					1 => WantKind::Have,
					_ => return Err(FrameError::Value { field: "kind" }),
				};
				let count = body.count("number of CIDs", MAX_CIDS)?;
				let cids = (0..count).map(|_| body.cid()).collect::<Result<_, _>>()?;
				last_id(id, count)?;
				Self::Want { id, kind, cids }
			}
			tag::CANCEL => {
				let id = body.id()?;
				let count = body.count("number of wants", Id::MAX as usize)?;
				last_id(id, count)?;
				Self::Cancel {
					id,
					count: count as u32,
				}
			}
			kind @ (tag::WALK_BYTES | tag::WALK_LEAVES) => {
				let id = body.id()?;
				let root = body.cid()?;
				let start = body.number()?;
				let len = body.number()?;
				if len == 0 {
					return Err(FrameError::Value { field: "length" });
				}
				let range = match kind {
					tag::WALK_BYTES => Range::Bytes { root, start, len },
					_ => Range::Leaves {
						tree: root,
						start,
						len,
					},
				};
				Self::Walk { id, range }
			}
			kind => return Err(FrameError::Type { kind }),
		};
		body.end()?;
		Ok(request)
	}

	/// Appends the frame with its length in front.
	pub fn encode(&self, out: &mut Vec<u8>) {
		let mut body = Vec::new();
		match self {
			Self::Want { id, kind, cids } => {
				body.push(tag::WANT);
				varint::encode((*id).into(), &mut body);
				body.push(match kind {
					WantKind::Block => 0,
					WantKind::Have => 1,
				});
				varint::encode(cids.len() as u64, &mut body);
				cids.iter().for_each(|cid| body.extend(cid.to_bytes()));
			}
			Self::Cancel { id, count } => {
				body.push(tag::CANCEL);
				varint::encode((*id).into(), &mut body);
				varint::encode((*count).into(), &mut body);
			}
			Self::Walk { id, range } => {
				let (kind, root, start, len) = match range {
					Range::Bytes { root, start, len } => (tag::WALK_BYTES, root, start, len),
					Range::Leaves { tree, start, len } => (tag::WALK_LEAVES, tree, start, len),
				};
				body.push(kind);
				varint::encode((*id).into(), &mut body);
				body.extend(root.to_bytes());
				varint::encode(*start, &mut body);
				varint::encode(*len, &mut body);
			}
		}
		frame(&body, out);
	}
}
