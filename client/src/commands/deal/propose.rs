//! `cairn deal propose`

use super::steps::ProposalFile;
use crate::{
	block_time::block_time,
	context::Context,
	deals::{
		escrow, offers, packing,
		placement::{describe_misfits, rank, Candidate, Need},
		terms::Terms,
	},
	error::{CliError, ErrorKind},
	progress::Progress,
	provider::{http_client, ProviderClient},
	retrieval::candidates::urls,
	settings::TierName,
};
use cairn_car::{CarFile, ReadOptions};
use cairn_chain_client::calls;
use cairn_dag::Cid;
use cairn_primitives::Balance;
use cairn_units::{Amount, BlockSpan};
use serde::Serialize;
use std::path::PathBuf;

/// Write a proposal for an archive, or make it on chain
///
/// The price is the provider's ask unless --price-per-block says otherwise.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive, as `car create` writes it
	archive: PathBuf,
	/// Who is to store it
	#[arg(long, short, value_name = "ACCOUNT")]
	provider: String,
	/// The root; needed if the archive has not exactly one
	#[arg(long, value_name = "CID")]
	root: Option<Cid>,
	/// What the proofs show: see `cairn put --help` [default: hot]
	#[arg(long, short, value_enum)]
	tier: Option<TierName>,
	/// Time to store for, as `30d` or `500 blocks` [default: 30d]
	#[arg(long, short, value_name = "TIME")]
	duration: Option<BlockSpan>,
	/// Price per block for the whole piece, instead of the provider's ask
	#[arg(long, value_name = "AMOUNT")]
	price_per_block: Option<Amount>,
	/// Collateral of the provider [default: the least that the chain accepts]
	#[arg(long, value_name = "AMOUNT")]
	collateral: Option<Amount>,
	/// Time within which the deal should start
	#[arg(long, value_name = "TIME", default_value = "1d")]
	start_within: BlockSpan,
	/// Text kept on chain with the deal, at most 128 bytes
	#[arg(long, default_value = "")]
	label: String,
	/// Make the proposal on chain, where the provider accepts it without a signature
	#[arg(long)]
	on_chain: bool,
	/// Where the proposal is written [default: the archive's name and .proposal.json]
	#[arg(long, short, value_name = "FILE")]
	output: Option<PathBuf>,
	/// Replace a proposal that exists
	#[arg(long, short)]
	force: bool,
}

