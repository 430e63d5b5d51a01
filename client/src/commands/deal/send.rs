//! `cairn deal send`

use super::steps::ProposalFile;
use crate::{
	context::Context,
	deals::{escrow, offers, proposing},
	error::{CliError, ErrorKind},
	progress::Progress,
	provider::{http_client, ProviderClient},
	record::{DealRecord, DealState, Proposal},
	retrieval::candidates::urls,
};
use cairn_chain_client::ChainClient;
use cairn_primitives::Balance;
use cairn_provider_api::Hash32;
use serde::Serialize;
use std::path::PathBuf;
use url::Url;

/// Hand a proposal to its provider and upload the archive
///
/// Sees to it that the escrow covers a signed proposal. Interrupted uploads go on where they stopped when the
/// command is run again.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The proposal, signed or made on chain
	proposal: PathBuf,
	/// The archive
	#[arg(long, short, value_name = "FILE")]
	archive: PathBuf,
	/// The provider's server, instead of the address it registered
	#[arg(long, value_name = "URL")]
	provider_url: Option<Url>,
}

#[derive(Serialize)]
struct Report {
	proposal_hash: Hash32,
	endpoint: Url,
	state: &'static str,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (file, proposal) = ProposalFile::load(&args.proposal)?;
	if file.signature.is_none() && !file.on_chain {
		return Err(CliError::new(ErrorKind::Usage, "the proposal is not signed")
			.hint(format!("cairn deal sign {}", args.proposal.display())));
	}
	let size = std::fs::metadata(&args.archive)
		.map_err(|error| CliError::from(error).during(args.archive.display()))?
		.len();
	if size != proposal.piece.payload_size {
		return Err(CliError::new(
			ErrorKind::Verification,
			format!(
				"{} has {size} bytes, the proposal's has {}",
				args.archive.display(),
				proposal.piece.payload_size
			),
		));
	}
	let chain = context.connect().await?;
	file.check_chain(&chain.genesis_hash())?;
	let total = proposal.total_price().unwrap_or(Balance::MAX);
	if lacks_escrow(context, &chain, &file, &proposal).await? {
		let (chain, account, submitter) = context.signer().await?;
		if account.id() != proposal.client {
			return Err(CliError::new(
				ErrorKind::Key,
				"the key is of another account than the proposal's client",
			));
		}
		let question = "The deal's price must be in the escrow.";
		escrow::ensure(
			context,
			&chain,
			&submitter,
			&context.records(),
			total,
			Some(question),
		)
		.await?;
	}
	let endpoint = match args.provider_url {
		Some(url) => url,
		None => {
			let provider = offers::provider(&chain, &proposal.provider).await?;
			reachable(urls(&provider)).await?
		}
	};
	let http = http_client()?;
	let signature = file.signature.clone().unwrap_or_default();
	let deal = DealRecord::signed(
		&proposal,
		file.proposal_hash,
		signature.0,
		endpoint.to_string(),
		total,
	);
	let bar = Progress::new(&context.output).bytes("uploading", size);
	let uploaded = |bytes: u64| bar.set_position(bytes);
	let reached = |_: &DealState| Ok(());
	let state = proposing::propose_and_upload(&http, &deal, &args.archive, size, &reached, &uploaded).await?;
	bar.finish_and_clear();
	match &state {
		DealState::Failed { reason } => return Err(CliError::new(ErrorKind::Provider, reason)),
		DealState::Abandoned { reason } => {
			return Err(CliError::new(ErrorKind::Provider, reason)
				.hint("run the same command again: the proposal stays the same, and is published once only"))
		}
		_ => {}
	}
	let report = Report {
		proposal_hash: file.proposal_hash,
		endpoint,
		state: state.name(),
	};
	context.output.result_or_line(
		"cairn.deal-sent/1",
		&report,
		&report.proposal_hash.to_string(),
		|out| {
			writeln!(
				out,
				"{} has the data and verified it; see: cairn deal show {}",
				report.endpoint, report.proposal_hash
			)
		},
	)
}

/// Whether the escrow does not cover a proposal that will be drawn from it, beside what `put` has signed.
async fn lacks_escrow(
	context: &Context,
	chain: &ChainClient,
	file: &ProposalFile,
	proposal: &Proposal,
) -> Result<bool, CliError> {
	let query = chain.query();
	// Both have drawn the price already.
	if file.on_chain || query.deal_of_proposal(&file.proposal_hash.0).await?.is_some() {
		return Ok(false);
	}
	let now = chain.finalized().await?.number;
	let records = context.records().all()?;
	let others = escrow::outstanding(&records, &chain.genesis_hash(), &proposal.client, now);
	let needed = proposal.total_price().unwrap_or(Balance::MAX);
	Ok(query.escrow(&proposal.client).await? < needed.saturating_add(others.expected))
}

/// The first server that answers.
async fn reachable(urls: Vec<Url>) -> Result<Url, CliError> {
	let http = http_client()?;
	let mut last = CliError::new(ErrorKind::Provider, "the provider has registered no HTTP address")
		.hint("name its server with --provider-url");
	for url in urls {
		match ProviderClient::new(http.clone(), url.clone()).info().await {
			Ok(_) => return Ok(url),
			Err(error) => last = error.into(),
		}
	}
	Err(last)
}
