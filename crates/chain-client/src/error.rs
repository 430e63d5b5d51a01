//! Errors of connecting and reading, and why a dispatched call failed.

use crate::{compatibility::Incompatible, BlockRef, Hash};
use codec::{Decode, Input};
use std::fmt;
use subxt::metadata::Metadata;

/// Why a read of the chain failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
	/// The node answered with an error.
	#[error("the node refused the request: {0}")]
	Rpc(String),
	/// The connection was lost and did not come back within the request timeout.
	#[error("the connection to the node is lost")]
	Disconnected,
	/// No answer within the request timeout.
	#[error("the node did not answer in time")]
	RequestTimeout,
	/// The node does not know the block (yet).
	#[error("the node does not know block {0}")]
	BlockNotFound(String),
	/// The node threw the block's state away. Nodes that serve providers and clients should keep
	/// all states (`--state-pruning archive`).
	#[error("the node has pruned the state of block {block}; it should run with --state-pruning archive")]
	StatePruned {
		/// The block.
		block: String,
	},
	/// An answer could not be decoded.
	#[error("cannot decode {what}: {reason}")]
	Decode {
		/// What was read.
		what: String,
		/// What is wrong with it.
		reason: String,
	},
	/// The node now serves another chain than at the time of the connection.
	#[error("the node serves another chain than before: expected block 0x{}, found 0x{}", hex::encode(.expected), hex::encode(.found))]
	ChainReplaced {
		/// Hash of a block of the former chain.
		expected: Hash,
		/// Hash at the same height now.
		found: Hash,
	},
	/// The runtime was upgraded to one that this program does not understand.
	#[error(transparent)]
	Incompatible(#[from] Incompatible),
}

impl ChainError {
	/// Whether the same request may succeed later.
	pub fn is_transient(&self) -> bool {
		matches!(
			self,
			ChainError::Disconnected | ChainError::RequestTimeout | ChainError::BlockNotFound(_)
		)
	}

	pub(crate) fn decode(what: impl Into<String>, reason: impl fmt::Display) -> Self {
		ChainError::Decode {
			what: what.into(),
			reason: reason.to_string(),
		}
	}
}

/// Why a connection could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
	/// The URL is not a WebSocket URL.
	#[error("{url} is not a WebSocket URL (ws://host:port or wss://host)")]
	InvalidUrl {
		/// The URL.
		url: String,
	},
	/// No node answered.
	#[error("no node answers at {url}: {reason}")]
	Unreachable {
		/// The URL.
		url: String,
		/// What went wrong last.
		reason: String,
	},
	/// The node runs another kind of chain.
	#[error("the node runs {spec_name:?}, not a Cairn chain")]
	NotCairn {
		/// Name of the node's runtime.
		spec_name: String,
	},
	/// The chain is not the expected one.
	#[error("the node serves another chain: expected genesis 0x{}, found 0x{}", hex::encode(.expected), hex::encode(.found))]
	WrongChain {
		/// Expected genesis hash.
		expected: Hash,
		/// The node's.
		found: Hash,
	},
	/// Program and runtime do not understand each other.
	#[error(transparent)]
	Incompatible(#[from] Incompatible),
	/// Reading the chain's particulars failed.
	#[error(transparent)]
	Chain(#[from] ChainError),
}

/// Why an executed call failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchFailure {
	/// A pallet's own error.
	#[error("{pallet}.{error}: {docs}")]
	Module {
		/// Name of the pallet.
		pallet: String,
		/// Name of the error.
		error: String,
		/// What it means, from the pallet's documentation.
		docs: String,
	},
	/// The signer may not make this call.
	#[error("the signer may not make this call")]
	BadOrigin,
	/// The balance does not allow it.
	#[error("the balance does not allow it: {reason}")]
	Unfunded {
		/// What the token logic says.
		reason: String,
	},
	/// A number left its range.
	#[error("arithmetic {0}")]
	Arithmetic(String),
	/// Any other failure of the runtime.
	#[error("{0}")]
	Other(String),
}

