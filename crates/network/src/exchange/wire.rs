//! Frames of the native exchange as bytes: `docs/src/exchange.md` is the specification.
//!
//! A stream carries the requests of the peer that opened it one way and their answers the other way,
//! each a frame: its length as a varint, one byte of type, the body. [`Request::decode`] and
//! [`Response::decode`] are pure functions of hostile bytes, and make at most a small multiple of them.

use bytes::Bytes;
use cairn_dag::{block::read_cid, varint, Block, Cid};
use libp2p::StreamProtocol;

/// Name of the protocol.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/cairn/exchange/1");

/// Largest frame in bytes, without the length in front: 1 MiB.
pub const MAX_FRAME: usize = 1 << 20;

/// Largest block in bytes: 4 MiB. It takes several frames.
pub const MAX_BLOCK: usize = 4 << 20;

/// Most CIDs of one [`Request::Want`].
pub const MAX_CIDS: usize = 1024;

/// Most answers of one [`Response::Answers`].
pub const MAX_ANSWERS: usize = 1024;

/// Data of a block in one frame: leaves room for what stands in front of it.
const MAX_DATA: usize = MAX_FRAME - 256;

/// Most bytes of the text of a [`Response::Close`].
const MAX_TEXT: usize = 256;

/// Number of a want or walk, chosen by the requester. Each is larger than all before on the stream.
pub type Id = u32;

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

/// An answer without a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
	/// The server has the block.
	Have,
	/// The server does not have it.
	DontHave,
	/// The server has too much to do; asking again later may help.
	Later,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WalkEnd {
	/// All blocks were sent.
	Done,
	/// The server does not have the next block.
	Missing(Cid),
	/// The server has too much to do; asking again for what is missing may help.
	Later,
	/// A block is not what the walk needs: not of a dataset, or contradicting another.
	Unusable,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
	/// The block of a want, or its first part.
	Block {
		/// Number of the want.
		id: Id,
		/// Bytes of the whole block.
		size: u32,
		/// The first of them; the others follow in frames [`Response::More`].
		data: Bytes,
	},
	/// Further bytes of the block that was begun last.
	More {
		/// They.
		data: Bytes,
	},
	/// Answers to wants with consecutive numbers; `None` is no answer yet.
	Answers {
		/// Number of the first.
		id: Id,
		/// One per want, at most [`MAX_ANSWERS`].
		answers: Vec<Option<Answer>>,
	},
	/// The next block of a walk, or its first part.
	WalkBlock {
		/// Number of the walk.
		id: Id,
		/// The block's CID.
		cid: Cid,
		/// Bytes of the whole block.
		size: u32,
		/// The first of them.
		data: Bytes,
	},
	/// The end of a walk.
	WalkEnd {
		/// Number of the walk.
		id: Id,
		/// How it ended.
		end: WalkEnd,
	},
	/// The server closes the stream, and why.
	Close {
		/// The reason.
		reason: CloseReason,
		/// For people.
		text: String,
	},
}

/// Why a server closes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
	/// A frame was malformed.
	Malformed,
	/// Requests broke a rule, such as a number used twice.
	Violation,
	/// The server stops.
	Stopping,
	/// A reason that is not known here.
	Other(u8),
}

