//! `sectors ls | show`.

use super::{contact_server, output::columns, CliError, Session};
use crate::{
	http::sector_status,
	store::{Store, StoreError},
};
use cairn_provider_api::{
	rpc,
	sector::{SectorList, SectorStatus, SECTORS_SCHEMA},
};
use cairn_units::ByteSize;
use clap::Subcommand;

/// Sectors.
#[derive(Subcommand)]
pub(crate) enum Sectors {
	/// List every sector
	Ls,
	/// Show one sector
	Show {
		/// Its number
		number: u32,
	},
}

/// Reads the sectors from the database, or from the daemon that has it open.
async fn list(session: &Session) -> Result<Vec<SectorStatus>, CliError> {
	match Store::inspect(&session.paths.database()) {
		Ok((store, _)) => {
			let mut sectors: Vec<_> = store.open_sectors()?;
			sectors.extend(store.closed_sectors()?);
			sectors.sort_by_key(|sector| sector.number);
			Ok(sectors.iter().map(|sector| sector_status(sector, 0.0)).collect())
		}
		Err(StoreError::InUse { .. }) => {
			let list: SectorList =
				contact_server::call(session, rpc::LIST_SECTORS, serde_json::json!([])).await?;
			Ok(list.sectors)
		}
		Err(error) => Err(error.into()),
	}
}

impl Sectors {
	pub async fn run(self, session: Session) -> Result<(), CliError> {
		let sectors = list(&session).await?;
		match self {
			Sectors::Ls => {
				let result = SectorList {
					schema: SECTORS_SCHEMA.into(),
					sectors,
				};
				#[derive(serde::Serialize)]
				struct Body<'a> {
					sectors: &'a [SectorStatus],
				}
				session.out.result(
					SECTORS_SCHEMA,
					&Body {
						sectors: &result.sectors,
					},
					|out| {
						let mut rows = vec![["SECTOR", "TIER", "SIZE", "USED", "STATE", "DEALS"]
							.map(str::to_owned)
							.to_vec()];
						for sector in &result.sectors {
							rows.push(vec![
								sector.sector.to_string(),
								sector.tier.to_string(),
								ByteSize(sector.size).to_string(),
								ByteSize(sector.used).to_string(),
								state(sector),
								sector.deals.len().to_string(),
							]);
						}
						columns(out, &rows)
					},
				)
			}
			Sectors::Show { number } => {
				let sector = sectors
					.into_iter()
					.find(|sector| sector.sector == number)
					.ok_or_else(|| {
						CliError::new(
							format!("there is no sector {number}"),
							"see `cairn-provider sectors ls`",
						)
					})?;
				session.out.result("cairn.provider.sector/1", &sector, |out| {
					let mut rows = vec![
						vec!["sector".into(), sector.sector.to_string()],
						vec!["proof type".into(), format!("{:#06x}", sector.proof_type)],
						vec!["tier".into(), sector.tier.to_string()],
						vec!["size".into(), ByteSize(sector.size).to_string()],
						vec!["used".into(), ByteSize(sector.used).to_string()],
						vec!["state".into(), state(&sector)],
						vec![
							"deals".into(),
							sector
								.deals
								.iter()
								.map(u64::to_string)
								.collect::<Vec<_>>()
								.join(" "),
						],
					];
					for (name, text) in [("failure", &sector.failure), ("delayed by", &sector.delayed_by)] {
						if let Some(text) = text {
							rows.push(vec![name.into(), text.clone()]);
						}
					}
					columns(out, &rows)
				})
			}
		}
	}
}

fn state(sector: &SectorStatus) -> String {
	match (sector.seal_progress, sector.active_since) {
		(Some(progress), _) => format!("{} {:.0} %", sector.state, progress * 100.0),
		(_, Some(since)) => format!("{} since block {since}", sector.state),
		_ => sector.state.clone(),
	}
}
