//! `ask show | set`: prices and bounds, as they are on chain.

use super::{output::columns, tier_name, CliError, Session};
use crate::chain::{live::KeypairSigner, Ask as ChainAsk};
use cairn_chain_client::{calls, Submitter};
use cairn_primitives::{params::ProtocolParameters, piece::PIECE_MIN_SIZE_LOG2, ProofSpec};
use cairn_units::Amount;
use clap::{Args, Subcommand};
use serde::Serialize;

/// Prices and bounds of what is offered.
#[derive(Subcommand)]
pub(crate) enum Ask {
	/// Show what is offered on chain
	Show,
	/// Offer a proof type, change its terms, or withdraw it
	Set {
		/// What to offer, such as hot-8MiB or sealed-8MiB
		proof_type: String,
		#[command(flatten)]
		flags: AskFlags,
		/// Take no new deals, but keep the offer visible
		#[arg(long, conflicts_with = "withdraw")]
		pause: bool,
		/// Withdraw the offer
		#[arg(long)]
		withdraw: bool,
	},
}

/// Terms of an offer; what is not given stays as it is, or gets a default.
#[derive(Args, Clone, Default)]
pub(crate) struct AskFlags {
	/// Price per GiB (padded) and block [default: 1000 planck]
	#[arg(long, value_name = "AMOUNT")]
	price: Option<Amount>,
	/// Binary logarithm of the smallest padded piece taken [default: 7, which is 128 bytes]
	#[arg(long, value_name = "LOG2")]
	min_piece_log2: Option<u8>,
	/// Binary logarithm of the largest padded piece taken [default: the sector's]
	#[arg(long, value_name = "LOG2")]
	max_piece_log2: Option<u8>,
	/// Shortest deal in blocks [default: the chain's]
	#[arg(long, value_name = "BLOCKS")]
	min_duration: Option<u32>,
	/// Longest deal in blocks [default: the chain's]
	#[arg(long, value_name = "BLOCKS")]
	max_duration: Option<u32>,
}

/// Price asked when none is given, in plancks per GiB and block.
const DEFAULT_PRICE: u128 = 1000;

impl AskFlags {
	/// The ask that the flags make of `old`, or of the defaults.
	pub fn ask(
		&self,
		spec: &ProofSpec,
		parameters: &ProtocolParameters,
		old: Option<ChainAsk>,
	) -> Result<ChainAsk, CliError> {
		let ChainAsk::V1 {
			price_per_gib,
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			..
		} = old.unwrap_or(ChainAsk::V1 {
			price_per_gib: DEFAULT_PRICE,
			min_piece_log2: PIECE_MIN_SIZE_LOG2,
			max_piece_log2: spec.sector_size_log2,
			min_duration: parameters.min_deal_duration,
			max_duration: parameters.max_deal_duration,
			accepting: true,
		});
		let ask = ChainAsk::V1 {
			price_per_gib: self.price.map_or(price_per_gib, |price| price.0),
			min_piece_log2: self.min_piece_log2.unwrap_or(min_piece_log2),
			max_piece_log2: self.max_piece_log2.unwrap_or(max_piece_log2),
			min_duration: self.min_duration.unwrap_or(min_duration),
			max_duration: self.max_duration.unwrap_or(max_duration),
			accepting: true,
		};
		let ChainAsk::V1 {
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			..
		} = ask;
		if min_piece_log2 > max_piece_log2 || max_piece_log2 > spec.sector_size_log2 {
			return Err(CliError::new(
				"the piece sizes are an empty range or exceed the sector",
				format!(
					"a {} holds pieces up to 2^{}",
					tier_name::name(spec),
					spec.sector_size_log2
				),
			));
		}
		if min_duration > max_duration {
			return Err(CliError::new(
				"the durations are an empty range",
				"the shortest must not exceed the longest",
			));
		}
		Ok(ask)
	}
}

#[derive(Serialize)]
struct Row {
	proof_type: u16,
	name: String,
	price_per_gib: Amount,
	min_piece_size: u64,
	max_piece_size: u64,
	min_duration: u32,
	max_duration: u32,
	accepting: bool,
}

#[derive(Serialize)]
struct Asks {
	owner: String,
	asks: Vec<Row>,
}

impl Ask {
	pub async fn run(self, session: Session) -> Result<(), CliError> {
		let client = session.connect().await?;
		let worker = session.keystore().load(&session.config.worker)?.account();
		let owner = client
			.query()
			.provider_of(&worker)
			.await?
			.ok_or(crate::provider::ViewError::NotRegistered)?;
		if let Ask::Set {
			proof_type,
			flags,
			pause,
			withdraw,
		} = self
		{
			let registered = tier_name::find(&client.query().proof_types().await?, &proof_type)?;
			let old = client
				.query()
				.asks(&owner)
				.await?
				.into_iter()
				.find(|(id, _)| *id == registered.id);
			let parameters = client.query().parameters().await?;
			let mut ask = flags.ask(&registered.spec, &parameters, old.map(|(_, ask)| ask))?;
			let ChainAsk::V1 { accepting, .. } = &mut ask;
			*accepting = !pause;
			let call = calls::storage_provider::set_ask(registered.id, (!withdraw).then_some(&ask));
			let submitter = Submitter::new(&client, KeypairSigner(session.worker().await?));
			submitter.submit(call).await?;
		}
		let types = client.query().proof_types().await?;
		let asks = client
			.query()
			.asks(&owner)
			.await?
			.into_iter()
			.filter_map(|(id, ask)| {
				let registered = types.iter().find(|known| known.id == id)?;
				let ChainAsk::V1 {
					price_per_gib,
					min_piece_log2,
					max_piece_log2,
					min_duration,
					max_duration,
					accepting,
				} = ask;
				Some(Row {
					proof_type: id.0,
					name: tier_name::name(&registered.spec),
					price_per_gib: Amount(price_per_gib),
					min_piece_size: 1u64.checked_shl(min_piece_log2.into()).unwrap_or(0),
					max_piece_size: 1u64.checked_shl(max_piece_log2.into()).unwrap_or(0),
					min_duration,
					max_duration,
					accepting,
				})
			});
		let result = Asks {
			owner: cairn_keystore::address::encode_default(&owner),
			asks: asks.collect(),
		};
		session.out.result("cairn.provider.asks/1", &result, |out| {
			let mut rows = vec![[
				"OFFER",
				"PRICE PER GIB AND BLOCK",
				"PIECES",
				"BLOCKS",
				"TAKES DEALS",
			]
			.map(str::to_owned)
			.to_vec()];
			for row in &result.asks {
				rows.push(vec![
					row.name.clone(),
					row.price_per_gib.to_string(),
					format!("{} to {}", row.min_piece_size, row.max_piece_size),
					format!("{} to {}", row.min_duration, row.max_duration),
					if row.accepting { "yes" } else { "no" }.into(),
				]);
			}
			columns(out, &rows)
		})
	}
}
