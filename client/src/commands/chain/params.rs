//! `cairn chain params`

use crate::{
	block_time::block_time,
	context::Context,
	error::CliError,
	output::{table, write_table},
	provider::http_client,
	settings::TierName,
};
use cairn_primitives::params::ProtocolParameters;
use cairn_units::human_blocks;
use indicatif::HumanBytes;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
	block_time_ms: u64,
	/// Amounts in it are strings of plancks.
	parameters: serde_json::Value,
	proof_types: Vec<ProofType>,
}

#[derive(Serialize)]
struct ProofType {
	proof_type: u16,
	tier: TierName,
	sector_size: u64,
	layers: u8,
	activation_challenges: u16,
	accepts_new_sectors: bool,
}

/// Runs the command.
pub async fn run(context: &Context) -> Result<(), CliError> {
	let chain = context.connect().await?;
	let query = chain.query();
	let parameters = query.parameters().await?;
	let time = block_time(&http_client()?, &context.settings.node.value).await;
	let report = Report {
		block_time_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
		parameters: as_json(&parameters),
		proof_types: query
			.proof_types()
			.await?
			.iter()
			.map(|known| ProofType {
				proof_type: known.id.0,
				tier: known.spec.tier.into(),
				sector_size: known.spec.sector_size(),
				layers: known.spec.layers,
				activation_challenges: known.spec.activation_challenges,
				accepts_new_sectors: known.accepts_new_sectors,
			})
			.collect(),
	};
	context.output.result("cairn.parameters/1", &report, |out| {
		let blocks = |blocks| human_blocks(blocks, time);
		writeln!(
			out,
			"proving period   {} in {} deadlines",
			blocks(parameters.proving_period),
			parameters.deadlines
		)?;
		writeln!(
			out,
			"deals            {} to {}, starting within {}",
			blocks(parameters.min_deal_duration),
			blocks(parameters.max_deal_duration),
			blocks(parameters.max_start_delay)
		)?;
		writeln!(
			out,
			"challenges       {} per sector and period",
			parameters.window_challenges
		)?;
		writeln!(
			out,
			"collateral       at least {} % of a deal's price",
			f64::from(parameters.min_collateral_ppm) / 1e4
		)?;
		let rows = report.proof_types.iter().map(|known| {
			[
				format!("0x{:04x}", known.proof_type),
				known.tier.to_string(),
				HumanBytes(known.sector_size).to_string(),
				if known.accepts_new_sectors {
					"yes".to_owned()
				} else {
					"no".to_owned()
				},
			]
		});
		write_table(out, &table(["type", "tier", "sector ", "new sectors"], rows))
	})
}

/// The parameters, amounts as strings: JSON numbers would lose their last digits.
fn as_json(parameters: &ProtocolParameters) -> serde_json::Value {
	serde_json::json!({
		"proving_period": parameters.proving_period,
		"deadlines": parameters.deadlines,
		"window_challenges": parameters.window_challenges,
		"recovery_challenges": parameters.recovery_challenges,
		"ticket_interval": parameters.ticket_interval,
		"ticket_max_age": parameters.ticket_max_age,
		"pre_commit_delay": parameters.pre_commit_delay,
		"prove_commit_window": parameters.prove_commit_window,
		"min_deal_duration": parameters.min_deal_duration,
		"max_deal_duration": parameters.max_deal_duration,
		"max_start_delay": parameters.max_start_delay,
		"max_sector_lifetime": parameters.max_sector_lifetime,
		"accept_weak_beacons": parameters.accept_weak_beacons,
		"registration_bond": parameters.registration_bond.to_string(),
		"pre_commit_deposit": parameters.pre_commit_deposit.to_string(),
		"pledge_per_gib": parameters.pledge_per_gib.to_string(),
		"min_collateral_ppm": parameters.min_collateral_ppm,
		"proposal_deposit": parameters.proposal_deposit.to_string(),
	})
}
