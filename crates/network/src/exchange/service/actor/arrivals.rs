//! Blocks that came to the store by other ways than the exchange: those that peers wait for are looked up.
//!
//! What peers wait for is bounded by their limits; what comes to a store is not. So a pass goes over the former, in the
//! order of the CIDs and a part at a time, one pass after the other.

use super::{Actor, Input};
use crate::{bitswap::wire::MAX_BLOCK as MAX_BITSWAP_BLOCK, blocks::BlockStore, exchange::wire::MAX_BLOCK};
use cairn_dag::{Cid, SourceError};
use std::collections::BTreeSet;

/// Blocks that are looked up before the actor hears of them.
const PART: usize = 1024;

/// The pass over the blocks that peers wait for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Pass {
	#[default]
	None,
	/// A part is being looked up.
	Running {
		/// Whether the store has changed since it began.
		again: bool,
	},
}

/// What was looked up of a part.
pub(in super::super) struct Arrived {
	/// Blocks that are here, and their bytes.
	found: Vec<(Cid, u64)>,
	/// The last block of the part.
	last: Cid,
	/// Why the store could not answer, if it could not.
	error: Option<SourceError>,
}

impl Actor {
	/// Blocks may have come to the store.
	pub(super) fn store_changed(&mut self) {
		// What is being looked up now may have been looked up too early, and waits for nothing yet.
		self.ledgers.look_again();
		match &mut self.pass {
			Pass::Running { again } => *again = true,
			Pass::None => self.go_on(None),
		}
	}

	/// A part was looked up.
	pub(super) fn arrived(&mut self, arrived: Arrived) {
		let Arrived { found, last, error } = arrived;
		if let Some(error) = error {
			tracing::warn!(%error, "a block that peers wait for could not be looked up");
		}
		// One that is too large to be sent never comes.
		let fitting = |most: usize| {
			let found = found.iter().filter(|(_, size)| *size <= most as u64);
			found.map(|(cid, _)| *cid).collect::<Vec<_>>()
		};
		self.server.announce(&fitting(MAX_BLOCK));
		self.ledgers.announce(&fitting(MAX_BITSWAP_BLOCK));
		self.go_on(Some(last));
	}

	/// Looks up the next part, after this block.
	fn go_on(&mut self, after: Option<Cid>) {
		let next = self.part(after);
		let again = match self.pass {
			Pass::Running { again } => again,
			Pass::None => false,
		};
		let (part, again) = match next.is_empty() && again {
			true => (self.part(None), false),
			false => (next, again),
		};
		let Some(last) = part.last().copied() else {
			self.pass = Pass::None;
			return;
		};
		self.pass = Pass::Running { again };
		let (inputs, store) = (self.inputs.clone(), self.shared.store.clone());
		tokio::task::spawn_blocking(move || {
			let _ = inputs.blocking_send(Input::Arrived(look_up(&*store, part, last)));
		});
	}

	/// The first blocks after this one that peers wait for.
	fn part(&self, after: Option<Cid>) -> BTreeSet<Cid> {
		let natively = self.server.awaited(after).take(PART);
		let in_bitswap = self.ledgers.awaited(after).take(PART);
		let both: BTreeSet<_> = natively.chain(in_bitswap).copied().collect();
		both.into_iter().take(PART).collect()
	}
}

/// Looks blocks up. Blocks the thread.
fn look_up(store: &dyn BlockStore, part: BTreeSet<Cid>, last: Cid) -> Arrived {
	let mut arrived = Arrived {
		found: Vec::new(),
		last,
		error: None,
	};
	for cid in part {
		match store.size(&cid) {
			Ok(Some(size)) => arrived.found.push((cid, size)),
			Ok(None) => {}
			Err(error) => arrived.error = Some(error),
		}
	}
	arrived
}
