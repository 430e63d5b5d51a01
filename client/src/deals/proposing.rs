//! Proposing a signed deal to its provider and uploading the data.

use super::placement::{Candidate, Need};
use crate::{
	error::CliError,
	provider::{upload, ProviderClient, ProviderError, UploadSource},
	record::{DealRecord, DealState},
};
use cairn_primitives::{BlockNumber, Tier};
use cairn_provider_api::{DealProgress, Hash32, Info, ProposeDeal};
use std::{path::Path, time::Duration};
use url::Url;

/// Times a transient failure is retried.
const RETRIES: u32 = 4;

/// A provider that answered and takes the deal.
#[derive(Clone, Debug)]
pub struct Reachable {
	/// The server that answered.
	pub endpoint: Url,
	/// Blocks that it needs to start the deal.
	pub min_start_delay: BlockNumber,
}

/// Asks a candidate's servers whether they are there, are who they should be, on the right chain, and
/// take the deal. The chain's ask is checked before; this is about what only the server knows.
///
/// # Errors
/// Why not, in a few words.
pub async fn probe(
	http: &reqwest::Client,
	candidate: &Candidate,
	need: &Need,
	genesis_hash: &[u8; 32],
	min_collateral_ppm: u32,
) -> Result<Reachable, String> {
	let mut last = "it has no HTTP address".to_owned();
	for endpoint in &candidate.endpoints {
		match ProviderClient::new(http.clone(), endpoint.clone()).info().await {
			Err(error) => last = describe(&error),
			Ok(info) => match judge(&info, candidate, need, genesis_hash, min_collateral_ppm) {
				Ok(min_start_delay) => {
					return Ok(Reachable {
						endpoint: endpoint.clone(),
						min_start_delay,
					})
				}
				Err(reason) => last = format!("{endpoint}: {reason}"),
			},
		}
	}
	Err(last)
}

/// Blocks that the server needs to start the deal, or why it is the wrong one.
fn judge(
	info: &Info,
	candidate: &Candidate,
	need: &Need,
	genesis_hash: &[u8; 32],
	min_collateral_ppm: u32,
) -> Result<BlockNumber, String> {
	if info.chain.genesis_hash.0 != *genesis_hash {
		return Err("it works on another chain".to_owned());
	}
	if info.owner_key.0 != candidate.provider {
		return Err("another provider answers there".to_owned());
	}
	if info.limits.max_payload_size < need.piece.payload_size {
		return Err(format!(
			"it takes uploads of at most {} bytes",
			info.limits.max_payload_size
		));
	}
	let size = need.piece.padded_size();
	let takes = info.asks.iter().filter(|ask| {
		ask.accepting
			&& Tier::from(ask.tier) == need.tier
			&& (ask.min_piece_size..=ask.max_piece_size.min(ask.sector_size)).contains(&size)
			&& (ask.min_duration..=ask.max_duration).contains(&need.duration)
			&& ask.max_collateral_ppm >= min_collateral_ppm
	});
	takes
		.map(|ask| ask.min_start_delay)
		.min()
		.ok_or_else(|| "it does not take the deal at the moment".to_owned())
}

/// An error with its cause, on one line.
pub fn describe(error: &ProviderError) -> String {
	match std::error::Error::source(error) {
		Some(cause) => format!("{error}: {cause}"),
		None => error.to_string(),
	}
}

/// Proposes a deal and uploads its data, as far as the provider still needs either. Transient failures
/// are retried. Gives the state reached: `Uploaded`, `Failed` if the provider refused for good, `Abandoned`
/// if it could not be dealt with and what it has is unknown.
///
/// `reached` is told each state on the way, so that it can be recorded.
pub async fn propose_and_upload(
	http: &reqwest::Client,
	deal: &DealRecord,
	archive: &Path,
	size: u64,
	reached: &(dyn Fn(&DealState) -> Result<(), CliError> + Sync),
	uploaded: &(dyn Fn(u64) + Sync),
) -> Result<DealState, CliError> {
	let state = match attempt(http, deal, archive, size, reached, uploaded).await? {
		Ok(()) => DealState::Uploaded,
		Err(error) => given_up(&error),
	};
	reached(&state)?;
	Ok(state)
}

/// The state of a deal that came to nothing with this provider.
fn given_up(error: &ProviderError) -> DealState {
	let reason = describe(error);
	match error {
		ProviderError::Refused { .. } if !error.is_transient() => DealState::Failed { reason },
		_ => DealState::Abandoned { reason },
	}
}

/// The outer error is ours, the inner one the provider's.
async fn attempt(
	http: &reqwest::Client,
	deal: &DealRecord,
	archive: &Path,
	size: u64,
	reached: &(dyn Fn(&DealState) -> Result<(), CliError> + Sync),
	uploaded: &(dyn Fn(u64) + Sync),
) -> Result<Result<(), ProviderError>, CliError> {
	let endpoint: Url = match deal.endpoint.parse() {
		Ok(endpoint) => endpoint,
		Err(_) => {
			return Err(CliError::new(
				crate::error::ErrorKind::Configuration,
				"the local record has a damaged address",
			))
		}
	};
	let provider = ProviderClient::new(http.clone(), endpoint);
	let progress = match propose(&provider, deal).await {
		Ok(progress) => progress,
		Err(error) => return Ok(Err(error)),
	};
	if let DealProgress::Failed { reason } = progress {
		let problem = cairn_provider_api::Problem::new(cairn_provider_api::ErrorKind::WrongState, reason);
		return Ok(Err(ProviderError::Refused {
			url: provider.url().clone(),
			problem: Box::new(problem),
		}));
	}
	reached(&DealState::Accepted)?;
	if !progress.awaits_data() {
		uploaded(size);
		return Ok(Ok(()));
	}
	match upload(
		&provider,
		&deal.proposal_hash,
		UploadSource { file: archive, size },
		uploaded,
	)
	.await
	{
		Ok(()) => Ok(Ok(())),
		Err(error @ ProviderError::Read { .. }) => Err(error.into()),
		Err(error) => Ok(Err(error)),
	}
}

