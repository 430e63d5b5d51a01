//! Missed deadlines, expiries and lapsed pre-commits, worked off in bounded steps.
//!
//! A step may come late; what it decides does not depend on when it comes. Nobody can act between a
//! missed close and its consequences: a proof settles its partition first, a declaration waits for
//! housekeeping, a new sector goes to a partition that is settled.

use crate::{deadline::Calendar, pallet::*, types::*, WeightInfo};
use cairn_pallet_traits::{Beacons, Deals};
use cairn_primitives::{
	sector::{MAX_DEALS_PER_SECTOR, SECTORS_PER_PARTITION},
	BlockNumber, DeadlineIndex, PartitionIndex, SectorNumber,
};
use frame_support::{
	pallet_prelude::*,
	traits::{fungible::MutateHold, tokens::Precision},
	weights::WeightMeter,
};

/// Closes that one call works off for a partition.
const MAX_CLOSES_PER_SETTLE: u32 = 4;

impl<T: Config> Pallet<T> {
	/// Weight within which `steps` partitions or pre-commits of the largest kind can be worked off.
	pub(crate) fn sweep_weight(steps: u32) -> Weight {
		let step = Self::settle_weight(SECTORS_PER_PARTITION)
			.max(Self::expire_weight(MAX_DEALS_PER_SECTOR))
			.saturating_add(T::WeightInfo::sweep_look());
		step.saturating_mul(steps.into())
	}

	fn settle_weight(sectors: u32) -> Weight {
		T::WeightInfo::settle_partition(sectors)
			.saturating_add(T::Beacons::first_in_weight().saturating_mul(MAX_CLOSES_PER_SETTLE.into()))
	}

	fn expire_weight(deals: u32) -> Weight {
		T::WeightInfo::expire_pre_commit().saturating_add(T::Deals::unbind_weight(deals))
	}

