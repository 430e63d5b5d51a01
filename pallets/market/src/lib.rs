//! The storage market.
//!
//! A client sets money aside in its **escrow**, signs a **proposal** and hands it to a provider
//! (`publish_storage_deals`), or makes it on chain (`propose_deal`, then the provider's
//! `accept_deals`). Either way it becomes a **deal**: the client's price for the whole duration and
//! the provider's collateral are on hold. The provider puts the piece into a sector; when the sector
//! is proven the deal's time begins. From then on `settle_deal_payments` pays, for anyone who calls
//! it, the blocks that accepted proofs cover. When the deal's last block is decided the calendar
//! settles it without anyone's help: what was not proven is refunded, the collateral returned.
//!
//! # Money
//! All of it is on hold in the account of whoever it belongs to, with a reason per purpose
//! ([`HoldReason`]); there is no common pot. At any time the client's hold for a deal is the price of
//! its unpaid blocks.
//!
//! # Time
//! Every rule compares block numbers of [`Config::BlockNumberProvider`]. The [`Calendar`] only
//! carries out what the clock has decided: on idle block weight, or when anyone calls `service`.
//!
//! # Where to start
//! [`types`] for what is stored, `impls` for the logic by topic. The pallet implements
//! [`cairn_pallet_traits::Deals`] for the storage-provider pallet and uses its
//! [`cairn_pallet_traits::Sectors`].
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod impls;
pub mod runtime_api;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use weights::{SubstrateWeight, WeightInfo};

#[frame_support::pallet]
pub mod pallet {
	use super::{types::*, WeightInfo};
	use cairn_pallet_traits as traits;
	use cairn_primitives::{deal::DealProposal, Balance, BlockNumber, Commitment, DealId, SectorNumber};
	use frame_support::{
		pallet_prelude::*,
		traits::{fungible, tokens::Precision, StorageVersion},
		weights::WeightMeter,
	};
	use frame_system::pallet_prelude::*;
	use sp_core::H256;
	use sp_runtime::traits::{BlockNumberProvider, IdentifyAccount, Verify};

	const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	/// The market.
	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	/// What the market needs of its runtime.
	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256> {
		/// The clock: the parachain's block number.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = BlockNumber>;

		/// The currency of prices and collateral.
		type Currency: fungible::Mutate<Self::AccountId, Balance = Balance>
			+ fungible::MutateHold<Self::AccountId, Balance = Balance, Reason = Self::RuntimeHoldReason>;

		/// The runtime's hold reasons.
		type RuntimeHoldReason: From<HoldReason>;

		/// Providers and their sectors.
		type Sectors: traits::Sectors<Self::AccountId>;

		/// The protocol parameters.
		type Parameters: traits::Parameters;

		/// Signature of a client under a proposal.
		type OffchainSignature: Verify<Signer: IdentifyAccount<AccountId = Self::AccountId>> + Parameter;

		/// Weights of the calls and the calendar.
		type WeightInfo: WeightInfo;
	}