async fn propose(provider: &ProviderClient, deal: &DealRecord) -> Result<DealProgress, ProviderError> {
	let request = match deal.signature.0.is_empty() {
		true => ProposeDeal::OnChain {
			proposal_hash: deal.proposal_hash,
		},
		false => ProposeDeal::Signed {
			proposal: deal.proposal.clone(),
			signature: deal.signature.clone(),
		},
	};
	let mut tries = 0;
	loop {
		match provider.propose_deal(&request).await {
			Ok(proposed) if proposed.proposal_hash == deal.proposal_hash => return Ok(proposed.progress),
			Ok(proposed) => return Err(wrong_hash(provider, proposed.proposal_hash)),
			Err(error) if error.is_transient() && tries < RETRIES => {
				tries += 1;
				tokio::time::sleep(Duration::from_millis(300) * 2u32.pow(tries)).await;
			}
			Err(error) => return Err(error),
		}
	}
}

fn wrong_hash(provider: &ProviderClient, found: Hash32) -> ProviderError {
	ProviderError::Malformed {
		url: provider.url().clone(),
		reason: format!("it knows the proposal as {found}"),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::PieceInfo;
	use cairn_provider_api::{
		deal::TierName,
		info::{AskInfo, ChainInfo, UploadLimits},
		Amount,
	};

	fn info() -> Info {
		Info {
			schema: String::new(),
			version: String::new(),
			chain: ChainInfo {
				name: String::new(),
				genesis_hash: Hash32([9; 32]),
				spec_version: 1,
				finalized: 1,
			},
			owner: String::new(),
			owner_key: Hash32([3; 32]),
			worker: String::new(),
			asks: vec![AskInfo {
				proof_type: 0x17,
				tier: TierName::Hot,
				sector_size: 1 << 23,
				price_per_gib: Amount(1),
				min_piece_size: 128,
				max_piece_size: 1 << 30,
				min_duration: 20,
				max_duration: 1000,
				accepting: true,
				min_start_delay: 12,
				max_collateral_ppm: 200_000,
			}],
			limits: UploadLimits {
				max_payload_size: 1 << 30,
				max_concurrent: 1,
				idle_timeout_seconds: 1,
			},
			addresses: vec![],
		}
	}

	fn verdict(change: impl Fn(&mut Info)) -> Result<BlockNumber, String> {
		let mut info = info();
		change(&mut info);
		let candidate = Candidate {
			provider: [3; 32],
			endpoints: vec![],
			price_per_block: 1,
			total_price: 1,
		};
		let need = Need {
			piece: PieceInfo {
				commitment: [0; 32],
				size_log2: 20,
				payload_size: 600_000,
			},
			tier: Tier::Hot,
			duration: 100,
		};
		judge(&info, &candidate, &need, &[9; 32], 100_000)
	}

	#[test]
	fn only_a_refusal_is_an_end() {
		let url: Url = "http://p".parse().unwrap();
		let refused = |kind| ProviderError::Refused {
			url: url.clone(),
			problem: Box::new(cairn_provider_api::Problem::new(kind, "no")),
		};
		for error in [
			refused(cairn_provider_api::ErrorKind::Busy),
			ProviderError::Silent {
				url: url.clone(),
				seconds: 60,
			},
			ProviderError::Malformed {
				url: url.clone(),
				reason: String::new(),
			},
			ProviderError::Status {
				url: url.clone(),
				status: 404,
			},
		] {
			assert!(matches!(given_up(&error), DealState::Abandoned { .. }), "{error}");
		}
		let error = refused(cairn_provider_api::ErrorKind::PriceTooLow);
		assert!(matches!(given_up(&error), DealState::Failed { .. }));
	}

	#[test]
	fn servers_are_judged() {
		assert_eq!(verdict(|_| ()), Ok(12));
		assert!(verdict(|info| info.chain.genesis_hash = Hash32([8; 32]))
			.unwrap_err()
			.contains("another chain"));
		assert!(verdict(|info| info.owner_key = Hash32([8; 32]))
			.unwrap_err()
			.contains("another provider"));
		assert!(verdict(|info| info.limits.max_payload_size = 5)
			.unwrap_err()
			.contains("uploads"));
		for change in [
			(|info| info.asks[0].accepting = false) as fn(&mut Info),
			|info| info.asks[0].tier = TierName::Sealed,
			|info| info.asks[0].sector_size = 1 << 19,
			|info| info.asks[0].max_duration = 50,
			|info| info.asks[0].max_collateral_ppm = 5,
			|info| info.asks.clear(),
		] {
			assert!(verdict(change).unwrap_err().contains("does not take"));
		}
	}
}
