//! A runtime of system, balances and market. Providers and sectors are scripted.

use crate::{
	self as pallet_market,
	types::{ClientDealProposal, ClientDealProposals},
	Call, Deals, Event, HoldReason,
};
use cairn_pallet_traits::{ProvenDeal, Sectors};
use cairn_primitives::{
	deal::{DealPayload, DealProposal, PayloadKind},
	params::ProtocolParameters,
	proven_time::ProvenTime,
	Balance, BlockNumber, DealId, PieceInfo, SectorNumber, Tier,
};
use frame_support::{
	assert_ok, derive_impl,
	dispatch::DispatchResultWithPostInfo,
	traits::{
		fungible::{Inspect, InspectHold},
		Hooks,
	},
	weights::Weight,
};
use sp_core::{ConstU128, H256};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
	traits::{Dispatchable, IdentityLookup},
	AccountId32, BuildStorage, DispatchError, MultiSignature, StateVersion,
};
use std::{cell::RefCell, collections::BTreeMap};

pub type AccountId = AccountId32;

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
		RuntimeSlashReason,
		RuntimeLockId,
		RuntimeTask,
		RuntimeViewFunction
	)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(2)]
	pub type Market = pallet_market;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlockU32<Test>;
	type AccountId = AccountId;
	type Lookup = IdentityLookup<AccountId>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

pub const UNIT: Balance = 1_000_000_000_000;
pub const EXISTENTIAL_DEPOSIT: Balance = UNIT / 1000;
pub const ENDOWMENT: Balance = 1000 * UNIT;

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
	type AccountStore = System;
	type RuntimeHoldReason = RuntimeHoldReason;
}

impl pallet_market::Config for Test {
	type BlockNumberProvider = System;
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Sectors = ScriptedSectors;
	type Parameters = ScriptedParameters;
	type OffchainSignature = MultiSignature;
	type WeightInfo = ();
}

#[derive(Clone)]
struct Provider {
	worker: AccountId,
	beneficiary: AccountId,
}

#[derive(Default)]
struct Script {
	providers: BTreeMap<AccountId, Provider>,
	sectors: BTreeMap<(AccountId, SectorNumber), ProvenTime>,
	closed: Vec<(AccountId, SectorNumber)>,
	parameters: Option<ProtocolParameters>,
}

thread_local! {
	static SCRIPT: RefCell<Script> = RefCell::default();
}

fn script<R>(f: impl FnOnce(&mut Script) -> R) -> R {
	SCRIPT.with(|script| f(&mut script.borrow_mut()))
}

/// Providers and sectors as the test scripts them.
pub struct ScriptedSectors;

impl ScriptedSectors {
	pub fn register(owner: &AccountId, worker: &AccountId, beneficiary: &AccountId) {
		let provider = Provider {
			worker: worker.clone(),
			beneficiary: beneficiary.clone(),
		};
		script(|script| script.providers.insert(owner.clone(), provider));
	}

	pub fn deregister(owner: &AccountId) {
		script(|script| script.providers.remove(owner));
	}

	pub fn add(
		provider: &AccountId,
		sector: SectorNumber,
		activated_at: BlockNumber,
		first_close: BlockNumber,
	) {
		let time = ProvenTime::new(activated_at, first_close);
		script(|script| script.sectors.insert((provider.clone(), sector), time));
	}

	/// An accepted proof of the deadline that closes at `close`.
	pub fn prove(provider: &AccountId, sector: SectorNumber, close: BlockNumber) {
		script(|script| {
			let time = script
				.sectors
				.get_mut(&(provider.clone(), sector))
				.expect("scripted");
			time.credit(close, parameters_of(script.parameters).proving_period)
				.expect("a next close");
		});
	}

	/// Terminates a sector.
	pub fn remove(provider: &AccountId, sector: SectorNumber) {
		script(|script| script.sectors.remove(&(provider.clone(), sector)));
	}

	/// The calls of `deal_closed` since the test began.
	pub fn closed() -> Vec<(AccountId, SectorNumber)> {
		script(|script| script.closed.clone())
	}
}

