//! `cairn put`

use crate::{
	block_time::block_time,
	context::Context,
	deals::{
		packing,
		storing::{Choices, Storing},
		terms::TermsError,
	},
	error::{CliError, ErrorKind},
	output::{table, write_table},
	progress::Progress,
	provider::http_client,
	record::{DealState, Lock, ObjectRecord, Packing, RecordError, Wanted},
	settings::{Origin, Settings, TierName, MAX_COPIES},
};
use cairn_primitives::params::ProtocolParameters;
use cairn_provider_api::{piece_cid, Hash32};
use cairn_units::{human_blocks, Amount, BlockSpan};
use clap::builder::RangedU64ValueParser;
use rand_core::{OsRng, RngCore};
use serde::Serialize;
use std::{collections::HashSet, path::PathBuf, time::Duration};

/// Store a file or folder with providers
///
/// Packs PATH into an archive (a CARv2 of UnixFS blocks), chooses the cheapest providers whose asks fit,
/// each for one copy, moves what the escrow lacks into it, proposes the deals, uploads, and waits until the
/// chain says that every copy's sector is proven. The price is shown first.
///
/// The object is public: anyone who knows its CID can read it.
///
/// Interrupting is safe. The same command, or `cairn put --resume`, goes on where it stopped; nothing is paid
/// or uploaded twice. --resume goes by the options that the put began with, except for --max-price,
/// --start-within and --no-wait.
#[derive(Debug, clap::Args)]
#[command(after_long_help = WHAT_THE_TIERS_PROVE)]
pub struct Args {
	/// Files and folders; several become one folder
	#[arg(required_unless_present = "resume", value_name = "PATH")]
	paths: Vec<PathBuf>,
	/// Copies, each with another provider [default: 2]
	#[arg(long, short = 'n', value_name = "N", value_parser = RangedU64ValueParser::<u16>::new().range(1..=u64::from(MAX_COPIES)))]
	copies: Option<u16>,
	/// Store one copy with this provider; may be given several times
	#[arg(long, short, value_name = "ACCOUNT", conflicts_with = "copies")]
	provider: Vec<String>,
	/// What the proofs show: see below [default: hot]
	#[arg(long, short, value_enum)]
	tier: Option<TierName>,
	/// Time to store for, from the first proof on, as `30d` or `500 blocks` [default: 30d]
	#[arg(long, short, value_name = "TIME")]
	duration: Option<BlockSpan>,
	/// Most that all copies together may cost, as `1.5 CAIRN`; up to it nothing is asked
	#[arg(long, value_name = "AMOUNT")]
	max_price: Option<Amount>,
	/// Time within which the deals should start; providers may need longer to seal
	#[arg(long, value_name = "TIME", default_value = "1d")]
	start_within: BlockSpan,
	/// Text kept on chain with the deals, at most 128 bytes
	#[arg(long, default_value = "")]
	label: String,
	/// Put a single file into a folder, so that its name is kept
	#[arg(long)]
	wrap: bool,
	/// Leave out entries of folders whose names start with a dot
	#[arg(long)]
	no_hidden: bool,
	/// Return when the data is uploaded, without waiting for the first proof
	#[arg(long)]
	no_wait: bool,
	/// Store another set of copies, even if the same files are stored already
	#[arg(long)]
	again: bool,
	/// Go on with interrupted puts: those of PATH, or all
	#[arg(
		long,
		conflicts_with_all = ["copies", "provider", "tier", "duration", "label", "wrap", "no_hidden", "again"]
	)]
	resume: bool,
}

/// What users must know before they choose a tier.
const WHAT_THE_TIERS_PROVE: &str = "\
What the proofs show:
  hot     In every proving period the provider answers random challenges over
          your data, on chain. This shows that the data is retrievable through
          this provider in time. It does not show that the provider keeps a
          copy of its own: two providers, or one operator under two names, may
          answer from the same disk. Copies in the hot tier are worth as much
          as the independence of the providers. Starts within a few blocks.
  sealed  The provider keeps an encoding of your data that is unique to it and
          slow to make, and proves that. This shows that a distinct copy
          exists for each deal. Small sectors are weaker evidence: below
          32 GiB it rests on sealing anew costing more than storing, not on
          time alone. Sealing takes seconds (8 MiB) to hours (32 GiB).
  Neither tier shows that a provider will hand the data out to you. `get` asks
  several, and needs one; copies with independent providers matter.
  A provider is not paid for time in which it misses proofs; the price of that
  time returns to you.

Examples:
  cairn put photos/ --copies 3 --duration 90d
  cairn put backup.tar --tier sealed --max-price '5 CAIRN'
  CID=$(cairn put report.pdf --quiet --yes)";

#[derive(Serialize)]
struct Report {
	id: String,
	name: String,
	root: Option<String>,
	piece_cid: Option<String>,
	content_size: Option<u64>,
	archive_size: Option<u64>,
	padded_size: Option<u64>,
	tier: TierName,
	duration: u32,
	price: Amount,
	deals: Vec<DealReport>,
}

