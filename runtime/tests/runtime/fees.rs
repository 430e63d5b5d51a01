//! What transactions cost.

use crate::{
	chain::*,
	deals::*,
	sectors::{due, Piece, Sector, Store, HOT_2_KIB},
	transactions::*,
};
use cairn_primitives::{sector::DeadlineChallenge, Balance, Tier};
use cairn_runtime::{
	AccountId, Market, Runtime, RuntimeBlockWeights, RuntimeCall, TransactionPayment, UncheckedExtrinsic,
};
use codec::Encode;
use frame_support::{
	assert_ok,
	dispatch::{DispatchClass, GetDispatchInfo},
	weights::Weight,
};
use pallet_market::{Call as Deals, Error as MarketError};
use pallet_storage_provider::{Call as Providers, Error as ProviderError};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring::{Bob, Charlie, Dave, Eve};
use sp_runtime::{DispatchError, FixedPointNumber};
use sp_trie::{proof_size_extension::ProofSizeExt, ProofSizeProvider};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The fee of a transaction if it uses `weight`, its base and the extensions' included.
fn fee(transaction: &UncheckedExtrinsic, weight: Weight) -> Balance {
	let base = RuntimeBlockWeights::get()
		.get(DispatchClass::Normal)
		.base_extrinsic;
	let multiplier = TransactionPayment::next_fee_multiplier();
	let weight_fee = TransactionPayment::weight_to_fee(weight);
	TransactionPayment::weight_to_fee(base)
		+ TransactionPayment::length_to_fee(transaction.encoded_size() as u32)
		+ multiplier.saturating_mul_int(weight_fee)
}

fn normal_weight() -> Weight {
	*frame_system::BlockWeight::<Runtime>::get().get(DispatchClass::Normal)
}

#[test]
fn a_call_costs_its_base_length_and_weight_and_the_tip() {
	test(|| {
		run_to(5);
		let eve = account(Eve);
		let before = (free(&eve), issuance());
		let amount = UNIT;
		let transaction = sign_with(Eve, Deals::add_balance { amount }, |terms| terms.tip = 777);
		let info = transaction.get_dispatch_info();
		let fee = fee(&transaction, info.total_weight());
		let told = TransactionPayment::query_info(transaction.clone(), transaction.encoded_size() as u32);
		assert_eq!(told.partial_fee, fee);
		// A transaction of base weight costs a tenth of a thousandth of a CAIRN, or nobody could budget.
		assert!(fee > UNIT / 10_000 && fee < UNIT / 100, "{fee}");
		assert_eq!(submit(transaction), Ok(Ok(())));
		assert_eq!(free(&eve), before.0 - amount - fee - 777);
		// Fees burn.
		assert_eq!(issuance(), before.1 - fee - 777);
		assert_eq!(fees_of(&eve, &events()), fee + 777);
	});
}

#[test]
fn a_failed_call_costs_its_fee_and_nothing_else() {
	test(|| {
		let eve = account(Eve);
		let before = free(&eve);
		let transaction = sign(Eve, Deals::withdraw_balance { amount: 1 });
		let fee = fee(&transaction, transaction.get_dispatch_info().total_weight());
		let error = DispatchError::from(MarketError::<Runtime>::EscrowTooLow);
		assert_eq!(submit(transaction.clone()), Ok(Err(error)));
		assert_eq!(free(&eve), before - fee);
		assert_eq!(cairn_runtime::System::account_nonce(&eve), 1);
		// It cannot be charged a second time.
		assert!(submit(transaction).is_err());
	});
}

/// `service` declares the weight of its limit and is charged for what it did.
#[test]
fn unused_weight_is_refunded_and_free_for_others() {
	test(|| {
		for call in [
			RuntimeCall::from(Providers::service { limit: 8 }),
			RuntimeCall::from(Deals::service { limit: 8 }),
		] {
			run_to(now() + 3);
			let transaction = sign(Eve, call);
			let (before, used_before) = (free(&account(Eve)), normal_weight());
			let info = transaction.get_dispatch_info();
			assert_eq!(submit(transaction.clone()), Ok(Ok(())));
			let paid = before - free(&account(Eve));
			let most = fee(&transaction, info.total_weight());
			assert!(paid < most / 4, "{paid} of {most}");
			let used = normal_weight() - used_before;
			let base = RuntimeBlockWeights::get()
				.get(DispatchClass::Normal)
				.base_extrinsic;
			assert!(used.all_lt(info.total_weight()));
			assert_eq!(
				paid,
				fee(
					&transaction,
					Weight::from_parts(used.ref_time() - base.ref_time(), 0)
				)
			);
		}
	});
}

