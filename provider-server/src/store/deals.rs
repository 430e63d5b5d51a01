//! Deals in the database.

use super::{
	decode, find,
	tables::{CLOSED_DEALS, DEALS},
	Store, StoreError,
};
use crate::deal::{Deal, DealEvent, ProposalHash};
use codec::Encode;
use redb::{ReadableTable, WriteTransaction};
use std::{ops::Bound, sync::atomic::Ordering};

/// Some deals, in the order of their hashes.
#[derive(Clone, Debug)]
pub struct Page {
	/// The deals.
	pub deals: Vec<(ProposalHash, Deal)>,
	/// Whether there are more.
	pub more: bool,
}

impl Store {
	/// Adds a deal unless there is one of that hash; gives the one that is stored then.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn insert_deal(&self, hash: &ProposalHash, deal: &Deal) -> Result<Deal, StoreError> {
		let write = self.write()?;
		let existing = get(&write, hash)?;
		if let Some(existing) = existing {
			return Ok(existing);
		}
		write.open_table(DEALS)?.insert(hash, deal.encode().as_slice())?;
		self.commit(write, deal.needs_piece())?;
		Ok(deal.clone())
	}

	/// Replaces a deal in a final state (its client tries again) by a fresh one.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn reopen_deal(&self, hash: &ProposalHash, deal: &Deal) -> Result<(), StoreError> {
		let write = self.write()?;
		write.open_table(CLOSED_DEALS)?.remove(hash)?;
		write.open_table(DEALS)?.insert(hash, deal.encode().as_slice())?;
		self.commit(write, deal.needs_piece())
	}

	/// A deal, open or closed.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn deal(&self, hash: &ProposalHash) -> Result<Option<Deal>, StoreError> {
		let read = self.read()?;
		let (open, closed) = (read.open_table(DEALS)?, read.open_table(CLOSED_DEALS)?);
		find([("deals", open), ("closed_deals", closed)], &hash)
	}

	/// Every deal that something can still happen to.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn open_deals(&self) -> Result<Vec<(ProposalHash, Deal)>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(DEALS)?;
		let mut deals = Vec::new();
		for entry in table.iter()? {
			let (hash, bytes) = entry?;
			deals.push((*hash.value(), decode("deals", bytes.value())?));
		}
		Ok(deals)
	}

	/// At most `limit` deals, open and closed, after `after`.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn list_deals(&self, after: Option<ProposalHash>, limit: usize) -> Result<Page, StoreError> {
		let read = self.read()?;
		let start = match &after {
			Some(hash) => Bound::Excluded(hash),
			None => Bound::Unbounded,
		};
		let mut deals: Vec<(ProposalHash, Deal)> = Vec::new();
		for (name, table) in [("deals", DEALS), ("closed_deals", CLOSED_DEALS)] {
			let table = read.open_table(table)?;
			for entry in table
				.range::<&[u8; 32]>((start, Bound::Unbounded))?
				.take(limit + 1)
			{
				let (hash, bytes) = entry?;
				deals.push((*hash.value(), decode(name, bytes.value())?));
			}
		}
		deals.sort_by_key(|(hash, _)| *hash);
		let more = deals.len() > limit;
		deals.truncate(limit);
		Ok(Page { deals, more })
	}

	/// Number of deals in a final state.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn count_closed_deals(&self) -> Result<u64, StoreError> {
		use redb::ReadableTableMetadata;
		Ok(self.read()?.open_table(CLOSED_DEALS)?.len()?)
	}

	/// Changes a deal in one transaction and gives the result.
	///
	/// # Errors
	/// [`StoreError::NotFound`], and what `change` returns: nothing is written then.
	pub fn update_deal(
		&self,
		hash: &ProposalHash,
		change: impl FnOnce(&mut Deal) -> Result<(), StoreError>,
	) -> Result<Deal, StoreError> {
		let write = self.write()?;
		let mut deal = get(&write, hash)?.ok_or(StoreError::NotFound("such deal"))?;
		let needed_piece = deal.needs_piece();
		change(&mut deal)?;
		put(&write, hash, &deal)?;
		self.commit(write, deal.needs_piece() != needed_piece)?;
		Ok(deal)
	}

	/// Applies an event to each of several deals in one transaction.
	///
	/// # Errors
	/// As [`Self::update_deal`].
	pub fn apply_to_deals(&self, events: &[(ProposalHash, DealEvent)]) -> Result<(), StoreError> {
		let write = self.write()?;
		let mut changes_needs = false;
		for (hash, event) in events {
			changes_needs |= apply(&write, hash, event.clone())?;
		}
		self.commit(write, changes_needs)
	}

	/// A number that rises whenever a deal begins or ceases to need its piece
	/// ([`Deal::needs_piece`]): what a list of those deals says holds as long as the number does that was read before
	/// the list. It begins anew with the process.
	pub fn needs_generation(&self) -> u64 {
		self.needs_generation.load(Ordering::SeqCst)
	}

	/// Commits a transaction. `changes_needs`: whether a deal begins or ceases to need its piece.
	pub(super) fn commit(&self, write: WriteTransaction, changes_needs: bool) -> Result<(), StoreError> {
		let committed = write.commit();
		if changes_needs {
			// After the commit, so that whoever sees the new number sees the change; and if it failed, because it may be
			// on the disk all the same.
			self.needs_generation.fetch_add(1, Ordering::SeqCst);
		}
		Ok(committed?)
	}
}

fn get(write: &WriteTransaction, hash: &ProposalHash) -> Result<Option<Deal>, StoreError> {
	let (open, closed) = (write.open_table(DEALS)?, write.open_table(CLOSED_DEALS)?);
	find([("deals", open), ("closed_deals", closed)], &hash)
}

