//! Transactions: signed ones (version 4), and general ones without a signature (version 5).

use crate::{config::CairnConfig, runtime::Runtime, AccountId, BlockRef, Call, Hash, Signer, SubmitError};
use cairn_primitives::{Balance, BlockNumber};
use subxt::{
	config::transaction_extensions::{
		ChargeTransactionPaymentParams, CheckMortalityParams, CheckNonceParams,
	},
	error::ExtrinsicError,
	ext::{
		scale_encode::{EncodeAsFields, Error as ScaleError, FieldIter},
		scale_type_resolver::TypeResolver,
	},
	transactions::StaticPayload,
	utils::{AccountId32, MultiSignature},
};

/// Shortest life of a transaction, in blocks.
const MIN_MORTALITY: u32 = 4;
/// Longest life that callers may ask for, in blocks.
const MAX_MORTALITY: u32 = 256;

/// A transaction ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
	/// SCALE with length prefix, as it goes over the wire.
	pub bytes: Vec<u8>,
	/// Its hash: BLAKE2b-256 of the bytes.
	pub hash: Hash,
	/// First block number at which it is no longer valid.
	pub death: BlockNumber,
}

/// Arguments that are encoded already.
struct EncodedArguments(Vec<u8>);

impl EncodeAsFields for EncodedArguments {
	fn encode_as_fields_to<R: TypeResolver>(
		&self,
		_fields: &mut dyn FieldIter<'_, R::TypeId>,
		_types: &R,
		out: &mut Vec<u8>,
	) -> Result<(), ScaleError> {
		out.extend_from_slice(&self.0);
		Ok(())
	}
}

/// When a transaction is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
	/// Latest finalized block: the transaction's birth.
	pub birth: BlockRef,
	/// Blocks that are not final yet. The transaction is that old when it comes into the world.
	pub lag: u32,
	/// Blocks whose hashes the runtime remembers. Older transactions are refused.
	pub remembered: u32,
}

impl Moment {
	/// Blocks that a transaction may live from its birth on: a power of two, at most what is not final
	/// yet and `mortality` rounded up, and if possible over by the end of block `valid_until`.
	pub fn lifetime(&self, mortality: u32, valid_until: Option<BlockNumber>) -> u32 {
		let most = 1 << self.remembered.max(MIN_MORTALITY).ilog2();
		let beyond_lag = |blocks: u32| {
			let blocks = self
				.lag
				.saturating_add(blocks.clamp(MIN_MORTALITY, MAX_MORTALITY));
			blocks.min(most).next_power_of_two()
		};
		let (mut lifetime, least) = (beyond_lag(mortality), beyond_lag(MIN_MORTALITY));
		if let Some(until) = valid_until {
			let (birth, until) = (u64::from(self.birth.number), u64::from(until));
			while lifetime > least && birth + u64::from(lifetime) > until + 1 {
				lifetime /= 2;
			}
		}
		lifetime
	}
}

fn payload(runtime: &Runtime, call: &Call) -> Result<StaticPayload<EncodedArguments>, SubmitError> {
	let mut arguments = Vec::new();
	call.encode_arguments(runtime.metadata(), &mut arguments)?;
	Ok(StaticPayload::new(
		call.pallet(),
		call.name(),
		EncodedArguments(arguments),
	))
}

fn encoding_error(call: &Call) -> impl Fn(ExtrinsicError) -> SubmitError + '_ {
	|error| SubmitError::UnknownCall {
		pallet: call.pallet(),
		call: call.name(),
		reason: error.to_string(),
	}
}

type Parameters = subxt::config::ParamsFor<CairnConfig>;

fn parameters(mortality: CheckMortalityParams<CairnConfig>, nonce: u32, tip: Balance) -> Parameters {
	(
		(),
		(),
		(),
		mortality,
		CheckNonceParams::with_nonce(nonce.into()),
		ChargeTransactionPaymentParams::tip(tip),
		(),
	)
}

fn mortality(birth: BlockRef, lifetime: u32) -> CheckMortalityParams<CairnConfig> {
	CheckMortalityParams::mortal_from_unchecked(lifetime.into(), birth.number.into(), birth.hash.into())
}