/// `sp_runtime::ModuleError` and the variants of `sp_runtime::DispatchError` around it.
#[derive(Decode)]
enum RawDispatchError {
	#[codec(index = 0)]
	Other,
	#[codec(index = 1)]
	CannotLookup,
	#[codec(index = 2)]
	BadOrigin,
	#[codec(index = 3)]
	Module { index: u8, error: [u8; 4] },
	#[codec(index = 4)]
	ConsumerRemaining,
	#[codec(index = 5)]
	NoProviders,
	#[codec(index = 6)]
	TooManyConsumers,
	#[codec(index = 7)]
	Token(u8),
	#[codec(index = 8)]
	Arithmetic(u8),
	#[codec(index = 9)]
	Transactional(#[allow(dead_code)] u8),
	#[codec(index = 10)]
	Exhausted,
	#[codec(index = 11)]
	Corruption,
	#[codec(index = 12)]
	Unavailable,
	#[codec(index = 13)]
	RootNotAllowed,
	#[codec(index = 14)]
	Trie(u8),
}

const TOKEN_ERRORS: [&str; 10] = [
	"funds are unavailable",
	"part of the balance keeps the account alive and cannot be moved",
	"the account would fall below the minimum balance",
	"the account cannot be created",
	"the asset is unknown",
	"the funds are frozen",
	"the operation is not supported",
	"the account for a hold cannot be created",
	"the withdrawal would end the account",
	"the account may not receive funds",
];

impl DispatchFailure {
	/// Decodes a `sp_runtime::DispatchError` and looks its names up in `metadata`.
	pub(crate) fn decode(input: &mut &[u8], metadata: &Metadata) -> Result<Self, codec::Error> {
		let text = |text: &str| Ok(DispatchFailure::Other(text.to_owned()));
		match RawDispatchError::decode(input)? {
			RawDispatchError::Other => text("the runtime gave no reason"),
			RawDispatchError::CannotLookup => text("the address cannot be resolved"),
			RawDispatchError::BadOrigin => Ok(DispatchFailure::BadOrigin),
			RawDispatchError::Module { index, error } => Ok(Self::module(index, error[0], metadata)),
			RawDispatchError::ConsumerRemaining => text("something still depends on the account"),
			RawDispatchError::NoProviders => text("the account does not exist"),
			RawDispatchError::TooManyConsumers => text("too much depends on the account already"),
			RawDispatchError::Token(variant) => Ok(DispatchFailure::Unfunded {
				reason: TOKEN_ERRORS
					.get(usize::from(variant))
					.unwrap_or(&"unknown token error")
					.to_string(),
			}),
			RawDispatchError::Arithmetic(variant) => Ok(DispatchFailure::Arithmetic(
				["underflow", "overflow", "division by zero"]
					.get(usize::from(variant))
					.unwrap_or(&"error")
					.to_string(),
			)),
			RawDispatchError::Transactional(_) => text("too many nested storage transactions"),
			RawDispatchError::Exhausted => text("the block's resources are exhausted"),
			RawDispatchError::Corruption => text("the chain's state is corrupt"),
			RawDispatchError::Unavailable => text("a resource is unavailable at the moment"),
			RawDispatchError::RootNotAllowed => text("root may not make this call"),
			RawDispatchError::Trie(variant) => text(&format!("trie error {variant}")),
		}
	}

	fn module(pallet_index: u8, error_index: u8, metadata: &Metadata) -> Self {
		let Some(pallet) = metadata.pallet_by_error_index(pallet_index) else {
			return DispatchFailure::Other(format!("error {error_index} of unknown pallet {pallet_index}"));
		};
		let (error, docs) = match pallet.error_variant_by_index(error_index) {
			Some(variant) => {
				let docs = variant
					.docs
					.iter()
					.map(|line| line.trim())
					.collect::<Vec<_>>()
					.join(" ");
				(variant.name.clone(), docs)
			}
			None => (
				format!("error {error_index}"),
				"unknown to the runtime's metadata".to_owned(),
			),
		};
		DispatchFailure::Module {
			pallet: pallet.name().to_owned(),
			error,
			docs,
		}
	}

