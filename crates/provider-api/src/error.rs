//! Errors as the wire carries them: a stable kind, a sentence, and what to do about it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `schema` of [`Problem`].
pub const SCHEMA: &str = "cairn.provider.problem/1";

/// The cause of a refusal. The texts are stable; new ones may appear.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
	/// SCALE, hex, JSON, CID or header that does not parse.
	Malformed,
	/// The signature is not the client's over this proposal on this chain.
	BadSignature,
	/// The proposal names another provider.
	WrongProvider,
	/// The provider offers no such tier, or takes no new deals in it.
	TierNotOffered,
	/// The piece is smaller or larger than the provider or its sectors take, or its sizes are impossible.
	PieceSize,
	/// The price per block is below the ask.
	PriceTooLow,
	/// The duration lies outside the ask's or the chain's bounds.
	Duration,
	/// `start_by` is too near to prove a sector in time, has passed, or is too far away.
	StartBy,
	/// The provider collateral is below the chain's floor or above what the provider puts up.
	Collateral,
	/// The client's escrow does not cover the deal.
	ClientFunds,
	/// The provider's escrow does not cover the collateral.
	ProviderFunds,
	/// The provider already stores this piece in a live hot deal.
	DuplicatePiece,
	/// The request needs a token that the server's operator hands out.
	Unauthorized,
	/// The server does this for programs on its own machine only.
	Forbidden,
	/// No such deal, piece, block or dataset here.
	NotFound,
	/// The deal or dataset is in a state in which this cannot be done.
	WrongState,
	/// An upload starts at another offset than the one the server holds.
	OffsetMismatch,
	/// Another upload of the same deal is running.
	UploadRunning,
	/// More bytes than the proposal names.
	TooLarge,
	/// The data ended before the proposal's size.
	TooSmall,
	/// The data's CommP is not the proposal's.
	CommitmentMismatch,
	/// The data is not a CAR, or one of its blocks does not match its CID.
	InvalidCar,
	/// The CAR does not hold the proposal's root.
	RootMissing,
	/// Well-formed, and not acceptable all the same: a file name that no file can have, an unknown media type, an
	/// empty dataset, a block whose bytes are not those of its CID.
	Unprocessable,
	/// No data arrived for too long.
	IdleTimeout,
	/// The peers of the network that were asked did not send the data in time.
	PeerTimeout,
	/// The server is at a limit of concurrency. Try again later.
	Busy,
	/// The client has sent too many requests. `retry-after` says for how long to wait.
	RateLimited,
	/// The disk has no room.
	StorageFull,
	/// A range outside the object.
	RangeNotSatisfiable,
	/// The requested form of response is not offered.
	NotAcceptable,
	/// The request makes sense, and this server has no way to answer it: an unknown codec, for instance.
	NotImplemented,
	/// The provider cannot reach its chain at the moment.
	ChainUnavailable,
	/// A failure inside the server; its log has the cause under the request id.
	Internal,
	/// A kind this version does not know.
	#[serde(other)]
	Unknown,
}

impl ErrorKind {
	/// The HTTP status that goes with the kind.
	pub const fn http_status(self) -> u16 {
		use ErrorKind::*;
		match self {
			Malformed | BadSignature | WrongProvider | TierNotOffered | PieceSize | PriceTooLow
			| Duration | StartBy | Collateral | ClientFunds | ProviderFunds | TooSmall => 400,
			Unauthorized => 401,
			Forbidden => 403,
			NotFound => 404,
			NotAcceptable => 406,
			IdleTimeout => 408,
			DuplicatePiece | WrongState | OffsetMismatch | UploadRunning => 409,
			TooLarge => 413,
			RangeNotSatisfiable => 416,
			CommitmentMismatch | InvalidCar | RootMissing | Unprocessable => 422,
			RateLimited => 429,
			Busy | ChainUnavailable => 503,
			Internal | Unknown => 500,
			NotImplemented => 501,
			PeerTimeout => 504,
			StorageFull => 507,
		}
	}

	/// Whether the same request may succeed later without a change.
	pub const fn is_transient(self) -> bool {
		use ErrorKind::*;
		matches!(
			self,
			IdleTimeout
				| PeerTimeout
				| UploadRunning
				| RateLimited
				| Busy | ChainUnavailable
				| StorageFull
				| Internal
		)
	}
}

/// A refusal: `data` of a JSON-RPC error, body of an HTTP error.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Problem {
	/// [`SCHEMA`].
	#[serde(default)]
	pub schema: String,
	/// The cause.
	pub kind: ErrorKind,
	/// What went wrong, one sentence.
	pub message: String,
	/// What to do about it.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub hint: Option<String>,
	/// Id of the request in the server's log.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub request_id: Option<String>,
}

impl Problem {
	/// A problem without a hint.
	pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
		Problem {
			schema: SCHEMA.into(),
			kind,
			message: message.into(),
			hint: None,
			request_id: None,
		}
	}

	/// Adds a hint.
	#[must_use]
	pub fn hint(mut self, hint: impl Into<String>) -> Self {
		self.hint = Some(hint.into());
		self
	}
}

impl fmt::Display for Problem {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		f.write_str(&self.message)?;
		match &self.hint {
			Some(hint) => write!(f, " ({hint})"),
			None => Ok(()),
		}
	}
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn unknown_kinds_and_fields_are_tolerated() {
		let problem: Problem =
			serde_json::from_str(r#"{"kind":"of_the_future","message":"m","extra":1}"#).unwrap();
		assert_eq!(problem.kind, ErrorKind::Unknown);
		let json = serde_json::to_value(Problem::new(ErrorKind::PriceTooLow, "m").hint("h")).unwrap();
		assert_eq!(json["kind"], "price_too_low");
		assert_eq!(json["schema"], SCHEMA);
		assert_eq!(json["hint"], "h");
	}
}
