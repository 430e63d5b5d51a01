//! A chain of a genesis preset, block by block, as its author makes it: the inherents, with a relay
//! chain's state in them, then calls and transactions, then the pallets' hooks. After every block the
//! checks of Cairn's pallets run and every planck is accounted for.

use cairn_primitives::draw::{self, blake2_256};
use cairn_runtime::{
	AccountId, Balance, Balances, Block, BlockNumber, Executive, Faucet, Header, Market, Proofs, Randomness,
	Runtime, RuntimeCall, RuntimeEvent, RuntimeHoldReason, RuntimeOrigin, StorageProvider, System,
	PARACHAIN_ID, SLOT_DURATION,
};
use codec::Encode;
use cumulus_primitives_core::{
	relay_chain::{well_known_keys::CURRENT_BLOCK_RANDOMNESS, HeadData},
	PersistedValidationData,
};
use cumulus_primitives_parachain_inherent::ParachainInherentData;
use cumulus_test_relay_sproof_builder::RelayStateSproofBuilder;
use frame_support::{
	assert_ok,
	dispatch::{DispatchClass, PostDispatchInfo},
	traits::fungible::{Inspect, InspectHold},
	weights::Weight,
};
use sp_block_builder::runtime_decl_for_block_builder::BlockBuilderV6;
use sp_consensus_aura::{Slot, AURA_ENGINE_ID};
use sp_genesis_builder::{
	runtime_decl_for_genesis_builder::GenesisBuilder, DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET,
};
use sp_inherents::InherentData;
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
	traits::{Block as BlockT, Dispatchable, Header as HeaderT},
	Digest, DigestItem, DispatchErrorWithPostInfo,
};
use std::cell::RefCell;

pub const UNIT: Balance = cairn_runtime::UNIT;

/// What is outside of the runtime: the relay chain, and the blocks that are over.
struct Outside {
	parent: Header,
	/// Whether the relay chain tells the VRF outputs of its authors, as real ones do.
	strong_beacons: bool,
	/// Slots by which the clocks, of wall and relay chain, are ahead of the blocks.
	slots_ahead: u64,
	/// Issuance when the last block ended.
	issuance: Balance,
	/// Events of the blocks that are over.
	past: Vec<RuntimeEvent>,
}

impl Outside {
	fn slot(&self, block: BlockNumber) -> u64 {
		u64::from(block) + self.slots_ahead
	}
}

thread_local! {
	static OUTSIDE: RefCell<Option<Outside>> = const { RefCell::new(None) };
}

fn outside<R>(f: impl FnOnce(&mut Outside) -> R) -> R {
	OUTSIDE.with_borrow_mut(|outside| f(outside.as_mut().expect("in a test")))
}

/// Runs a test on a new development chain, in block 1.
pub fn test(run: impl FnOnce()) {
	test_in(TestExternalities::default(), DEV_RUNTIME_PRESET, run);
}

/// Runs a test on a new chain whose relay chain is a real one, in block 1.
pub fn test_with_strong_beacons(run: impl FnOnce()) {
	test_in(TestExternalities::default(), LOCAL_TESTNET_RUNTIME_PRESET, run);
}

/// Runs a test in `externalities` on a new chain of a preset, in block 1.
pub fn test_in(mut externalities: TestExternalities, preset: &str, run: impl FnOnce()) {
	externalities.execute_with(|| {
		let patch = |id| -> serde_json::Value {
			let json = Runtime::get_preset(&id).expect("a preset");
			serde_json::from_slice(&json).expect("JSON")
		};
		let mut genesis = patch(None);
		merge(&mut genesis, patch(Some(preset.into())));
		assert_ok!(Runtime::build_state(serde_json::to_vec(&genesis).expect("JSON")));
		let parent = Header::new(
			0,
			Default::default(),
			Default::default(),
			Default::default(),
			Default::default(),
		);
		let chain = Outside {
			parent,
			strong_beacons: preset == LOCAL_TESTNET_RUNTIME_PRESET,
			slots_ahead: 0,
			issuance: issuance(),
			past: Vec::new(),
		};
		OUTSIDE.with_borrow_mut(|outside| *outside = Some(chain));
		begin(true);
		run();
		end();
	});
}

