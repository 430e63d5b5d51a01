//! The calendar: what happens at a block without anyone's help.
//!
//! Items are kept by block. A cursor names the first block that is not done; idle block weight and
//! `service` move it. Being late changes nothing but the moment: every rule asks the clock, not
//! whether the cursor has passed.

use crate::{types::CalendarItem, Calendar, CalendarCursor, Config, Pallet, WeightInfo};
use cairn_primitives::BlockNumber;
use frame_support::{defensive, storage::with_storage_layer, weights::WeightMeter};

/// What a run over the calendar did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CalendarRun {
	/// Items processed.
	pub(crate) items: u32,
	/// Blocks finished.
	pub(crate) blocks: u32,
	/// First block that is not done.
	pub(crate) next_block: BlockNumber,
}

impl<T: Config> Pallet<T> {
	/// Adds an item. Returns its block, which is never one that the cursor has left behind.
	pub(crate) fn schedule(at: BlockNumber, item: CalendarItem) -> BlockNumber {
		let at = at.max(CalendarCursor::<T>::get());
		Calendar::<T>::insert(at, item, ());
		at
	}

	/// Removes an item.
	pub(crate) fn unschedule(at: BlockNumber, item: CalendarItem) {
		Calendar::<T>::remove(at, item);
	}

	/// Processes at most `max_steps` items and blocks, as far as the clock and the weight allow.
	pub(crate) fn run_calendar(meter: &mut WeightMeter, max_steps: u32) -> CalendarRun {
		let now = Self::now();
		let first = CalendarCursor::<T>::get();
		let mut run = CalendarRun {
			next_block: first,
			..Default::default()
		};
		'blocks: while run.next_block <= now {
			// Items of a block are removed behind the iterator, which looks only ahead. None is added
			// to a block that has come: whatever is planned anew lies after `now`.
			let mut items = Calendar::<T>::iter_key_prefix(run.next_block);
			loop {
				if run.items.saturating_add(run.blocks) >= max_steps
					|| meter
						.try_consume(<T as Config>::WeightInfo::service_advance())
						.is_err()
				{
					break 'blocks;
				}
				let Some(item) = items.next() else { break };
				if meter
					.try_consume(<T as Config>::WeightInfo::service_item())
					.is_err()
				{
					break 'blocks;
				}
				Self::unschedule(run.next_block, item);
				Self::process(item);
				run.items += 1;
			}
			run.blocks += 1;
			let Some(next) = run.next_block.checked_add(1) else {
				break;
			};
			run.next_block = next;
		}
		if run.next_block != first {
			CalendarCursor::<T>::put(run.next_block);
		}
		run
	}

	fn process(item: CalendarItem) {
		match item {
			CalendarItem::ProposalExpiry(hash) => {
				if let Err(error) = with_storage_layer(|| Self::expire_proposal(hash)) {
					defensive!("an expired proposal's holds cannot be returned", error);
				}
			}
			CalendarItem::StartBy(deal) => {
				// Its only failure is logged where it occurs.
				let _ = Self::settle(deal);
			}
			CalendarItem::FinalSettlement(deal) => Self::settle_scheduled(deal),
		}
	}
}
