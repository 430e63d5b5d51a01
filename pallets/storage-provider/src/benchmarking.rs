//! Benchmarks of the calls and of housekeeping's steps, each at the largest state that it can meet.
//! Proofs are forged: trees of zeros, whose openings cost what any others cost.

use crate::{pallet::*, types::*, Pallet, WeightInfo};
use alloc::{vec, vec::Vec};
use cairn_pallet_traits::Beacons;
use cairn_primitives::{
	commitment::ZERO_COMMITMENTS,
	forged,
	hash::Sha256,
	params::ProtocolParameters,
	piece::PIECE_MIN_SIZE_LOG2,
	proof_type::BUILTIN,
	proven_time::ProvenTime,
	sealed,
	sector::{
		ActivationProof, DeadlineWindow, PartitionProof, SectorPreCommit, SectorProof, WindowProof,
		MAX_DEALS_PER_HOT_SECTOR, MAX_DEALS_PER_SECTOR, SECTORS_PER_PARTITION,
	},
	BlockNumber, PieceInfo, ProofSpec, ProofTypeId, SectorNumber,
};
use frame_benchmarking::{account, v2::*};
use frame_support::{
	traits::{fungible::Balanced, tokens::Precision, Get},
	weights::WeightMeter,
	BoundedVec,
};
use frame_system::RawOrigin;
use sp_runtime::traits::BlockNumberProvider;

/// The hot type of 8 MiB: room for as many pieces as a hot sector may have.
const HOT: ProofTypeId = ProofTypeId(0x0017);
/// The sealed type of 2 KiB.
const SEALED: ProofTypeId = ProofTypeId(0x0111);
/// Block at which benchmarks begin: more than a period of the longest calendar.
const START: BlockNumber = 2_000;
const PLEDGE: cairn_primitives::Balance = 1_000_000_000;
const SECTOR: SectorNumber = 7;

struct NativeHash;

impl Sha256 for NativeHash {
	fn digest(data: &[u8]) -> [u8; 32] {
		sp_io::hashing::sha2_256(data)
	}
}

fn spec(id: ProofTypeId) -> ProofSpec {
	// Only built-in types are asked for.
	BUILTIN
		.iter()
		.find(|(builtin, _)| *builtin == id)
		.map(|(_, spec)| *spec)
		.expect("built in")
}

fn now<T: Config>() -> BlockNumber {
	Pallet::<T>::now()
}

fn set_block<T: Config>(block: BlockNumber) {
	T::BlockNumberProvider::set_block_number(block);
}

fn fund<T: Config>(who: &T::AccountId) {
	const FUNDS: cairn_primitives::Balance = 1_000_000_000_000_000_000;
	// Dropping the debt adds to the issuance.
	drop(T::Currency::deposit(who, FUNDS, Precision::Exact));
}

fn contact() -> ProviderContact {
	let address = BoundedVec::truncate_from(vec![2; 128]);
	ProviderContact::V1 {
		peer_id: BoundedVec::truncate_from(vec![1; 64]),
		addresses: BoundedVec::truncate_from(vec![address; 8]),
	}
}

/// Makes `who` a provider, with itself as worker and beneficiary.
pub(crate) fn register_provider<T: Config>(who: &T::AccountId) {
	fund::<T>(who);
	let registered = Pallet::<T>::register(who.clone(), who.clone(), who.clone(), contact());
	assert!(registered.is_ok(), "{registered:?}");
}

/// Adds a sector of `deals` deals whose every block from `activated_at` to `until` is proven. It has
/// expired, so that the settlement of its last deal forgets it, which is the most that one can do.
pub(crate) fn add_proven_sector<T: Config>(
	provider: &T::AccountId,
	sector: SectorNumber,
	deals: u32,
	activated_at: BlockNumber,
	until: BlockNumber,
) {
	let period = <Pallet<T> as cairn_pallet_traits::Parameters>::get().proving_period;
	let mut proven = ProvenTime::new(activated_at, activated_at.saturating_add(period));
	let mut close = proven.first_close();
	while close <= until && proven.credit(close, period).is_ok() {
		close = close.saturating_add(period);
	}
	let record = SectorRecord {
		open_deals: deals,
		proven,
		location: None,
		pledge: 0,
		..hot_record(BlockNumber::MAX, None, None)
	};
	Sectors::<T>::insert(provider, sector, record);
	Providers::<T>::mutate_extant(provider, |record| {
		record.sectors = record.sectors.saturating_add(1);
	});
}

