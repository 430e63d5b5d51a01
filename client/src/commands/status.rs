//! `cairn status`

use crate::{
	account::{display, short},
	block_time::block_time,
	context::Context,
	deals::follow,
	error::{CliError, ErrorKind},
	output::{table, write_table},
	provider::http_client,
	record::{DealRecord, DealState, ObjectRecord, RecordError},
};
use cairn_chain_client::{ChainClient, DealView};
use cairn_primitives::{
	sector::{DeadlineWindow, SectorState, SectorView},
	BlockNumber, DealId, SectorNumber,
};
use cairn_provider_api::Hash32;
use cairn_units::{human_time, Amount};
use serde::Serialize;
use std::collections::HashMap;

/// Show deals, sectors, proofs and faults of an object, or of all
///
/// Asks the chain, and brings the local record up to date.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Root CID of the object; without it, everything stored from here
	#[arg(value_name = "CID")]
	root: Option<String>,
}

#[derive(Serialize)]
struct Report {
	block: BlockNumber,
	objects: Vec<Object>,
}

#[derive(Serialize)]
struct Object {
	id: Option<String>,
	name: Option<String>,
	root: String,
	copies_wanted: Option<u16>,
	deals: Vec<Deal>,
}

#[derive(Serialize)]
struct Deal {
	provider: String,
	proposal_hash: Hash32,
	state: &'static str,
	reason: Option<String>,
	deal_id: Option<DealId>,
	sector: Option<SectorNumber>,
	sector_state: Option<&'static str>,
	since: Option<BlockNumber>,
	ends: Option<BlockNumber>,
	duration: Option<BlockNumber>,
	proven_blocks: Option<BlockNumber>,
	due: Option<Amount>,
	next_deadline: Option<Deadline>,
}

/// When the deal's sector must be proven next.
#[derive(Serialize)]
struct Deadline {
	index: u32,
	open: BlockNumber,
	close: BlockNumber,
}

/// What was read of providers, so that nothing is read twice.
#[derive(Default)]
struct Cache {
	sectors: HashMap<([u8; 32], SectorNumber), Option<SectorView>>,
	windows: HashMap<[u8; 32], Option<DeadlineWindow>>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let chain = context.connect().await?;
	let genesis_hash = Hash32(chain.genesis_hash());
	let records = context.records();
	let mut objects = Vec::new();
	let mut cache = Cache::default();
	let block = chain.finalized().await?.number;

	let asked = |record: &ObjectRecord| match (&args.root, &record.content) {
		(None, _) => true,
		(Some(root), Some(content)) => content.root == *root,
		(Some(_), None) => false,
	};
	for found in records
		.all()?
		.into_iter()
		.filter(|record| record.genesis_hash == genesis_hash && asked(record))
	{
		// A put that runs at the same time keeps its own record; then nothing is saved here. Read again under
		// the lock: what a put has signed meanwhile must not be overwritten.
		let (lock, mut record) = match records.lock(&found.id) {
			Ok(lock) => match records.load(&found.id) {
				Ok(record) => (Some(lock), record),
				Err(RecordError::Missing { .. }) => continue,
				Err(error) => return Err(error.into()),
			},
			Err(_) => (None, found),
		};
		let before = record.clone();
		follow::refresh(&chain, &record.client.0.clone(), &mut record.deals).await?;
		if record != before && lock.is_some() {
			records.save(&record)?;
		}
		drop(lock);
		let mut deals = Vec::new();
		for deal in &record.deals {
			deals.push(deal_of_record(&chain, &mut cache, deal).await?);
		}
		objects.push(Object {
			id: Some(record.id.clone()),
			name: Some(record.name()),
			root: record
				.content
				.as_ref()
				.map_or_else(String::new, |content| content.root.clone()),
			copies_wanted: Some(record.wanted.copies),
			deals,
		});
	}
	if let (Some(root), true) = (&args.root, objects.is_empty()) {
		objects.push(unrecorded(context, &chain, &mut cache, root).await?);
	}

	let time = block_time(&http_client()?, &context.settings.node.value).await;
	let report = Report { block, objects };
	context.output.result("cairn.status/1", &report, |out| {
		if report.objects.is_empty() {
			return writeln!(out, "nothing was stored from here on this chain yet");
		}
		for object in &report.objects {
			let name = object.name.as_deref().unwrap_or("(not stored from here)");
			writeln!(out, "{} {name}", object.root)?;
			let rows = object.deals.iter().map(|deal| {
				let left = match deal.ends {
					Some(ends) if ends > block => human_time(time.saturating_mul(ends - block)),
					Some(_) => "over".to_owned(),
					None => String::new(),
				};
				let proven = match (deal.proven_blocks, deal.duration) {
					(Some(proven), Some(duration)) => format!("{proven} of {duration}"),
					_ => String::new(),
				};
				let next = deal.next_deadline.as_ref().map_or_else(String::new, |deadline| {
					format!("#{} to #{}", deadline.open, deadline.close)
				});
				[
					deal.deal_id.map_or_else(String::new, |id| id.to_string()),
					deal.provider.clone(),
					deal.reason.clone().map_or(deal.state.to_owned(), |reason| {
						format!("{}: {reason}", deal.state)
					}),
					deal.sector.map_or_else(String::new, |sector| sector.to_string()),
					deal.sector_state.unwrap_or_default().to_owned(),
					proven,
					next,
					left,
					deal.due.map_or_else(String::new, |due| due.to_string()),
				]
			});
			let header = [
				"deal ",
				"provider",
				"state",
				"sector ",
				"proofs",
				"proven blocks",
				"next proof",
				"left",
				"due ",
			];
			write_table(out, &table(header, rows))?;
		}
		writeln!(out, "at block #{block}")
	})
}