mod tag {
	pub const WANT: u8 = 0x01;
	pub const CANCEL: u8 = 0x02;
	pub const WALK_BYTES: u8 = 0x03;
	pub const WALK_LEAVES: u8 = 0x04;
	pub const BLOCK: u8 = 0x10;
	pub const MORE: u8 = 0x11;
	pub const ANSWERS: u8 = 0x12;
	pub const WALK_BLOCK: u8 = 0x13;
	pub const WALK_END: u8 = 0x14;
	pub const CLOSE: u8 = 0x1f;
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

impl Response {
	/// Reads a frame: the bytes behind the length. Data of blocks shares its memory.
	///
	/// # Errors
	/// [`FrameError`].
	pub fn decode(frame: &Bytes) -> Result<Self, FrameError> {
		let mut body = Body::new(frame)?;
		Ok(match body.byte()? {
			tag::BLOCK => {
				let id = body.id()?;
				let (size, data) = body.data(frame)?;
				Self::Block { id, size, data }
			}
			tag::MORE => {
				let data = body.rest_of(frame);
				if data.is_empty() {
					return Err(FrameError::Value { field: "data" });
				}
				Self::More { data }
			}
			tag::ANSWERS => {
				let id = body.id()?;
				let count = body.count("number of answers", MAX_ANSWERS)?;
				last_id(id, count)?;
				let codes = body.take(count.div_ceil(4))?;
				let mut answers = Vec::with_capacity(count);
				for place in 0..codes.len() * 4 {
					let answer = match codes[place / 4] >> (place % 4 * 2) & 3 {
						0 => None,
						1 => Some(Answer::Have),
						2 => Some(Answer::DontHave),
						_ => Some(Answer::Later),
					};
					if place < count {
						answers.push(answer);
					} else if answer.is_some() {
						return Err(FrameError::Value { field: "answers" });
					}
				}
				body.end()?;
				Self::Answers { id, answers }
			}
			tag::WALK_BLOCK => {
				let id = body.id()?;
				let cid = body.cid()?;
				let (size, data) = body.data(frame)?;
				Self::WalkBlock { id, cid, size, data }
			}
			tag::WALK_END => {
				let id = body.id()?;
				let end = match body.byte()? {
					0 => WalkEnd::Done,
					1 => WalkEnd::Missing(body.cid()?),
					2 => WalkEnd::Later,
					3 => WalkEnd::Unusable,
					_ => return Err(FrameError::Value { field: "end" }),
				};
				body.end()?;
				Self::WalkEnd { id, end }
			}
			tag::CLOSE => {
				let reason = match body.byte()? {
					1 => CloseReason::Malformed,
					2 => CloseReason::Violation,
					3 => CloseReason::Stopping,
					code => CloseReason::Other(code),
				};
				let text = body.rest_of(frame);
				if text.len() > MAX_TEXT {
					return Err(FrameError::Value { field: "text" });
				}
				// What stands for bytes that are no text is longer than they.
				let mut text = String::from_utf8_lossy(&text).into_owned();
				text.truncate(text.floor_char_boundary(MAX_TEXT));
				Self::Close { reason, text }
			}
			kind => return Err(FrameError::Type { kind }),
		})
	}

	/// Appends the frame with its length in front.
	pub fn encode(&self, out: &mut Vec<u8>) {
		let (head, data) = self.parts();
		frame_around(&head, data.map_or(0, Bytes::len), out);
		out.extend_from_slice(data.map_or(&[], |data| data));
	}

	/// The body before the data, and the data.
	fn parts(&self) -> (Vec<u8>, Option<&Bytes>) {
		let mut head = Vec::new();
		let mut begin = |tag: u8, id: Id| {
			head.push(tag);
			varint::encode(id.into(), &mut head);
		};
		let data = match self {
			Self::Block { id, size, data } => {
				begin(tag::BLOCK, *id);
				varint::encode((*size).into(), &mut head);
				Some(data)
			}
			Self::More { data } => {
				head.push(tag::MORE);
				Some(data)
			}
			Self::Answers { id, answers } => {
				begin(tag::ANSWERS, *id);
				varint::encode(answers.len() as u64, &mut head);
				for four in answers.chunks(4) {
					head.push(four.iter().rev().fold(0, |byte, answer| {
						byte << 2
							| match answer {
								None => 0,
								Some(Answer::Have) => 1,
								Some(Answer::DontHave) => 2,
								Some(Answer::Later) => 3,
							}
					}));
				}
				None
			}
			Self::WalkBlock { id, cid, size, data } => {
				begin(tag::WALK_BLOCK, *id);
				head.extend(cid.to_bytes());
				varint::encode((*size).into(), &mut head);
				Some(data)
			}
			Self::WalkEnd { id, end } => {
				begin(tag::WALK_END, *id);
				let (code, cid) = match end {
					WalkEnd::Done => (0, None),
					WalkEnd::Missing(cid) => (1, Some(cid)),
					WalkEnd::Later => (2, None),
					WalkEnd::Unusable => (3, None),
				};
				head.push(code);
				head.extend(cid.map(Cid::to_bytes).unwrap_or_default());
				None
			}
			Self::Close { reason, text } => {
				head.push(tag::CLOSE);
				head.push(match reason {
					CloseReason::Malformed => 1,
					CloseReason::Violation => 2,
					CloseReason::Stopping => 3,
					CloseReason::Other(code) => *code,
				});
				head.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(MAX_TEXT)]);
				None
			}
		};
		(head, data)
	}
}