/// The calendar of most deadlines, and one challenge each, so that verification, which is weighed by
/// itself, counts little.
fn long_calendar<T: Config>() -> ProtocolParameters {
	let parameters = ProtocolParameters {
		proving_period: MAX_DEADLINES * 5,
		deadlines: MAX_DEADLINES,
		window_challenges: 1,
		recovery_challenges: 1,
		accept_weak_beacons: true,
		..ProtocolParameters::development()
	};
	Parameters::<T>::put(parameters);
	set_block::<T>(START);
	parameters
}

/// A registered provider on the calendar of most deadlines.
fn provider<T: Config>() -> T::AccountId {
	long_calendar::<T>();
	let who: T::AccountId = whitelisted_caller();
	register_provider::<T>(&who);
	who
}

/// The next occurrence of deadline 3.
fn window<T: Config>(owner: &T::AccountId) -> DeadlineWindow {
	let offset = Providers::<T>::get(owner).map_or(0, |record| record.period_offset);
	let parameters = <Pallet<T> as cairn_pallet_traits::Parameters>::get();
	Pallet::<T>::calendar(&parameters, offset).next(3, now::<T>())
}

fn zero_piece() -> PieceInfo {
	PieceInfo {
		commitment: ZERO_COMMITMENTS[usize::from(PIECE_MIN_SIZE_LOG2) - 5],
		size_log2: PIECE_MIN_SIZE_LOG2,
		payload_size: 127,
	}
}

/// A hot sector of most deals, all of which run.
fn hot_record(expiration: BlockNumber, fault: Option<Fault>, location: Option<Location>) -> SectorRecord {
	let comm_d = ZERO_COMMITMENTS[usize::from(spec(HOT).depth())];
	let piece = SectorPiece {
		piece: zero_piece(),
		ends: expiration,
	};
	SectorRecord {
		proof_type: HOT,
		comm_r: comm_d,
		comm_d,
		deals: BoundedVec::truncate_from((0..u64::from(MAX_DEALS_PER_HOT_SECTOR)).collect()),
		pieces: BoundedVec::truncate_from(vec![piece; MAX_DEALS_PER_HOT_SECTOR as usize]),
		expiration,
		pledge: PLEDGE,
		proven: ProvenTime::new(0, 1),
		fault,
		location,
		open_deals: MAX_DEALS_PER_HOT_SECTOR,
	}
}

/// Puts `sectors` live hot sectors from number `first` into a partition of the window's deadline,
/// which is due for the first time.
fn add_partition<T: Config>(
	owner: &T::AccountId,
	window: &DeadlineWindow,
	partition: u32,
	first: SectorNumber,
	sectors: u32,
	expiration: BlockNumber,
	fault: Option<Fault>,
) {
	let period = <Pallet<T> as cairn_pallet_traits::Parameters>::get().proving_period;
	let deadline = window.deadline;
	for slot in 0..sectors {
		let location = Location {
			deadline,
			partition,
			slot,
		};
		let record = SectorRecord {
			proven: ProvenTime::new(START, window.close),
			..hot_record(expiration, fault, Some(location))
		};
		Sectors::<T>::insert(owner, first + slot, record);
		let held = <T::Currency as frame_support::traits::fungible::MutateHold<_>>::hold(
			&HoldReason::SectorPledge.into(),
			owner,
			PLEDGE,
		);
		assert!(held.is_ok());
	}
	let live = if sectors == SECTORS_PER_PARTITION {
		u64::MAX
	} else {
		(1 << sectors) - 1
	};
	let stored = Partition {
		proof_type: HOT,
		slots: BoundedVec::truncate_from((first..first + sectors).collect()),
		live,
		faulty: if fault.is_some() { live } else { 0 },
		recovering: 0,
		undrawn: 0,
		proven_close: 0,
		settled_close: window.close - period,
		min_expiration: expiration,
	};
	Partitions::<T>::insert((owner, deadline, partition), stored);
	DeadlineHeads::<T>::mutate(owner, deadline, |head| {
		head.partitions = head.partitions.max(partition + 1);
		head.live += sectors;
		head.close = Some(window.close);
	});
	DeadlineCloses::<T>::insert((window.close, owner, deadline), 0);
	Providers::<T>::mutate_extant(owner, |record| {
		record.live_sectors += sectors;
		record.sectors += sectors;
	});
}

