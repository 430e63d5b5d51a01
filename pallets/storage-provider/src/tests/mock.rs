//! A runtime of system, balances, proofs and this pallet. The market and the beacons are scripted;
//! proofs are real.

use crate::{
	self as pallet_storage_provider,
	types::{Partition, ProviderContact, SectorRecord},
	Call, Event, HoldReason, Partitions, Sectors,
};
use cairn_pallet_traits::{Beacon, Beacons, CommittedDeal, Deals};
use cairn_primitives::{
	draw::blake2_256, params::ProtocolParameters, Balance, BlockNumber, DealId, PieceInfo, SectorNumber, Tier,
};
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{
	assert_ok, derive_impl,
	dispatch::DispatchResultWithPostInfo,
	storage_alias,
	traits::{
		fungible::{Inspect, InspectHold},
		ConstU128, Hooks,
	},
	weights::{Weight, WeightMeter},
	Twox64Concat,
};
use scale_info::TypeInfo;
use sp_io::TestExternalities;
use sp_runtime::{traits::Dispatchable, BuildStorage, DispatchError, StateVersion};

pub type AccountId = u64;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeTask
	)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(2)]
	pub type Proofs = pallet_proofs;
	#[runtime::pallet_index(3)]
	pub type StorageProvider = pallet_storage_provider;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlockU32<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

pub const UNIT: Balance = 1_000_000_000_000;
pub const ENDOWMENT: Balance = 1_000 * UNIT;

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<1_000_000>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
}

impl pallet_proofs::Config for Test {
	type WeightInfo = ();
}

impl pallet_storage_provider::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Deals = Market;
	type Beacons = ScriptedBeacons;
	type Proofs = Proofs;
	type OnForfeit = ();
	type WeightInfo = ();
}

/// A published deal of the scripted market.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deal {
	pub provider: AccountId,
	pub piece: PieceInfo,
	pub tier: Tier,
	pub start_by: BlockNumber,
	pub duration: BlockNumber,
	pub sector: Option<SectorNumber>,
	pub active_at: Option<BlockNumber>,
}

/// The deals, in storage, so that a refused call changes nothing.
#[storage_alias]
pub type DealBook = StorageMap<Script, Twox64Concat, DealId, Deal>;
#[storage_alias]
type NextDeal = StorageValue<Script, DealId, frame_support::pallet_prelude::ValueQuery>;
/// Blocks without a usable beacon.
#[storage_alias]
type Gaps = StorageMap<Script, Twox64Concat, BlockNumber, ()>;

/// The market as tests script it.
pub struct Market;

impl Market {
	/// Publishes a deal.
	pub fn publish(
		provider: AccountId,
		piece: PieceInfo,
		tier: Tier,
		start_by: BlockNumber,
		duration: BlockNumber,
	) -> DealId {
		let id = NextDeal::get();
		NextDeal::put(id + 1);
		let deal = Deal {
			provider,
			piece,
			tier,
			start_by,
			duration,
			sector: None,
			active_at: None,
		};
		DealBook::insert(id, deal);
		id
	}
}

impl Deals<AccountId> for Market {
	fn bind(
		provider: &AccountId,
		sector: SectorNumber,
		tier: Tier,
		prove_from: BlockNumber,
		deals: &[DealId],
	) -> Result<Vec<CommittedDeal>, DispatchError> {
		let bind_one = |id: &DealId| {
			let mut deal = DealBook::get(id).ok_or("no such deal")?;
			if deal.provider != *provider || deal.tier != tier || deal.start_by < prove_from {
				return Err("the deal does not fit");
			}
			if deal.sector.is_some() || deal.active_at.is_some() {
				return Err("the deal is taken");
			}
			deal.sector = Some(sector);
			DealBook::insert(id, deal);
			Ok(CommittedDeal {
				piece: deal.piece,
				duration: deal.duration,
			})
		};
		deals
			.iter()
			.map(|id| bind_one(id).map_err(DispatchError::Other))
			.collect()
	}

	fn unbind(_: &AccountId, deals: &[DealId]) {
		for id in deals {
			DealBook::mutate_extant(id, |deal| deal.sector = None);
		}
	}