/// The frames of a block, each what stands before its data and the data, which is shared with the
/// block: the answer to want `id`, or the next block of walk `id`.
pub fn block_frames(id: Id, block: &Block, in_walk: bool) -> Vec<(Vec<u8>, Bytes)> {
	let bytes = block.bytes();
	let size = bytes.len() as u32;
	let first = bytes.slice(..bytes.len().min(MAX_DATA));
	let mut frames = Vec::with_capacity(1);
	let mut sent = first.len();
	let mut push = |response: Response| {
		let mut out = Vec::new();
		if let (head, Some(data)) = response.parts() {
			frame_around(&head, data.len(), &mut out);
			frames.push((out, data.clone()));
		}
	};
	push(if in_walk {
		Response::WalkBlock {
			id,
			cid: *block.cid(),
			size,
			data: first,
		}
	} else {
		Response::Block {
			id,
			size,
			data: first,
		}
	});
	while sent < bytes.len() {
		let data = bytes.slice(sent..bytes.len().min(sent + MAX_DATA));
		sent += data.len();
		push(Response::More { data });
	}
	frames
}

fn frame(body: &[u8], out: &mut Vec<u8>) {
	frame_around(body, 0, out);
}

fn frame_around(head: &[u8], data: usize, out: &mut Vec<u8>) {
	varint::encode((head.len() + data) as u64, out);
	out.extend_from_slice(head);
}

/// Numbers must not run over.
fn last_id(id: Id, count: usize) -> Result<(), FrameError> {
	u32::try_from(count)
		.ok()
		.and_then(|count| id.checked_add(count))
		.map(|_| ())
		.ok_or(FrameError::Value { field: "number" })
}

/// What is still to be read of a frame.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
	fn new(frame: &'a [u8]) -> Result<Self, FrameError> {
		if frame.len() > MAX_FRAME {
			return Err(FrameError::TooLong { len: frame.len() });
		}
		Ok(Self(frame))
	}

	fn take(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
		let (taken, rest) = self.0.split_at_checked(len).ok_or(FrameError::Truncated)?;
		self.0 = rest;
		Ok(taken)
	}

	fn byte(&mut self) -> Result<u8, FrameError> {
		Ok(self.take(1)?[0])
	}

	fn number(&mut self) -> Result<u64, FrameError> {
		let (number, len) = varint::decode(self.0)?;
		self.0 = &self.0[len..];
		Ok(number)
	}

	fn id(&mut self) -> Result<Id, FrameError> {
		Id::try_from(self.number()?).map_err(|_| FrameError::Value { field: "number" })
	}

	/// A number of things, at least one.
	fn count(&mut self, field: &'static str, max: usize) -> Result<usize, FrameError> {
		usize::try_from(self.number()?)
			.ok()
			.filter(|count| (1..=max).contains(count))
			.ok_or(FrameError::Value { field })
	}

	fn cid(&mut self) -> Result<Cid, FrameError> {
		let (cid, len) = read_cid(self.0).ok_or(FrameError::Value { field: "CID" })?;
		self.0 = &self.0[len..];
		Ok(cid)
	}

	/// The rest, shared with the frame it is of.
	fn rest_of(&mut self, frame: &Bytes) -> Bytes {
		let rest = std::mem::take(&mut self.0);
		frame.slice(frame.len() - rest.len()..)
	}

	/// The size of a block and its first part.
	fn data(&mut self, frame: &Bytes) -> Result<(u32, Bytes), FrameError> {
		let size = self.number()?;
		let data = self.rest_of(frame);
		// An empty part of a block that is not empty would let frames come forever.
		if size > MAX_BLOCK as u64 || data.len() as u64 > size || (data.is_empty() && size > 0) {
			return Err(FrameError::Value { field: "size" });
		}
		Ok((size as u32, data))
	}

	fn end(&self) -> Result<(), FrameError> {
		if self.0.is_empty() {
			Ok(())
		} else {
			Err(FrameError::Trailing { len: self.0.len() })
		}
	}
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
	/// Longer than [`MAX_FRAME`].
	#[error("the frame has {len} bytes, the limit is {MAX_FRAME}")]
	TooLong {
		/// Its bytes.
		len: usize,
	},
	/// It ends before what it must hold.
	#[error("the frame is cut off")]
	Truncated,
	/// An integer is malformed.
	#[error("the frame has a malformed integer: {0}")]
	Integer(#[from] varint::VarintError),
	/// A type of frame that this direction does not have.
	#[error("unknown type of frame {kind:#04x}")]
	Type {
		/// The type.
		kind: u8,
	},
	/// A field has a value that it may not have.
	#[error("the frame's {field} is not allowed")]
	Value {
		/// Which field.
		field: &'static str,
	},
	/// Bytes after the end.
	#[error("{len} bytes follow the end of the frame")]
	Trailing {
		/// How many.
		len: usize,
	},
}

#[cfg(test)]
mod tests;