#[derive(Serialize)]
struct Report<'a> {
	file: String,
	#[serde(flatten)]
	proposal: &'a ProposalFile,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let output = args.output.clone().unwrap_or_else(|| {
		let mut name = args.archive.clone().into_os_string();
		name.push(".proposal.json");
		name.into()
	});
	if output.symlink_metadata().is_ok() && !args.force {
		return Err(
			CliError::new(ErrorKind::File, format!("{} exists already", output.display())).hint(
				"go on with `cairn deal send`, or replace it with --force; its deal is made all the same",
			),
		);
	}
	let root = match args.root {
		Some(root) => root,
		None => only_root(args.archive.clone()).await?,
	};
	let chain = context.connect().await?;
	let http = http_client()?;
	let block_time = block_time(&http, &context.settings.node.value).await;
	let provider = offers::provider(&chain, &context.parse_account(&args.provider)?).await?;
	let piece = packing::piece_of(&args.archive, &Progress::new(&context.output)).await?;
	let need = Need {
		piece,
		tier: args.tier.unwrap_or(context.settings.tier.value).into(),
		duration: args
			.duration
			.unwrap_or(context.settings.duration.value)
			.in_blocks(block_time)?,
	};
	let candidate = match args.price_per_block {
		Some(price) => candidate_at(provider.owner, price.0, need.duration)?,
		None => {
			let (mut candidates, misfits) = rank(&offers::gather(&chain, &[provider.owner]).await?, &need);
			match candidates.is_empty() {
				false => candidates.remove(0),
				true => {
					let why = match misfits.is_empty() {
						true => "it has no asks".to_owned(),
						false => describe_misfits(&misfits),
					};
					return Err(CliError::new(
						ErrorKind::Provider,
						format!("the provider does not take the deal: {why}"),
					)
					.hint("`cairn chain provider ACCOUNT` shows its asks"));
				}
			}
		}
	};
	let mut min_start_delay = 0;
	for url in urls(&provider) {
		if let Ok(info) = ProviderClient::new(http.clone(), url).info().await {
			let delays = info
				.asks
				.iter()
				.filter(|ask| cairn_primitives::Tier::from(ask.tier) == need.tier);
			min_start_delay = delays.map(|ask| ask.min_start_delay).min().unwrap_or(0);
			break;
		}
	}
	let terms = Terms {
		need,
		root: root.to_bytes(),
		client: context.own_account()?,
		label: args.label.into_bytes(),
		parameters: chain.query().parameters().await?,
		now: chain.finalized().await?.number,
		start_within: args.start_within.in_blocks(block_time)?,
	};
	let mut proposal = terms.proposal(&candidate, min_start_delay)?;
	if let Some(collateral) = args.collateral {
		proposal.provider_collateral = collateral.0;
	}
	let mut file = ProposalFile::new(&proposal, chain.genesis_hash());
	if args.on_chain {
		let (chain, account, submitter) = context.signer().await?;
		if account.id() != proposal.client {
			return Err(CliError::new(
				ErrorKind::Key,
				"the key is of another account than the proposal's client",
			));
		}
		let total = proposal.total_price().unwrap_or(Balance::MAX);
		let deposit = terms.parameters.proposal_deposit;
		let question = format!(
			"Proposing a deal of {} (and a deposit of {} until it is accepted).",
			Amount(total),
			Amount(deposit)
		);
		let _escrow_lock = escrow::ensure(
			context,
			&chain,
			&submitter,
			&context.records(),
			total,
			Some(&question),
		)
		.await?;
		// The file first: after a crash it tells that, and under which hash, the proposal may be on chain.
		file.on_chain = true;
		file.save(&output, args.force)?;
		if let Err(error) = submitter.submit(calls::market::propose_deal(&proposal)).await {
			if error.had_no_effect() {
				// Otherwise it stays, and the error says to look.
				std::fs::remove_file(&output)?;
			}
			return Err(error.into());
		}
	} else {
		file.save(&output, args.force)?;
	}
	let report = Report {
		file: output.display().to_string(),
		proposal: &file,
	};
	context.output.result_or_line(
		"cairn.deal-proposal/1",
		&report,
		&file.proposal_hash.to_string(),
		|out| {
			writeln!(out, "proposal    {}", file.proposal_hash)?;
			file.terms.write(out)?;
			match file.on_chain {
				true => writeln!(
					out,
					"\nmade on chain; next: cairn deal send {} --archive …",
					report.file
				),
				false => writeln!(out, "\nnext: cairn deal sign {}", report.file),
			}
		},
	)
}

fn candidate_at(provider: [u8; 32], price_per_block: Balance, duration: u32) -> Result<Candidate, CliError> {
	let total_price = price_per_block
		.checked_mul(duration.into())
		.ok_or_else(|| CliError::new(ErrorKind::Usage, "the price is beyond all bounds"))?;
	Ok(Candidate {
		provider,
		endpoints: Vec::new(),
		price_per_block,
		total_price,
	})
}

async fn only_root(archive: PathBuf) -> Result<Cid, CliError> {
	tokio::task::spawn_blocking(move || {
		let archive = CarFile::open(&archive, ReadOptions::default())?;
		match archive.roots() {
			[root] => Ok(*root),
			roots => Err(
				CliError::new(ErrorKind::Usage, format!("the archive has {} roots", roots.len()))
					.hint("choose one with --root"),
			),
		}
	})
	.await?
}