	/// Names of pallet and error, if a pallet's error it is.
	pub fn module_error(&self) -> Option<(&str, &str)> {
		match self {
			DispatchFailure::Module { pallet, error, .. } => Some((pallet, error)),
			_ => None,
		}
	}
}

/// Decodes a value and insists that nothing is left over.
pub(crate) fn decode_all<T: Decode>(what: &str, bytes: &[u8]) -> Result<T, ChainError> {
	let mut input = bytes;
	let value = T::decode(&mut input).map_err(|e| ChainError::decode(what, e))?;
	match input.remaining_len() {
		Ok(Some(0)) => Ok(value),
		_ => Err(ChainError::decode(
			what,
			format!("{} bytes are left over", input.len()),
		)),
	}
}

/// A call failed, was never included, or its fate is unknown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
	/// The call was executed and failed. Its fee is paid; it had no other effect.
	#[error("{failure}")]
	Dispatch {
		/// Why.
		failure: DispatchFailure,
		/// Where it was included, what it cost.
		included: Box<crate::submit::Included>,
	},
	/// The account cannot pay the fee. No effect.
	#[error("the account cannot pay the transaction's fee")]
	Unfunded,
	/// Validation refused the transaction. No effect, no fee.
	#[error("the transaction was refused: {reason}")]
	Rejected {
		/// What the node said.
		reason: String,
	},
	/// Never included, although it was sent `attempts` times, or because `valid_until` passed. It is
	/// proven to have no effect.
	#[error("the transaction was not included in time ({attempts} attempts)")]
	Expired {
		/// How often it was signed and sent.
		attempts: u32,
	},
	/// Other transactions of the same account took its nonce each time. It is proven to have no
	/// effect.
	#[error("another transaction of the account took nonce {nonce}")]
	Superseded {
		/// The last nonce lost.
		nonce: u32,
	},
	/// The program is shutting down. The effect is unknown.
	#[error("the submission was interrupted; its effect is unknown")]
	Dropped,
	/// The transaction was sent, but its outcome cannot be read. With a block, it was included there.
	#[error("the outcome of transaction 0x{} is unknown: {source}", hex::encode(.extrinsic_hash))]
	Unresolved {
		/// Block that includes it, if that is known.
		block: Option<BlockRef>,
		/// Hash of the transaction.
		extrinsic_hash: Hash,
		/// What went wrong.
		source: Box<ChainError>,
	},
	/// The runtime does not have the call, or in another form.
	#[error("the chain's runtime does not know call {pallet}.{call} in this form: {reason}")]
	UnknownCall {
		/// Name of the pallet.
		pallet: &'static str,
		/// Name of the call.
		call: &'static str,
		/// Details.
		reason: String,
	},
	/// The chain could not be read, before anything was sent. No effect.
	#[error(transparent)]
	Chain(#[from] ChainError),
}

impl SubmitError {
	/// Why the executed call failed, if that is what happened.
	pub fn dispatch_failure(&self) -> Option<&DispatchFailure> {
		match self {
			SubmitError::Dispatch { failure, .. } => Some(failure),
			_ => None,
		}
	}

	/// Names of pallet and error, if the call failed with a pallet's error.
	pub fn module_error(&self) -> Option<(&str, &str)> {
		self.dispatch_failure()?.module_error()
	}

	/// Whether it is certain that the call had no effect but perhaps a fee.
	pub fn had_no_effect(&self) -> bool {
		!matches!(self, SubmitError::Dropped | SubmitError::Unresolved { .. })
	}
}
