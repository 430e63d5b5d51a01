//! Errors of providers, gateways and peers.

use super::{CliError, ErrorKind};
use crate::{
	provider::ProviderError,
	retrieval::{
		exchange::{ExchangeError, PeerFailure},
		fetch::RetrieveError,
	},
};
use cairn_network::{
	exchange::fetch::FetchError as ExchangeFetchError, host::ConnectError as PeerConnectError,
};
use cairn_provider_api::ErrorKind as ProblemKind;
use std::error::Error;

impl From<ProviderError> for CliError {
	fn from(error: ProviderError) -> Self {
		let (kind, hint) = match &error {
			ProviderError::Refused { problem, .. } => {
				let kind = match problem.kind {
					ProblemKind::ClientFunds => ErrorKind::Funds,
					ProblemKind::NotFound => ErrorKind::NotFound,
					ProblemKind::Unauthorized => ErrorKind::Key,
					ProblemKind::CommitmentMismatch | ProblemKind::InvalidCar | ProblemKind::RootMissing => {
						ErrorKind::Verification
					}
					_ => ErrorKind::Provider,
				};
				(kind, problem.hint.clone())
			}
			ProviderError::Read { .. } => (ErrorKind::File, None),
			ProviderError::Unreachable { .. } => (
				ErrorKind::Provider,
				Some("is the provider running and reachable from here?".to_owned()),
			),
			_ => (ErrorKind::Provider, None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

impl From<RetrieveError> for CliError {
	fn from(error: RetrieveError) -> Self {
		match error {
			RetrieveError::Exhausted { root, failures, .. } => {
				let message = match failures.len() {
					0 => format!("nobody is known who might have {root}"),
					_ => format!("no provider delivered {root}"),
				};
				let reasons: Vec<String> = failures
					.iter()
					.map(|(url, error)| {
						let mut text = error.to_string();
						if !text.contains(url.as_str()) {
							text = format!("{url}: {text}");
						}
						let mut cause = error.source();
						while let Some(inner) = cause {
							if !text.contains(&inner.to_string()) {
								text = format!("{text}: {inner}");
							}
							cause = inner.source();
						}
						text
					})
					.collect();
				let source: Option<Box<dyn Error + Send + Sync>> = match reasons.is_empty() {
					true => None,
					false => Some(reasons.join("; ").into()),
				};
				CliError { kind: ErrorKind::NotFound, message, source, hint: None, is_broken_pipe: false }
					.hint("name a provider with --provider or --provider-url; what was fetched is kept for the next try")
			}
			RetrieveError::Object(error) => error.into(),
			error @ RetrieveError::Disk { .. } => CliError::of(ErrorKind::File, error),
		}
	}
}

impl From<ExchangeError> for CliError {
	fn from(error: ExchangeError) -> Self {
		const HINT: &str =
			"name a peer with --peer, or use gateways with --over gateway; what was fetched is kept for the next try";
		match error {
			ExchangeError::Local(error) => error.into(),
			ExchangeError::Fetch(error) => {
				let kind = match &error {
					ExchangeFetchError::Codec { .. } | ExchangeFetchError::Unusable { .. } => {
						ErrorKind::Verification
					}
					ExchangeFetchError::Store { .. } => ErrorKind::File,
					_ => ErrorKind::Other,
				};
				CliError::of(kind, error)
			}
			ExchangeError::NoPeers { .. } => CliError::new(ErrorKind::NotFound, error.to_string()).hint(HINT),
			ExchangeError::Unreached { ref failures } | ExchangeError::Silent { ref failures, .. } => {
				let reasons: Vec<String> = failures.iter().map(PeerFailure::to_string).collect();
				let mut judged = CliError::new(ErrorKind::NotFound, error.to_string()).hint(HINT);
				if !reasons.is_empty() {
					judged.source = Some(reasons.join("; ").into());
				}
				judged
			}
		}
	}
}

impl From<PeerConnectError> for CliError {
	fn from(error: PeerConnectError) -> Self {
		CliError::of(ErrorKind::Provider, error).hint("is the peer running and reachable from here?")
	}
}
