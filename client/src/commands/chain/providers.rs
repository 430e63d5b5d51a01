//! `cairn chain providers | provider`

use crate::{
	account::display,
	context::Context,
	deals::offers::{gather, provider},
	error::CliError,
	output::{table, write_table},
	retrieval::candidates::{all_providers, urls},
	settings::TierName,
};
use cairn_chain_client::{Ask, ChainClient, ProviderContact, ProviderView};
use cairn_primitives::BlockNumber;
use cairn_provider_api::endpoint;
use cairn_units::Amount;
use indicatif::HumanBytes;
use serde::Serialize;
use url::Url;

/// Most providers listed.
const MAX_PROVIDERS: usize = 10_000;

/// List providers with their asks
#[derive(Debug, clap::Args)]
pub struct ListArgs {
	/// Only providers that offer this tier
	#[arg(long, value_enum)]
	tier: Option<TierName>,
}

/// Show one provider
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
	/// Its owner or worker
	account: String,
}

#[derive(Serialize)]
struct List {
	providers: Vec<Provider>,
}

#[derive(Serialize)]
struct Provider {
	owner: String,
	worker: String,
	beneficiary: String,
	addresses: Vec<String>,
	urls: Vec<Url>,
	live_sectors: u32,
	registered_at: BlockNumber,
	asks: Vec<Offer>,
	#[serde(skip_serializing_if = "Option::is_none")]
	current_deadline: Option<Window>,
}

#[derive(Serialize)]
struct Offer {
	proof_type: u16,
	tier: TierName,
	sector_size: u64,
	price_per_gib: Amount,
	min_piece_size: u64,
	max_piece_size: u64,
	min_duration: BlockNumber,
	max_duration: BlockNumber,
	accepting: bool,
}

#[derive(Serialize)]
struct Window {
	deadline: u32,
	period: u64,
	open: BlockNumber,
	close: BlockNumber,
}

async fn describe(chain: &ChainClient, view: &ProviderView) -> Result<Provider, CliError> {
	let offers = gather(chain, &[view.owner]).await?;
	let ProviderContact::V1 { addresses, .. } = &view.contact;
	Ok(Provider {
		owner: display(&view.owner),
		worker: display(&view.worker),
		beneficiary: display(&view.beneficiary),
		addresses: addresses
			.iter()
			.map(|bytes| endpoint::text(bytes).unwrap_or_else(|| format!("0x{}", hex::encode(bytes))))
			.collect(),
		urls: urls(view),
		live_sectors: view.live_sectors,
		registered_at: view.registered_at,
		asks: offers
			.iter()
			.map(|offer| {
				let Ask::V1 {
					price_per_gib,
					min_piece_log2,
					max_piece_log2,
					min_duration,
					max_duration,
					accepting,
				} = offer.ask;
				Offer {
					proof_type: offer.proof_type.0,
					tier: offer.spec.tier.into(),
					sector_size: offer.spec.sector_size(),
					price_per_gib: Amount(price_per_gib),
					min_piece_size: 1u64.checked_shl(min_piece_log2.into()).unwrap_or(u64::MAX),
					max_piece_size: 1u64.checked_shl(max_piece_log2.into()).unwrap_or(u64::MAX),
					min_duration,
					max_duration,
					accepting: accepting && offer.accepts_new_sectors,
				}
			})
			.collect(),
		current_deadline: None,
	})
}

/// Lists providers.
pub async fn list(context: &Context, args: ListArgs) -> Result<(), CliError> {
	let chain = context.connect().await?;
	let mut providers = Vec::new();
	for view in all_providers(&chain, MAX_PROVIDERS).await? {
		let provider = describe(&chain, &view).await?;
		if args
			.tier
			.is_none_or(|tier| provider.asks.iter().any(|ask| ask.tier == tier))
		{
			providers.push(provider);
		}
	}
	let list = List { providers };
	context.output.result("cairn.providers/1", &list, |out| {
		if list.providers.is_empty() {
			return writeln!(out, "there is no such provider");
		}
		let rows = list.providers.iter().flat_map(|provider| {
			let owner = provider.owner.clone();
			let url = provider.urls.first().map_or_else(String::new, Url::to_string);
			let sectors = provider.live_sectors.to_string();
			if provider.asks.is_empty() {
				let dash = || "-".to_owned();
				return vec![[owner, sectors, dash(), dash(), dash(), dash(), url]];
			}
			let rows = provider.asks.iter().map(|ask| {
				[
					owner.clone(),
					sectors.clone(),
					if ask.accepting {
						ask.tier.to_string()
					} else {
						format!("{} (closed)", ask.tier)
					},
					ask.price_per_gib.to_string(),
					HumanBytes(ask.max_piece_size.min(ask.sector_size)).to_string(),
					format!("{} to {}", ask.min_duration, ask.max_duration),
					url.clone(),
				]
			});
			rows.collect()
		});
		let header = [
			"provider",
			"sectors ",
			"tier",
			"per gib and block ",
			"largest piece ",
			"duration",
			"server",
		];
		write_table(out, &table(header, rows))
	})
}

/// Shows a provider.
pub async fn show(context: &Context, args: ShowArgs) -> Result<(), CliError> {
	let account = context.parse_account(&args.account)?;
	let chain = context.connect().await?;
	let view = provider(&chain, &account).await?;
	let mut provider = describe(&chain, &view).await?;
	provider.current_deadline = chain
		.query()
		.current_deadline(&view.owner)
		.await?
		.map(|window| Window {
			deadline: window.deadline,
			period: window.period,
			open: window.open,
			close: window.close,
		});
	context.output.result("cairn.provider/1", &provider, |out| {
		writeln!(out, "owner         {}", provider.owner)?;
		writeln!(out, "worker        {}", provider.worker)?;
		writeln!(out, "beneficiary   {}", provider.beneficiary)?;
		writeln!(out, "registered    at block #{}", provider.registered_at)?;
		writeln!(out, "live sectors  {}", provider.live_sectors)?;
		for address in &provider.addresses {
			writeln!(out, "address       {address}")?;
		}
		if let Some(window) = &provider.current_deadline {
			writeln!(
				out,
				"deadline      {} of period {}, blocks #{} to #{}",
				window.deadline, window.period, window.open, window.close
			)?;
		}
		for ask in &provider.asks {
			writeln!(
				out,
				"ask           {} sectors of {}: {} per GiB and block, pieces of {} to {}, {} to {} blocks{}",
				ask.tier,
				HumanBytes(ask.sector_size),
				ask.price_per_gib,
				HumanBytes(ask.min_piece_size),
				HumanBytes(ask.max_piece_size),
				ask.min_duration,
				ask.max_duration,
				if ask.accepting { "" } else { " (closed)" },
			)?;
		}
		Ok(())
	})
}
