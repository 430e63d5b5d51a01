//! Proof types and their verification.
//!
//! Governance registers a proof type, a [`ProofSpec`](cairn_primitives::ProofSpec) under an id, and
//! retires it: a retired type takes no new sectors, but its verifier stays for those that carry it.
//! Verification itself is `cairn_primitives`, run with the SHA-256 host function. This pallet adds
//! the registry, the weights and errors that a wallet can show.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

pub use pallet::*;
pub use weights::{SubstrateWeight, WeightInfo};

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod tests;
// Native builds have it too, for tests on the real runtime.
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
mod verifier;
pub mod weights;

#[frame_support::pallet]
pub mod pallet {
	use super::WeightInfo;
	use alloc::vec::Vec;
	use cairn_primitives::{proof_type::BUILTIN, ProofSpec, ProofTypeId};
	use frame_support::pallet_prelude::*;
	use frame_system::pallet_prelude::*;

	/// The pallet.
	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// What the pallet needs of the runtime.
	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Weights of the calls and of verification.
		type WeightInfo: WeightInfo;
	}

	/// A registered proof type.
	#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
	pub struct ProofType {
		/// Parameters.
		pub spec: ProofSpec,
		/// Whether new sectors may use it.
		pub accepts_new_sectors: bool,
	}

	/// Registered proof types. Never removed.
	#[pallet::storage]
	pub type ProofTypes<T: Config> = StorageMap<_, Twox64Concat, ProofTypeId, ProofType, OptionQuery>;

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A proof type was registered.
		#[codec(index = 0)]
		ProofTypeRegistered {
			/// Its id.
			id: ProofTypeId,
			/// Its parameters.
			spec: ProofSpec,
		},
		/// A proof type takes no new sectors any more.
		#[codec(index = 1)]
		ProofTypeRetired {
			/// Its id.
			id: ProofTypeId,
		},
	}

	/// Why a call or a proof was refused.
	#[pallet::error]
	pub enum Error<T> {
		/// The id is registered already.
		#[codec(index = 0)]
		AlreadyRegistered,
		/// No such proof type.
		#[codec(index = 1)]
		UnknownProofType,
		/// The parameters are out of bounds.
		#[codec(index = 2)]
		InvalidSpec,
		/// The pieces do not fit the sector.
		#[codec(index = 3)]
		PiecesDoNotFit,
		/// The proof type does not fit this verification.
		#[codec(index = 4)]
		WrongProofType,
		/// The part names no challenge, or challenges that do not exist.
		#[codec(index = 5)]
		WrongChallenges,
		/// The proof is not exactly as long as its layout demands.
		#[codec(index = 6)]
		WrongProofLength,
		/// A challenged leaf lies outside the sector.
		#[codec(index = 7)]
		LeafOutOfRange,
		/// A leaf is not a field element.
		#[codec(index = 8)]
		InvalidLeaf,
		/// CommC and CommRLast do not hash to CommR.
		#[codec(index = 9)]
		ReplicaCommitmentMismatch,
		/// A data leaf's path does not lead to CommD.
		#[codec(index = 10)]
		WrongDataPath,
		/// A column is not where the graph puts it.
		#[codec(index = 11)]
		WrongColumnPath,
		/// A replica leaf's path does not lead to CommRLast.
		#[codec(index = 12)]
		WrongReplicaPath,
	}

	/// Genesis: the proof types of `cairn_primitives`.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// Ids of built-in types that take no sectors on this chain.
		pub retired: Vec<u16>,
		/// Marker.
		#[serde(skip)]
		pub _marker: core::marker::PhantomData<T>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			for (id, spec) in BUILTIN {
				let accepts_new_sectors = !self.retired.contains(&id.0);
				ProofTypes::<T>::insert(
					id,
					ProofType {
						spec,
						accepts_new_sectors,
					},
				);
			}
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call(weight(<T as Config>::WeightInfo))]
	impl<T: Config> Pallet<T> {
		/// Register a proof type for new sectors. Root only.
		#[pallet::call_index(0)]
		pub fn register_proof_type(origin: OriginFor<T>, id: ProofTypeId, spec: ProofSpec) -> DispatchResult {
			ensure_root(origin)?;
			ensure!(spec.is_valid(), Error::<T>::InvalidSpec);
			ensure!(!ProofTypes::<T>::contains_key(id), Error::<T>::AlreadyRegistered);
			ProofTypes::<T>::insert(
				id,
				ProofType {
					spec,
					accepts_new_sectors: true,
				},
			);
			Self::deposit_event(Event::ProofTypeRegistered { id, spec });
			Ok(())
		}

		/// Let a proof type take no new sectors. Root only. Sectors that carry it keep its verifier.
		#[pallet::call_index(1)]
		pub fn retire_proof_type(origin: OriginFor<T>, id: ProofTypeId) -> DispatchResult {
			ensure_root(origin)?;
			ProofTypes::<T>::try_mutate(id, |entry| {
				entry
					.as_mut()
					.ok_or(Error::<T>::UnknownProofType)?
					.accepts_new_sectors = false;
				Ok::<_, DispatchError>(())
			})?;
			Self::deposit_event(Event::ProofTypeRetired { id });
			Ok(())
		}
	}
}