#[derive(Serialize)]
struct DealReport {
	provider: String,
	endpoint: String,
	proposal_hash: Hash32,
	price: Amount,
	#[serde(flatten)]
	state: DealState,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (chain, account, submitter) = context.signer().await?;
	let http = http_client()?;
	let block_time = block_time(&http, &context.settings.node.value).await;
	let records = context.records();
	let genesis_hash = Hash32(chain.genesis_hash());
	let client = Hash32(account.id());
	let now = chain.finalized().await?.number;
	let parameters = chain.query().parameters().await?;

	let choices = Choices {
		max_price: args
			.max_price
			.or(context.settings.max_price.value)
			.map(|amount| amount.0),
		start_within: args.start_within.in_blocks(block_time)?,
	};
	if args.label.len() > 128 {
		return Err(CliError::new(
			ErrorKind::Usage,
			"the label has more than 128 bytes",
		));
	}

	let own = |record: &ObjectRecord| record.genesis_hash == genesis_hash && record.client == client;
	let mut objects = Vec::new();
	if args.resume {
		let sources = absolute(&args.paths)?;
		for record in records.all()?.into_iter().filter(own) {
			if !record.is_complete() && (sources.is_empty() || record.sources == sources) {
				match records.lock(&record.id) {
					Ok(lock) => objects.push((lock, records.load(&record.id)?)),
					Err(error @ RecordError::Busy { .. }) => context
						.output
						.note(format!("passing over {}: {error}", record.name())),
					Err(error) => return Err(error.into()),
				}
			}
		}
		if objects.is_empty() {
			context.output.note("nothing is left to resume");
		}
	} else {
		let wanted = wanted(context, &args, block_time, &parameters)?;
		let sources = absolute(&args.paths)?;
		refuse_own_folders(&context.settings, &sources)?;
		let fingerprint = {
			let sources = sources.clone();
			tokio::task::spawn_blocking(move || packing::fingerprint(&sources)).await??
		};
		// Until the object is recorded: the same command in another process must find it.
		let _new_objects_lock = {
			let records = records.clone();
			tokio::task::spawn_blocking(move || records.lock_new_objects()).await??
		};
		let same = |record: &ObjectRecord| {
			own(record)
				&& record.sources == sources
				&& record.fingerprint == fingerprint
				&& record.wanted == wanted
		};
		let known = match args.again {
			true => None,
			false => records
				.all()?
				.into_iter()
				.rev()
				.find(|record| same(record) && is_current(record, now)),
		};
		let object: (Lock, ObjectRecord) = match known {
			Some(record) => {
				let lock = records.lock(&record.id)?;
				let record = records.load(&record.id)?;
				context.output.note(match record.is_complete() {
					true => "stored already (--again stores another set of copies)",
					false => "going on with the put that was interrupted",
				});
				(lock, record)
			}
			None => {
				let mut id = [0; 8];
				OsRng.fill_bytes(&mut id);
				let mut record = ObjectRecord::new(id, genesis_hash, client, sources, fingerprint, wanted);
				record.label = args.label.clone();
				let lock = records.lock(&record.id)?;
				records.save(&record)?;
				(lock, record)
			}
		};
		objects.push(object);
	}

	let mut first_failure = None;
	for (_lock, record) in objects {
		let mut storing = Storing {
			context,
			chain: chain.clone(),
			account: account.clone(),
			submitter: submitter.clone(),
			http: http.clone(),
			records: records.clone(),
			record,
			block_time,
			progress: Progress::new(&context.output),
			archive_checked: false,
			failed_before: HashSet::new(),
		};
		let outcome = storing.run(&choices, !args.no_wait).await;
		if outcome.is_err() {
			if let Err(error) = storing.forget_if_fruitless() {
				context.output.warn(error.to_string());
			}
		}
		match outcome {
			Ok(()) => print(context, &storing)?,
			Err(error) if first_failure.is_none() => first_failure = Some(error),
			Err(error) => context.output.warn(error.to_string()),
		}
	}
	first_failure.map_or(Ok(()), Err)
}

fn wanted(
	context: &Context,
	args: &Args,
	block_time: Duration,
	parameters: &ProtocolParameters,
) -> Result<Wanted, CliError> {
	let (min, max) = (parameters.min_deal_duration, parameters.max_deal_duration);
	let setting = &context.settings.duration;
	let duration = match args.duration {
		Some(duration) => duration.in_blocks(block_time)?,
		// Nobody asked for it: what the chain allows will do.
		None if setting.origin == Origin::Default => {
			setting.value.in_blocks(block_time)?.clamp(min, max.max(min))
		}
		None => setting.value.in_blocks(block_time)?,
	};
	if !(min..=max).contains(&duration) {
		return Err(TermsError::Duration { min, max, duration }.into());
	}
	let mut providers = Vec::new();
	for text in &args.provider {
		let provider = Hash32(context.parse_account(text)?);
		if providers.contains(&provider) {
			return Err(CliError::new(ErrorKind::Usage, format!("{text} is named twice"))
				.hint("each copy needs another provider"));
		}
		providers.push(provider);
	}
	let copies = match providers.len() {
		0 => args.copies.unwrap_or(context.settings.copies.value),
		named => u16::try_from(named).map_err(|_| CliError::new(ErrorKind::Usage, "too many providers"))?,
	};
	Ok(Wanted {
		copies,
		tier: args.tier.unwrap_or(context.settings.tier.value),
		duration,
		providers,
		packing: Packing {
			wrap: args.wrap,
			hidden: !args.no_hidden,
		},
	})
}

