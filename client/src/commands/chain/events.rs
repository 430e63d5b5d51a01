//! `cairn chain events | wait-for`

use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	event_view::{describe, view, EventFilter, EventView, EVENT_NAMES},
};
use cairn_chain_client::{BlockRef, ChainClient};
use cairn_primitives::{BlockNumber, DealId, SectorNumber};
use clap::builder::PossibleValuesParser;

/// Print events of finalized blocks, past or as they come
///
/// One event per line; with --json one object per line. Without --event, the events of Cairn's pallets and
/// transfers are printed; --every adds fees, successes and what other pallets say.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// First block [default: the latest finalized]
	#[arg(long, value_name = "BLOCK")]
	from: Option<BlockNumber>,
	/// Last block [default: the latest finalized]
	#[arg(long, value_name = "BLOCK", conflicts_with = "follow")]
	to: Option<BlockNumber>,
	/// Go on with each new block
	#[arg(long, short)]
	follow: bool,
	/// Only events of this name; may be given several times
	#[arg(long, short, value_name = "NAME", value_parser = PossibleValuesParser::new(EVENT_NAMES), hide_possible_values = true)]
	event: Vec<String>,
	/// Every event, also fees and successes
	#[arg(long)]
	every: bool,
	#[command(flatten)]
	subject: Subject,
	/// End with the first event of this name that concerns --provider, --sector, --deal and --about
	#[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(EVENT_NAMES), hide_possible_values = true)]
	until: Option<String>,
	/// Give up after this many blocks (exit code 12)
	#[arg(long, value_name = "N")]
	timeout_blocks: Option<BlockNumber>,
}

/// Wait for one event and print it
///
/// Looks at blocks from --from on, so that an event that has already happened is not missed.
#[derive(Debug, clap::Args)]
pub struct WaitArgs {
	/// Name of the event, such as sector-faulty or deal-activated
	#[arg(value_name = "EVENT", value_parser = PossibleValuesParser::new(EVENT_NAMES), hide_possible_values = true)]
	event: String,
	#[command(flatten)]
	subject: Subject,
	/// First block [default: the latest finalized]
	#[arg(long, value_name = "BLOCK")]
	from: Option<BlockNumber>,
	/// How many such events to wait for, the last of which is printed
	#[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
	count: u32,
	/// Give up after this many blocks (exit code 12)
	#[arg(long, value_name = "N")]
	timeout_blocks: Option<BlockNumber>,
}

/// What events are about.
#[derive(Debug, clap::Args)]
struct Subject {
	/// Only events about this provider
	#[arg(long, short, value_name = "ACCOUNT")]
	provider: Option<String>,
	/// Only events about this sector
	#[arg(long, value_name = "N")]
	sector: Option<SectorNumber>,
	/// Only events about this deal
	#[arg(long, value_name = "N")]
	deal: Option<DealId>,
	/// Only events about this account, in any role
	#[arg(long, value_name = "ACCOUNT")]
	about: Option<String>,
}

impl Subject {
	fn filter(&self, context: &Context, events: Vec<String>) -> Result<EventFilter, CliError> {
		let account = |text: &Option<String>| {
			text.as_deref()
				.map(|text| context.parse_account(text))
				.transpose()
		};
		Ok(EventFilter {
			events,
			provider: account(&self.provider)?,
			account: account(&self.about)?,
			sector: self.sector,
			deal: self.deal,
		})
	}
}

/// Prints events.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let filter = args.subject.filter(context, args.event.clone())?;
	let until = match &args.until {
		Some(name) => Some(args.subject.filter(context, vec![name.clone()])?),
		None => None,
	};
	let chain = context.connect().await?;
	let head = chain.finalized().await?.number;
	let from = args.from.unwrap_or(head);
	let endless = args.follow || until.is_some() || args.timeout_blocks.is_some();
	let last = match (args.to, endless) {
		(Some(to), _) => Some(to),
		(None, true) => None,
		(None, false) => Some(head),
	};
	let give_up = args.timeout_blocks.map(|blocks| head.saturating_add(blocks));
	let mut blocks = chain.finalized_blocks_from(from);
	if last.is_some_and(|last| last < from) {
		return Ok(());
	}
	loop {
		let block = blocks.next().await?;
		for event in events(&chain, block).await? {
			let is_wanted = !args.event.is_empty() || args.every || is_notable(&event);
			let ends = until.as_ref().is_some_and(|until| until.matches(&event));
			if ends || (is_wanted && filter.matches(&event)) {
				print(context, &event)?;
			}
			if ends {
				return Ok(());
			}
		}
		if last.is_some_and(|last| block.number >= last) {
			return match &args.until {
				Some(name) => Err(missing(name, block.number)),
				None => Ok(()),
			};
		}
		if give_up.is_some_and(|give_up| block.number >= give_up) {
			return match &args.until {
				Some(name) => Err(missing(name, block.number)),
				None => Ok(()),
			};
		}
	}
}

/// Waits for one event.
pub async fn wait_for(context: &Context, args: WaitArgs) -> Result<(), CliError> {
	let filter = args.subject.filter(context, vec![args.event.clone()])?;
	let chain = context.connect().await?;
	let head = chain.finalized().await?.number;
	let give_up = args.timeout_blocks.map(|blocks| head.saturating_add(blocks));
	let mut blocks = chain.finalized_blocks_from(args.from.unwrap_or(head));
	let mut left = args.count;
	loop {
		let block = blocks.next().await?;
		for event in events(&chain, block).await? {
			if filter.matches(&event) {
				left -= 1;
				if left == 0 {
					return print(context, &event);
				}
			}
		}
		if give_up.is_some_and(|give_up| block.number >= give_up) {
			return Err(missing(&args.event, block.number));
		}
	}
}

fn missing(event: &str, block: BlockNumber) -> CliError {
	CliError::new(ErrorKind::Timeout, format!("no {event} up to block {block}"))
}

async fn events(chain: &ChainClient, block: BlockRef) -> Result<Vec<EventView>, CliError> {
	Ok(chain
		.events(block.hash)
		.await?
		.iter()
		.map(|record| view(block, record))
		.collect())
}

/// Whether an event is about Cairn or moves money, and not the bookkeeping of every transaction.
fn is_notable(event: &EventView) -> bool {
	matches!(
		event.pallet.as_str(),
		"StorageProvider" | "Market" | "Proofs" | "Faucet"
	) || matches!(event.event.as_str(), "transfer" | "extrinsic-failed")
}

fn print(context: &Context, event: &EventView) -> Result<(), CliError> {
	context
		.output
		.result("cairn.event/1", event, |out| writeln!(out, "{}", describe(event)))
}