/// A recorder whose proof grows by 1,000 bytes with each look at it.
struct GrowingProof(AtomicUsize);

impl ProofSizeProvider for GrowingProof {
	fn estimate_encoded_size(&self) -> usize {
		self.0.fetch_add(1_000, Ordering::Relaxed)
	}
}

#[test]
fn proof_size_that_was_not_used_is_free_for_others() {
	let mut externalities = TestExternalities::default();
	externalities.register_extension(ProofSizeExt::new(GrowingProof(AtomicUsize::new(0))));
	test_in(externalities, sp_genesis_builder::DEV_RUNTIME_PRESET, || {
		let amount = UNIT;
		let transaction = sign(Eve, Deals::add_balance { amount });
		let declared = transaction.get_dispatch_info().total_weight().proof_size();
		assert!(declared > 2_000);
		let before = normal_weight().proof_size();
		assert_eq!(submit(transaction.clone()), Ok(Ok(())));
		// What the recorder measured, and the transaction itself.
		assert_eq!(
			normal_weight().proof_size() - before,
			1_000 + transaction.encoded_size() as u64
		);
	});
}

/// A provider with one hot sector, in the block before its deadline's challenge is known.
fn provider() -> (AccountId, Store, DeadlineChallenge) {
	let owner = account(Bob);
	ok(&owner, register(Charlie, Dave));
	for key in [Bob, Eve] {
		ok(&account(key), Deals::add_balance { amount: 10 * UNIT });
	}
	let piece = Piece::random(1, 2_000);
	let proposal = proposal(Eve, Bob, Tier::Hot, piece.info, 500, 0);
	ok(&account(Charlie), publish([proposal.clone()]));
	let sector = Sector::pack(&owner, 0, HOT_2_KIB, &[&piece], vec![deal_of(&proposal)]);
	ok(&account(Charlie), sector.pre_commit());
	run_to(now() + 2);
	ok(&account(Charlie), sector.prove());
	let challenge = loop {
		match due(&owner) {
			Some(challenge) => break challenge,
			None => next_block(),
		}
	};
	next_block();
	(owner, Store::of([sector]), challenge)
}

#[test]
fn a_windowed_proof_is_free_once_a_period() {
	test(|| {
		let (owner, store, challenge) = provider();
		let worker = account(Charlie);
		let call = store.post(&owner, &challenge);
		let before = free(&worker);

		// A wrong one costs its fee.
		let mut bytes = store.prove_partition(&owner, &challenge.partitions[0], 0);
		bytes[40] ^= 1;
		let wrong = crate::sectors::window(challenge.window.deadline, vec![(0, 0)], bytes);
		send_failing(Charlie, wrong, pallet_proofs::Error::<Runtime>::WrongDataPath);
		let after_wrong = free(&worker);
		assert!(after_wrong < before);

		// The right one must be prefunded, and only the tip is kept.
		let transaction = sign_with(Charlie, call.clone(), |terms| terms.tip = 99);
		assert_ok!(validate(transaction.clone()));
		assert_eq!(submit(transaction), Ok(Ok(())));
		assert_eq!(free(&worker), after_wrong - 99);

		// Again it is refused, and costs its fee.
		send_failing(Charlie, call.clone(), ProviderError::<Runtime>::AlreadyProven);
		let after_second = free(&worker);
		assert!(after_second < after_wrong - 99);
		let fees = fees_of(&worker, &events());
		assert_eq!(before - after_second, fees);

		// A period later it is free again.
		let owed = loop {
			let due = due(&owner);
			next_block();
			if let Some(challenge) = due {
				break challenge;
			}
		};
		assert_eq!(owed.window.period, challenge.window.period + 1);
		send(Charlie, store.post(&owner, &owed));
		assert_eq!(free(&worker), after_second);
	});
}

/// Nothing else travels for free beside a proof.
#[test]
fn a_batch_with_a_windowed_proof_pays() {
	test(|| {
		let (owner, store, challenge) = provider();
		let worker = account(Charlie);
		let before = free(&worker);
		let calls = vec![
			store.post(&owner, &challenge).into(),
			frame_system::Call::remark {
				remark: vec![0; 1_000],
			}
			.into(),
		];
		send(Charlie, pallet_utility::Call::batch_all { calls });
		assert!(free(&worker) < before);
		assert!(due(&owner).is_none());
		assert!(Market::view_deal(0).is_some());
	});
}
