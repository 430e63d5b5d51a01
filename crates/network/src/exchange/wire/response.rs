//! What a server sends.

use super::{
	body::{frame_around, last_id, Body},
	tag, FrameError, Id, MAX_ANSWERS, MAX_DATA, MAX_TEXT,
};
use bytes::Bytes;
use cairn_dag::{varint, Block, Cid};

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
