//! Free funds on test networks.
//!
//! `drip` mints a fixed amount to an account, at most once per interval, and at most a fixed number
//! of times per block. It needs no signature (a general transaction, authorised by the pallet), so
//! that an empty account can get its first funds; a signed one works too.
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
	use frame_support::{pallet_prelude::*, traits::fungible::Mutate};
	use frame_system::pallet_prelude::*;
	use sp_runtime::traits::{BlockNumberProvider, Saturating};

	/// Balance type of the configured currency.
	pub type BalanceOf<T> = <<T as Config>::Currency as frame_support::traits::fungible::Inspect<
		<T as frame_system::Config>::AccountId,
	>>::Balance;

	/// The pallet.
	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// What the pallet needs of the runtime.
	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// The currency that is minted.
		type Currency: Mutate<Self::AccountId>;
		/// The clock.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = BlockNumberFor<Self>>;
		/// Amount of one drip, in plancks.
		#[pallet::constant]
		type Amount: Get<BalanceOf<Self>>;
		/// Blocks between two drips to an account.
		#[pallet::constant]
		type Interval: Get<BlockNumberFor<Self>>;
		/// Most drips in a block.
		#[pallet::constant]
		type MaxPerBlock: Get<u32>;
		/// Weights of the call.
		type WeightInfo: WeightInfo;
	}

	/// Block of the last drip to an account.
	#[pallet::storage]
	pub type LastDrip<T: Config> =
		StorageMap<_, Blake2_128Concat, T::AccountId, BlockNumberFor<T>, OptionQuery>;

	/// Drips in the block named.
	#[pallet::storage]
	pub type DripsInBlock<T: Config> = StorageValue<_, (BlockNumberFor<T>, u32), ValueQuery>;

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// Funds were minted.
		#[codec(index = 0)]
		Dripped {
			/// To whom.
			who: T::AccountId,
			/// Plancks.
			amount: BalanceOf<T>,
		},
	}

	/// Why a drip was refused.
	#[pallet::error]
	pub enum Error<T> {
		/// The account had a drip less than an interval ago.
		#[codec(index = 0)]
		TooSoon,
		/// This block's drips are used up; try again in the next one.
		#[codec(index = 1)]
		BlockExhausted,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Mint test funds to `who`. Unsigned general transaction or any signed account.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::drip())]
		#[pallet::authorize(Self::authorize_drip)]
		#[pallet::weight_of_authorize(T::WeightInfo::authorize_drip())]
		pub fn drip(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
			if ensure_signed(origin.clone()).is_err() {
				ensure_authorized(origin)?;
			}
			Self::ensure_due(&who)?;
			let now = T::BlockNumberProvider::current_block_number();
			DripsInBlock::<T>::mutate(|(block, drips)| {
				*drips = if *block == now { drips.saturating_add(1) } else { 1 };
				*block = now;
			});
			LastDrip::<T>::insert(&who, now);
			let amount = T::Amount::get();
			T::Currency::mint_into(&who, amount)?;
			Self::deposit_event(Event::Dripped { who, amount });
			Ok(())
		}
	}

	impl<T: Config> Pallet<T> {
		fn ensure_due(who: &T::AccountId) -> Result<(), Error<T>> {
			let now = T::BlockNumberProvider::current_block_number();
			if let Some(last) = LastDrip::<T>::get(who) {
				ensure!(
					now >= last.saturating_add(T::Interval::get()),
					Error::<T>::TooSoon
				);
			}
			let (block, drips) = DripsInBlock::<T>::get();
			ensure!(
				block != now || drips < T::MaxPerBlock::get(),
				Error::<T>::BlockExhausted
			);
			Ok(())
		}

		fn authorize_drip(
			_: TransactionSource,
			who: &T::AccountId,
		) -> Result<(ValidTransaction, Weight), TransactionValidityError> {
			match Self::ensure_due(who) {
				Ok(()) => {
					let validity = ValidTransaction::with_tag_prefix("cairn/faucet")
						.and_provides(who)
						.longevity(16)
						.build()?;
					Ok((validity, Weight::zero()))
				}
				Err(Error::BlockExhausted) => Err(InvalidTransaction::ExhaustsResources.into()),
				Err(_) => Err(InvalidTransaction::Stale.into()),
			}
		}
	}
}
