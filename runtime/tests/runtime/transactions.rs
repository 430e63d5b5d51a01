//! Transactions as wallets make them, and what the pool and a block's author do with them.

use crate::chain::{account, now, parent_hash};
use cairn_runtime::{
	AccountId, Balance, Executive, Hash, Nonce, Runtime, RuntimeCall, RuntimeEvent, System, TxExtension,
	UncheckedExtrinsic, VERSION,
};
use codec::Encode;
use frame_support::storage::{with_transaction, TransactionOutcome};
use pallet_transaction_payment::ChargeTransactionPayment;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
	generic::{Era, SignedPayload},
	transaction_validity::{TransactionSource, TransactionValidity},
	ApplyExtrinsicResult, DispatchError, MultiAddress,
};

/// What a signer chooses, and takes from its view of the chain.
pub struct Terms {
	pub nonce: Nonce,
	pub era: Era,
	pub tip: Balance,
	pub genesis: Hash,
	pub spec_version: u32,
	pub transaction_version: u32,
}

fn extension(nonce: Nonce, era: Era, tip: Balance) -> TxExtension {
	TxExtension::new((
		frame_system::AuthorizeCall::new(),
		frame_system::CheckNonZeroSender::new(),
		frame_system::CheckSpecVersion::new(),
		frame_system::CheckTxVersion::new(),
		frame_system::CheckGenesis::new(),
		frame_system::CheckEra::from(era),
		frame_system::CheckNonce::from(nonce),
		frame_system::CheckWeight::new(),
		ChargeTransactionPayment::from(tip),
		frame_metadata_hash_extension::CheckMetadataHash::new(false),
	))
}

/// Signs a call with the account's next nonce, for ever and without a tip.
pub fn sign(key: Sr25519Keyring, call: impl Into<RuntimeCall>) -> UncheckedExtrinsic {
	sign_with(key, call, |_| ())
}

/// Signs a call on other terms.
pub fn sign_with(
	key: Sr25519Keyring,
	call: impl Into<RuntimeCall>,
	change: impl FnOnce(&mut Terms),
) -> UncheckedExtrinsic {
	let call = call.into();
	let mut terms = Terms {
		nonce: System::account_nonce(account(key)),
		era: Era::Immortal,
		tip: 0,
		genesis: System::block_hash(0),
		spec_version: VERSION.spec_version,
		transaction_version: VERSION.transaction_version,
	};
	change(&mut terms);
	let extension = extension(terms.nonce, terms.era, terms.tip);
	let birth = terms.era.birth(now().into()) as u32;
	let implicit = (
		(),
		(),
		terms.spec_version,
		terms.transaction_version,
		terms.genesis,
		System::block_hash(birth),
		(),
		(),
		(),
		None,
	);
	let payload = SignedPayload::from_raw(call.clone(), extension.clone(), implicit);
	let signature = payload.using_encoded(|bytes| key.sign(bytes));
	UncheckedExtrinsic::new_signed(call, MultiAddress::Id(account(key)), signature.into(), extension)
}

/// A transaction without a signer: only calls that authorise themselves may come so.
pub fn general(call: impl Into<RuntimeCall>) -> UncheckedExtrinsic {
	UncheckedExtrinsic::new_transaction(call.into(), extension(0, Era::Immortal, 0))
}

/// What the pool says of a transaction for the next block.
pub fn validate(transaction: UncheckedExtrinsic) -> TransactionValidity {
	let validity = || {
		let validity =
			Executive::validate_transaction(TransactionSource::External, transaction, parent_hash());
		TransactionOutcome::Rollback(Ok::<_, DispatchError>(validity))
	};
	with_transaction(validity).expect("rolled back")
}

/// Puts a transaction into the block, as its author does: one that must not be in it leaves no trace.
pub fn submit(transaction: UncheckedExtrinsic) -> ApplyExtrinsicResult {
	let apply = || match Executive::apply_extrinsic(transaction) {
		Ok(outcome) => TransactionOutcome::Commit(Ok::<_, DispatchError>(Ok(outcome))),
		Err(refusal) => TransactionOutcome::Rollback(Ok(Err(refusal))),
	};
	with_transaction(apply).expect("decided")
}

/// Signs and submits a call that must succeed.
#[track_caller]
pub fn send(key: Sr25519Keyring, call: impl Into<RuntimeCall>) {
	assert_eq!(submit(sign(key, call)), Ok(Ok(())));
}

/// Signs and submits a call that must get into the block and fail with `error`.
#[track_caller]
pub fn send_failing(key: Sr25519Keyring, call: impl Into<RuntimeCall>, error: impl Into<DispatchError>) {
	assert_eq!(submit(sign(key, call)), Ok(Err(error.into())));
}

/// Fees, tips included, that `events` say an account paid.
pub fn fees_of(who: &AccountId, events: &[RuntimeEvent]) -> Balance {
	events
		.iter()
		.map(|event| match event {
			RuntimeEvent::TransactionPayment(
				pallet_transaction_payment::Event::<Runtime>::TransactionFeePaid {
					who: payer,
					actual_fee,
					..
				},
			) if payer == who => *actual_fee,
			_ => 0,
		})
		.sum()
}
