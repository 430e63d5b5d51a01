//! The parts that frames are made of.

use super::{FrameError, Id, MAX_BLOCK, MAX_FRAME};
use bytes::Bytes;
use cairn_dag::{block::read_cid, varint, Cid};

/// What is still to be read of a frame.
pub struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
	pub fn new(frame: &'a [u8]) -> Result<Self, FrameError> {
		if frame.len() > MAX_FRAME {
			return Err(FrameError::TooLong { len: frame.len() });
		}
		Ok(Self(frame))
	}

	pub fn take(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
		let (taken, rest) = self.0.split_at_checked(len).ok_or(FrameError::Truncated)?;
		self.0 = rest;
		Ok(taken)
	}

	pub fn byte(&mut self) -> Result<u8, FrameError> {
		Ok(self.take(1)?[0])
	}

	pub fn number(&mut self) -> Result<u64, FrameError> {
		let (number, len) = varint::decode(self.0)?;
		self.0 = &self.0[len..];
		Ok(number)
	}

	pub fn id(&mut self) -> Result<Id, FrameError> {
		Id::try_from(self.number()?).map_err(|_| FrameError::Value { field: "number" })
	}

	/// A number of things, at least one.
	pub fn count(&mut self, field: &'static str, max: usize) -> Result<usize, FrameError> {
		usize::try_from(self.number()?)
			.ok()
			.filter(|count| (1..=max).contains(count))
			.ok_or(FrameError::Value { field })
	}

	pub fn cid(&mut self) -> Result<Cid, FrameError> {
		let (cid, len) = read_cid(self.0).ok_or(FrameError::Value { field: "CID" })?;
		self.0 = &self.0[len..];
		Ok(cid)
	}

	/// The rest, shared with the frame it is of.
	pub fn rest_of(&mut self, frame: &Bytes) -> Bytes {
		let rest = std::mem::take(&mut self.0);
		frame.slice(frame.len() - rest.len()..)
	}

	/// The size of a block and its first part.
	pub fn data(&mut self, frame: &Bytes) -> Result<(u32, Bytes), FrameError> {
		let size = self.number()?;
		let data = self.rest_of(frame);
		// An empty part of a block that is not empty would let frames come forever.
		if size > MAX_BLOCK as u64 || data.len() as u64 > size || (data.is_empty() && size > 0) {
			return Err(FrameError::Value { field: "size" });
		}
		Ok((size as u32, data))
	}

	pub fn end(&self) -> Result<(), FrameError> {
		if self.0.is_empty() {
			Ok(())
		} else {
			Err(FrameError::Trailing { len: self.0.len() })
		}
	}
}

pub fn frame(body: &[u8], out: &mut Vec<u8>) {
	frame_around(body, 0, out);
}

pub fn frame_around(head: &[u8], data: usize, out: &mut Vec<u8>) {
	varint::encode((head.len() + data) as u64, out);
	out.extend_from_slice(head);
}

/// Numbers must not run over.
pub fn last_id(id: Id, count: usize) -> Result<(), FrameError> {
	u32::try_from(count)
		.ok()
		.and_then(|count| id.checked_add(count))
		.map(|_| ())
		.ok_or(FrameError::Value { field: "number" })
}
