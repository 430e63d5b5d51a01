//! Blocks out of the frames of a native stream.

use super::native::StreamError;
use crate::exchange::{
	framing::Share,
	wire::{Answer, CloseReason, Id, Response, WalkEnd},
};
use bytes::{Bytes, BytesMut};
use cairn_dag::Cid;

/// Puts the frames of blocks together.
///
/// A block that is not complete keeps no share of the memory for receiving, else many such blocks could
/// keep each other from being completed; a stream has one at most.
#[derive(Default)]
pub(super) struct Assembly {
	begun: Option<Begun>,
}

struct Begun {
	id: Id,
	/// The CID of a walk's block.
	cid: Option<Cid>,
	size: usize,
	data: BytesMut,
}

/// What a frame completed.
pub(super) enum Assembled {
	/// Nothing yet.
	Pending,
	/// The block of a want.
	Block { id: Id, data: Bytes, share: Share },
	/// Answers without blocks.
	Answers { id: Id, answers: Vec<Option<Answer>> },
	/// The next block of a walk.
	WalkBlock {
		id: Id,
		cid: Cid,
		data: Bytes,
		share: Share,
	},
	/// The end of a walk.
	WalkEnd { id: Id, end: WalkEnd },
	/// The peer closes the stream.
	Close { reason: CloseReason, text: String },
}

impl Assembly {
	/// Whether a block is not complete.
	pub fn is_begun(&self) -> bool {
		self.begun.is_some()
	}

	/// Takes the next frame of a stream.
	pub fn push(&mut self, frame: &Bytes, share: Share) -> Result<Assembled, StreamError> {
		let (id, cid, size, data) = match Response::decode(frame)? {
			Response::More { data } => {
				let mut begun = self.begun.take().ok_or(StreamError::OutOfPlace)?;
				if begun.data.len() + data.len() > begun.size {
					return Err(StreamError::OutOfPlace);
				}
				begun.data.extend_from_slice(&data);
				if begun.data.len() < begun.size {
					self.begun = Some(begun);
					return Ok(Assembled::Pending);
				}
				return Ok(whole(begun.id, begun.cid, begun.data.freeze(), share));
			}
			// Nothing may come between the frames of a block.
			_ if self.begun.is_some() => return Err(StreamError::OutOfPlace),
			Response::Block { id, size, data } => (id, None, size as usize, data),
			Response::WalkBlock { id, cid, size, data } => (id, Some(cid), size as usize, data),
			Response::Answers { id, answers } => return Ok(Assembled::Answers { id, answers }),
			Response::WalkEnd { id, end } => return Ok(Assembled::WalkEnd { id, end }),
			Response::Close { reason, text } => return Ok(Assembled::Close { reason, text }),
		};
		if data.len() == size {
			return Ok(whole(id, cid, data, share));
		}
		let mut begun = Begun {
			id,
			cid,
			size,
			data: BytesMut::with_capacity(data.len() * 2),
		};
		begun.data.extend_from_slice(&data);
		self.begun = Some(begun);
		Ok(Assembled::Pending)
	}
}

fn whole(id: Id, cid: Option<Cid>, data: Bytes, share: Share) -> Assembled {
	match cid {
		Some(cid) => Assembled::WalkBlock { id, cid, data, share },
		None => Assembled::Block { id, data, share },
	}
}
