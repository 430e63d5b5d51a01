//! Errors of the chain, and of what is to be signed for it.

use super::{CliError, ErrorKind};
use crate::deals::terms::TermsError;
use cairn_chain_client::{ChainError, ConnectError, DispatchFailure, SubmitError};

impl From<TermsError> for CliError {
	fn from(error: TermsError) -> Self {
		let (kind, hint) = match &error {
			TermsError::Start { .. } => (ErrorKind::Provider, Some("choose another provider")),
			TermsError::Duration { .. } => (ErrorKind::Usage, Some("choose another --duration")),
			TermsError::Price => (ErrorKind::Provider, Some("choose another provider")),
			TermsError::Root | TermsError::Label => (ErrorKind::Usage, None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

impl From<ConnectError> for CliError {
	fn from(error: ConnectError) -> Self {
		let hint = match &error {
			ConnectError::Unreachable { .. } => {
				Some("start a node (`cairn-node --dev`), or name one with --node or CAIRN_NODE")
			}
			ConnectError::InvalidUrl { .. } => Some("a node's address looks like ws://127.0.0.1:9944"),
			ConnectError::NotCairn { .. } => Some("name a node of a Cairn chain with --node"),
			_ => None,
		};
		CliError::of(ErrorKind::Node, error).maybe_hint(hint)
	}
}

impl From<ChainError> for CliError {
	fn from(error: ChainError) -> Self {
		let hint = match &error {
			ChainError::Disconnected | ChainError::RequestTimeout => Some("is the node still running?"),
			ChainError::StatePruned { .. } => {
				Some("ask a node that keeps old states (`--state-pruning archive`)")
			}
			ChainError::ChainReplaced { .. } => {
				Some("the node was restarted with another chain; run the command again")
			}
			_ => None,
		};
		CliError::of(ErrorKind::Node, error).maybe_hint(hint)
	}
}

impl From<SubmitError> for CliError {
	fn from(error: SubmitError) -> Self {
		let (kind, hint) = match &error {
			SubmitError::Unfunded => (ErrorKind::Funds, Some(FUND_HINT.to_owned())),
			SubmitError::Dispatch { failure, .. } => judge_dispatch(failure),
			SubmitError::Rejected { .. } => (ErrorKind::Rejected, None),
			SubmitError::Expired { .. } | SubmitError::Superseded { .. } => (
				ErrorKind::Timeout,
				Some("nothing happened; run the command again".to_owned()),
			),
			SubmitError::Dropped | SubmitError::Unresolved { .. } => (
				ErrorKind::Node,
				Some("look at the chain before you try again".to_owned()),
			),
			SubmitError::Chain(_) => (
				ErrorKind::Node,
				Some("nothing was sent; run the command again".to_owned()),
			),
			_ => (ErrorKind::Rejected, None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

const FUND_HINT: &str =
	"`cairn wallet fund` asks a test network's faucet; `cairn wallet balance` shows what there is";

/// Errors of Cairn's pallets that a user can do something about.
fn judge_dispatch(failure: &DispatchFailure) -> (ErrorKind, Option<String>) {
	let (kind, hint) = match failure {
		DispatchFailure::Unfunded { .. } => (ErrorKind::Funds, Some(FUND_HINT)),
		DispatchFailure::Module { pallet, error, .. } => match (pallet.as_str(), error.as_str()) {
			("Market", "EscrowTooLow") => (
				ErrorKind::Funds,
				Some("what deals have drawn cannot be withdrawn; see `cairn wallet balance`"),
			),
			("Market", "ClientEscrowTooLow") => (
				ErrorKind::Funds,
				Some("set more aside with `cairn wallet add-balance`"),
			),
			("Market", "ProviderEscrowTooLow") => (
				ErrorKind::Provider,
				Some("the provider lacks collateral; choose another one"),
			),
			("Market", "ProviderNotRegistered") => (
				ErrorKind::NotFound,
				Some("`cairn chain providers` lists the providers"),
			),
			("Market", "ProposalUsed") => (
				ErrorKind::Rejected,
				Some("the deal may exist already; see `cairn deal ls`"),
			),
			("Market", "ProposalNotFound" | "DealNotFound") => (ErrorKind::NotFound, None),
			("Market", "HotPieceStored") => (
				ErrorKind::Rejected,
				Some("the provider stores this piece already; choose another one"),
			),
			("Faucet", _) => (
				ErrorKind::Rejected,
				Some("the faucet serves each account once in a while"),
			),
			_ => (ErrorKind::Rejected, None),
		},
		_ => (ErrorKind::Rejected, None),
	};
	(kind, hint.map(str::to_owned))
}
