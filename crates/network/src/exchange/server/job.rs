//! Pieces of work: reading the store for one stream.

use super::{client::Walking, watch::Wanted, StreamKey};
use crate::{
	blocks::BlockStore,
	exchange::{
		walk::{RangeError, RangeWalk},
		wire::{block_frames, Answer, Id, Response, WalkEnd, WantKind, MAX_ANSWERS, MAX_BLOCK},
	},
};
use bytes::Bytes;
use cairn_dag::SourceError;
use std::sync::Arc;

/// A piece of work.
pub struct Job {
	/// For which stream.
	pub stream: StreamKey,
	pub(super) wants: Vec<Wanted>,
	pub(super) later: Vec<Id>,
	pub(super) later_walks: Vec<Id>,
	pub(super) walk: Option<Walking>,
	pub(super) data: usize,
}

/// What a piece of work found.
pub struct Found {
	pub(super) stream: StreamKey,
	pub(super) answers: Vec<(Id, Answer)>,
	/// Wants whose blocks were found.
	pub(super) sent: Vec<Id>,
	/// Wants whose blocks are not here.
	pub(super) absent: Vec<Id>,
	pub(super) frames: Frames,
	/// Not looked up.
	pub(super) left: Vec<Wanted>,
	/// The walk it worked on, unless it has ended.
	pub(super) walk: Option<Walking>,
	pub(super) walk_ended: bool,
	blocks: usize,
	data: usize,
	/// Bytes of blocks that were read, also of those that are too large to be sent.
	pub(super) read: usize,
	pub(super) errors: Vec<SourceError>,
}

/// Frames to write: what stands before the data of a block, and the data.
pub type Frames = Vec<(Vec<u8>, Bytes)>;

impl Job {
	/// Looks wants up, or goes on with a walk. Blocks the thread.
	pub fn run(self, store: &Arc<dyn BlockStore>) -> Found {
		let mut found = Found {
			stream: self.stream,
			answers: self.later.iter().map(|id| (*id, Answer::Later)).collect(),
			sent: Vec::new(),
			absent: Vec::new(),
			frames: Frames::new(),
			left: Vec::new(),
			walk: None,
			walk_ended: false,
			blocks: 0,
			data: 0,
			read: 0,
			errors: Vec::new(),
		};
		for id in self.later_walks {
			found.push(&Response::WalkEnd {
				id,
				end: WalkEnd::Later,
			});
		}
		for wanted in self.wants {
			if found.read >= self.data {
				found.left.push(wanted);
				continue;
			}
			let Wanted { id, kind, cid, .. } = wanted;
			let has = match kind {
				WantKind::Have => store
					.size(&cid)
					.map(|size| size.is_some_and(|size| size <= MAX_BLOCK as u64)),
				WantKind::Block => store.get(&cid).map(|block| {
					block.is_some_and(|block| {
						let len = block.data().len();
						found.read += len;
						if len > MAX_BLOCK {
							return false;
						}
						found.blocks += 1;
						found.data += len;
						found.frames.extend(block_frames(id, &block, false));
						true
					})
				}),
			};
			match has {
				Ok(true) if kind == WantKind::Have => found.answers.push((id, Answer::Have)),
				Ok(true) => found.sent.push(id),
				Ok(false) => found.absent.push(id),
				Err(error) => {
					found.errors.push(error);
					found.absent.push(id);
				}
			}
		}
		if let Some(walking) = self.walk {
			found.go_on(walking, store, self.data);
		}
		found
	}
}

impl Found {
	/// For which stream.
	pub fn stream(&self) -> StreamKey {
		self.stream
	}

	/// Blocks found, and their bytes.
	pub fn blocks(&self) -> (usize, usize) {
		(self.blocks, self.data)
	}

	fn push(&mut self, response: &Response) {
		let mut frame = Vec::new();
		response.encode(&mut frame);
		self.frames.push((frame, Bytes::new()));
	}

	/// Sends the next blocks of a walk.
	fn go_on(&mut self, mut walking: Walking, store: &Arc<dyn BlockStore>, data: usize) {
		let walk = walking
			.walk
			.get_or_insert_with(|| Box::new(RangeWalk::new(store.clone(), &walking.range)));
		let end = loop {
			if self.data >= data {
				self.walk = Some(walking);
				return;
			}
			match walk.next() {
				Some(Ok(block)) if block.data().len() <= MAX_BLOCK => {
					// A walk over tiny blocks ends its turn, too.
					self.data += block.data().len().max(64);
					self.blocks += 1;
					self.frames.extend(block_frames(walking.id, &block, true));
				}
				Some(Ok(_)) => break WalkEnd::Unusable,
				None => break WalkEnd::Done,
				Some(Err(RangeError::Missing { cid })) => break WalkEnd::Missing(cid),
				Some(Err(RangeError::TooLong)) => break WalkEnd::Later,
				Some(Err(RangeError::Unusable { .. })) => break WalkEnd::Unusable,
				Some(Err(RangeError::Source(error))) => {
					self.errors.push(error);
					break WalkEnd::Later;
				}
			}
		};
		self.walk_ended = true;
		self.push(&Response::WalkEnd { id: walking.id, end });
	}
}

/// Answers as frames, with as many in a row as possible.
pub(super) fn answer_frames(mut answers: Vec<(Id, Answer)>) -> Frames {
	/// Numbers left out for which a new frame is begun.
	const GAP: Id = 64;
	answers.sort_unstable_by_key(|(id, _)| *id);
	let mut frames = Frames::new();
	let mut run: Option<(Id, Vec<Option<Answer>>)> = None;
	let mut push = |run: Option<(Id, Vec<Option<Answer>>)>| {
		if let Some((id, answers)) = run {
			let mut frame = Vec::new();
			Response::Answers { id, answers }.encode(&mut frame);
			frames.push((frame, Bytes::new()));
		}
	};
	for (id, answer) in answers {
		match &mut run {
			Some((first, run))
				if id - *first < MAX_ANSWERS as Id && id - *first - (run.len() as Id) < GAP =>
			{
				run.resize((id - *first) as usize, None);
				run.push(Some(answer));
			}
			_ => push(run.replace((id, vec![Some(answer)]))),
		}
	}
	push(run);
	frames
}
