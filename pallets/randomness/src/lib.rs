//! The randomness beacon.
//!
//! Every block folds the relay chain's randomness into a chained value,
//! `B_n = blake2_256(tag ‖ B_{n−1} ‖ relay value ‖ le32(relay slot))`, and remembers it in three rings:
//! one entry per block, one per strong beacon, so that the first strong one after a block is found in
//! two reads however long a gap is, and one per ticket interval for sealing tickets.
//!
//! A block's beacon is *strong* when the relay chain delivered the VRF output of its block author,
//! which nobody outside could predict, and *weak* otherwise. The development node's mock relay chain
//! only ever delivers a predictable value. Weak beacons are never handed out unless the protocol
//! parameters accept them. A missing value is a weak beacon, never a panic.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

pub use pallet::*;
pub use weights::{SubstrateWeight, WeightInfo};

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod tests;
// Native builds have it too, for tests on the real runtime.
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
pub mod weights;

#[frame_support::pallet]
pub mod pallet {
	use super::WeightInfo;
	use cairn_pallet_traits::{Beacon, Beacons, Parameters};
	use cairn_primitives::{draw, BlockNumber};
	use cumulus_pallet_parachain_system::{OnSystemEvent, RelayChainStateProof};
	use cumulus_primitives_core::{relay_chain::well_known_keys, PersistedValidationData};
	use frame_support::pallet_prelude::*;
	use sp_runtime::traits::BlockNumberProvider;

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
		/// Weight of the beacon.
		type WeightInfo: WeightInfo;
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
		/// Number of strong beacons before it: the number of the next one in [`Strong`].
		pub strong_before: u32,
	}

	/// A strong beacon.
	#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
	pub struct StrongEntry {
		/// How many strong beacons came before it.
		pub number: u32,
		/// Block that produced it.
		pub block: BlockNumber,
		/// The value.
		pub value: [u8; 32],
	}

	/// The newest beacon of the chain, strong or weak.
	#[pallet::storage]
	pub type Latest<T: Config> = StorageValue<_, Entry, OptionQuery>;

	/// Beacons by block modulo the ring's length.
	#[pallet::storage]
	pub type Ring<T: Config> = StorageMap<_, Twox64Concat, BlockNumber, Entry, OptionQuery>;

	/// Strong beacons by number modulo the ring's length.
	#[pallet::storage]
	pub type Strong<T: Config> = StorageMap<_, Twox64Concat, u32, StrongEntry, OptionQuery>;

	/// Tickets by number modulo the ring's length.
	#[pallet::storage]
	pub type Tickets<T: Config> = StorageMap<_, Twox64Concat, u32, Entry, OptionQuery>;

	#[pallet::hooks]
	impl<T: Config> Hooks<frame_system::pallet_prelude::BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::RingLength::get() > 0, "the beacon ring must not be empty");
			assert!(
				T::TicketRingLength::get() > 0,
				"the ticket ring must not be empty"
			);
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(
			_: frame_system::pallet_prelude::BlockNumberFor<T>,
		) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	impl<T: Config> Pallet<T> {
		/// Appends this block's beacon.
		pub fn advance(relay_value: Option<[u8; 32]>, strong: bool, relay_slot: u32) {
			let block = T::BlockNumberProvider::current_block_number();
			let previous = Latest::<T>::get();
			let seen = previous.map_or(0, |entry| entry.strong_before.wrapping_add(entry.strong.into()));
			let previous = previous.map_or([0; 32], |entry| entry.value);
			let value = draw::next_beacon(&previous, &relay_value.unwrap_or_default(), relay_slot);
			let strong = strong && relay_value.is_some();
			let entry = Entry {
				block,
				value,
				strong,
				strong_before: seen,
			};
			let length = Self::length();
			Latest::<T>::put(entry);
			Ring::<T>::insert(block % length, entry);
			if strong {
				Strong::<T>::insert(
					seen % length,
					StrongEntry {
						number: seen,
						block,
						value,
					},
				);
			}
			let interval = T::Parameters::get().ticket_interval.max(1);
			if block % interval == 0 {
				Tickets::<T>::insert(block / interval % T::TicketRingLength::get().max(1), entry);
			}
		}

		pub(crate) fn length() -> BlockNumber {
			T::RingLength::get().max(1)
		}
	}

	impl<T: Config> Beacons for Pallet<T> {
		fn first_in(from: BlockNumber, until: BlockNumber) -> Option<Beacon> {
			// There is no beacon of the genesis block.
			let from = from.max(1);
			let first = Ring::<T>::get(from % Self::length()).filter(|entry| entry.block == from)?;
			let beacon = if first.strong || T::Parameters::get().accept_weak_beacons {
				Beacon {
					block: first.block,
					value: first.value,
				}
			} else {
				let next = Strong::<T>::get(first.strong_before % Self::length())
					.filter(|entry| entry.number == first.strong_before)?;
				Beacon {
					block: next.block,
					value: next.value,
				}
			};
			(beacon.block < until).then_some(beacon)
		}

		fn ticket(at: BlockNumber) -> Option<Beacon> {
			let parameters = T::Parameters::get();
			let interval = parameters.ticket_interval.max(1);
			let entry = Tickets::<T>::get(at / interval % T::TicketRingLength::get().max(1))?;
			let usable = entry.block == at && (entry.strong || parameters.accept_weak_beacons);
			usable.then_some(Beacon {
				block: entry.block,
				value: entry.value,
			})
		}

		fn reach() -> BlockNumber {
			T::RingLength::get()
		}

		fn first_in_weight() -> Weight {
			T::DbWeight::get()
				.reads(3)
				.saturating_add(Weight::from_parts(0, 10_000))
		}

		#[cfg(feature = "runtime-benchmarks")]
		fn produce_for_benchmark() {
			Self::advance(Some([7; 32]), true, 1);
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
			T::WeightInfo::advance()
		}
	}
}