fn missed() -> Option<Fault> {
	Some(Fault {
		since: START,
		missed: Some(MissedChallenge {
			period: 1,
			beacon: [5; 32],
		}),
	})
}

/// A pre-commit of the largest record, without deals of the market.
fn pre_commit_record(
	comm_r: [u8; 32],
	seed: [u8; 32],
	prove_by: BlockNumber,
	deposit: u128,
) -> PreCommitRecord {
	let piece = CommittedPiece {
		piece: zero_piece(),
		duration: 100,
	};
	PreCommitRecord {
		proof_type: SEALED,
		comm_r,
		comm_d: ZERO_COMMITMENTS[usize::from(spec(SEALED).depth())],
		ticket: [1; 32],
		deals: Default::default(),
		pieces: BoundedVec::truncate_from(vec![piece; MAX_DEALS_PER_SECTOR as usize]),
		expiration: 100_000,
		deposit,
		at: START,
		prove_by,
		seed: Some(seed),
		proven: [0; 32],
	}
}

/// Stores a pre-commit with its deposit and its entry in the calendar.
fn add_pre_commit<T: Config>(owner: &T::AccountId, comm_r: [u8; 32], seed: [u8; 32]) -> BlockNumber {
	let deposit = 1_000_000_000;
	let prove_by = now::<T>() + 10;
	let held = <T::Currency as frame_support::traits::fungible::MutateHold<_>>::hold(
		&HoldReason::PreCommitDeposit.into(),
		owner,
		deposit,
	);
	assert!(held.is_ok());
	PreCommits::<T>::insert(owner, SECTOR, pre_commit_record(comm_r, seed, prove_by, deposit));
	PreCommitExpiries::<T>::insert((prove_by + 1, owner, SECTOR), ());
	Providers::<T>::mutate_extant(owner, |record| record.pre_commits += 1);
	prove_by
}

fn batch<S, B: Get<u32>>(items: Vec<S>) -> BoundedVec<S, B> {
	BoundedVec::truncate_from(items)
}

fn ask() -> Ask {
	Ask::V1 {
		price_per_gib: 1,
		min_piece_log2: 7,
		max_piece_log2: 11,
		min_duration: 20,
		max_duration: 100,
		accepting: true,
	}
}

#[benchmarks]
mod benchmarks {
	use super::*;

	/// By an account that works for another provider so far.
	#[benchmark]
	fn register_storage_provider() {
		long_calendar::<T>();
		let employer: T::AccountId = account("employer", 0, 0);
		let caller: T::AccountId = whitelisted_caller();
		let worker: T::AccountId = account("worker", 0, 0);
		fund::<T>(&employer);
		fund::<T>(&caller);
		let registered = Pallet::<T>::register(employer.clone(), caller.clone(), employer, contact());
		assert!(registered.is_ok());
		#[extrinsic_call]
		_(
			RawOrigin::Signed(caller.clone()),
			worker.clone(),
			caller.clone(),
			contact(),
		);
		assert_eq!(Pallet::<T>::owner_of(&worker), Some(caller));
	}

	#[benchmark]
	fn update_provider() {
		let caller = provider::<T>();
		let beneficiary: T::AccountId = account("beneficiary", 0, 0);
		#[extrinsic_call]
		_(
			RawOrigin::Signed(caller.clone()),
			Some(contact()),
			Some(beneficiary.clone()),
		);
		assert_eq!(
			Providers::<T>::get(&caller).map(|record| record.beneficiary),
			Some(beneficiary)
		);
	}

	#[benchmark]
	fn set_worker() {
		let caller = provider::<T>();
		let old: T::AccountId = account("worker", 0, 0);
		let new: T::AccountId = account("worker", 1, 0);
		assert!(Pallet::<T>::set_worker(RawOrigin::Signed(caller.clone()).into(), old).is_ok());
		#[extrinsic_call]
		_(RawOrigin::Signed(caller.clone()), new.clone());
		assert_eq!(Pallet::<T>::owner_of(&new), Some(caller));
	}

