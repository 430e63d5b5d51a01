//! Storage providers: who they are, which sectors they keep, and whether they still do.
//!
//! A provider registers with a bond, fills sectors with deals, commits to each sector
//! (`pre_commit_sectors`), proves it at challenges that nobody could know before
//! (`prove_commit_sectors`) and proves it again once in every proving period
//! (`submit_windowed_post`). A live sector whose deadline closes without a proof is faulty until it
//! answers the challenge that it missed. Payments follow [`proven time`](cairn_primitives::proven_time),
//! which only accepted proofs advance; the market reads it through the `Sectors` trait.
//!
//! This pallet does not know prices of deals, how proofs are verified or where randomness comes
//! from: `pallets/traits` names what it asks of others. Logic lives in `impls`, one file a topic;
//! start with `impls/commitment.rs` and `impls/windowed.rs`.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

pub use pallet::*;
pub use weights::{SubstrateWeight, WeightInfo};

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
pub mod deadline;
mod impls;
pub mod runtime_api;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::types::*;
	use alloc::vec::Vec;
	use cairn_pallet_traits::{Beacons, Deals, ProofVerifier};
	use cairn_primitives::{
		params::ProtocolParameters,
		sector::{PartitionProof, SectorPreCommit, SectorProof, WindowProof},
		Balance, BlockNumber, DeadlineIndex, DealId, PartitionIndex, ProofTypeId, SectorNumber,
	};
	use frame_support::{
		pallet_prelude::*,
		traits::{
			fungible::{Balanced, BalancedHold, Credit, Inspect, InspectHold, MutateHold},
			OnUnbalanced,
		},
		weights::WeightMeter,
	};
	use frame_system::pallet_prelude::*;
	use sp_runtime::traits::BlockNumberProvider;

	/// Most sectors, proofs or partitions in one call.
	pub type MaxBatch = ConstU32<32>;
	/// Most sectors in one declaration.
	pub type MaxDeclarations = ConstU32<256>;
	/// Most partitions in one windowed proof.
	pub type MaxPartitionsPerProof = ConstU32<16>;
	/// Most deadlines a proving period may be cut into.
	pub const MAX_DEADLINES: u32 = 96;
	/// Most partitions of one deadline.
	pub const MAX_PARTITIONS_PER_DEADLINE: u32 = 3_000;

	/// Credit type of the configured currency.
	pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;

	/// The pallet.
	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// What the pallet needs of the runtime.
	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Hold reasons of the runtime.
		type RuntimeHoldReason: From<HoldReason>;
		/// The currency bonds, deposits and pledges are held in.
		type Currency: Inspect<Self::AccountId, Balance = Balance>
			+ InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
			+ MutateHold<Self::AccountId>
			+ Balanced<Self::AccountId>
			+ BalancedHold<Self::AccountId>;
		/// The clock of the protocol: the parachain's block number.
		type BlockNumberProvider: BlockNumberProvider<BlockNumber = BlockNumber>;
		/// The market.
		type Deals: Deals<Self::AccountId>;
		/// The randomness beacon.
		type Beacons: Beacons;
		/// The proof verifiers.
		type Proofs: ProofVerifier;
		/// Receives forfeited deposits.
		type OnForfeit: OnUnbalanced<CreditOf<Self>>;
		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds an account's funds.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// From the owner while the provider is registered.
		#[codec(index = 0)]
		RegistrationBond,
		/// From the owner for each pre-committed sector. Released at activation, forfeited if the
		/// sector is not proven in time.
		#[codec(index = 1)]
		PreCommitDeposit,
		/// From the owner for each live sector, by its size. Released at expiry.
		#[codec(index = 2)]
		SectorPledge,
	}

	/// Protocol parameters in force.
	#[pallet::storage]
	pub type Parameters<T: Config> = StorageValue<_, ProtocolParameters, OptionQuery>;

	/// Registered providers by owner.
	#[pallet::storage]
	pub type Providers<T: Config> =
		StorageMap<_, Blake2_128Concat, T::AccountId, ProviderRecord<T::AccountId>, OptionQuery>;

	/// Owner by worker. A worker serves one provider.
	#[pallet::storage]
	pub type Workers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, T::AccountId, OptionQuery>;

	/// Asks by owner and proof type.
	#[pallet::storage]
	pub type Asks<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, ProofTypeId, Ask, OptionQuery>;

	/// Sector numbers that were ever used, as bitmaps of 1,024 numbers. Never cleared.
	#[pallet::storage]
	pub type AllocatedSectors<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, u32, SectorChunk, OptionQuery>;

	/// Sectors that are committed to but not proven yet.
	#[pallet::storage]
	pub type PreCommits<T: Config> = StorageDoubleMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		Twox64Concat,
		SectorNumber,
		PreCommitRecord,
		OptionQuery,
	>;

	/// Pre-commits by the block at which they lapse.
	#[pallet::storage]
	pub type PreCommitExpiries<T: Config> = StorageNMap<
		_,
		(
			NMapKey<Twox64Concat, BlockNumber>,
			NMapKey<Blake2_128Concat, T::AccountId>,
			NMapKey<Twox64Concat, SectorNumber>,
		),
		(),
		OptionQuery,
	>;

	/// Activated sectors. An expired one stays until its deals are settled.
	#[pallet::storage]
	pub type Sectors<T: Config> = StorageDoubleMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		Twox64Concat,
		SectorNumber,
		SectorRecord,
		OptionQuery,
	>;

	/// Partitions by owner, deadline and index. Empty ones are removed.
	#[pallet::storage]
	pub type Partitions<T: Config> = StorageNMap<
		_,
		(
			NMapKey<Blake2_128Concat, T::AccountId>,
			NMapKey<Twox64Concat, DeadlineIndex>,
			NMapKey<Twox64Concat, PartitionIndex>,
		),
		Partition,
		OptionQuery,
	>;

	/// Totals of each deadline.
	#[pallet::storage]
	pub type DeadlineHeads<T: Config> = StorageDoubleMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		Twox64Concat,
		DeadlineIndex,
		DeadlineHead,
		ValueQuery,
	>;

	/// Closes of deadlines that have live sectors, by block; the value is the next partition to work
	/// off. A deadline with live sectors has exactly one entry, which its head names; a provider
	/// without live sectors has none and costs nothing.
	#[pallet::storage]
	pub type DeadlineCloses<T: Config> = StorageNMap<
		_,
		(
			NMapKey<Twox64Concat, BlockNumber>,
			NMapKey<Blake2_128Concat, T::AccountId>,
			NMapKey<Twox64Concat, DeadlineIndex>,
		),
		PartitionIndex,
		OptionQuery,
	>;

	/// First block whose closes and expiries may not be worked off yet.
	#[pallet::storage]
	pub type SweepCursor<T: Config> = StorageValue<_, BlockNumber, ValueQuery>;

	/// What happened.
	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// An account became a provider.
		#[codec(index = 0)]
		ProviderRegistered {
			/// Owner.
			provider: T::AccountId,
		},
		/// Contact or beneficiary changed.
		#[codec(index = 1)]
		ProviderUpdated {
			/// Owner.
			provider: T::AccountId,
		},
		/// The worker changed.
		#[codec(index = 2)]
		WorkerSet {
			/// Owner.
			provider: T::AccountId,
			/// New worker.
			worker: T::AccountId,
		},
		/// A provider left; its bond was released.
		#[codec(index = 3)]
		ProviderDeregistered {
			/// Owner.
			provider: T::AccountId,
		},
		/// An ask was set or withdrawn.
		#[codec(index = 4)]
		AskSet {
			/// Owner.
			provider: T::AccountId,
			/// Proof type of the ask.
			proof_type: ProofTypeId,
			/// The ask; none if withdrawn.
			ask: Option<Ask>,
		},
		/// A sector was committed to.
		#[codec(index = 5)]
		SectorPreCommitted {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
			/// First block whose beacon may become the seed.
			prove_from: BlockNumber,
			/// Last block at which the sector may be proven.
			prove_by: BlockNumber,
		},
		/// Part of an activation proof was accepted.
		#[codec(index = 6)]
		ActivationPartAccepted {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
			/// Challenges answered so far.
			answered: u16,
			/// Challenges in all.
			of: u16,
		},
		/// A sector is proven and live.
		#[codec(index = 7)]
		SectorActivated {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
			/// Deadline it is proven in from now on.
			deadline: DeadlineIndex,
			/// Partition within the deadline.
			partition: PartitionIndex,
			/// Deals that run from now on.
			deals: Vec<DealId>,
		},
		/// A pre-committed sector was not proven in time.
		#[codec(index = 8)]
		PreCommitExpired {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
			/// Deposit lost.
			forfeited: Balance,
		},
		/// A windowed proof was accepted.
		#[codec(index = 9)]
		WindowProofAccepted {
			/// Owner.
			provider: T::AccountId,
			/// Deadline.
			deadline: DeadlineIndex,
			/// Proving period.
			period: u64,
			/// Partitions proven.
			partitions: Vec<PartitionIndex>,
			/// Sectors proven.
			sectors: u32,
		},
		/// A sector became faulty: it is not paid for until it recovers.
		#[codec(index = 10)]
		SectorFaulty {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
			/// Why.
			reason: FaultReason,
		},
		/// The provider declared that a faulty sector will be proven in its next deadline.
		#[codec(index = 11)]
		SectorRecovering {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
		},
		/// A faulty sector answered the challenge it had missed.
		#[codec(index = 12)]
		SectorRecovered {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
		},
		/// A sector reached its expiry; its pledge was released.
		#[codec(index = 13)]
		SectorExpired {
			/// Owner.
			provider: T::AccountId,
			/// Sector.
			sector: SectorNumber,
		},
		/// The protocol parameters changed.
		#[codec(index = 14)]
		ParametersSet {
			/// The parameters now in force.
			parameters: ProtocolParameters,
		},
	}

	/// Why a call failed.
	#[pallet::error]
	pub enum Error<T> {
		/// The signer owns a provider already.
		#[codec(index = 0)]
		AlreadyRegistered,
		/// The signer is neither owner nor worker of a registered provider.
		#[codec(index = 1)]
		NotAProvider,
		/// Only the provider's owner may do this.
		#[codec(index = 2)]
		NotOwner,
		/// The account that is to be the worker works for another provider, or owns one.
		#[codec(index = 3)]
		WorkerTaken,
		/// The provider still has sectors or pre-commits.
		#[codec(index = 4)]
		SectorsRemain,
		/// No such proof type is registered, or it takes no new sectors.
		#[codec(index = 5)]
		UnknownProofType,
		/// The ask's bounds are empty.
		#[codec(index = 6)]
		InvalidAsk,
		/// The list of sectors or proofs is empty.
		#[codec(index = 7)]
		EmptyBatch,
		/// The sector number was used before, or appears twice.
		#[codec(index = 8)]
		SectorNumberUsed,
		/// A hot sector must hold deals, at most 32.
		#[codec(index = 9)]
		WrongNumberOfDeals,
		/// CommD does not follow from the deals' pieces.
		#[codec(index = 10)]
		WrongDataCommitment,
		/// In the hot tier CommR must equal CommD.
		#[codec(index = 11)]
		WrongReplicaCommitment,
		/// The ticket's block is in the future, too old, or no ticket block.
		#[codec(index = 12)]
		InvalidTicket,
		/// The sector would expire before its last deal ends, or live longer than allowed.
		#[codec(index = 13)]
		InvalidExpiration,
		/// No such pre-committed sector.
		#[codec(index = 14)]
		NotPreCommitted,
		/// The time to prove the sector is over.
		#[codec(index = 15)]
		ProveWindowOver,
		/// No usable beacon has followed the pre-commit by the required delay yet.
		#[codec(index = 16)]
		SeedNotDrawn,
		/// The challenges named do not exist or are answered already.
		#[codec(index = 17)]
		WrongChallenges,
		/// None of the sector's deals can still be activated.
		#[codec(index = 18)]
		DealsLapsed,
		/// All partitions of the deadline are full.
		#[codec(index = 19)]
		NoRoomInDeadlines,
		/// The deadline is not open.
		#[codec(index = 20)]
		DeadlineNotOpen,
		/// No usable beacon has appeared since the deadline opened.
		#[codec(index = 21)]
		ChallengeNotDrawn,
		/// Partitions must be named in ascending order, once each, and exist.
		#[codec(index = 22)]
		InvalidPartitions,
		/// The partition is proven already in this period.
		#[codec(index = 23)]
		AlreadyProven,
		/// A partition has no sector to prove.
		#[codec(index = 24)]
		NothingToProve,
		/// A skipped bit names a slot that is not due.
		#[codec(index = 25)]
		InvalidSkipped,
		/// The proof is longer or shorter than its sectors ask for.
		#[codec(index = 26)]
		WrongProofLength,
		/// No such live sector.
		#[codec(index = 27)]
		SectorNotLive,
		/// The sector is faulty already.
		#[codec(index = 28)]
		AlreadyFaulty,
		/// The sector is not faulty, or its recovery is declared already.
		#[codec(index = 29)]
		NotFaulty,
		/// The sector's challenge is known: declarations must come before its deadline opens.
		#[codec(index = 30)]
		ChallengeKnown,
		/// Missed deadlines are still being worked off; call `service` and try again.
		#[codec(index = 31)]
		Unsettled,
		/// The parameters contradict each other or change the calendar while providers rely on it.
		#[codec(index = 32)]
		InvalidParameters,
		/// The owner cannot cover the bond, deposit or pledge.
		#[codec(index = 33)]
		InsufficientFunds,
		/// The chain was started without protocol parameters.
		#[codec(index = 34)]
		ParametersMissing,
	}

	/// Genesis: the protocol parameters.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// Parameters; the development ones if absent.
		pub parameters: Option<ProtocolParameters>,
		/// Marker.
		#[serde(skip)]
		pub _marker: core::marker::PhantomData<T>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			let parameters = self.parameters.unwrap_or(ProtocolParameters::development());
			if let Err(error) = Pallet::<T>::check_parameters(&parameters) {
				// A chain must not start with parameters that contradict each other.
				panic!("invalid protocol parameters: {error}");
			}
			Parameters::<T>::put(parameters);
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		/// Before the block's transactions, so that they seldom meet missed deadlines; with a quarter
		/// of the weight at most, so that proofs find room.
		fn on_poll(_: BlockNumberFor<T>, meter: &mut WeightMeter) {
			let mut share = WeightMeter::with_limit(meter.remaining() / 4);
			Self::sweep(&mut share);
			meter.consume(share.consumed());
		}

		fn on_idle(_: BlockNumberFor<T>, remaining: Weight) -> Weight {
			let mut meter = WeightMeter::with_limit(remaining);
			Self::sweep(&mut meter);
			meter.consumed()
		}

		fn integrity_test() {
			for parameters in [
				ProtocolParameters::development(),
				ProtocolParameters::production(),
			] {
				if let Err(error) = Self::check_parameters(&parameters) {
					panic!("invalid preset: {error}");
				}
			}
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call(weight(<T as Config>::WeightInfo))]
	impl<T: Config> Pallet<T> {
		/// Become a storage provider.
		///
		/// The signer is the provider's owner and identity for ever. `worker` signs the daily work,
		/// `beneficiary` receives the earnings; either may be the owner itself. Holds the
		/// registration bond from the owner until `deregister`.
		#[pallet::call_index(0)]
		pub fn register_storage_provider(
			origin: OriginFor<T>,
			worker: T::AccountId,
			beneficiary: T::AccountId,
			contact: ProviderContact,
		) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::register(owner, worker, beneficiary, contact)
		}

		/// Change how the provider is reached (owner or worker) or who receives its earnings (owner
		/// only). What is absent stays.
		#[pallet::call_index(1)]
		pub fn update_provider(
			origin: OriginFor<T>,
			contact: Option<ProviderContact>,
			beneficiary: Option<T::AccountId>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::update(who, contact, beneficiary)
		}

		/// Replace the worker account. Owner only.
		#[pallet::call_index(2)]
		pub fn set_worker(origin: OriginFor<T>, worker: T::AccountId) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::replace_worker(owner, worker)
		}

		/// Leave. Owner only, without sectors or pre-commits. Releases the bond. Sector numbers stay
		/// used if the owner registers again.
		#[pallet::call_index(3)]
		pub fn deregister(origin: OriginFor<T>) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::leave(owner)
		}

		/// Publish, replace or (with none) withdraw the price and bounds for one proof type. Owner or
		/// worker.
		#[pallet::call_index(4)]
		pub fn set_ask(origin: OriginFor<T>, proof_type: ProofTypeId, ask: Option<Ask>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::publish_ask(who, proof_type, ask)
		}

		/// Commit to sectors: their data, their replica and the deals inside. Owner or worker; all or
		/// nothing.
		///
		/// Each sector number is consumed for ever. Holds a deposit per sector from the owner, which
		/// is forfeited if the sector is not proven within the prove-commit window.
		#[pallet::call_index(5)]
		#[pallet::weight(Pallet::<T>::pre_commit_weight(sectors))]
		pub fn pre_commit_sectors(
			origin: OriginFor<T>,
			sectors: BoundedVec<SectorPreCommit, MaxBatch>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::pre_commit(who, sectors)
		}

		/// Prove pre-committed sectors at the challenges of their seed. Owner or worker; all or
		/// nothing.
		///
		/// A proof may come in parts over several calls. With the last part the sector becomes live:
		/// the deposit is released, a pledge is held and the deals' time begins.
		#[pallet::call_index(6)]
		#[pallet::weight(Pallet::<T>::prove_commit_weight(proofs))]
		pub fn prove_commit_sectors(
			origin: OriginFor<T>,
			proofs: BoundedVec<SectorProof, MaxBatch>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::prove_commit(who, proofs)
		}

		/// Prove the sectors of some partitions of the open deadline. Owner or worker.
		///
		/// Covers every live sector of the partitions that is not faulty, and recovering ones, less
		/// the skipped slots, which become faulty. Free of charge if accepted, once per partition and
		/// period.
		#[pallet::call_index(7)]
		#[pallet::weight(Pallet::<T>::windowed_post_weight(partitions, proof))]
		pub fn submit_windowed_post(
			origin: OriginFor<T>,
			deadline: DeadlineIndex,
			partitions: BoundedVec<PartitionProof, MaxPartitionsPerProof>,
			proof: WindowProof,
		) -> DispatchResultWithPostInfo {
			let who = ensure_signed(origin)?;
			Self::windowed_post(who, deadline, partitions, proof)?;
			Ok(Pays::No.into())
		}

		/// Declare sectors faulty before their challenge is known. Owner or worker; all or nothing.
		/// Faulty sectors need not be proven and are not paid for. Like a recovery, it waits until
		/// housekeeping has reached the deadline's last close.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::declare_faults(sectors.len() as u32))]
		pub fn declare_faults(
			origin: OriginFor<T>,
			sectors: BoundedVec<SectorNumber, MaxDeclarations>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::declare_faulty(who, sectors)
		}

		/// Declare that faulty sectors will be proven in their next deadline, including the challenge
		/// they missed. Owner or worker; all or nothing; before that deadline opens.
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::declare_faults_recovered(sectors.len() as u32))]
		pub fn declare_faults_recovered(
			origin: OriginFor<T>,
			sectors: BoundedVec<SectorNumber, MaxDeclarations>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::declare_recovered(who, sectors)
		}

		// 10 terminate_sectors, 11 extend_sectors, 12 repay_debt: reserved.

		/// Work off missed deadlines and lapsed pre-commits, up to the weight of `limit` full partitions.
		/// Anyone. Needed only when blocks are too full for the pallet's own housekeeping. Costs what the
		/// work done weighs.
		#[pallet::call_index(13)]
		#[pallet::weight(T::WeightInfo::service().saturating_add(Pallet::<T>::sweep_weight(*limit)))]
		pub fn service(origin: OriginFor<T>, limit: u32) -> DispatchResultWithPostInfo {
			ensure_signed(origin)?;
			let mut meter = WeightMeter::with_limit(Self::sweep_weight(limit));
			Self::sweep(&mut meter);
			Ok(Some(T::WeightInfo::service().saturating_add(meter.consumed())).into())
		}

		/// Replace the protocol parameters. Root only. The proving period and its deadlines cannot
		/// change while there are providers.
		#[pallet::call_index(14)]
		pub fn set_parameters(origin: OriginFor<T>, parameters: ProtocolParameters) -> DispatchResult {
			ensure_root(origin)?;
			Self::replace_parameters(parameters)
		}
	}
}
