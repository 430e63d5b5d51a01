//! One peer and its streams.

use super::{watch::Wanted, JOBS_PER_STREAM};
use crate::{
	blocks::BlockStore,
	exchange::{
		walk::RangeWalk,
		wire::{Id, Range, WantKind},
	},
};
use std::{
	collections::{BTreeMap, VecDeque},
	sync::Arc,
};

/// One peer.
#[derive(Default)]
pub struct Client {
	pub streams: BTreeMap<u64, Stream>,
	pub wants: usize,
	pub walks: usize,
	/// The stream that had a turn last.
	pub last: u64,
}

impl Client {
	/// The next stream with work after the one that had the last turn.
	pub fn next_stream(&mut self) -> Option<(u64, &mut Stream)> {
		let later = self.streams.range(self.last + 1..);
		let mut all = later.chain(self.streams.range(..=self.last));
		let number = *all.find(|(_, stream)| stream.has_work())?.0;
		self.last = number;
		self.streams.get_mut(&number).map(|stream| (number, stream))
	}

	pub fn has_work(&self) -> bool {
		self.streams.values().any(Stream::has_work)
	}
}

/// One stream of a peer.
#[derive(Default)]
pub struct Stream {
	pub last_id: Option<Id>,
	/// Wants for blocks.
	blocks: VecDeque<Wanted>,
	/// Wants to know whether there is a block. They are answered first: it takes little, and what else the peer
	/// does depends on it.
	questions: VecDeque<Wanted>,
	/// Wants and walks beyond the limits, to be answered "later".
	pub later: Vec<Id>,
	pub later_walks: Vec<Id>,
	pub walks: VecDeque<Walking>,
	/// Cancellations since the last want or walk. Each looks at all that waits.
	pub cancellations: usize,
	/// The walk that a job works on, and whether it was cancelled since.
	pub in_job: Option<(Id, bool)>,
	pub jobs: usize,
	/// Whether the last job was a walk's: wants and walks take turns.
	pub walked: bool,
}

/// A walk, and where it stands.
pub struct Walking {
	pub id: Id,
	pub range: Range,
	/// `None` before its first block.
	pub walk: Option<Box<RangeWalk<Arc<dyn BlockStore>>>>,
}

impl Stream {
	pub fn has_work(&self) -> bool {
		self.jobs < JOBS_PER_STREAM && (self.can_answer() || self.can_walk())
	}

	/// Wants that wait.
	pub fn wants(&self) -> usize {
		self.blocks.len() + self.questions.len()
	}

	/// A want is to be looked up after the others.
	pub fn push(&mut self, wanted: Wanted) {
		self.queue(wanted.kind).push_back(wanted);
	}

	/// A want is to be looked up before the others.
	pub fn put_back(&mut self, wanted: Wanted) {
		self.queue(wanted.kind).push_front(wanted);
	}

	/// The next wants to look up.
	pub fn take(&mut self, most: usize) -> Vec<Wanted> {
		let questions = self.questions.len().min(most);
		let blocks = self.blocks.len().min(most - questions);
		let questions = self.questions.drain(..questions);
		questions.chain(self.blocks.drain(..blocks)).collect()
	}

	/// Withdraws wants. How many there were.
	pub fn withdraw(&mut self, is_withdrawn: impl Fn(Id) -> bool) -> usize {
		let before = self.wants();
		self.blocks.retain(|want| !is_withdrawn(want.id));
		self.questions.retain(|want| !is_withdrawn(want.id));
		before - self.wants()
	}

	fn queue(&mut self, kind: WantKind) -> &mut VecDeque<Wanted> {
		match kind {
			WantKind::Block => &mut self.blocks,
			WantKind::Have => &mut self.questions,
		}
	}

	pub fn can_answer(&self) -> bool {
		self.wants() > 0 || !self.later.is_empty() || !self.later_walks.is_empty()
	}

	pub fn can_walk(&self) -> bool {
		!self.walks.is_empty() && self.in_job.is_none()
	}
}