	/// Why the market holds money of an account.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// Budget that an account set aside with `add_balance`: what its signed proposals (client) or
		/// its collateral (provider's owner) may draw. Returned by `withdraw_balance`.
		#[codec(index = 0)]
		Escrow,
		/// Client: price of the unpaid blocks of its deals and of its waiting proposals. Goes to the
		/// provider by settlement, else back to the client.
		#[codec(index = 1)]
		DealPayment,
		/// Provider's owner: collateral of its deals. Returned at a deal's end; the client's if the
		/// deal never started or its sector was terminated.
		#[codec(index = 2)]
		DealCollateral,
		/// Client: deposit per proposal made on chain. Returned when it is accepted, cancelled or over.
		#[codec(index = 3)]
		ProposalDeposit,
	}

	/// Number of the next deal. Numbers are never reused.
	#[pallet::storage]
	pub type NextDealId<T: Config> = StorageValue<_, DealId, ValueQuery>;

	/// Deals from publication to their last settlement.
	#[pallet::storage]
	pub type Deals<T: Config> = StorageMap<_, Twox64Concat, DealId, Deal<T::AccountId>>;

	/// Proposals made on chain that wait for their provider, by their hash.
	#[pallet::storage]
	pub type Proposals<T: Config> = StorageMap<_, Identity, H256, PendingProposal<T::AccountId>>;

	/// Proposals that were published or made. Kept until their `start_by`; afterwards the clock rejects
	/// them.
	#[pallet::storage]
	pub type UsedProposals<T: Config> = StorageMap<_, Identity, H256, UsedProposal>;

	/// Hot deals by provider and CommP: a provider is paid once for keeping a piece retrievable.
	#[pallet::storage]
	pub type HotPieces<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, Commitment, DealId>;

	/// What is to happen, by block.
	#[pallet::storage]
	pub type Calendar<T: Config> =
		StorageDoubleMap<_, Twox64Concat, BlockNumber, Blake2_128Concat, CalendarItem, ()>;

	/// First block of the calendar that is not done.
	#[pallet::storage]
	pub type CalendarCursor<T: Config> = StorageValue<_, BlockNumber, ValueQuery>;

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// An account added to its escrow.
		#[codec(index = 0)]
		BalanceAdded {
			/// Whose escrow.
			who: T::AccountId,
			/// Plancks moved from its free balance.
			amount: Balance,
		},
		/// An account took from its escrow.
		#[codec(index = 1)]
		BalanceWithdrawn {
			/// Whose escrow.
			who: T::AccountId,
			/// Plancks moved to its free balance.
			amount: Balance,
		},
		/// A client made a proposal on chain. Its provider may accept it.
		#[codec(index = 2)]
		DealProposed {
			/// Names the proposal in `accept_deals` and `cancel_proposal`.
			proposal_hash: H256,
			/// The terms.
			proposal: DealProposal<T::AccountId>,
		},
		/// A waiting proposal was withdrawn. It cannot be used again.
		#[codec(index = 3)]
		ProposalCancelled {
			/// The proposal.
			proposal_hash: H256,
			/// Its client.
			client: T::AccountId,
			/// Plancks that went back to the client's escrow.
			refund: Balance,
		},
		/// A waiting proposal's `start_by` passed.
		#[codec(index = 4)]
		ProposalExpired {
			/// The proposal.
			proposal_hash: H256,
			/// Its client.
			client: T::AccountId,
			/// Plancks that went back to the client's escrow.
			refund: Balance,
		},
		/// A deal binds both sides: price and collateral are on hold.
		#[codec(index = 5)]
		DealPublished {
			/// The deal.
			deal: DealId,
			/// The proposal it was made of.
			proposal_hash: H256,
			/// Who pays.
			client: T::AccountId,
			/// Owner account of the provider.
			provider: T::AccountId,
		},
		/// A deal's sector is proven and its time begins.
		#[codec(index = 6)]
		DealActivated {
			/// The deal.
			deal: DealId,
			/// Owner account of the provider.
			provider: T::AccountId,
			/// Sector that holds the piece.
			sector: SectorNumber,
			/// First block of the deal.
			activated_at: BlockNumber,
			/// First block after it.
			end: BlockNumber,
		},
		/// A provider was paid for proven blocks.
		#[codec(index = 7)]
		PaymentSettled {
			/// The deal.
			deal: DealId,
			/// Who received it: the provider's beneficiary, or its owner if that one could not.
			to: T::AccountId,
			/// Plancks.
			amount: Balance,
			/// Blocks of the deal paid for so far.
			paid_blocks: BlockNumber,
		},
		/// `settle_deal_payments` did nothing for a deal.
		#[codec(index = 8)]
		SettlementSkipped {
			/// The number given.
			deal: DealId,
			/// Why.
			reason: SkipReason,
		},
		/// A deal ran to its end and is settled for the last time. The collateral was returned.
		#[codec(index = 9)]
		DealEnded {
			/// The deal.
			deal: DealId,
			/// Blocks paid for.
			paid_blocks: BlockNumber,
			/// Plancks returned to the client for blocks that were not proven.
			refund: Balance,
		},
		/// A deal was not activated by its `start_by`.
		#[codec(index = 10)]
		DealNotStarted {
			/// The deal.
			deal: DealId,
			/// Plancks returned to the client: the whole price.
			refund: Balance,
			/// Plancks of the provider's collateral that went to the client.
			compensation: Balance,
			/// Plancks of the collateral burnt because the client has no account to take them.
			burnt: Balance,
		},
		/// An active deal's sector is gone.
		#[codec(index = 11)]
		DealTerminated {
			/// The deal.
			deal: DealId,
			/// Blocks paid for.
			paid_blocks: BlockNumber,
			/// Plancks returned to the client.
			refund: Balance,
			/// Plancks of the provider's collateral that went to the client.
			compensation: Balance,
			/// Plancks of the collateral burnt because the client has no account to take them.
			burnt: Balance,
		},
		/// An account could not take an amount as free balance. It is in the account's escrow.
		#[codec(index = 12)]
		KeptInEscrow {
			/// Whose escrow.
			who: T::AccountId,
			/// Plancks.
			amount: Balance,
		},
		/// `service` moved the calendar.
		#[codec(index = 13)]
		CalendarServiced {
			/// Items processed.
			items: u32,
			/// First block that is not done.
			next_block: BlockNumber,
		},
	}

	/// Why a call is refused.
	#[pallet::error]
	pub enum Error<T> {
		/// The amount is zero.
		#[codec(index = 0)]
		ZeroAmount,
		/// The account's escrow holds less than the amount to withdraw.
		#[codec(index = 1)]
		EscrowTooLow,
		/// The list is empty.
		#[codec(index = 2)]
		EmptyBatch,
		/// The signer is neither owner nor worker of a registered provider.
		#[codec(index = 3)]
		NotProvider,
		/// The proposal's provider is not the owner account of a registered provider.
		#[codec(index = 4)]
		ProviderNotRegistered,
		/// The proposal or deal belongs to another provider than the signer's.
		#[codec(index = 5)]
		WrongProvider,
		/// The signer is not the proposal's client. From the block after `start_by` on anyone may
		/// cancel it.
		#[codec(index = 6)]
		NotClient,
		/// The piece's padded size is not between 128 bytes and the largest sector (2^7 to 2^36).
		#[codec(index = 7)]
		PieceSizeOutOfRange,
		/// The payload is empty or exceeds 127/128 of the padded size.
		#[codec(index = 8)]
		PayloadSizeOutOfRange,
		/// The proposal's `start_by` is this block or has passed.
		#[codec(index = 9)]
		StartPassed,
		/// The proposal's `start_by` is later than the parameters' longest start delay.
		#[codec(index = 10)]
		StartTooFar,
		/// The duration is outside the parameters' range.
		#[codec(index = 11)]
		DurationOutOfRange,
		/// Price times duration, or the collateral that follows from it, exceeds a balance.
		#[codec(index = 12)]
		PriceOverflow,
		/// The collateral is below the parameters' share of the total price.
		#[codec(index = 13)]
		CollateralTooLow,
		/// The proposal was published or made before.
		#[codec(index = 14)]
		ProposalUsed,
		/// The signature is not the client's over this proposal on this chain.
		#[codec(index = 15)]
		WrongSignature,
		/// The client's escrow does not cover the total price.
		#[codec(index = 16)]
		ClientEscrowTooLow,
		/// The provider's escrow does not cover the collateral.
		#[codec(index = 17)]
		ProviderEscrowTooLow,
		/// The provider has a hot deal for the same piece.
		#[codec(index = 18)]
		HotPieceStored,
		/// No proposal of that hash waits: it never did, or was accepted, cancelled or expired.
		#[codec(index = 19)]
		ProposalNotFound,
		/// There is no deal of that number, or it is over. (Pre-commit.)
		#[codec(index = 20)]
		DealNotFound,
		/// The deal is in a pre-committed sector already, or was named twice. (Pre-commit.)
		#[codec(index = 21)]
		DealBound,
		/// The deal is active already. (Pre-commit.)
		#[codec(index = 22)]
		DealActive,
		/// The deal is not bound to the sector being proven. (Prove-commit.)
		#[codec(index = 23)]
		DealNotBound,
		/// The deal is of the other tier than the sector. (Pre-commit.)
		#[codec(index = 24)]
		WrongTier,
		/// The deal's `start_by` comes before the sector can be proven. (Pre-commit.)
		#[codec(index = 25)]
		StartTooSoon,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_idle(_now: BlockNumberFor<T>, remaining: Weight) -> Weight {
			let mut meter = WeightMeter::with_limit(remaining);
			// The cursor.
			if meter.try_consume(T::DbWeight::get().reads_writes(1, 1)).is_ok() {
				Self::run_calendar(&mut meter, MAX_SERVICE_STEPS_PER_BLOCK);
			}
			meter.consumed()
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_now: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call(weight(<T as Config>::WeightInfo))]
	impl<T: Config> Pallet<T> {
		/// Sets `amount` plancks of the signer's free balance aside in its escrow.
		///
		/// For clients, whose proposals draw their price from it, and for providers' owners, whose
		/// deals draw their collateral from it. May be called by anyone, for itself.
		///
		/// Holds `amount` (`Market::Escrow`). Event: `BalanceAdded`. Errors: `ZeroAmount`, and those of
		/// the currency if the free balance above the existential deposit is too low.
		#[pallet::call_index(0)]
		pub fn add_balance(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(amount > 0, Error::<T>::ZeroAmount);
			<T::Currency as fungible::MutateHold<_>>::hold(&HoldReason::Escrow.into(), &who, amount)?;
			Self::deposit_event(Event::BalanceAdded { who, amount });
			Ok(())
		}

		/// Returns `amount` plancks of the signer's escrow to its free balance.
		///
		/// What proposals and deals have drawn is no longer in the escrow and cannot be withdrawn.
		///
		/// Event: `BalanceWithdrawn`. Errors: `ZeroAmount`, `EscrowTooLow`.
		#[pallet::call_index(1)]
		pub fn withdraw_balance(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(amount > 0, Error::<T>::ZeroAmount);
			ensure!(Self::escrow(&who) >= amount, Error::<T>::EscrowTooLow);
			<T::Currency as fungible::MutateHold<_>>::release(
				&HoldReason::Escrow.into(),
				&who,
				amount,
				Precision::Exact,
			)?;
			Self::deposit_event(Event::BalanceWithdrawn { who, amount });
			Ok(())
		}

		/// Makes deals of up to 32 proposals that clients signed. All or none.
		///
		/// For the provider: owner or worker. A client signs, raw or wrapped in `<Bytes>…</Bytes>`, the
		/// ASCII text `cairn/deal/v1`, the chain's genesis hash and the SCALE-encoded proposal. A
		/// proposal can be used once, until its `start_by`.
		///
		/// Holds, per deal, the total price from the client's escrow (`Market::DealPayment`) and the
		/// collateral from the owner's escrow (`Market::DealCollateral`). If the deal is not in a proven
		/// sector by `start_by`, both go to the client.
		///
		/// Event per deal: `DealPublished`. Errors: `EmptyBatch`, `NotProvider`, `WrongProvider`, those
		/// of the terms (`PieceSizeOutOfRange`, `PayloadSizeOutOfRange`, `StartPassed`, `StartTooFar`,
		/// `DurationOutOfRange`, `PriceOverflow`, `CollateralTooLow`), `ProposalUsed`, `WrongSignature`,
		/// `ClientEscrowTooLow`, `ProviderEscrowTooLow`, `HotPieceStored`.
		#[pallet::call_index(2)]
		#[pallet::weight(<T as Config>::WeightInfo::publish_storage_deals(proposals.len() as u32))]
		pub fn publish_storage_deals(
			origin: OriginFor<T>,
			proposals: ClientDealProposals<T::AccountId, T::OffchainSignature>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_publish(&who, proposals)
		}

		/// Proposes a deal on chain: the way without an off-chain signature.
		///
		/// For the proposal's client. The provider accepts with `accept_deals`; until then the client
		/// may `cancel_proposal`. A price of zero is allowed, as is a client that is the provider.
		///
		/// Holds the total price from the signer's escrow (`Market::DealPayment`), so that acceptance
		/// cannot fail for want of it, and the parameters' proposal deposit from its free balance
		/// (`Market::ProposalDeposit`) until the proposal is accepted, cancelled or expired.
		///
		/// Event: `DealProposed` with the hash that names the proposal. Errors: `NotClient`,
		/// `ProviderNotRegistered`, those of the terms as in `publish_storage_deals`, `ProposalUsed`,
		/// `ClientEscrowTooLow`, and the currency's if the deposit cannot be held.
		#[pallet::call_index(3)]
		pub fn propose_deal(origin: OriginFor<T>, proposal: DealProposal<T::AccountId>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_propose(who, proposal)
		}

		/// Accepts up to 32 proposals made with `propose_deal`, by their hashes. All or none.
		///
		/// For the provider: owner or worker. Before `start_by`.
		///
		/// Holds the collateral from the owner's escrow (`Market::DealCollateral`) and returns the
		/// client's deposit. Event per deal: `DealPublished`. Errors: `EmptyBatch`, `NotProvider`,
		/// `ProposalNotFound`, `WrongProvider`, `StartPassed`, `ProviderEscrowTooLow`,
		/// `HotPieceStored`.
		#[pallet::call_index(4)]
		#[pallet::weight(<T as Config>::WeightInfo::accept_deals(proposals.len() as u32))]
		pub fn accept_deals(origin: OriginFor<T>, proposals: ProposalHashes) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_accept(&who, proposals)
		}

		/// Withdraws a proposal that is not accepted yet.
		///
		/// For its client; after `start_by` for anyone. The price goes back to the client's escrow, the
		/// deposit to its free balance. The same proposal cannot be used again; another nonce makes it
		/// a new one.
		///
		/// Event: `ProposalCancelled`. Errors: `ProposalNotFound`, `NotClient`.
		#[pallet::call_index(5)]
		pub fn cancel_proposal(origin: OriginFor<T>, proposal_hash: H256) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_cancel(&who, proposal_hash)
		}

		/// Pays providers for what their sectors proved, for up to 128 deals.
		///
		/// For anyone, as often as wanted: a block is paid once. Not needed at a deal's end, which is
		/// settled by itself; useful before. The money goes from the client's hold to the provider's
		/// beneficiary. A deal whose last block is decided is settled for good: the rest returns to the
		/// client, the collateral to the provider. A deal that was not activated in time is ended.
		///
		/// Never fails as a whole. Events per deal: `PaymentSettled`, `DealEnded`, `DealTerminated`,
		/// `DealNotStarted`, or `SettlementSkipped` with the reason.
		#[pallet::call_index(6)]
		#[pallet::weight(<T as Config>::WeightInfo::settle_deal_payments(deals.len() as u32))]
		pub fn settle_deal_payments(origin: OriginFor<T>, deals: DealIds) -> DispatchResult {
			ensure_signed(origin)?;
			Self::settle_each(deals);
			Ok(())
		}

		// Index 7 is reserved for `extend_deal`.

		/// Moves the calendar by up to `limit` steps: an item (a proposal's expiry, a deal that did not
		/// start, a final settlement) or a block without any is one step.
		///
		/// For anyone, when blocks are too full for the calendar to be served by itself. Costs what the
		/// steps taken weigh. Event: `CalendarServiced`.
		#[pallet::call_index(8)]
		#[pallet::weight(
			<T as Config>::WeightInfo::service(*limit)
				.saturating_add(<T as Config>::WeightInfo::service_advance().saturating_mul((*limit).into()))
		)]
		pub fn service(origin: OriginFor<T>, limit: u32) -> DispatchResultWithPostInfo {
			ensure_signed(origin)?;
			let run = Self::run_calendar(&mut WeightMeter::new(), limit);
			Self::deposit_event(Event::CalendarServiced {
				items: run.items,
				next_block: run.next_block,
			});
			let weight = <T as Config>::WeightInfo::service(run.items).saturating_add(
				<T as Config>::WeightInfo::service_advance().saturating_mul(run.blocks.into()),
			);
			Ok(Some(weight).into())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// Plancks in an account's escrow.
		pub fn escrow_of(who: T::AccountId) -> Balance {
			Self::escrow(&who)
		}

		/// A deal. `None` if there is none of that number or it is settled for good.
		pub fn deal(id: DealId) -> Option<Deal<T::AccountId>> {
			Deals::<T>::get(id)
		}

		/// What settling a deal now would do. `None` if there is no such deal.
		pub fn due(id: DealId) -> Option<DueView> {
			Deals::<T>::get(id).map(|deal| Self::due_of(&deal))
		}

		/// A proposal that waits for its provider, by its hash.
		pub fn proposal(proposal_hash: H256) -> Option<PendingProposal<T::AccountId>> {
			Proposals::<T>::get(proposal_hash)
		}

		/// Whether a proposal was published or made before and its time has not passed.
		pub fn is_used(proposal_hash: H256) -> bool {
			UsedProposals::<T>::contains_key(proposal_hash)
		}

		/// The hot deal by which a provider keeps a piece.
		pub fn hot_deal(provider: T::AccountId, commitment: Commitment) -> Option<DealId> {
			HotPieces::<T>::get(provider, commitment)
		}
	}
}
