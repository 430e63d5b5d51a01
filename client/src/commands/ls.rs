//! `cairn ls`

use crate::{
	context::Context,
	error::CliError,
	output::{table, write_table},
	record::{DealState, ObjectRecord},
	settings::TierName,
};
use cairn_provider_api::Hash32;
use cairn_units::Amount;
use indicatif::HumanBytes;
use serde::Serialize;

/// List the objects that were stored from here
///
/// Reads the local record only; `cairn status` asks the chain.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Report {
	objects: Vec<Object>,
}

#[derive(Serialize)]
struct Object {
	id: String,
	name: String,
	root: Option<String>,
	content_size: Option<u64>,
	tier: TierName,
	copies_wanted: u16,
	copies_active: usize,
	copies_pending: usize,
	price: Amount,
	created_at: u64,
	genesis_hash: Hash32,
	client: String,
}

impl From<&ObjectRecord> for Object {
	fn from(record: &ObjectRecord) -> Self {
		let active = record
			.deals
			.iter()
			.filter(|deal| matches!(deal.state, DealState::Active { .. }))
			.count();
		Object {
			id: record.id.clone(),
			name: record.name(),
			root: record.content.as_ref().map(|content| content.root.clone()),
			content_size: record.content.as_ref().map(|content| content.size),
			tier: record.wanted.tier,
			copies_wanted: record.wanted.copies,
			copies_active: active,
			copies_pending: record.alive().count() - active,
			price: Amount(
				record
					.alive()
					.fold(0, |sum, deal| sum.saturating_add(deal.total_price.0)),
			),
			created_at: record.created_at,
			genesis_hash: record.genesis_hash,
			client: crate::account::display(&record.client.0),
		}
	}
}

/// Runs the command.
pub fn run(context: &Context, _: Args) -> Result<(), CliError> {
	let records = context.records().all()?;
	let report = Report {
		objects: records.iter().map(Object::from).collect(),
	};
	context.output.result("cairn.objects/1", &report, |out| {
		if report.objects.is_empty() {
			return writeln!(
				out,
				"nothing was stored from here yet; `cairn put PATH` stores something"
			);
		}
		let rows = report.objects.iter().map(|object| {
			let copies = match object.copies_pending {
				0 => format!("{} of {}", object.copies_active, object.copies_wanted),
				pending => format!(
					"{} of {}, {pending} pending",
					object.copies_active, object.copies_wanted
				),
			};
			[
				object
					.root
					.clone()
					.unwrap_or_else(|| "(not packed yet)".to_owned()),
				object.name.clone(),
				object
					.content_size
					.map_or_else(String::new, |size| HumanBytes(size).to_string()),
				object.tier.to_string(),
				copies,
				object.price.to_string(),
			]
		});
		write_table(
			out,
			&table(["root", "name", "size ", "tier", "copies", "price "], rows),
		)
	})
}