/// Signs `call`, valid for `lifetime` blocks from `birth`, a block of the chain.
pub(crate) fn signed(
	runtime: &Runtime,
	call: &Call,
	signer: &dyn Signer,
	nonce: u32,
	birth: BlockRef,
	lifetime: u32,
	tip: Balance,
) -> Result<Transaction, SubmitError> {
	let error = encoding_error(call);
	let payload = payload(runtime, call)?;
	let parameters = parameters(mortality(birth, lifetime), nonce, tip);
	let mut signable = runtime
		.offline()
		.tx()
		.create_v4_signable_offline(&payload, parameters)
		.map_err(&error)?;
	let signature = signer.sign(&signable.signer_payload().map_err(&error)?);
	let transaction = signable
		.sign_with_account_and_signature(
			&AccountId32(signer.account()),
			&MultiSignature::Sr25519(signature),
		)
		.map_err(&error)?;
	Ok(Transaction {
		hash: transaction.hash().0,
		bytes: transaction.into_encoded(),
		death: birth.number.saturating_add(lifetime),
	})
}

/// A transaction without a signature, for calls that authorise themselves.
pub(crate) fn general(
	runtime: &Runtime,
	call: &Call,
	birth: BlockRef,
	lifetime: u32,
) -> Result<Transaction, SubmitError> {
	let error = encoding_error(call);
	let payload = payload(runtime, call)?;
	let parameters = parameters(mortality(birth, lifetime), 0, 0);
	let mut signable = runtime
		.offline()
		.tx()
		.create_v5_signable_offline(&payload, parameters)
		.map_err(&error)?;
	// None of the chain's extensions carries a signature, so that these are written nowhere.
	let transaction = signable
		.sign_with_account_and_signature(&AccountId32([0; 32]), &MultiSignature::Sr25519([0; 64]))
		.map_err(&error)?;
	Ok(Transaction {
		hash: transaction.hash().0,
		bytes: transaction.into_encoded(),
		death: birth.number.saturating_add(lifetime),
	})
}

/// A transaction of the right length with an invalid signature, to ask for its fee.
pub(crate) fn unsubmittable(
	runtime: &Runtime,
	call: &Call,
	account: AccountId,
) -> Result<Vec<u8>, SubmitError> {
	let error = encoding_error(call);
	let payload = payload(runtime, call)?;
	let birth = BlockRef {
		number: 0,
		hash: [0; 32],
	};
	// The nonce's length counts; four bytes are the longest that occurs in practice.
	let parameters = parameters(mortality(birth, 64), u32::MAX >> 2, 0);
	let mut signable = runtime
		.offline()
		.tx()
		.create_v4_signable_offline(&payload, parameters)
		.map_err(&error)?;
	let transaction = signable
		.sign_with_account_and_signature(&AccountId32(account), &MultiSignature::Sr25519([0; 64]))
		.map_err(&error)?;
	Ok(transaction.into_encoded())
}

#[cfg(test)]
mod tests {
	use super::*;

	fn moment(number: BlockNumber, lag: u32, remembered: u32) -> Moment {
		Moment {
			birth: BlockRef {
				number,
				hash: [0; 32],
			},
			lag,
			remembered,
		}
	}

	#[test]
	fn lifetimes() {
		let lifetime = |birth, mortality, until| moment(birth, 0, 2400).lifetime(mortality, until);
		assert_eq!(lifetime(100, 32, None), 32);
		assert_eq!(lifetime(100, 33, None), 64);
		assert_eq!(lifetime(100, 0, None), 4);
		assert_eq!(lifetime(100, u32::MAX, None), 256);
		assert_eq!(lifetime(100, 32, Some(131)), 32);
		assert_eq!(lifetime(100, 32, Some(130)), 16);
		assert_eq!(lifetime(100, 32, Some(100)), 4);
		assert_eq!(lifetime(u32::MAX, 32, Some(u32::MAX)), 4);
	}

	/// Whatever is not final yet has passed already when the transaction is sent.
	#[test]
	fn lifetimes_reach_beyond_what_is_not_final() {
		let lifetime = |lag, mortality, until| moment(100, lag, 2400).lifetime(mortality, until);
		assert_eq!(lifetime(3, 32, None), 64);
		assert_eq!(lifetime(100, 32, None), 256);
		assert_eq!(lifetime(5, 4, Some(101)), 16);
		assert_eq!(lifetime(5, 32, Some(120)), 16);
		assert_eq!(lifetime(600, 32, None), 1024);
		// The runtime knows no older births.
		assert_eq!(lifetime(5000, 32, None), 2048);
		assert_eq!(lifetime(u32::MAX, 32, None), 2048);
		assert_eq!(moment(100, 300, 256).lifetime(32, None), 256);
		assert_eq!(moment(100, 0, 0).lifetime(32, None), 4);
	}
}