	/// With a close of every deadline that housekeeping has not come to, and an ask for every type.
	#[benchmark]
	fn deregister() {
		let caller = provider::<T>();
		for deadline in 0..MAX_DEADLINES {
			let close = Some(START + deadline);
			DeadlineHeads::<T>::insert(
				&caller,
				deadline,
				DeadlineHead {
					partitions: 1,
					live: 0,
					close,
				},
			);
			DeadlineCloses::<T>::insert((START + deadline, &caller, deadline), 0);
		}
		for proof_type in 0..64 {
			Asks::<T>::insert(&caller, ProofTypeId(proof_type), ask());
		}
		let worker: T::AccountId = account("worker", 0, 0);
		assert!(Pallet::<T>::set_worker(RawOrigin::Signed(caller.clone()).into(), worker).is_ok());
		#[extrinsic_call]
		_(RawOrigin::Signed(caller.clone()));
		assert!(!Providers::<T>::contains_key(&caller));
		assert_eq!(DeadlineCloses::<T>::iter().count(), 0);
		assert_eq!(Asks::<T>::iter().count(), 0);
	}

	#[benchmark]
	fn set_ask() {
		let caller = provider::<T>();
		#[extrinsic_call]
		_(RawOrigin::Signed(caller.clone()), HOT, Some(ask()));
		assert!(Asks::<T>::contains_key(&caller, HOT));
	}

	/// A sealed sector, whose ticket has to be drawn.
	#[benchmark]
	fn pre_commit_sector() {
		let caller = provider::<T>();
		T::Beacons::produce_for_benchmark();
		let sector = SectorPreCommit {
			sector: SECTOR,
			proof_type: SEALED,
			comm_r: [3; 32],
			comm_d: ZERO_COMMITMENTS[usize::from(spec(SEALED).depth())],
			ticket_at: START,
			expiration: START + 10_000,
			deals: Default::default(),
		};
		#[extrinsic_call]
		pre_commit_sectors(RawOrigin::Signed(caller.clone()), batch(vec![sector]));
		assert!(PreCommits::<T>::contains_key(&caller, SECTOR));
	}

	/// The last part: every deadline is looked at, and four partitions without room.
	#[benchmark]
	fn prove_commit_sector() {
		let caller = provider::<T>();
		for deadline in 0..MAX_DEADLINES {
			let head = DeadlineHead {
				partitions: 4,
				live: 4,
				close: Some(START),
			};
			DeadlineHeads::<T>::insert(&caller, deadline, head);
			for index in 0..4 {
				let partition = Partition {
					proof_type: HOT,
					slots: BoundedVec::truncate_from((0..SECTORS_PER_PARTITION).collect()),
					live: u64::MAX,
					faulty: 0,
					recovering: 0,
					undrawn: 0,
					proven_close: 0,
					settled_close: START,
					min_expiration: START,
				};
				Partitions::<T>::insert((&caller, deadline, index), partition);
			}
		}
		let spec = spec(SEALED);
		let seed = [9; 32];
		let mut inputs = sealed::ActivationInputs {
			prover_id: Pallet::<T>::prover_id(&caller),
			sector: SECTOR,
			ticket: [1; 32],
			seed,
			comm_d: [0; 32],
			comm_r: [0; 32],
		};
		let count = spec.activation_challenges;
		let proof = forged::sealed_activation::<NativeHash>(&spec, &mut inputs, 0, count);
		add_pre_commit::<T>(&caller, inputs.comm_r, seed);
		let part = SectorProof {
			sector: SECTOR,
			first_challenge: 0,
			challenges: count,
			proof: ActivationProof::V1(batch(proof)),
		};
		#[extrinsic_call]
		prove_commit_sectors(RawOrigin::Signed(caller.clone()), batch(vec![part]));
		assert!(Sectors::<T>::get(&caller, SECTOR).is_some_and(|record| record.location.is_some()));
	}

	/// A full partition in which every sector recovers.
	#[benchmark]
	fn windowed_post_partition() {
		let caller = provider::<T>();
		let window = window::<T>(&caller);
		add_partition::<T>(
			&caller,
			&window,
			0,
			0,
			SECTORS_PER_PARTITION,
			START + 10_000,
			missed(),
		);
		Partitions::<T>::mutate((&caller, window.deadline, 0), |partition| {
			if let Some(partition) = partition {
				partition.recovering = partition.live;
			}
		});
		set_block::<T>(window.open);
		T::Beacons::produce_for_benchmark();
		let openings = 2 * SECTORS_PER_PARTITION as usize;
		let proof = WindowProof::V1(batch(forged::zero_openings(spec(HOT).depth(), openings)));
		let partitions = batch(vec![PartitionProof {
			partition: 0,
			skipped: 0,
		}]);
		#[extrinsic_call]
		submit_windowed_post(
			RawOrigin::Signed(caller.clone()),
			window.deadline,
			partitions,
			proof,
		);
		assert!(Partitions::<T>::get((&caller, window.deadline, 0))
			.is_some_and(|partition| partition.faulty == 0));
	}