fn put(write: &WriteTransaction, hash: &ProposalHash, deal: &Deal) -> Result<(), StoreError> {
	let bytes = deal.encode();
	let (to, from) = if deal.state.is_final() {
		(CLOSED_DEALS, DEALS)
	} else {
		(DEALS, CLOSED_DEALS)
	};
	write.open_table(from)?.remove(hash)?;
	write.open_table(to)?.insert(hash, bytes.as_slice())?;
	Ok(())
}

/// Applies an event to a deal inside a transaction. Gives whether the deal begins or ceases to need its piece.
pub(super) fn apply(
	write: &WriteTransaction,
	hash: &ProposalHash,
	event: DealEvent,
) -> Result<bool, StoreError> {
	let mut deal = get(write, hash)?.ok_or(StoreError::NotFound("such deal"))?;
	let needed_piece = deal.needs_piece();
	deal.apply(event)?;
	put(write, hash, &deal)?;
	Ok(deal.needs_piece() != needed_piece)
}

#[cfg(test)]
mod tests {
	use super::{super::tests::store, *};
	use crate::deal::{
		proposal,
		state::{DealState, FailReason},
		Origin,
	};
	use cairn_primitives::ProofTypeId;

	fn deal() -> Deal {
		Deal::accepted(proposal(1), Origin::OnChain, ProofTypeId(0x11), 5)
	}

	#[test]
	fn inserting_twice_keeps_the_first() {
		let (store, _dir) = store();
		store.insert_deal(&[1; 32], &deal()).unwrap();
		store
			.apply_to_deals(&[([1; 32], DealEvent::DataVerified)])
			.unwrap();
		let again = store.insert_deal(&[1; 32], &deal()).unwrap();
		assert_eq!(again.state, DealState::Received);
		assert_eq!(store.open_deals().unwrap().len(), 1);
	}

	#[test]
	fn closed_deals_leave_the_open_list_and_stay_readable() {
		let (store, _dir) = store();
		for n in 0..5 {
			store.insert_deal(&[n; 32], &deal()).unwrap();
		}
		store
			.apply_to_deals(&[([2; 32], DealEvent::Lapsed(FailReason::NoData))])
			.unwrap();
		assert_eq!(store.open_deals().unwrap().len(), 4);
		assert!(store.deal(&[2; 32]).unwrap().unwrap().state.is_final());
		assert_eq!(store.count_closed_deals().unwrap(), 1);
		let page = store.list_deals(Some([0; 32]), 3).unwrap();
		let hashes: Vec<_> = page.deals.iter().map(|(hash, _)| hash[0]).collect();
		assert_eq!((hashes, page.more), (vec![1, 2, 3], true));
		let page = store.list_deals(Some([3; 32]), 3).unwrap();
		assert_eq!((page.deals.len(), page.more), (1, false));
		store.reopen_deal(&[2; 32], &deal()).unwrap();
		assert_eq!(store.deal(&[2; 32]).unwrap().unwrap().state, DealState::Accepted);
		assert_eq!(store.open_deals().unwrap().len(), 5);
	}

	#[test]
	fn the_generation_rises_when_a_piece_begins_or_ceases_to_be_needed_and_with_nothing_else() {
		let (store, _dir) = store();
		let mut seen = store.needs_generation();
		let mut rises = |what: &str, expected: bool| {
			let now = store.needs_generation();
			assert_eq!(now > seen, expected, "{what}: {seen}, then {now}");
			seen = now;
		};
		let hash = [1; 32];
		let apply = |event| store.apply_to_deals(&[(hash, event)]).unwrap();
		store.insert_deal(&hash, &deal()).unwrap();
		rises("acceptance", false);
		apply(DealEvent::DataVerified);
		rises("data", true);
		apply(DealEvent::DataVerified);
		apply(DealEvent::PublishStarted { valid_until: 9 });
		apply(DealEvent::PublishedOnChain { deal_id: 1, at: 8 });
		store.update_deal(&hash, |_| Ok(())).unwrap();
		let contents = vec![crate::sector::SectorDeal {
			proposal_hash: hash,
			deal_id: 1,
			piece: deal().proposal.piece,
			duration: 9,
		}];
		let spec = cairn_primitives::proof_type::BUILTIN[0].1;
		store.open_sector(ProofTypeId(0x11), spec, contents, 10).unwrap();
		apply(DealEvent::Activated { since: 11, ends: 20 });
		rises("publication, packing, activation", false);
		store
			.update_sector(0, |_| Ok(vec![(hash, DealEvent::TermOver)]))
			.unwrap();
		rises("the term's end, with its sector", true);
		store.insert_deal(&[2; 32], &deal()).unwrap();
		store
			.apply_to_deals(&[([2; 32], DealEvent::Lapsed(FailReason::NoData))])
			.unwrap();
		rises("a deal that never had data", false);
		let undone = [
			(hash, DealEvent::DataVerified),
			([9; 32], DealEvent::DataVerified),
		];
		store.apply_to_deals(&undone).unwrap_err();
		rises("a transaction that failed", false);
	}

	#[test]
	fn one_illegal_event_undoes_the_whole_transaction() {
		let (store, _dir) = store();
		store.insert_deal(&[1; 32], &deal()).unwrap();
		store.insert_deal(&[2; 32], &deal()).unwrap();
		let error = store
			.apply_to_deals(&[([1; 32], DealEvent::DataVerified), ([2; 32], DealEvent::TermOver)])
			.unwrap_err();
		assert!(matches!(error, StoreError::Deal(_)));
		assert_eq!(store.deal(&[1; 32]).unwrap().unwrap().state, DealState::Accepted);
		assert!(matches!(
			store.apply_to_deals(&[([9; 32], DealEvent::DataVerified)]),
			Err(StoreError::NotFound(_))
		));
	}
}
