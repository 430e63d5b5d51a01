//! The randomness beacon.
//!
//! Every block folds the relay chain's randomness into a chained value,
//! `B_n = blake2_256(tag ‖ B_{n−1} ‖ relay value ‖ le32(relay slot))`, and remembers it in two rings:
//! one entry per block, and one per ticket interval for sealing tickets.
//!
//! A block's beacon is *strong* when the relay chain delivered the VRF output of its block author,
//! which nobody outside could predict, and *weak* otherwise. The development node's mock relay chain
//! only ever delivers a predictable value. Weak beacons are never handed out unless the protocol
//! parameters accept them. A missing value is a weak beacon, never a panic.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

pub use pallet::*;

#[cfg(test)]
mod tests;

#[frame_support::pallet]
pub mod pallet {
	use cairn_pallet_traits::{Beacon, Beacons, Parameters};
	use cairn_primitives::{draw, BlockNumber};
	use cumulus_pallet_parachain_system::{OnSystemEvent, RelayChainStateProof};
	use cumulus_primitives_core::{relay_chain::well_known_keys, PersistedValidationData};
	use frame_support::pallet_prelude::*;
	use sp_runtime::traits::BlockNumberProvider;

	/// Blocks that one search for a usable beacon may look through.
	pub const MAX_SEARCH: BlockNumber = 512;

	/// The pallet.
	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// What the pallet needs of the runtime.
	#[pallet::config]
	pub trait Config: frame_system::Config {
		/// The clock of the protocol.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = BlockNumber>;
		/// The protocol parameters.
		type Parameters: Parameters;
		/// Blocks whose beacon is remembered. More than a proving period and a prove-commit window.
		#[pallet::constant]
		type RingLength: Get<BlockNumber>;
		/// Tickets that are remembered. They must span the slowest seal.
		#[pallet::constant]
		type TicketRingLength: Get<u32>;
	}

	/// A remembered beacon.
	#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
	pub struct Entry {
		/// Block that produced it.
		pub block: BlockNumber,
		/// The value.
		pub value: [u8; 32],
		/// Whether unpredictable input went into it.
		pub strong: bool,
	}

	/// The newest beacon of the chain, strong or weak.
	#[pallet::storage]
	pub type Latest<T: Config> = StorageValue<_, Entry, OptionQuery>;

	/// Beacons by block modulo the ring's length.
	#[pallet::storage]
	pub type Ring<T: Config> = StorageMap<_, Twox64Concat, BlockNumber, Entry, OptionQuery>;

	/// Tickets by number modulo the ring's length.
	#[pallet::storage]
	pub type Tickets<T: Config> = StorageMap<_, Twox64Concat, u32, Entry, OptionQuery>;

	#[pallet::hooks]
	impl<T: Config> Hooks<frame_system::pallet_prelude::BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::RingLength::get() > 0, "the beacon ring must not be empty");
			assert!(T::TicketRingLength::get() > 0, "the ticket ring must not be empty");
		}
	}

	impl<T: Config> Pallet<T> {
		/// Appends this block's beacon.
		pub fn advance(relay_value: Option<[u8; 32]>, strong: bool, relay_slot: u32) {
			let block = T::BlockNumberProvider::current_block_number();
			let previous = Latest::<T>::get().map_or([0; 32], |entry| entry.value);
			let value = draw::next_beacon(&previous, &relay_value.unwrap_or_default(), relay_slot);
			let entry = Entry { block, value, strong: strong && relay_value.is_some() };
			Latest::<T>::put(entry);
			Ring::<T>::insert(block % T::RingLength::get().max(1), entry);
			let interval = T::Parameters::get().ticket_interval.max(1);
			if block % interval == 0 {
				Tickets::<T>::insert(block / interval % T::TicketRingLength::get().max(1), entry);
			}
		}

		fn usable(entry: Entry, accept_weak: bool) -> Option<Beacon> {
			(entry.strong || accept_weak).then_some(Beacon { block: entry.block, value: entry.value })
		}
	}

	impl<T: Config> Beacons for Pallet<T> {
		fn first_in(from: BlockNumber, until: BlockNumber) -> Option<Beacon> {
			let accept_weak = T::Parameters::get().accept_weak_beacons;
			let length = T::RingLength::get().max(1);
			(from..until.min(from.saturating_add(MAX_SEARCH))).find_map(|block| {
				let entry = Ring::<T>::get(block % length).filter(|entry| entry.block == block)?;
				Self::usable(entry, accept_weak)
			})
		}

		fn ticket(at: BlockNumber) -> Option<Beacon> {
			let parameters = T::Parameters::get();
			let interval = parameters.ticket_interval.max(1);
			let entry = Tickets::<T>::get(at / interval % T::TicketRingLength::get().max(1))?;
			(entry.block == at).then_some(())?;
			Self::usable(entry, parameters.accept_weak_beacons)
		}

		fn first_in_weight(blocks: BlockNumber) -> Weight {
			T::DbWeight::get().reads(u64::from(blocks.min(MAX_SEARCH)).saturating_add(1))
		}
	}

	impl<T: Config> OnSystemEvent for Pallet<T> {
		fn on_validation_data(_: &PersistedValidationData) {}

		fn on_validation_code_applied() {}

		fn on_relay_state_proof(proof: &RelayChainStateProof) -> Weight {
			// The relay chain stores the author's VRF output as an `Option`; a block without one, and a
			// mock relay chain that does not know the key, are the same to us.
			let vrf = proof
				.read_optional_entry::<Option<[u8; 32]>>(well_known_keys::CURRENT_BLOCK_RANDOMNESS)
				.ok()
				.flatten()
				.flatten();
			let epoch = || {
				proof
					.read_optional_entry::<[u8; 32]>(well_known_keys::ONE_EPOCH_AGO_RANDOMNESS)
					.ok()
					.flatten()
			};
			let slot = proof.read_slot().map_or(0, |slot| u64::from(slot) as u32);
			Self::advance(vrf.or_else(epoch), vrf.is_some(), slot);
			T::DbWeight::get().reads_writes(3, 3)
		}
	}
}