/// Refuses sources that hold this program's own folders. Keys would become public; the local record
/// changes with every step, so that the same command would store, and pay for, something else each time.
fn refuse_own_folders(settings: &Settings, sources: &[PathBuf]) -> Result<(), CliError> {
	for (what, folder) in [
		("the keystore", &settings.keystore.value),
		("the local record", &settings.state_dir.value),
		("the cache", &settings.cache_dir.value),
	] {
		// A folder that does not exist yet is in no source.
		let Ok(folder) = folder.canonicalize() else {
			continue;
		};
		if let Some(source) = sources.iter().find(|source| folder.starts_with(source)) {
			return Err(CliError::new(
				ErrorKind::Usage,
				format!("{} holds {what} of cairn, {}", source.display(), folder.display()),
			)
			.hint("name the folders in it that you want to store"));
		}
	}
	Ok(())
}

fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
	paths
		.iter()
		.map(|path| {
			path.canonicalize()
				.map_err(|error| CliError::from(error).during(path.display()))
		})
		.collect()
}

/// Whether a record is worth going on with: not one whose deals have all ended.
fn is_current(record: &ObjectRecord, now: u32) -> bool {
	let over = |state: &DealState| match state {
		DealState::Active { ends, .. } => *ends <= now,
		DealState::Failed { .. } => true,
		_ => false,
	};
	record.deals.is_empty() || !record.deals.iter().all(|deal| over(&deal.state))
}

fn print(context: &Context, storing: &Storing<'_>) -> Result<(), CliError> {
	let record = &storing.record;
	let content = record.content.as_ref();
	let report = Report {
		id: record.id.clone(),
		name: record.name(),
		root: content.map(|content| content.root.clone()),
		piece_cid: content.map(|content| piece_cid::of(&content.piece()).to_string()),
		content_size: content.map(|content| content.size),
		archive_size: content.map(|content| content.payload_size),
		padded_size: content.map(|content| content.piece().padded_size()),
		tier: record.wanted.tier,
		duration: record.wanted.duration,
		price: storing.price(),
		deals: record
			.deals
			.iter()
			.map(|deal| DealReport {
				provider: crate::account::display(&deal.provider.0),
				endpoint: deal.endpoint.clone(),
				proposal_hash: deal.proposal_hash,
				price: deal.total_price,
				state: deal.state.clone(),
			})
			.collect(),
	};
	let root = report.root.clone().unwrap_or_default();
	context
		.output
		.result_or_line("cairn.put/1", &report, &root, |out| {
			writeln!(out, "{root}")?;
			let rows = report.deals.iter().map(|deal| {
				let (id, sector) = match &deal.state {
					DealState::Active { deal_id, sector, .. } => (deal_id.to_string(), sector.to_string()),
					DealState::Published { deal_id } => (deal_id.to_string(), String::new()),
					_ => Default::default(),
				};
				let price = deal.price.to_string();
				[
					deal.provider.clone(),
					deal.state.name().to_owned(),
					id,
					sector,
					price,
				]
			});
			write_table(
				out,
				&table(["provider", "state", "deal ", "sector ", "price "], rows),
			)?;
			writeln!(
				out,
				"{} for {}, {} tier; read it back with: cairn get {root}",
				report.price,
				human_blocks(report.duration, storing.block_time),
				report.tier,
			)
		})
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::settings::Setting;

	#[test]
	fn own_folders_are_not_stored() {
		let home = tempfile::tempdir().unwrap();
		let home = home.path().canonicalize().unwrap();
		let at = |path: &str| Setting {
			value: home.join(path),
			origin: Origin::Flag,
		};
		let settings = Settings {
			keystore: at("data/keys"),
			state_dir: at("state"),
			cache_dir: at("cache"),
			..Settings::example()
		};
		let refused = |source: PathBuf| refuse_own_folders(&settings, &[home.join("other"), source]).is_err();
		// Nothing is there yet.
		assert!(!refused(home.clone()));
		for folder in ["data/keys", "state/objects", "cache", "other", "data/photos"] {
			std::fs::create_dir_all(home.join(folder)).unwrap();
		}
		for source in ["", "data", "data/keys", "state", "cache"] {
			assert!(refused(home.join(source)), "{source}");
		}
		for source in ["other", "data/photos", "state/objects"] {
			assert!(!refused(home.join(source)), "{source}");
		}
	}
}