	fn activate(
		provider: &AccountId,
		sector: SectorNumber,
		deals: &[DealId],
		at: BlockNumber,
	) -> Result<Vec<bool>, DispatchError> {
		let activate_one = |id: &DealId| {
			let mut deal = DealBook::get(id).ok_or("no such deal")?;
			if deal.provider != *provider || deal.sector != Some(sector) {
				return Err("the deal is not bound");
			}
			let runs = at <= deal.start_by;
			if runs {
				deal.active_at = Some(at);
				DealBook::insert(id, deal);
			}
			Ok(runs)
		};
		deals
			.iter()
			.map(|id| activate_one(id).map_err(DispatchError::Other))
			.collect()
	}

	fn bind_weight(_: u32) -> Weight {
		Weight::zero()
	}

	fn unbind_weight(_: u32) -> Weight {
		Weight::zero()
	}

	fn activate_weight(_: u32) -> Weight {
		Weight::zero()
	}
}

/// A beacon in every block but the gaps, its value known to the tests in advance.
pub struct ScriptedBeacons;

impl ScriptedBeacons {
	pub fn value(block: BlockNumber) -> [u8; 32] {
		blake2_256(&[b"scripted", &block.to_le_bytes()])
	}

	/// Leaves blocks without a usable beacon.
	pub fn leave_out(blocks: impl IntoIterator<Item = BlockNumber>) {
		for block in blocks {
			Gaps::insert(block, ());
		}
	}
}

impl Beacons for ScriptedBeacons {
	fn first_in(from: BlockNumber, until: BlockNumber) -> Option<Beacon> {
		(from.max(1)..until.min(now() + 1))
			.find(|block| !Gaps::contains_key(block))
			.map(|block| Beacon {
				block,
				value: Self::value(block),
			})
	}

	fn ticket(at: BlockNumber) -> Option<Beacon> {
		let due = at > 0
			&& at <= now()
			&& at.is_multiple_of(parameters().ticket_interval)
			&& !Gaps::contains_key(at);
		due.then(|| Beacon {
			block: at,
			value: Self::value(at),
		})
	}

	fn reach() -> BlockNumber {
		100_000
	}

