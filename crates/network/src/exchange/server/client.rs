//! One peer and its streams.

use super::{watch::Wanted, JOBS_PER_STREAM};
use crate::{
	blocks::BlockStore,
	exchange::{
		walk::RangeWalk,
		wire::{Id, Range},
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
	pub wants: VecDeque<Wanted>,
	/// Wants and walks beyond the limits, to be answered "later".
	pub later: Vec<Id>,
	pub later_walks: Vec<Id>,
	pub walks: VecDeque<Walking>,
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

	pub fn can_answer(&self) -> bool {
		!self.wants.is_empty() || !self.later.is_empty() || !self.later_walks.is_empty()
	}

	pub fn can_walk(&self) -> bool {
		!self.walks.is_empty() && self.in_job.is_none()
	}
}
