//! What the node's transaction pool answers.

use subxt_rpcs::Error as RpcError;

// Codes of `sc_rpc_api::author::error`.
const INVALID: i32 = 1010;
const UNKNOWN_VALIDITY: i32 = 1011;
const BANNED: i32 = 1012;
const ALREADY_IMPORTED: i32 = 1013;
const TOO_LOW_PRIORITY: i32 = 1014;
const CYCLE: i32 = 1015;
const IMMEDIATELY_DROPPED: i32 = 1016;
const UNACTIONABLE: i32 = 1018;
const NO_TAGS: i32 = 1019;
const NO_FUTURE: i32 = 1021;
const BAD_FORMAT: i32 = 1001;
const VERIFICATION: i32 = 1002;
// Of JSON-RPC and its server.
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMETERS: i32 = -32602;
const REQUEST_TOO_LARGE: i32 = -32007;

/// Why the pool did not take a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
	/// The connection broke or the node had trouble: the transaction may be in the pool.
	Unclear(String),
	/// The pool has these very bytes already.
	AlreadyKnown,
	/// A transaction with the same nonce and no lower priority is in the pool.
	NonceOccupied,
	/// The account's nonce has passed.
	Stale,
	/// The era has passed, or begins at a block that the node's chain does not have.
	WrongEra(String),
	/// The pool is full, or bans the transaction for a while.
	Later(String),
	/// The account cannot pay the fee.
	Unfunded,
	/// Refused for another reason.
	Invalid(String),
}

impl Refusal {
	/// Reads the answer to `author_submitAndWatchExtrinsic`.
	pub fn from_rpc(error: RpcError) -> Self {
		let RpcError::User(error) = error else {
			return Refusal::Unclear(error.to_string());
		};
		let detail = error
			.data
			.as_ref()
			.map(|data| data.get().trim_matches('"'))
			.unwrap_or_default();
		let text = if detail.is_empty() {
			error.message.clone()
		} else {
			detail.to_owned()
		};
		match error.code {
			ALREADY_IMPORTED => Refusal::AlreadyKnown,
			TOO_LOW_PRIORITY => Refusal::NonceOccupied,
			BANNED | IMMEDIATELY_DROPPED | UNKNOWN_VALIDITY | NO_FUTURE => Refusal::Later(error.message),
			// The runtime could not be asked, for instance because the block it was asked at is gone.
			VERIFICATION => Refusal::Later(error.message),
			INVALID if detail.contains("outdated") => Refusal::Stale,
			// The signed data name the era's first block: on a fork that lacks it, the signature is bad.
			INVALID if detail.contains("ancient birth block") || detail.contains("bad signature") => {
				Refusal::WrongEra(text)
			}
			INVALID if detail.contains("pay some fees") => Refusal::Unfunded,
			INVALID | BAD_FORMAT | CYCLE | UNACTIONABLE | NO_TAGS => Refusal::Invalid(text),
			METHOD_NOT_FOUND | INVALID_PARAMETERS | REQUEST_TOO_LARGE => Refusal::Invalid(text),
			_ => Refusal::Unclear(text),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use subxt_rpcs::UserError;

	fn refusal(code: i32, message: &str, data: Option<&str>) -> Refusal {
		let data = data.map(|data| {
			let json = format!("{data:?}");
			serde_json::value::RawValue::from_string(json).expect("a JSON string")
		});
		Refusal::from_rpc(RpcError::User(UserError {
			code,
			message: message.to_owned(),
			data,
		}))
	}

	#[test]
	fn answers_of_the_pool() {
		let invalid = |data| refusal(1010, "Invalid Transaction", Some(data));
		assert_eq!(invalid("Transaction is outdated"), Refusal::Stale);
		assert_eq!(
			invalid("Inability to pay some fees (e.g. account balance too low)"),
			Refusal::Unfunded
		);
		assert_eq!(
			invalid("Transaction has an ancient birth block"),
			Refusal::WrongEra("Transaction has an ancient birth block".into())
		);
		assert_eq!(
			invalid("Custom error: 7"),
			Refusal::Invalid("Custom error: 7".into())
		);
		assert_eq!(
			refusal(1013, "Transaction Already Imported", Some("0x00")),
			Refusal::AlreadyKnown
		);
		assert_eq!(
			refusal(1014, "Priority is too low: (1 vs 1)", None),
			Refusal::NonceOccupied
		);
		assert_eq!(
			refusal(1016, "Immediately Dropped", None),
			Refusal::Later("Immediately Dropped".into())
		);
		assert_eq!(
			refusal(-32603, "Internal", None),
			Refusal::Unclear("Internal".into())
		);
		let lost = RpcError::DisconnectedWillReconnect("gone".into());
		assert!(matches!(Refusal::from_rpc(lost), Refusal::Unclear(_)));
	}
}
