//! Sections recognised by their form.

use crate::{file::MAX_HEAD, read_at::ReadAt};
use cairn_dag::{read_cid, varint, Block, BlockError, HashFunction};
use cid::Cid;
use std::io;

/// Bytes searched at a time.
const WINDOW: usize = 256 * 1024;

/// Bytes that may be hashed in vain for each byte of the archive, and in any case.
const EFFORT: (u64, u64) = (16, 64 << 20);

/// What stands at a position.
pub(super) enum At {
	/// A section whose data matches its CID, up to `end`.
	Block { block: Block, end: u64 },
	/// A section whose data does not.
	Mismatch { error: BlockError, end: u64 },
	/// The head of a section that reaches beyond the archive's end.
	Truncated { cid: Cid },
	/// Zeros up to `end`.
	Zeros { end: u64 },
	/// No section.
	Nothing,
}

/// A section's length and CID.
struct Head {
	cid: Cid,
	/// Bytes of both.
	len: u64,
	/// Bytes of the section.
	section: u64,
}

impl Head {
	/// Whether data that matches the CID leaves no doubt that this is a section, wherever it stands: short
	/// identity CIDs are everywhere.
	fn proves_itself(&self) -> bool {
		let hash = self.cid.hash();
		HashFunction::from_code(hash.code())
			.is_some_and(|function| function.digest_len() == hash.digest().len())
	}
}

/// Reads sections at any position.
pub(super) struct Scanner<'a, R: ?Sized> {
	source: &'a R,
	size: u64,
	max_section: u64,
	/// Bytes that may still be hashed in vain.
	effort: u64,
	window: Vec<u8>,
}

impl<'a, R: ReadAt + ?Sized> Scanner<'a, R> {
	pub(super) fn new(source: &'a R, size: u64, max_section: u64) -> Self {
		Self {
			source,
			size,
			max_section,
			effort: size.saturating_mul(EFFORT.0).saturating_add(EFFORT.1),
			window: Vec::new(),
		}
	}

	/// Whether no more may be hashed in vain.
	pub(super) fn is_exhausted(&self) -> bool {
		self.effort == 0
	}

	/// What stands at `offset`, which lies before the end.
	pub(super) fn at(&mut self, offset: u64) -> io::Result<At> {
		let mut bytes = [0; MAX_HEAD];
		let len = (self.size - offset).min(MAX_HEAD as u64) as usize;
		self.source.read_exact_at(&mut bytes[..len], offset)?;
		if bytes[0] == 0 {
			let end = self.zeros(offset)?;
			return Ok(At::Zeros { end });
		}
		match self.head(&bytes[..len]) {
			None => Ok(At::Nothing),
			Some(head) if head.section > self.size - offset => Ok(At::Truncated { cid: head.cid }),
			Some(head) => self.check(offset, &head),
		}
	}

	/// Whether a block stands at `offset`, which lies before the end.
	pub(super) fn is_block(&mut self, offset: u64) -> io::Result<bool> {
		Ok(matches!(self.at(offset)?, At::Block { .. }))
	}

	/// The first position from `from` up to `to` where a block stands.
	pub(super) fn search(&mut self, from: u64, to: u64) -> io::Result<Option<u64>> {
		let mut start = from;
		let mut window = std::mem::take(&mut self.window);
		let mut found = None;
		while start < to && found.is_none() && !self.is_exhausted() {
			let positions = (to - start).min(WINDOW as u64) as usize;
			let len = (self.size - start).min((positions + MAX_HEAD) as u64) as usize;
			window.resize(len, 0);
			self.source.read_exact_at(&mut window, start)?;
			for position in 0..positions {
				let offset = start + position as u64;
				let head = match self.head(&window[position..]) {
					Some(head) if head.proves_itself() && head.section <= self.size - offset => head,
					_ => continue,
				};
				if let At::Block { .. } = self.check(offset, &head)? {
					found = Some(offset);
					break;
				}
				if self.is_exhausted() {
					break;
				}
			}
			start += positions as u64;
		}
		self.window = window;
		Ok(found)
	}

	/// A section's head at the start of `bytes`.
	fn head(&self, bytes: &[u8]) -> Option<Head> {
		// Nearly all positions of a search end here.
		let len_len = 1 + bytes
			.iter()
			.take(varint::MAX_LEN)
			.position(|byte| *byte < 0x80)?;
		if !matches!(bytes.get(len_len), Some(0x01 | 0x12)) {
			return None;
		}
		let (section, _) = varint::decode(&bytes[..len_len]).ok()?;
		if section > self.max_section {
			return None;
		}
		let rest = &bytes[len_len..];
		let within = usize::try_from(section).map_or(rest.len(), |section| section.min(rest.len()));
		let (cid, cid_len) = read_cid(&rest[..within])?;
		Some(Head {
			cid,
			len: (len_len + cid_len) as u64,
			section: len_len as u64 + section,
		})
	}

	/// Compares a section's data, which lies in the archive, with its CID.
	fn check(&mut self, offset: u64, head: &Head) -> io::Result<At> {
		let end = offset + head.section;
		// Fits: the section was compared with the limit for memory.
		let mut data = vec![0; (head.section - head.len) as usize];
		self.source.read_exact_at(&mut data, offset + head.len)?;
		match Block::new(head.cid, data) {
			Ok(block) => Ok(At::Block { block, end }),
			Err(error) => {
				self.effort = self.effort.saturating_sub(head.section);
				Ok(At::Mismatch { error, end })
			}
		}
	}

	/// Where the zeros from `offset` on end.
	fn zeros(&mut self, offset: u64) -> io::Result<u64> {
		let mut position = offset;
		while position < self.size {
			self.window
				.resize((self.size - position).min(WINDOW as u64) as usize, 0);
			self.source.read_exact_at(&mut self.window, position)?;
			if let Some(at) = self.window.iter().position(|byte| *byte != 0) {
				return Ok(position + at as u64);
			}
			position += self.window.len() as u64;
		}
		Ok(self.size)
	}
}
