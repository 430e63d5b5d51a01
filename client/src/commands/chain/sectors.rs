//! `cairn chain sectors`

use crate::{
	account::display,
	commands::status::state_name,
	context::Context,
	deals::offers::provider,
	error::CliError,
	output::{table, write_table},
};
use cairn_primitives::{sector::SectorView, BlockNumber, DealId, SectorNumber};
use cairn_provider_api::Hash32;
use cairn_units::Amount;
use serde::Serialize;

/// Sectors read in one request.
const PAGE: u32 = 128;
/// Most sectors listed.
const MAX_SECTORS: usize = 1_000_000;

/// List a provider's sectors
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Its owner or worker
	account: String,
}

#[derive(Serialize)]
struct List {
	provider: String,
	sectors: Vec<Sector>,
}

#[derive(Serialize)]
struct Sector {
	sector: SectorNumber,
	proof_type: u16,
	state: &'static str,
	comm_d: Hash32,
	deals: Vec<DealId>,
	since: BlockNumber,
	expiration: BlockNumber,
	deadline: Option<u32>,
	partition: Option<u32>,
	proven_blocks: u32,
	held: Amount,
}

impl From<&SectorView> for Sector {
	fn from(view: &SectorView) -> Self {
		Sector {
			sector: view.sector,
			proof_type: view.proof_type.0,
			state: state_name(&view.state),
			comm_d: Hash32(view.comm_d),
			deals: view.deals.clone(),
			since: view.since,
			expiration: view.expiration,
			deadline: view.location.map(|(deadline, _)| deadline),
			partition: view.location.map(|(_, partition)| partition),
			proven_blocks: view.proven_blocks,
			held: Amount(view.held),
		}
	}
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let account = context.parse_account(&args.account)?;
	let chain = context.connect().await?;
	let owner = provider(&chain, &account).await?.owner;
	let query = chain.query();
	let mut sectors: Vec<Sector> = Vec::new();
	loop {
		let page = query
			.sectors(&owner, sectors.last().map(|sector| sector.sector), PAGE)
			.await?;
		sectors.extend(page.iter().map(Sector::from));
		if (page.len() as u32) < PAGE || sectors.len() >= MAX_SECTORS {
			break;
		}
	}
	let list = List {
		provider: display(&owner),
		sectors,
	};
	context.output.result("cairn.sectors/1", &list, |out| {
		if list.sectors.is_empty() {
			return writeln!(out, "{} has no sectors", list.provider);
		}
		let rows = list.sectors.iter().map(|sector| {
			let deals: Vec<String> = sector.deals.iter().map(ToString::to_string).collect();
			[
				sector.sector.to_string(),
				format!("0x{:04x}", sector.proof_type),
				sector.state.to_owned(),
				deals.join(","),
				sector.since.to_string(),
				sector.expiration.to_string(),
				sector
					.deadline
					.map_or_else(String::new, |deadline| deadline.to_string()),
				sector.proven_blocks.to_string(),
				sector.held.to_string(),
			]
		});
		let header = [
			"sector ",
			"type",
			"state",
			"deals",
			"since ",
			"expires ",
			"deadline ",
			"proven blocks ",
			"held ",
		];
		write_table(out, &table(header, rows))
	})
}
