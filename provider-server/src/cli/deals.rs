//! `deals ls | show`.

use super::{contact_server, output::columns, CliError, Session};
use crate::store::{Store, StoreError};
use cairn_provider_api::{
	deal::{DealList, ListDeals, LIST_SCHEMA, STATUS_SCHEMA},
	rpc, DealProgress, DealStatus, Hash32,
};
use clap::Subcommand;

/// Deals.
#[derive(Subcommand)]
pub(crate) enum Deals {
	/// List deals
	Ls {
		/// Only deals that are not over
		#[arg(long)]
		open: bool,
	},
	/// Show one deal
	Show {
		/// Hash of its proposal, or its number on chain
		deal: String,
	},
}

/// Reads the deals from the database, or from the daemon that has it open.
async fn list(session: &Session) -> Result<Vec<DealStatus>, CliError> {
	const PAGE: usize = 1000;
	let mut deals: Vec<DealStatus> = Vec::new();
	match Store::inspect(&session.paths.database()) {
		Ok((store, _)) => loop {
			let after = deals.last().map(|deal| deal.proposal_hash.0);
			let page = store.list_deals(after, PAGE)?;
			// The database alone knows neither uploads nor sectors, which would refine the progress.
			let statuses = page
				.deals
				.iter()
				.map(|(hash, deal)| deal.status(hash, deal.progress()));
			deals.extend(statuses);
			if !page.more {
				return Ok(deals);
			}
		},
		Err(StoreError::InUse { .. }) => loop {
			let request = ListDeals {
				after: deals.last().map(|deal| deal.proposal_hash),
				limit: None,
			};
			let page: DealList =
				contact_server::call(session, rpc::LIST_DEALS, serde_json::json!([request])).await?;
			let empty = page.deals.is_empty();
			deals.extend(page.deals);
			if !page.more || empty {
				return Ok(deals);
			}
		},
		Err(error) => Err(error.into()),
	}
}

impl Deals {
	pub async fn run(self, session: Session) -> Result<(), CliError> {
		let mut deals = list(&session).await?;
		match self {
			Deals::Ls { open } => {
				if open {
					deals.retain(|deal| !deal.progress.is_final());
				}
				#[derive(serde::Serialize)]
				struct Body<'a> {
					deals: &'a [DealStatus],
				}
				session.out.result(LIST_SCHEMA, &Body { deals: &deals }, |out| {
					let mut rows = vec![["DEAL", "PROPOSAL", "TIER", "BYTES", "STATE"]
						.map(str::to_owned)
						.to_vec()];
					for deal in &deals {
						rows.push(vec![
							deal.progress.deal_id().map_or("-".into(), |id| id.to_string()),
							deal.proposal_hash.to_string(),
							deal.tier.to_string(),
							deal.payload_size.to_string(),
							state(&deal.progress),
						]);
					}
					columns(out, &rows)
				})
			}
			Deals::Show { deal: wanted } => {
				let hash = wanted.parse::<Hash32>().ok();
				let id = wanted.parse::<u64>().ok();
				let deal = deals
					.into_iter()
					.find(|deal| {
						Some(deal.proposal_hash) == hash || (id.is_some() && deal.progress.deal_id() == id)
					})
					.ok_or_else(|| {
						CliError::new(
							format!("there is no deal `{wanted}`"),
							"see `cairn-provider deals ls`",
						)
					})?;
				// The status carries its schema itself.
				let mut value = serde_json::to_value(&deal).map_err(std::io::Error::from)?;
				if let Some(object) = value.as_object_mut() {
					object.remove("schema");
				}
				session.out.result(STATUS_SCHEMA, &value, |out| {
					let mut rows: Vec<Vec<String>> = [
						("proposal", deal.proposal_hash.to_string()),
						("state", state(&deal.progress)),
						("client", deal.client.clone()),
						("payload CID", deal.payload_cid.clone()),
						("piece CID", deal.piece_cid.clone()),
						("payload bytes", deal.payload_size.to_string()),
						("tier", deal.tier.to_string()),
						("start by block", deal.start_by.to_string()),
						("blocks", deal.duration.to_string()),
						("price per block", deal.price_per_block.to_string()),
					]
					.map(|(name, text)| vec![name.to_owned(), text])
					.to_vec();
					if let Some(text) = &deal.delayed_by {
						rows.push(vec!["delayed by".into(), text.clone()]);
					}
					columns(out, &rows)
				})
			}
		}
	}
}

fn state(progress: &DealProgress) -> String {
	match progress {
		DealProgress::Accepted => "accepted, awaits data".into(),
		DealProgress::Receiving { bytes, of } => format!("receiving {bytes} of {of} bytes"),
		DealProgress::Received => "data received".into(),
		DealProgress::Publishing => "publishing".into(),
		DealProgress::Published { .. } => "published, awaits a sector".into(),
		DealProgress::Sealing { sector, progress, .. } => {
			format!("in sector {sector}, {:.0} % committed", progress * 100.0)
		}
		DealProgress::PreCommitted { sector, .. } => format!("sector {sector} pre-committed"),
		DealProgress::Active {
			sector,
			since,
			ends,
			faulty,
			..
		} => {
			let fault = if *faulty { ", faulty" } else { "" };
			format!("active in sector {sector} from block {since} to {ends}{fault}")
		}
		DealProgress::Ended { .. } => "ended".into(),
		DealProgress::Failed { reason } => format!("failed: {reason}"),
		_ => "unknown".into(),
	}
}