	fn first_in_weight() -> Weight {
		Weight::zero()
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn produce_for_benchmark() {}
}

/// Parameters in force.
pub fn parameters() -> ProtocolParameters {
	StorageProvider::parameters().expect("set at genesis")
}

/// What the benchmarks' own tests run on.
#[cfg(feature = "runtime-benchmarks")]
pub fn new_test_ext() -> TestExternalities {
	new_test_ext_with(ProtocolParameters::development())
}

/// A chain at block 1 with accounts 1 to 40 funded.
pub fn new_test_ext_with(parameters: ProtocolParameters) -> TestExternalities {
	let mut storage = frame_system::GenesisConfig::<Test>::default()
		.build_storage()
		.expect("valid");
	pallet_balances::GenesisConfig::<Test> {
		balances: (1..=40).map(|who| (who, ENDOWMENT)).collect(),
		..Default::default()
	}
	.assimilate_storage(&mut storage)
	.expect("valid");
	pallet_proofs::GenesisConfig::<Test>::default()
		.assimilate_storage(&mut storage)
		.expect("valid");
	crate::GenesisConfig::<Test> {
		parameters: Some(parameters),
		..Default::default()
	}
	.assimilate_storage(&mut storage)
	.expect("valid");
	let mut externalities = TestExternalities::new(storage);
	externalities.execute_with(|| System::set_block_number(1));
	externalities
}

/// Runs a test and checks that no money appeared or vanished but for forfeited deposits, which burn.
pub fn test(run: impl FnOnce()) {
	test_with(ProtocolParameters::development(), run);
}

/// Parameters with which half of all sectors share a deadline.
pub fn two_deadlines() -> ProtocolParameters {
	ProtocolParameters {
		deadlines: 2,
		..ProtocolParameters::development()
	}
}

pub fn test_with(parameters: ProtocolParameters, run: impl FnOnce()) {
	new_test_ext_with(parameters).execute_with(|| {
		let issued = <Balances as Inspect<_>>::total_issuance();
		run();
		check();
		let burnt: Balance = events()
			.into_iter()
			.map(|event| match event {
				Event::PreCommitExpired { forfeited, .. } => forfeited,
				_ => 0,
			})
			.sum();
		assert_eq!(<Balances as Inspect<_>>::total_issuance() + burnt, issued);
	});
}

pub fn now() -> BlockNumber {
	System::block_number()
}

/// The consistency checks.
#[track_caller]
pub fn check() {
	assert_ok!(StorageProvider::do_try_state());
}

/// Dispatches a call and checks the state.
#[track_caller]
pub fn dispatch(who: AccountId, call: Call<Test>) -> DispatchResultWithPostInfo {
	let result = RuntimeCall::StorageProvider(call).dispatch(RuntimeOrigin::signed(who));
	check();
	result
}

/// A call that must succeed.
#[track_caller]
pub fn ok(who: AccountId, call: Call<Test>) {
	assert_ok!(dispatch(who, call));
}

/// A call that must fail with `error` and change nothing.
#[track_caller]
pub fn refused(who: AccountId, call: Call<Test>, error: impl Into<DispatchError>) {
	let before = sp_io::storage::root(StateVersion::V1);
	let result = dispatch(who, call);
	assert_eq!(result.map(|_| ()).map_err(|error| error.error), Err(error.into()));
	assert_eq!(
		before,
		sp_io::storage::root(StateVersion::V1),
		"a refused call changed the state"
	);
}

/// Ends this block and begins the next, with housekeeping.
#[track_caller]
pub fn next_block() {
	end_block(Weight::MAX);
}

/// Ends this block and begins the next with `remaining` weight for each of housekeeping's turns.
#[track_caller]
pub fn end_block(remaining: Weight) {
	let used = StorageProvider::on_idle(now(), remaining);
	assert!(used.all_lte(remaining));
	System::set_block_number(now() + 1);
	let mut meter = WeightMeter::with_limit(remaining);
	StorageProvider::on_poll(now(), &mut meter);
	check();
}

/// Runs blocks until `block` begins.
#[track_caller]
pub fn run_to(block: BlockNumber) {
	assert!(block >= now());
	while now() < block {
		next_block();
	}
}

/// Jumps to `block` as a chain with full blocks: housekeeping never gets a turn.
pub fn jump_to(block: BlockNumber) {
	assert!(block >= now());
	System::set_block_number(block);
	check();
}

pub fn free(who: AccountId) -> Balance {
	Balances::free_balance(who)
}

pub fn held(reason: HoldReason, who: AccountId) -> Balance {
	Balances::balance_on_hold(&reason.into(), &who)
}

/// The pallet's events of the whole test.
pub fn events() -> Vec<Event<Test>> {
	System::events()
		.into_iter()
		.filter_map(|record| match record.event {
			RuntimeEvent::StorageProvider(event) => Some(event),
			_ => None,
		})
		.collect()
}

/// How many of the events satisfy `which`.
pub fn count_events(which: impl Fn(&Event<Test>) -> bool) -> usize {
	events().iter().filter(|event| which(event)).count()
}

#[track_caller]
pub fn last_event() -> Event<Test> {
	events().pop().expect("an event")
}

pub fn contact() -> ProviderContact {
	ProviderContact::V1 {
		peer_id: vec![1; 38].try_into().expect("short"),
		addresses: vec![vec![4; 8].try_into().expect("short")]
			.try_into()
			.expect("few"),
	}
}

/// Registers `who` as its own worker and beneficiary.
#[track_caller]
pub fn register(who: AccountId) {
	register_with_worker(who, who);
}

#[track_caller]
pub fn register_with_worker(owner: AccountId, worker: AccountId) {
	ok(
		owner,
		Call::register_storage_provider {
			worker,
			beneficiary: owner,
			contact: contact(),
		},
	);
}

#[track_caller]
pub fn record(owner: AccountId, sector: SectorNumber) -> SectorRecord {
	Sectors::<Test>::get(owner, sector).expect("a record")
}

/// The partition of a live sector, and the sector's bit in it.
#[track_caller]
pub fn partition_of(owner: AccountId, sector: SectorNumber) -> (Partition, u64) {
	let location = record(owner, sector).location.expect("live");
	let partition = Partitions::<Test>::get((owner, location.deadline, location.partition)).expect("exists");
	(partition, 1 << location.slot)
}