/// A preset is a patch of the default genesis.
fn merge(into: &mut serde_json::Value, patch: serde_json::Value) {
	match (into, patch) {
		(serde_json::Value::Object(into), serde_json::Value::Object(patch)) => {
			for (key, value) in patch {
				merge(into.entry(key).or_insert(serde_json::Value::Null), value);
			}
		}
		(into, patch) => *into = patch,
	}
}

/// What the relay chain knows of randomness: a value of its epoch, and one of the block's author.
fn relay_values(block: BlockNumber) -> ([u8; 32], [u8; 32]) {
	(
		blake2_256(&[b"epoch", &block.to_le_bytes()]),
		blake2_256(&[b"author", &block.to_le_bytes()]),
	)
}

/// The beacon of a block to come, as nobody could know it on a real chain.
pub fn beacon_to_come(block: BlockNumber) -> [u8; 32] {
	let latest = pallet_randomness::Latest::<Runtime>::get().expect("of this block");
	(latest.block + 1..=block).fold(latest.value, |beacon, at| {
		let (epoch, author) = relay_values(at);
		let (strong, slot) = outside(|outside| (outside.strong_beacons, outside.slot(at)));
		draw::next_beacon(&beacon, if strong { &author } else { &epoch }, slot as u32)
	})
}

fn inherent_data(parent: &Header, slot: u64, strong: bool) -> InherentData {
	let (epoch, author) = relay_values(parent.number + 1);
	let vrf = (CURRENT_BLOCK_RANDOMNESS.to_vec(), Some(author).encode());
	let relay_chain = RelayStateSproofBuilder {
		para_id: PARACHAIN_ID.into(),
		current_slot: slot.into(),
		randomness: epoch.into(),
		included_para_head: Some(HeadData(parent.encode())),
		additional_key_values: strong.then_some(vrf).into_iter().collect(),
		..Default::default()
	};
	let (relay_parent_storage_root, relay_chain_state) = relay_chain.into_state_root_and_proof();
	let parachain = ParachainInherentData {
		validation_data: PersistedValidationData {
			parent_head: HeadData(parent.encode()),
			relay_parent_number: slot as u32,
			relay_parent_storage_root,
			max_pov_size: cumulus_primitives_core::relay_chain::MAX_POV_SIZE,
		},
		relay_chain_state,
		downward_messages: Default::default(),
		horizontal_messages: Default::default(),
		relay_parent_descendants: Default::default(),
		collator_peer_id: None,
	};
	let timestamp = sp_timestamp::InherentType::new(slot * SLOT_DURATION);
	let mut data = InherentData::new();
	data.put_data(
		cumulus_primitives_parachain_inherent::INHERENT_IDENTIFIER,
		&parachain,
	)
	.expect("new");
	data.put_data(sp_timestamp::INHERENT_IDENTIFIER, &timestamp)
		.expect("new");
	data
}

/// Begins the next block. Without `room` housekeeping gets no turn before the transactions.
fn begin(room: bool) {
	let (parent, slot, strong) = outside(|outside| {
		let parent = outside.parent.clone();
		let slot = outside.slot(parent.number + 1);
		(parent, slot, outside.strong_beacons)
	});
	let author = DigestItem::PreRuntime(AURA_ENGINE_ID, Slot::from(slot).encode());
	Executive::initialize_block(&Header::new(
		parent.number + 1,
		Default::default(),
		Default::default(),
		parent.hash(),
		Digest { logs: vec![author] },
	));
	for inherent in Runtime::inherent_extrinsics(inherent_data(&parent, slot, strong)) {
		assert_eq!(Executive::apply_extrinsic(inherent), Ok(Ok(())));
	}
	let used = System::block_weight();
	if !room {
		fill_block();
	}
	Executive::inherents_applied();
	if !room {
		frame_system::BlockWeight::<Runtime>::put(used);
	}
}

/// Ends this block, and checks the state.
fn end() {
	let header = Executive::finalize_block();
	assert_ok!(StorageProvider::do_try_state());
	assert_ok!(Market::do_try_state());
	assert_ok!(Proofs::do_try_state());
	assert_ok!(Randomness::do_try_state());
	assert_ok!(Faucet::do_try_state());
	check_money();
	outside(|outside| {
		outside.parent = header;
		outside.issuance = issuance();
		outside.past.extend(events());
	});
}