	/// Works off closes and lapsed pre-commits up to the current block, as far as `meter` allows.
	pub(crate) fn sweep(meter: &mut WeightMeter) {
		let now = Self::now();
		let start = SweepCursor::<T>::get();
		let mut cursor = start;
		'blocks: while cursor <= now {
			// Entries are removed behind the iterators, which look only ahead: a look from the front would
			// step over every entry that was removed in this block.
			let mut lapsed = PreCommitExpiries::<T>::iter_key_prefix((cursor,));
			let mut closes = DeadlineCloses::<T>::iter_prefix((cursor,));
			let mut unfinished = None;
			loop {
				if meter.try_consume(T::WeightInfo::sweep_look()).is_err() {
					break 'blocks;
				}
				if let Some((owner, sector)) = lapsed.next() {
					let deals = PreCommits::<T>::get(&owner, sector).map_or(0, |record| record.deals.len());
					if meter.try_consume(Self::expire_weight(deals as u32)).is_err() {
						break 'blocks;
					}
					PreCommitExpiries::<T>::remove((cursor, &owner, sector));
					Self::expire_pre_commit(&owner, sector);
				} else if let Some(((owner, deadline), index)) = unfinished.take().or_else(|| closes.next()) {
					let partition = Partitions::<T>::get((&owner, deadline, index));
					let sectors = partition
						.as_ref()
						.map_or(0, |partition| partition.live.count_ones());
					if meter.try_consume(Self::settle_weight(sectors)).is_err() {
						break 'blocks;
					}
					unfinished = Self::work_off_close(&owner, deadline, cursor, index, partition)
						.map(|next| ((owner, deadline), next));
				} else {
					break;
				}
			}
			cursor = cursor.saturating_add(1);
		}
		if cursor != start {
			SweepCursor::<T>::put(cursor);
		}
	}

	/// Settles one partition of a closed deadline and moves its calendar entry on. Returns the next
	/// partition of this close, if there is one.
	pub(crate) fn work_off_close(
		owner: &T::AccountId,
		deadline: DeadlineIndex,
		close: BlockNumber,
		index: PartitionIndex,
		partition: Option<Partition>,
	) -> Option<PartitionIndex> {
		let entry = (close, owner, deadline);
		let (Some(provider), Ok(parameters)) = (Providers::<T>::get(owner), Self::parameters()) else {
			DeadlineCloses::<T>::remove(entry);
			return None;
		};
		let calendar = Self::calendar(&parameters, provider.period_offset);
		let settled = match partition {
			Some(mut partition) => {
				let settled = Self::settle_partition(owner, deadline, &mut partition, close, &calendar);
				Self::store_partition(owner, deadline, index, partition);
				settled
			}
			None => true,
		};
		let next_index = index.saturating_add(settled.into());
		let mut head = DeadlineHeads::<T>::get(owner, deadline);
		if next_index < head.partitions {
			DeadlineCloses::<T>::insert(entry, next_index);
			return Some(next_index);
		}
		DeadlineCloses::<T>::remove(entry);
		if head.live == 0 {
			DeadlineHeads::<T>::remove(owner, deadline);
			return None;
		}
		let next_close = close.saturating_add(calendar.period());
		head.close = Some(next_close);
		DeadlineHeads::<T>::insert(owner, deadline, head);
		DeadlineCloses::<T>::insert((next_close, owner, deadline), 0);
		None
	}

	/// Stores a partition, or removes it if it is empty.
	pub(crate) fn store_partition(
		owner: &T::AccountId,
		deadline: DeadlineIndex,
		index: PartitionIndex,
		partition: Partition,
	) {
		let key = (owner, deadline, index);
		if partition.live == 0 {
			Partitions::<T>::remove(key);
		} else {
			Partitions::<T>::insert(key, partition);
		}
	}

	/// Applies the consequences of every close up to `up_to`, a close of the deadline, in order.
	/// Returns whether all were applied; at most four are in one call. The caller stores `partition`.
	pub(crate) fn settle_partition(
		owner: &T::AccountId,
		deadline: DeadlineIndex,
		partition: &mut Partition,
		up_to: BlockNumber,
		calendar: &Calendar,
	) -> bool {
		for _ in 0..MAX_CLOSES_PER_SETTLE {
			if partition.settled_close >= up_to {
				return true;
			}
			if partition.live == 0 {
				partition.settled_close = up_to;
				return true;
			}
			let behind = (up_to - partition.settled_close - 1) / calendar.period();
			let close = up_to - behind * calendar.period();
			Self::apply_misses(owner, partition, close, calendar);
			Self::apply_expiries(owner, deadline, partition, close);
			partition.settled_close = close;
		}
		partition.settled_close >= up_to
	}

	/// Makes sectors faulty whose proof is missing. A deadline without a usable beacon is void.
	fn apply_misses(
		owner: &T::AccountId,
		partition: &mut Partition,
		close: BlockNumber,
		calendar: &Calendar,
	) {
		let proven = partition.proven_close >= close;
		let missing = if proven {
			0
		} else {
			partition.live & !partition.faulty
		};
		let concerned = (missing | partition.undrawn) & partition.live;
		if concerned == 0 && (proven || partition.recovering == 0) {
			return;
		}
		let window = calendar.closing_at(close);
		let Some(beacon) = Self::deadline_beacon(&window) else {
			return;
		};
		let missed = MissedChallenge {
			period: window.period,
			beacon: beacon.value,
		};
		for (slot, sector) in partition.sectors_in(concerned) {
			Self::book_fault(owner, sector, close, missed);
			if missing >> slot & 1 == 1 {
				Self::deposit_event(Event::SectorFaulty {
					provider: owner.clone(),
					sector,
					reason: FaultReason::Missed,
				});
			}
		}
		partition.faulty |= missing;
		partition.undrawn = 0;
		if !proven {
			partition.recovering = 0;
		}
	}

	fn apply_expiries(
		owner: &T::AccountId,
		deadline: DeadlineIndex,
		partition: &mut Partition,
		close: BlockNumber,
	) {
		if partition.min_expiration > close {
			return;
		}
		let mut remaining = BlockNumber::MAX;
		let mut expired = 0u64;
		for (slot, sector) in partition.sectors_in(partition.live) {
			match Sectors::<T>::get(owner, sector) {
				Some(record) if record.expiration > close => remaining = remaining.min(record.expiration),
				Some(record) => {
					Self::expire_sector(owner, sector, record);
					expired |= 1 << slot;
				}
				None => expired |= 1 << slot,
			}
		}
		partition.live &= !expired;
		partition.faulty &= !expired;
		partition.recovering &= !expired;
		partition.undrawn &= !expired;
		partition.min_expiration = remaining;
		let count = expired.count_ones();
		DeadlineHeads::<T>::mutate(owner, deadline, |head| {
			head.live = head.live.saturating_sub(count)
		});
		Providers::<T>::mutate_extant(owner, |provider| {
			provider.live_sectors = provider.live_sectors.saturating_sub(count);
		});
	}

	/// Releases the pledge and forgets the sector, unless deals still have to be settled from its
	/// proven time.
	fn expire_sector(owner: &T::AccountId, sector: SectorNumber, mut record: SectorRecord) {
		let released = T::Currency::release(
			&HoldReason::SectorPledge.into(),
			owner,
			record.pledge,
			Precision::BestEffort,
		);
		// Releasing what is held by this pallet's own bookkeeping cannot fail; best effort never
		// asks for more.
		debug_assert!(released.is_ok());
		record.pledge = 0;
		record.location = None;
		if record.open_deals == 0 {
			Self::forget_sector(owner, sector);
		} else {
			Sectors::<T>::insert(owner, sector, record);
		}
		Self::deposit_event(Event::SectorExpired {
			provider: owner.clone(),
			sector,
		});
	}

	/// Removes the record of a sector that is not live and whose deals are settled.
	pub(crate) fn forget_sector(owner: &T::AccountId, sector: SectorNumber) {
		Sectors::<T>::remove(owner, sector);
		Providers::<T>::mutate_extant(owner, |provider| {
			provider.sectors = provider.sectors.saturating_sub(1);
		});
	}
}