impl Sectors<AccountId> for ScriptedSectors {
	fn provider_of(who: &AccountId) -> Option<AccountId> {
		script(|script| {
			script
				.providers
				.iter()
				.find(|(owner, provider)| *owner == who || provider.worker == *who)
				.map(|(owner, _)| owner.clone())
		})
	}

	fn is_provider(who: &AccountId) -> bool {
		script(|script| script.providers.contains_key(who))
	}

	fn beneficiary(provider: &AccountId) -> Option<AccountId> {
		script(|script| {
			script
				.providers
				.get(provider)
				.map(|provider| provider.beneficiary.clone())
		})
	}

	fn proven(provider: &AccountId, sector: SectorNumber, until: BlockNumber) -> Option<ProvenDeal> {
		let period = parameters().proving_period;
		script(|script| script.sectors.get(&(provider.clone(), sector)).copied()).map(|time| ProvenDeal {
			blocks: time.proven_at(until, period),
			is_final: System::block_number() >= time.decided_at(until, period),
		})
	}

	fn final_at(provider: &AccountId, sector: SectorNumber, until: BlockNumber) -> Option<BlockNumber> {
		let period = parameters().proving_period;
		script(|script| script.sectors.get(&(provider.clone(), sector)).copied())
			.map(|time| time.decided_at(until, period))
	}