/// An object that the local record does not know, found among the account's deals.
async fn unrecorded(
	context: &Context,
	chain: &ChainClient,
	cache: &mut Cache,
	root: &str,
) -> Result<Object, CliError> {
	let cid: cairn_dag::Cid = root
		.parse()
		.map_err(|_| CliError::new(ErrorKind::Usage, format!("{root} is not a CID")))?;
	let missing = || {
		CliError::new(ErrorKind::NotFound, format!("no deal for {root} is known"))
			.hint("`cairn ls` lists what was stored from here, `cairn deal ls` the deals of an account")
	};
	let client = context.own_account().map_err(|_| missing())?;
	let mut deals = Vec::new();
	for view in follow::deals_of(chain, &client).await? {
		if view.deal.payload.root() == cid.to_bytes() {
			deals.push(deal_on_chain(chain, cache, &view).await?);
		}
	}
	if deals.is_empty() {
		return Err(missing());
	}
	Ok(Object {
		id: None,
		name: None,
		root: root.to_owned(),
		copies_wanted: None,
		deals,
	})
}

async fn deal_of_record(chain: &ChainClient, cache: &mut Cache, deal: &DealRecord) -> Result<Deal, CliError> {
	let on_chain = match deal.state.deal_id() {
		Some(id) => chain.query().deal(id).await?,
		None => None,
	};
	if let Some(view) = on_chain {
		return deal_on_chain(chain, cache, &view).await;
	}
	let reason = deal.state.failure().map(str::to_owned);
	let state = match &deal.state {
		// The chain forgets deals after their last settlement.
		DealState::Active { .. } => "ended",
		other => other.name(),
	};
	let (since, ends) = match deal.state {
		DealState::Active { since, ends, .. } => (Some(since), Some(ends)),
		_ => (None, None),
	};
	Ok(Deal {
		provider: display(&deal.provider.0),
		proposal_hash: deal.proposal_hash,
		state,
		reason,
		deal_id: deal.state.deal_id(),
		sector: None,
		sector_state: None,
		since,
		ends,
		duration: deal.decode_proposal().map(|proposal| proposal.duration),
		proven_blocks: None,
		due: None,
		next_deadline: None,
	})
}

async fn deal_on_chain(chain: &ChainClient, cache: &mut Cache, view: &DealView) -> Result<Deal, CliError> {
	let provider = view.deal.provider;
	let sector = match view.deal.sector() {
		None => None,
		Some(number) => match cache.sectors.get(&(provider, number)) {
			Some(known) => known.clone(),
			None => {
				let read = chain.query().sector(&provider, number).await?;
				cache.sectors.insert((provider, number), read.clone());
				read
			}
		},
	};
	let next_deadline = match sector.as_ref().and_then(|sector| sector.location) {
		None => None,
		Some((index, _)) => {
			let window = match cache.windows.get(&provider) {
				Some(known) => *known,
				None => {
					let read = chain.query().current_deadline(&provider).await?;
					cache.windows.insert(provider, read);
					read
				}
			};
			let parameters = chain.query().parameters().await?;
			window.map(|window| next(window, index, parameters.deadlines))
		}
	};
	Ok(Deal {
		provider: display(&provider),
		proposal_hash: Hash32(view.deal.proposal_hash),
		state: if view.deal.is_active() {
			"active"
		} else {
			"published"
		},
		reason: None,
		deal_id: Some(view.id),
		sector: view.deal.sector(),
		sector_state: sector.as_ref().map(|sector| state_name(&sector.state)),
		since: view.ends.map(|ends| ends.saturating_sub(view.deal.duration)),
		ends: view.ends,
		duration: Some(view.deal.duration),
		proven_blocks: Some(view.proven_blocks),
		due: Some(Amount(view.due)),
		next_deadline,
	})
}

/// The next occurrence of deadline `index`, from the provider's current window.
fn next(window: DeadlineWindow, index: u32, deadlines: u32) -> Deadline {
	let length = window.close.saturating_sub(window.open);
	let ahead = (index + deadlines).saturating_sub(window.deadline) % deadlines.max(1);
	let shift = length.saturating_mul(ahead);
	Deadline {
		index,
		open: window.open.saturating_add(shift),
		close: window.close.saturating_add(shift),
	}
}

/// A sector's state in one word.
pub fn state_name(state: &SectorState) -> &'static str {
	match state {
		SectorState::PreCommitted => "pre-committed",
		SectorState::Active => "on time",
		SectorState::Faulty => "faulty",
		SectorState::Recovering => "recovering",
		SectorState::Expired => "expired",
	}
}

/// A table of deals, as `deal ls` prints it too.
pub fn short_row(view: &DealView) -> [String; 8] {
	let (since, ends) = match view.ends {
		Some(ends) => (
			ends.saturating_sub(view.deal.duration).to_string(),
			ends.to_string(),
		),
		None => (String::new(), String::new()),
	};
	[
		view.id.to_string(),
		short(&view.deal.client),
		short(&view.deal.provider),
		if view.deal.is_active() {
			"active".to_owned()
		} else {
			"published".to_owned()
		},
		since,
		ends,
		format!("{} of {}", view.proven_blocks, view.deal.duration),
		Amount(view.due).to_string(),
	]
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn next_deadlines() {
		let window = DeadlineWindow {
			deadline: 2,
			period: 7,
			open: 100,
			close: 105,
		};
		let next_of = |index| {
			let deadline = next(window, index, 4);
			(deadline.open, deadline.close)
		};
		assert_eq!(next_of(2), (100, 105));
		assert_eq!(next_of(3), (105, 110));
		assert_eq!(next_of(0), (110, 115));
		assert_eq!(next_of(1), (115, 120));
	}
}
