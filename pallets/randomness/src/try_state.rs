//! Invariants, each by name.

use crate::{pallet::*, Config};
use frame_support::{ensure, traits::Get};
use sp_runtime::{traits::BlockNumberProvider, TryRuntimeError};

impl<T: Config> Pallet<T> {
	/// Checks every invariant of this pallet's state.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_ring()?;
		Self::check_strong()?;
		Self::check_tickets()
	}

	/// Each entry is in its block's place and counts the strong beacons before it; the newest is there.
	fn check_ring() -> Result<(), TryRuntimeError> {
		let Some(latest) = Latest::<T>::get() else {
			ensure!(
				Ring::<T>::iter_keys().next().is_none(),
				"beacons without a newest one"
			);
			return Ok(());
		};
		ensure!(
			latest.block <= T::BlockNumberProvider::current_block_number(),
			"a beacon of a block to come"
		);
		ensure!(
			Ring::<T>::get(latest.block % Self::length()) == Some(latest),
			"the newest beacon is not in the ring"
		);
		for (place, entry) in Ring::<T>::iter() {
			ensure!(
				entry.block % Self::length() == place,
				"a beacon in another block's place"
			);
			ensure!(
				entry.block <= latest.block && latest.block - entry.block < Self::length(),
				"a beacon that should be forgotten"
			);
			let next = Ring::<T>::get(entry.block.wrapping_add(1) % Self::length());
			if let Some(next) = next.filter(|next| next.block == entry.block.saturating_add(1)) {
				ensure!(
					next.strong_before == entry.strong_before.wrapping_add(entry.strong.into()),
					"strong beacons are miscounted"
				);
			}
		}
		Ok(())
	}

	/// Each strong beacon is in its number's place and is that of its block.
	fn check_strong() -> Result<(), TryRuntimeError> {
		for (place, strong) in Strong::<T>::iter() {
			ensure!(
				strong.number % Self::length() == place,
				"a strong beacon in another one's place"
			);
			let entry = Ring::<T>::get(strong.block % Self::length());
			if let Some(entry) = entry.filter(|entry| entry.block == strong.block) {
				ensure!(
					entry.strong && entry.value == strong.value && entry.strong_before == strong.number,
					"a strong beacon differs from its block's"
				);
			}
		}
		Ok(())
	}

	/// Each ticket is the beacon of its block.
	fn check_tickets() -> Result<(), TryRuntimeError> {
		for (place, ticket) in Tickets::<T>::iter() {
			ensure!(place < T::TicketRingLength::get(), "a ticket beyond its ring");
			let entry = Ring::<T>::get(ticket.block % Self::length());
			if let Some(entry) = entry.filter(|entry| entry.block == ticket.block) {
				ensure!(entry == ticket, "a ticket differs from its block's beacon");
			}
		}
		Ok(())
	}
}