/// Free and held funds are the issuance, which nothing changed but what this block's events tell.
fn check_money() {
	let sum: Balance = frame_system::Account::<Runtime>::iter_values()
		.map(|account| account.data.free + account.data.reserved)
		.sum();
	assert_eq!(sum, issuance(), "accounts and issuance differ");
	let (mut minted, mut burnt) = (0, 0);
	for event in events() {
		match event {
			RuntimeEvent::Faucet(pallet_faucet::Event::Dripped { amount, .. }) => minted += amount,
			RuntimeEvent::TransactionPayment(pallet_transaction_payment::Event::TransactionFeePaid {
				actual_fee,
				..
			}) => burnt += actual_fee,
			RuntimeEvent::StorageProvider(pallet_storage_provider::Event::PreCommitExpired {
				forfeited,
				..
			}) => burnt += forfeited,
			RuntimeEvent::Market(
				pallet_market::Event::DealNotStarted { burnt: lost, .. }
				| pallet_market::Event::DealTerminated { burnt: lost, .. },
			) => burnt += lost,
			RuntimeEvent::Balances(pallet_balances::Event::DustLost { amount, .. }) => burnt += amount,
			_ => (),
		}
	}
	let before = outside(|outside| outside.issuance);
	assert_eq!(
		issuance() + burnt,
		before + minted,
		"money appeared or vanished in block {}",
		now()
	);
}

fn block_weight() -> Weight {
	cairn_runtime::RuntimeBlockWeights::get().max_block
}

/// Uses up this block's weight.
pub fn fill_block() {
	System::register_extra_weight_unchecked(block_weight(), DispatchClass::Mandatory);
}

/// Ends this block and begins the next.
pub fn next_block() {
	end();
	begin(true);
}

/// Ends this block and begins the next, without room for housekeeping in between.
pub fn next_block_without_housekeeping() {
	fill_block();
	end();
	begin(false);
}

pub fn run_to(block: BlockNumber) {
	while now() < block {
		next_block();
	}
}

/// Lets the clocks of wall and relay chain run on by `slots` without a block.
pub fn stand_still(slots: u64) {
	outside(|outside| outside.slots_ahead += slots);
}

/// Whether the relay chain tells its authors' outputs from now on. A real one's author may have none.
pub fn set_strong_beacons(strong: bool) {
	outside(|outside| outside.strong_beacons = strong);
}

pub fn now() -> BlockNumber {
	System::block_number()
}

/// Hash of the block before this one.
pub fn parent_hash() -> <Block as BlockT>::Hash {
	outside(|outside| outside.parent.hash())
}

type Outcome = Result<PostDispatchInfo, DispatchErrorWithPostInfo<PostDispatchInfo>>;

/// A call without a transaction around it: nobody pays a fee.
pub fn dispatch(who: &AccountId, call: impl Into<RuntimeCall>) -> Outcome {
	call.into().dispatch(RuntimeOrigin::signed(who.clone()))
}

/// A call that must succeed.
#[track_caller]
pub fn ok(who: &AccountId, call: impl Into<RuntimeCall>) -> PostDispatchInfo {
	dispatch(who, call).expect("the call succeeds")
}

/// Events of this block.
pub fn events() -> Vec<RuntimeEvent> {
	System::events().into_iter().map(|record| record.event).collect()
}

/// Events of all blocks.
pub fn all_events() -> Vec<RuntimeEvent> {
	let mut all = outside(|outside| outside.past.clone());
	all.extend(events());
	all
}

pub fn account(key: Sr25519Keyring) -> AccountId {
	key.to_account_id()
}

pub fn free(who: &AccountId) -> Balance {
	Balances::free_balance(who)
}

pub fn held(reason: impl Into<RuntimeHoldReason>, who: &AccountId) -> Balance {
	Balances::balance_on_hold(&reason.into(), who)
}

/// Everything that is on hold from an account.
pub fn all_held(who: &AccountId) -> Balance {
	<Balances as InspectHold<_>>::total_balance_on_hold(who)
}

pub fn issuance() -> Balance {
	<Balances as Inspect<_>>::total_issuance()
}
