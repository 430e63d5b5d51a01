//! `cairn deal show`

use super::steps::{root, TermsView};
use crate::{
	account::display,
	context::Context,
	deals::{follow::describe, offers},
	error::{CliError, ErrorKind},
	provider::{http_client, ProviderClient},
	retrieval::candidates::{all_providers, urls},
	settings::TierName,
};
use cairn_chain_client::{ChainClient, DealView, ProviderView};
use cairn_primitives::{BlockNumber, DealId, SectorNumber};
use cairn_provider_api::{piece_cid, DealStatus, Hash32};
use cairn_units::Amount;
use serde::Serialize;

/// Most providers asked about a proposal that nobody is known to have.
const MAX_ASKED: usize = 32;

/// Show a deal or proposal
///
/// A deal by its number; a proposal by its hash, on chain and at its provider.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Number of a deal, or hash of a proposal
	#[arg(value_name = "DEAL|HASH")]
	deal: String,
	/// Ask this provider about a proposal that the chain does not know
	#[arg(long, short, value_name = "ACCOUNT")]
	provider: Option<String>,
}

/// A deal, as scripts see it.
#[derive(Serialize)]
pub struct DealReport {
	deal_id: DealId,
	proposal_hash: Hash32,
	state: &'static str,
	root: String,
	piece_cid: String,
	payload_size: u64,
	client: String,
	provider: String,
	tier: TierName,
	start_by: BlockNumber,
	duration: BlockNumber,
	price_per_block: Amount,
	provider_collateral: Amount,
	sector: Option<SectorNumber>,
	since: Option<BlockNumber>,
	ends: Option<BlockNumber>,
	proven_blocks: BlockNumber,
	due: Amount,
}

impl From<&DealView> for DealReport {
	fn from(view: &DealView) -> Self {
		let deal = &view.deal;
		DealReport {
			deal_id: view.id,
			proposal_hash: Hash32(deal.proposal_hash),
			state: if deal.is_active() { "active" } else { "published" },
			root: root(&deal.payload),
			piece_cid: piece_cid::of(&deal.piece).to_string(),
			payload_size: deal.piece.payload_size,
			client: display(&deal.client),
			provider: display(&deal.provider),
			tier: deal.tier.into(),
			start_by: deal.start_by,
			duration: deal.duration,
			price_per_block: Amount(deal.price_per_block),
			provider_collateral: Amount(deal.provider_collateral),
			sector: deal.sector(),
			since: view.ends.map(|ends| ends.saturating_sub(deal.duration)),
			ends: view.ends,
			proven_blocks: view.proven_blocks,
			due: Amount(view.due),
		}
	}
}

#[derive(Serialize)]
struct Pending {
	proposal_hash: Hash32,
	on_chain: Option<TermsView>,
	provider_says: Option<DealStatus>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let chain = context.connect().await?;
	if let Ok(id) = args.deal.parse::<DealId>() {
		let view = chain.query().deal(id).await?.ok_or_else(|| {
			CliError::new(
				ErrorKind::NotFound,
				format!("there is no deal {id}, or it is settled for good"),
			)
		})?;
		return print(context, &view);
	}
	let hash: Hash32 = args.deal.parse().map_err(|_| {
		CliError::new(
			ErrorKind::Usage,
			format!("{} is neither a deal's number nor a proposal's hash", args.deal),
		)
	})?;
	if let Some(id) = chain.query().deal_of_proposal(&hash.0).await? {
		if let Some(view) = chain.query().deal(id).await? {
			return print(context, &view);
		}
	}
	let proposal = chain.query().proposal(&hash.0).await?;
	let provider = match (&args.provider, &proposal) {
		(Some(text), _) => Some(context.parse_account(text)?),
		(None, Some(proposal)) => Some(proposal.provider),
		(None, None) => recorded_provider(context, &hash)?,
	};
	let status = match provider {
		Some(provider) => ask(&offers::provider(&chain, &provider).await?, &hash).await?,
		None => ask_everyone(&chain, &hash).await?,
	};
	let pending = Pending {
		proposal_hash: hash,
		on_chain: proposal.as_ref().map(TermsView::from),
		provider_says: status,
	};
	if pending.on_chain.is_none() && pending.provider_says.is_none() {
		return Err(CliError::new(
			ErrorKind::NotFound,
			"neither the chain nor a provider knows the proposal",
		)
		.hint("--provider names who to ask; deals are forgotten after their last settlement"));
	}
	context.output.result("cairn.deal-pending/1", &pending, |out| {
		if let Some(terms) = &pending.on_chain {
			writeln!(out, "proposed on chain, waiting for the provider")?;
			terms.write(out)?;
		}
		if let Some(status) = &pending.provider_says {
			writeln!(out, "the provider says: {}", describe(status))?;
		}
		Ok(())
	})
}

fn print(context: &Context, view: &DealView) -> Result<(), CliError> {
	let report = DealReport::from(view);
	context.output.result("cairn.deal/1", &report, |out| {
		writeln!(out, "deal        {} ({})", report.deal_id, report.state)?;
		writeln!(out, "proposal    {}", report.proposal_hash)?;
		writeln!(out, "root        {}", report.root)?;
		writeln!(
			out,
			"piece       {} ({} bytes)",
			report.piece_cid, report.payload_size
		)?;
		writeln!(out, "client      {}", report.client)?;
		writeln!(out, "provider    {}", report.provider)?;
		if let Some(sector) = report.sector {
			writeln!(out, "sector      {sector}, {} tier", report.tier)?;
		}
		match (report.since, report.ends) {
			(Some(since), Some(ends)) => writeln!(out, "time        blocks #{since} to #{ends}")?,
			_ => writeln!(
				out,
				"time        {} blocks, active by block #{}",
				report.duration, report.start_by
			)?,
		}
		writeln!(
			out,
			"proven      {} of {} blocks",
			report.proven_blocks, report.duration
		)?;
		writeln!(out, "price       {} per block", report.price_per_block)?;
		writeln!(out, "due         {}", report.due)?;
		writeln!(out, "collateral  {}", report.provider_collateral)
	})
}

fn recorded_provider(context: &Context, hash: &Hash32) -> Result<Option<[u8; 32]>, CliError> {
	let records = context.records().all()?;
	let deal = records
		.iter()
		.flat_map(|record| &record.deals)
		.find(|deal| deal.proposal_hash == *hash);
	Ok(deal.map(|deal| deal.provider.0))
}

/// What a provider says about a proposal. `None` if it does not know it or does not answer.
async fn ask(provider: &ProviderView, hash: &Hash32) -> Result<Option<DealStatus>, CliError> {
	let http = http_client()?;
	for url in urls(provider) {
		if let Ok(status) = ProviderClient::new(http.clone(), url).deal_status(hash).await {
			return Ok(Some(status));
		}
	}
	Ok(None)
}

/// What the first provider that knows a proposal says.
async fn ask_everyone(chain: &ChainClient, hash: &Hash32) -> Result<Option<DealStatus>, CliError> {
	for provider in all_providers(chain, MAX_ASKED).await? {
		if let Some(status) = ask(&provider, hash).await? {
			return Ok(Some(status));
		}
	}
	Ok(None)
}
