//! What was asked on a native stream.

use crate::exchange::wire::{Answer, Id};
use cairn_dag::Cid;
use std::{
	collections::BTreeMap,
	sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Numbers of withdrawn asks that are remembered, for answers that cross the withdrawal.
const WITHDRAWN: usize = 8192;

/// What was asked on a stream: shared by the actor, which asks, and the stream's reader.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<AskedInner>>);

#[derive(Debug, Default)]
struct AskedInner {
	/// The block of each ask, and whether it was withdrawn.
	asks: BTreeMap<Id, (Cid, bool)>,
	withdrawn: usize,
	/// Withdrawn asks below this number are forgotten.
	forgotten: Id,
}

/// Whether an answer was asked for.
pub(super) enum AskedFor {
	Yes(Cid),
	/// Not any more.
	Late,
	Never,
}

impl Asked {
	fn inner(&self) -> MutexGuard<'_, AskedInner> {
		// Nothing panics while it is held, and a map would be whole even then.
		self.0.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Something was asked.
	pub fn ask(&self, id: Id, cid: Cid) {
		self.inner().asks.insert(id, (cid, false));
	}

	/// It was withdrawn.
	pub fn withdraw(&self, id: Id) {
		let mut inner = self.inner();
		let Some((_, withdrawn)) = inner.asks.get_mut(&id) else {
			return;
		};
		if !std::mem::replace(withdrawn, true) {
			inner.withdrawn += 1;
		}
		if inner.withdrawn > WITHDRAWN {
			let oldest = inner
				.asks
				.iter()
				.find(|(_, (_, withdrawn))| *withdrawn)
				.map(|(id, _)| *id);
			if let Some(oldest) = oldest {
				inner.asks.remove(&oldest);
				inner.withdrawn -= 1;
				inner.forgotten = oldest + 1;
			}
		}
	}

	/// An answer came, after which no other may, except that "have" may follow "don't have".
	pub fn answered(&self, id: Id, answer: Option<Answer>) -> AskedFor {
		let mut inner = self.inner();
		if answer == Some(Answer::DontHave) {
			if let Some((cid, false)) = inner.asks.get(&id) {
				return AskedFor::Yes(*cid);
			}
		}
		match inner.asks.remove(&id) {
			Some((cid, false)) => AskedFor::Yes(cid),
			Some((_, true)) => {
				inner.withdrawn -= 1;
				AskedFor::Late
			}
			None if id < inner.forgotten => AskedFor::Late,
			None => AskedFor::Never,
		}
	}
}
