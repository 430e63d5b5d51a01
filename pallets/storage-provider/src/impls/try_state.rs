//! Invariants, each by name.

use crate::{pallet::*, types::*};
use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::Balance;
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant of this pallet's state.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_workers()?;
		Self::check_partitions()?;
		Self::check_back_pointers()?;
		Self::check_pre_commits()?;
		Self::check_totals()?;
		Self::check_holds()
	}

	fn check_workers() -> Result<(), TryRuntimeError> {
		for (worker, owner) in Workers::<T>::iter() {
			let record = Providers::<T>::get(&owner).ok_or("a worker's provider is missing")?;
			ensure!(record.worker == worker, "a worker is not its provider's");
			ensure!(worker != owner, "an owner is its own worker without an entry");
		}
		for (owner, record) in Providers::<T>::iter() {
			ensure!(
				record.worker == owner || Workers::<T>::get(&record.worker) == Some(owner),
				"a provider's worker does not lead back to it"
			);
		}
		Ok(())
	}

	fn check_partitions() -> Result<(), TryRuntimeError> {
		for ((owner, deadline, index), partition) in Partitions::<T>::iter() {
			let slots = partition.slots.len() as u32;
			let occupied = if slots == 64 {
				u64::MAX
			} else {
				(1u64 << slots) - 1
			};
			ensure!(partition.live & !occupied == 0, "a live bit beyond the slots");
			ensure!(partition.live != 0, "an empty partition remains");
			ensure!(
				partition.faulty & !partition.live == 0,
				"a faulty sector is not live"
			);
			ensure!(
				partition.recovering & !partition.faulty == 0,
				"a recovering sector is not faulty"
			);
			ensure!(
				partition.undrawn & !partition.faulty == 0,
				"an undrawn sector is not faulty"
			);
			ensure!(
				index < DeadlineHeads::<T>::get(&owner, deadline).partitions,
				"a partition beyond its head"
			);
			for (slot, sector) in partition.sectors_in(partition.live) {
				let record = Sectors::<T>::get(&owner, sector).ok_or("a live slot's sector is missing")?;
				ensure!(
					record.location
						== Some(Location {
							deadline,
							partition: index,
							slot
						}),
					"a sector's location does not point back to its slot"
				);
				ensure!(
					partition.min_expiration <= record.expiration,
					"an expiry earlier than its partition's"
				);
				ensure!(
					record.proof_type == partition.proof_type,
					"a sector of another proof type"
				);
				let faulty = partition.faulty >> slot & 1 == 1;
				ensure!(
					faulty == record.fault.is_some(),
					"fault bit and fault record disagree"
				);
				let undrawn = partition.undrawn >> slot & 1 == 1;
				ensure!(
					undrawn == record.fault.is_some_and(|fault| fault.missed.is_none()),
					"undrawn bit and missed challenge disagree"
				);
			}
		}
		Ok(())
	}

	fn check_back_pointers() -> Result<(), TryRuntimeError> {
		for (owner, sector, record) in Sectors::<T>::iter() {
			ensure!(
				Providers::<T>::contains_key(&owner),
				"a sector without a provider"
			);
			ensure!(
				record.open_deals as usize <= record.deals.len(),
				"more open deals than deals"
			);
			ensure!(
				Self::is_allocated(&owner, sector),
				"a sector's number is not allocated"
			);
			ensure!(
				!PreCommits::<T>::contains_key(&owner, sector),
				"a sector is also pre-committed"
			);
			match record.location {
				Some(Location {
					deadline,
					partition,
					slot,
				}) => {
					let partition = Partitions::<T>::get((&owner, deadline, partition))
						.ok_or("a live sector's partition is missing")?;
					ensure!(partition.live >> slot & 1 == 1, "a live sector's slot is free");
				}
				None => {
					ensure!(
						record.open_deals > 0,
						"an expired sector without open deals remains"
					);
					ensure!(record.pledge == 0, "an expired sector keeps a pledge");
				}
			}
		}
		Ok(())
	}

	fn check_pre_commits() -> Result<(), TryRuntimeError> {
		for (owner, sector, record) in PreCommits::<T>::iter() {
			ensure!(
				Self::is_allocated(&owner, sector),
				"a pre-commit's number is not allocated"
			);
			ensure!(
				PreCommitExpiries::<T>::contains_key((record.prove_by.saturating_add(1), owner, sector)),
				"a pre-commit has no expiry"
			);
		}
		for (at, owner, sector) in PreCommitExpiries::<T>::iter_keys() {
			let record = PreCommits::<T>::get(&owner, sector).ok_or("an expiry without pre-commit")?;
			ensure!(
				record.prove_by.saturating_add(1) == at,
				"an expiry at the wrong block"
			);
			ensure!(
				at >= SweepCursor::<T>::get(),
				"an expiry that housekeeping passed over"
			);
		}
		Ok(())
	}

	fn check_totals() -> Result<(), TryRuntimeError> {
		let mut live: BTreeMap<_, u32> = BTreeMap::new();
		for ((owner, deadline, _), partition) in Partitions::<T>::iter() {
			*live.entry((owner, deadline)).or_default() += partition.live.count_ones();
		}
		let mut per_provider: BTreeMap<T::AccountId, u32> = BTreeMap::new();
		for (owner, deadline, head) in DeadlineHeads::<T>::iter() {
			let counted = live.remove(&(owner.clone(), deadline)).unwrap_or(0);
			ensure!(counted == head.live, "a deadline's total is wrong");
			let scheduled: Vec<_> = DeadlineCloses::<T>::iter_keys()
				.filter(|(_, who, which)| *who == owner && *which == deadline)
				.map(|(close, ..)| close)
				.collect();
			ensure!(
				head.close.is_some() && scheduled == head.close.into_iter().collect::<Vec<_>>(),
				"a deadline needs exactly the close that its head names"
			);
			*per_provider.entry(owner).or_default() += head.live;
		}
		ensure!(
			live.values().all(|count| *count == 0),
			"live sectors without a deadline head"
		);
		for (close, owner, deadline) in DeadlineCloses::<T>::iter_keys() {
			ensure!(
				DeadlineHeads::<T>::contains_key(&owner, deadline),
				"a close without a deadline"
			);
			ensure!(
				close >= SweepCursor::<T>::get(),
				"a close that housekeeping passed over"
			);
		}
		for (owner, record) in Providers::<T>::iter() {
			ensure!(
				per_provider.get(&owner).copied().unwrap_or(0) == record.live_sectors,
				"a provider's live sectors are miscounted"
			);
			ensure!(
				Sectors::<T>::iter_key_prefix(&owner).count() == record.sectors as usize,
				"a provider's sectors are miscounted"
			);
			ensure!(
				PreCommits::<T>::iter_key_prefix(&owner).count() == record.pre_commits as usize,
				"a provider's pre-commits are miscounted"
			);
		}
		Ok(())
	}

	fn check_holds() -> Result<(), TryRuntimeError> {
		for (owner, record) in Providers::<T>::iter() {
			let deposits: Balance = PreCommits::<T>::iter_prefix_values(&owner)
				.map(|pre_commit| pre_commit.deposit)
				.sum();
			let pledges: Balance = Sectors::<T>::iter_prefix_values(&owner)
				.map(|sector| sector.pledge)
				.sum();
			for (reason, expected) in [
				(HoldReason::RegistrationBond, record.bond),
				(HoldReason::PreCommitDeposit, deposits),
				(HoldReason::SectorPledge, pledges),
			] {
				let held = T::Currency::balance_on_hold(&reason.into(), &owner);
				ensure!(held == expected, "held funds differ from the books");
			}
		}
		Ok(())
	}
}
