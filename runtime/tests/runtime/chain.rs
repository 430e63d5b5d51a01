//! The chain of the `development` preset, block by block.

use cairn_primitives::draw::blake2_256;
use cairn_runtime::{
	AccountId, Balance, Balances, BlockNumber, Market, Randomness, Runtime, RuntimeCall, RuntimeEvent,
	RuntimeHoldReason, RuntimeOrigin, StorageProvider, System,
};
use frame_support::{
	assert_ok,
	dispatch::PostDispatchInfo,
	traits::{
		fungible::{Inspect, InspectHold},
		Hooks,
	},
	weights::{Weight, WeightMeter},
};
use sp_genesis_builder::runtime_decl_for_genesis_builder::GenesisBuilder;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{traits::Dispatchable, DispatchErrorWithPostInfo};

pub const UNIT: Balance = cairn_runtime::UNIT;

/// Runs a test on a new chain at block 1.
pub fn test(run: impl FnOnce()) {
	let mut externalities = sp_io::TestExternalities::default();
	externalities.execute_with(|| {
		let preset = |id| {
			let json = Runtime::get_preset(&id).expect("a preset");
			serde_json::from_slice(&json).expect("JSON")
		};
		let mut genesis = preset(None);
		merge(&mut genesis, preset(Some("development".into())));
		assert_ok!(Runtime::build_state(serde_json::to_vec(&genesis).expect("JSON")));
		begin(1);
		run();
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

/// Begins a block as far as Cairn's pallets take part in it.
fn begin(block: BlockNumber) {
	System::reset_events();
	System::initialize(
		&block,
		&blake2_256(&[b"block", &(block - 1).to_le_bytes()]).into(),
		&Default::default(),
	);
	// The development chain's beacons are weak, and accepted there.
	Randomness::advance(Some(blake2_256(&[b"relay", &block.to_le_bytes()])), false, block);
	StorageProvider::on_poll(block, &mut WeightMeter::with_limit(block_weight()));
}

fn block_weight() -> Weight {
	cairn_runtime::RuntimeBlockWeights::get().max_block
}

/// Ends this block and begins the next.
pub fn next_block() {
	StorageProvider::on_idle(now(), block_weight());
	Market::on_idle(now(), block_weight());
	begin(now() + 1);
}

pub fn run_to(block: BlockNumber) {
	while now() < block {
		next_block();
	}
}

pub fn now() -> BlockNumber {
	System::block_number()
}

type Outcome = Result<PostDispatchInfo, DispatchErrorWithPostInfo<PostDispatchInfo>>;

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