	fn deal_closed(provider: &AccountId, sector: SectorNumber) {
		script(|script| script.closed.push((provider.clone(), sector)));
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn register_for_benchmark(who: &AccountId) {
		Self::register(who, who, who);
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn add_proven_sector_for_benchmark(
		provider: &AccountId,
		sector: SectorNumber,
		_deals: u32,
		activated_at: BlockNumber,
		until: BlockNumber,
	) {
		let period = parameters().proving_period;
		Self::add(provider, sector, activated_at, activated_at + period);
		for close in (activated_at + period..until + period).step_by(period as usize) {
			Self::prove(provider, sector, close);
		}
	}
}

fn parameters_of(scripted: Option<ProtocolParameters>) -> ProtocolParameters {
	scripted.unwrap_or(ProtocolParameters::development())
}

/// The parameters in force.
pub fn parameters() -> ProtocolParameters {
	parameters_of(script(|script| script.parameters))
}

/// Changes the parameters.
pub fn set_parameters(parameters: ProtocolParameters) {
	script(|script| script.parameters = Some(parameters));
}

/// Parameters as the test scripts them.
pub struct ScriptedParameters;

impl cairn_pallet_traits::Parameters for ScriptedParameters {
	fn get() -> ProtocolParameters {
		parameters()
	}
}

// The cast.
pub fn client() -> AccountId {
	Sr25519Keyring::Alice.to_account_id()
}
pub fn other_client() -> AccountId {
	Sr25519Keyring::Eve.to_account_id()
}
pub fn provider() -> AccountId {
	Sr25519Keyring::Bob.to_account_id()
}
pub fn worker() -> AccountId {
	Sr25519Keyring::Charlie.to_account_id()
}
pub fn beneficiary() -> AccountId {
	Sr25519Keyring::Dave.to_account_id()
}
pub fn other_provider() -> AccountId {
	Sr25519Keyring::One.to_account_id()
}
pub fn stranger() -> AccountId {
	Sr25519Keyring::Ferdie.to_account_id()
}
/// An account without a balance.
pub fn nobody() -> AccountId {
	AccountId::new([0x99; 32])
}

/// A chain at block 1 with funded accounts and two providers, without escrow.
pub fn bare_ext() -> TestExternalities {
	script(|script| *script = Script::default());
	let mut storage = frame_system::GenesisConfig::<Test>::default()
		.build_storage()
		.expect("valid");
	let accounts = [
		client(),
		other_client(),
		provider(),
		worker(),
		beneficiary(),
		other_provider(),
		stranger(),
	];
	pallet_balances::GenesisConfig::<Test> {
		balances: accounts.map(|who| (who, ENDOWMENT)).to_vec(),
		..Default::default()
	}
	.assimilate_storage(&mut storage)
	.expect("valid");
	ScriptedSectors::register(&provider(), &worker(), &beneficiary());
	ScriptedSectors::register(&other_provider(), &other_provider(), &other_provider());
	let mut ext = TestExternalities::new(storage);
	ext.execute_with(|| System::set_block_number(1));
	ext
}

/// A chain with a keystore, in which benchmarks make clients.
#[cfg(feature = "runtime-benchmarks")]
pub fn benchmark_ext() -> TestExternalities {
	let mut ext = bare_ext();
	ext.register_extension(sp_keystore::KeystoreExt::new(
		sp_keystore::testing::MemoryKeystore::new(),
	));
	ext
}

/// Runs a test on a chain where clients and providers have 100 UNIT in escrow.
pub fn test(run: impl FnOnce()) {
	bare_ext().execute_with(|| {
		for who in [client(), other_client(), provider(), other_provider()] {
			ok(&who, Call::add_balance { amount: 100 * UNIT });
		}
		System::reset_events();
		let issued = issuance();
		run();
		check();
		assert_eq!(issuance() + burnt(), issued, "money appeared or vanished");
	});
}

/// Plancks that the market's events say were burnt.
fn burnt() -> Balance {
	events()
		.into_iter()
		.map(|event| match event {
			Event::DealNotStarted { burnt, .. } | Event::DealTerminated { burnt, .. } => burnt,
			_ => 0,
		})
		.sum()
}

/// The consistency checks.
pub fn check() {
	assert_ok!(Market::do_try_state());
}

/// Dispatches a call as an extrinsic does, all or nothing, and checks the state.
pub fn dispatch(who: &AccountId, call: Call<Test>) -> DispatchResultWithPostInfo {
	let result = RuntimeCall::Market(call).dispatch(RuntimeOrigin::signed(who.clone()));
	check();
	result
}

/// A call that must succeed.
#[track_caller]
pub fn ok(who: &AccountId, call: Call<Test>) {
	assert_ok!(dispatch(who, call));
}

/// A call that must fail with `error` and change nothing.
#[track_caller]
pub fn refused(who: &AccountId, call: Call<Test>, error: impl Into<DispatchError>) {
	let root = || sp_io::storage::root(StateVersion::V1);
	let before = root();
	let result = dispatch(who, call);
	assert_eq!(result.map(|_| ()).map_err(|error| error.error), Err(error.into()));
	assert_eq!(before, root(), "a refused call changed the state");
}

/// Ends this block with all of its weight left and begins the next.
pub fn next_block() {
	end_block(Weight::MAX);
}

/// Ends this block with `remaining` weight for the calendar and begins the next.
pub fn end_block(remaining: Weight) {
	let now = System::block_number();
	let used = Market::on_idle(now, remaining);
	assert!(used.all_lte(remaining));
	System::set_block_number(now + 1);
	check();
}

/// Runs blocks until `block` begins.
pub fn run_to(block: BlockNumber) {
	while System::block_number() < block {
		next_block();
	}
}

/// Jumps to `block` as a chain with full blocks: the calendar is not served.
pub fn jump_to(block: BlockNumber) {
	System::set_block_number(block);
}

pub fn free(who: &AccountId) -> Balance {
	Balances::free_balance(who)
}

/// Free and held.
pub fn total(who: &AccountId) -> Balance {
	<Balances as Inspect<_>>::total_balance(who)
}

fn issuance() -> Balance {
	<Balances as Inspect<_>>::total_issuance()
}

pub fn held(reason: HoldReason, who: &AccountId) -> Balance {
	Balances::balance_on_hold(&reason.into(), who)
}

pub fn escrow(who: &AccountId) -> Balance {
	held(HoldReason::Escrow, who)
}

/// The market's events.
pub fn events() -> Vec<Event<Test>> {
	System::events()
		.into_iter()
		.filter_map(|record| match record.event {
			RuntimeEvent::Market(event) => Some(event),
			_ => None,
		})
		.collect()
}

#[track_caller]
pub fn last_event() -> Event<Test> {
	events().pop().expect("an event")
}

pub const PRICE: Balance = 2 * EXISTENTIAL_DEPOSIT;
pub const DURATION: BlockNumber = 100;
pub const TOTAL: Balance = PRICE * DURATION as Balance;
pub const COLLATERAL: Balance = TOTAL / 10;
pub const START_BY: BlockNumber = 50;

/// A valid proposal of a sealed deal. Equal but for the nonce and the piece that it names.
pub fn proposal(nonce: u64) -> DealProposal<AccountId> {
	DealProposal {
		piece: PieceInfo {
			commitment: sp_io::hashing::blake2_256(&nonce.to_le_bytes()),
			size_log2: 11,
			payload_size: 2000,
		},
		payload: DealPayload::V1 {
			kind: PayloadKind::Public,
			root: vec![1, 0x55, 0x12, 0x20].try_into().expect("short"),
		},
		client: client(),
		provider: provider(),
		tier: Tier::Sealed,
		start_by: START_BY,
		duration: DURATION,
		price_per_block: PRICE,
		provider_collateral: COLLATERAL,
		nonce,
		label: Default::default(),
	}
}

/// A valid proposal of a hot deal.
pub fn hot_proposal(nonce: u64) -> DealProposal<AccountId> {
	DealProposal {
		tier: Tier::Hot,
		..proposal(nonce)
	}
}

pub fn genesis_hash() -> H256 {
	System::block_hash(0)
}

/// The bytes that clients sign on this chain.
pub fn signing_bytes(proposal: &DealProposal<AccountId>) -> Vec<u8> {
	proposal.signing_bytes(&genesis_hash().0)
}

pub fn hash_of(proposal: &DealProposal<AccountId>) -> H256 {
	H256(cairn_primitives::deal::proposal_hash(&signing_bytes(proposal)))
}

pub type Signed = ClientDealProposal<AccountId, MultiSignature>;

/// The proposal signed raw by its client, who must be of the cast.
pub fn signed(proposal: DealProposal<AccountId>) -> Signed {
	let key = Sr25519Keyring::from_account_id(&proposal.client).expect("a well-known account");
	let client_signature = key.sign(&signing_bytes(&proposal)).into();
	ClientDealProposal {
		proposal,
		client_signature,
	}
}

/// `publish_storage_deals` of proposals signed raw.
pub fn publish(proposals: impl IntoIterator<Item = DealProposal<AccountId>>) -> Call<Test> {
	publish_signed(proposals.into_iter().map(signed).collect())
}

pub fn publish_signed(proposals: Vec<Signed>) -> Call<Test> {
	Call::publish_storage_deals {
		proposals: ClientDealProposals::try_from(proposals).expect("not too many"),
	}
}

pub fn accept(proposals: &[&DealProposal<AccountId>]) -> Call<Test> {
	let hashes: Vec<_> = proposals.iter().map(|proposal| hash_of(proposal)).collect();
	Call::accept_deals {
		proposals: hashes.try_into().expect("not too many"),
	}
}

pub fn settle(deals: &[DealId]) -> Call<Test> {
	Call::settle_deal_payments {
		deals: deals.to_vec().try_into().expect("not too many"),
	}
}

/// Publishes a proposal and returns the deal.
#[track_caller]
pub fn published(proposal: DealProposal<AccountId>) -> DealId {
	let owner = proposal.provider.clone();
	ok(&owner, publish([proposal]));
	crate::NextDealId::<Test>::get() - 1
}

pub const SECTOR: SectorNumber = 7;

/// Binds deals to a sector and activates them at this block, in a sector of their provider whose
/// first deadline closes 20 blocks later. Nothing is proven yet.
#[track_caller]
pub fn activate(deals: &[DealId], sector: SectorNumber) -> BlockNumber {
	use cairn_pallet_traits::Deals as _;
	let now = System::block_number();
	let deal = Deals::<Test>::get(deals[0]).expect("published");
	assert_ok!(Market::bind(&deal.provider, sector, deal.tier, now, deals));
	check();
	ScriptedSectors::add(&deal.provider, sector, now, now + parameters().proving_period);
	let running = Market::activate(&deal.provider, sector, deals, now).expect("bound");
	assert!(running.iter().all(|running| *running));
	check();
	now
}