	/// Each sector in a partition of its own.
	#[benchmark]
	fn declare_faults(n: Linear<1, 256>) {
		let caller = provider::<T>();
		let window = window::<T>(&caller);
		for sector in 0..n {
			add_partition::<T>(&caller, &window, sector, sector, 1, START + 10_000, None);
		}
		#[extrinsic_call]
		_(RawOrigin::Signed(caller.clone()), batch((0..n).collect()));
		assert!(Sectors::<T>::get(&caller, n - 1).is_some_and(|record| record.fault.is_some()));
	}

	#[benchmark]
	fn declare_faults_recovered(n: Linear<1, 256>) {
		let caller = provider::<T>();
		let window = window::<T>(&caller);
		for sector in 0..n {
			add_partition::<T>(&caller, &window, sector, sector, 1, START + 10_000, missed());
		}
		#[extrinsic_call]
		_(RawOrigin::Signed(caller.clone()), batch((0..n).collect()));
		let partition = Partitions::<T>::get((&caller, window.deadline, n - 1));
		assert!(partition.is_some_and(|partition| partition.recovering == 1));
	}

	#[benchmark]
	fn service() {
		long_calendar::<T>();
		let caller: T::AccountId = whitelisted_caller();
		SweepCursor::<T>::put(START + 1);
		#[extrinsic_call]
		_(RawOrigin::Signed(caller), 0);
		assert_eq!(SweepCursor::<T>::get(), START + 1);
	}

	/// A pre-commit is found that does not fit into what is left of the weight.
	#[benchmark]
	fn sweep_look() {
		let caller = provider::<T>();
		let prove_by = add_pre_commit::<T>(&caller, [3; 32], [4; 32]);
		set_block::<T>(prove_by + 1);
		SweepCursor::<T>::put(prove_by);
		let mut meter = WeightMeter::with_limit(<T as Config>::WeightInfo::sweep_look().saturating_mul(2));
		#[block]
		{
			Pallet::<T>::sweep(&mut meter);
		}
		assert!(SweepCursor::<T>::get() >= prove_by + 1);
	}

	/// The last proof is missed and every sector expires.
	#[benchmark]
	fn settle_partition(n: Linear<0, { SECTORS_PER_PARTITION }>) {
		let caller = provider::<T>();
		let window = window::<T>(&caller);
		if n > 0 {
			add_partition::<T>(&caller, &window, 0, 0, n, window.close, None);
		} else {
			DeadlineCloses::<T>::insert((window.close, &caller, window.deadline), 0);
		}
		set_block::<T>(window.open);
		T::Beacons::produce_for_benchmark();
		set_block::<T>(window.close);
		let partition = Partitions::<T>::get((&caller, window.deadline, 0));
		#[block]
		{
			Pallet::<T>::work_off_close(&caller, window.deadline, window.close, 0, partition);
		}
		assert_eq!(DeadlineCloses::<T>::iter().count(), 0);
		assert!(n == 0 || Sectors::<T>::get(&caller, 0).is_some_and(|record| record.location.is_none()));
	}

	#[benchmark]
	fn expire_pre_commit() {
		let caller = provider::<T>();
		add_pre_commit::<T>(&caller, [3; 32], [4; 32]);
		#[block]
		{
			Pallet::<T>::expire_pre_commit(&caller, SECTOR);
		}
		assert!(!PreCommits::<T>::contains_key(&caller, SECTOR));
	}

	#[benchmark]
	fn set_parameters() {
		let parameters = long_calendar::<T>();
		let parameters = ProtocolParameters {
			proving_period: MAX_DEADLINES * 4,
			..parameters
		};
		#[extrinsic_call]
		_(RawOrigin::Root, parameters);
		assert_eq!(Parameters::<T>::get(), Some(parameters));
	}

	impl_benchmark_test_suite!(
		Pallet,
		crate::tests::mock::new_test_ext(),
		crate::tests::mock::Test
	);
}
