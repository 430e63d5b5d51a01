//! Fetching blocks for a command: whom to ask, in which way, and in which order.

mod source;
mod watcher;

pub use source::read_blocks;
pub use watcher::Watcher;

use crate::{
	context::Context,
	deals::offers,
	error::{CliError, ErrorKind},
	provider::http_client,
	record::{DealState, ObjectRecord},
	retrieval::{
		blocks::BlockStore,
		candidates::{candidates, peer, search, Candidate, Candidates, Reason},
		exchange::{ExchangeClient, ExchangeError, Patience},
		fetch::{retrieve, Delivered, Observer, RetrieveError},
		missing::{Part, Wanted},
		work::Division,
	},
};
use cairn_chain_client::ProviderView;
use cairn_dag::Cid;
use cairn_network::{address::PeerAddress, PeerId};
use indicatif::HumanBytes;
use std::time::Duration;
use url::Url;

/// Longest wait for a first block where there is another way to get it.
const FIRST_BLOCK: Duration = Duration::from_secs(10);

/// Longest wait for the chain to say who the peers are, where a server is known that may have the object.
const CHAIN_WAIT: Duration = Duration::from_secs(3);

/// How blocks come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
	/// Over block exchange where a peer is known, the rest through gateways
	Auto,
	/// From several peers at once, block by block
	Exchange,
	/// By HTTP, in parts from several providers' gateways at once
	Gateway,
}

/// Whom to ask for blocks, and how.
#[derive(Debug, clap::Args)]
pub struct SourceArgs {
	/// How blocks come
	///
	/// `auto` does not try block exchange if --provider-url alone says whom to ask.
	#[arg(long, value_enum, default_value = "auto")]
	over: Over,
	/// Ask this provider first; may be given several times
	#[arg(long, short, value_name = "ACCOUNT")]
	provider: Vec<String>,
	/// Ask this server first; may be given several times
	#[arg(long, value_name = "URL")]
	provider_url: Vec<Url>,
	/// Ask this peer first, over block exchange: a multiaddress that ends with /p2p/ID; may be given several
	/// times
	#[arg(long, value_name = "MULTIADDR")]
	peer: Vec<PeerAddress>,
	/// Look for peers in the DHT too, through this one; may be given several times
	#[arg(long, value_name = "MULTIADDR")]
	bootstrap: Vec<PeerAddress>,
	/// Ask nobody but those named
	#[arg(long)]
	only: bool,
	/// Seconds without a new block after which block exchange is given up
	#[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
	idle_timeout: u64,
}

impl SourceArgs {
	/// Whether anything says whom to ask, or how.
	pub fn is_any_given(&self) -> bool {
		self.over != Over::Auto
			|| self.only
			|| !self.provider_url.is_empty()
			|| !(self.peer.is_empty() && self.bootstrap.is_empty() && self.provider.is_empty())
	}

	fn patience(&self) -> Patience {
		let idle = Duration::from_secs(self.idle_timeout);
		let first = match self.over {
			Over::Exchange => idle,
			Over::Auto | Over::Gateway => idle.min(FIRST_BLOCK),
		};
		Patience { first, idle }
	}

	fn tries_exchange(&self) -> bool {
		let is_anybody_named =
			!(self.peer.is_empty() && self.bootstrap.is_empty() && self.provider.is_empty());
		match self.over {
			Over::Exchange => true,
			Over::Gateway => false,
			Over::Auto => is_anybody_named || (!self.only && self.provider_url.is_empty()),
		}
	}
}

/// What a fetch did.
#[derive(Clone, Debug)]
pub struct Fetched {
	/// What the path leads to.
	pub target: Cid,
	/// Bytes of blocks that were fetched.
	pub bytes: u64,
	/// What gateways delivered, in the order in which they were first asked.
	pub providers: Vec<Delivered>,
	/// Peers that delivered over block exchange.
	pub peers: Vec<PeerId>,
}

impl Fetched {
	/// Everybody who delivered, for people.
	pub fn from(&self) -> String {
		let peers = self.peers.iter().map(|peer| format!("peer {peer}"));
		let urls = self.providers.iter().map(|from| match self.providers.len() {
			1 => from.url.to_string(),
			_ => format!("{} ({})", from.url, HumanBytes(from.bytes)),
		});
		let from: Vec<String> = peers.chain(urls).collect();
		match from.is_empty() {
			true => String::new(),
			false => format!(", from {}", from.join(" and ")),
		}
	}
}

/// Fetches what a command wants of one object.
pub struct Fetching<'a> {
	context: &'a Context,
	args: &'a SourceArgs,
	root: Cid,
	blocks: BlockStore,
	/// Servers that the local record knows.
	recorded: Vec<Candidate>,
	/// Providers that the user named.
	named: Vec<(ProviderView, Reason)>,
	/// Providers that the chain knows, once it was asked; none if it could not be.
	registered: Option<Vec<(ProviderView, Reason)>>,
	exchange: Option<ExchangeClient>,
	/// Whether block exchange has failed: what comes next is asked of gateways first.
	has_exchange_failed: bool,
	/// What gateways delivered so far.
	delivered: Vec<Delivered>,
	/// Gateways that lied.
	liars: Vec<Url>,
}

impl<'a> Fetching<'a> {
	/// Fetches into `blocks`.
	///
	/// # Errors
	/// If providers are named and the chain does not say who they are.
	pub async fn new(
		context: &'a Context,
		args: &'a SourceArgs,
		root: Cid,
		records: &[ObjectRecord],
		blocks: BlockStore,
	) -> Result<Fetching<'a>, CliError> {
		let mut named = Vec::new();
		if !args.provider.is_empty() {
			let chain = context.connect().await?;
			for text in &args.provider {
				let provider = offers::provider(&chain, &context.parse_account(text)?).await?;
				named.push((provider, Reason::Named));
			}
		}
		Ok(Fetching {
			context,
			args,
			root,
			blocks,
			recorded: recorded(records, &root),
			named,
			registered: None,
			exchange: None,
			has_exchange_failed: false,
			delivered: Vec::new(),
			liars: Vec::new(),
		})
	}

	/// Fetches whatever is missing.
	///
	/// # Errors
	/// If nobody delivers it, or it is not what it was taken for. What came is kept.
	pub async fn fetch(&mut self, wanted: &Wanted, watcher: &Watcher<'_>) -> Result<Fetched, CliError> {
		let tries_exchange = self.args.tries_exchange();
		let had_failed = self.has_exchange_failed && self.args.over != Over::Exchange;
		let mut failure = None;
		if tries_exchange && !had_failed {
			match self.over_exchange(wanted, watcher).await {
				Ok(target) => return Ok(self.fetched(target)),
				Err(failed) if failed.is_final || self.args.over == Over::Exchange => {
					return Err(failed.error)
				}
				Err(failed) => {
					let text = format!("over block exchange: {}", failed.error.summary());
					watcher.note(&text);
					failure = Some(text);
				}
			}
		}
		let error = match self.through_gateways(wanted, watcher).await {
			Ok(fetched) => return Ok(fetched),
			Err(error) => error,
		};
		if tries_exchange && had_failed {
			match self.over_exchange(wanted, watcher).await {
				Ok(target) => return Ok(self.fetched(target)),
				Err(failed) if failed.is_final => return Err(failed.error),
				Err(failed) => failure = Some(format!("over block exchange: {}", failed.error.summary())),
			}
		}
		Err(match failure {
			Some(failure) => error.but_first(failure),
			None => error,
		})
	}

	/// Fetches these blocks, of which at least one is given.
	///
	/// # Errors
	/// If nobody delivers one of them. What came is kept.
	async fn fetch_blocks(&mut self, cids: Vec<Cid>, watcher: &Watcher<'_>) -> Result<(), CliError> {
		let wanted = Wanted {
			root: cids.first().copied().unwrap_or(self.root),
			path: String::new(),
			part: Part::Blocks(cids.into()),
		};
		self.fetch(&wanted, watcher).await.map(drop)
	}

	/// Closes connections.
	pub async fn finish(self) {
		if let Some(exchange) = self.exchange {
			exchange.shutdown().await;
		}
	}

	fn fetched(&self, target: Cid) -> Fetched {
		let exchange = self.exchange.as_ref();
		Fetched {
			target,
			bytes: self.gateway_bytes() + self.exchange_bytes(),
			providers: self.delivered.clone(),
			peers: exchange.map_or_else(Vec::new, ExchangeClient::delivered_by),
		}
	}

	/// Bytes that came so far.
	fn gateway_bytes(&self) -> u64 {
		self.delivered.iter().map(|from| from.bytes).sum()
	}

	fn exchange_bytes(&self) -> u64 {
		self.exchange.as_ref().map_or(0, ExchangeClient::received)
	}

	/// From the peers that were named, and if that does not do, from them and the registered providers.
	async fn over_exchange(&mut self, wanted: &Wanted, watcher: &Watcher<'_>) -> Result<Cid, Failure> {
		watcher.doing("over block exchange");
		watcher.begin_at(self.gateway_bytes());
		let fetched = self.ask_peers(wanted, watcher).await;
		self.has_exchange_failed = fetched.is_err();
		fetched
	}

	async fn ask_peers(&mut self, wanted: &Wanted, watcher: &Watcher<'_>) -> Result<Cid, Failure> {
		if self.exchange.is_none() {
			let bootstrap = self.args.bootstrap.clone();
			let started = ExchangeClient::start(&self.blocks, self.root, bootstrap).await;
			self.exchange = Some(started.map_err(CliError::from)?);
		}
		let patience = self.args.patience();
		let progress = |bytes| watcher.received(bytes);
		let mut peers = self.args.peer.clone();
		peers.extend(self.named.iter().filter_map(|(provider, _)| peer(provider)));
		if let Some(exchange) = &self.exchange {
			let fetched = exchange.retrieve(wanted, &peers, patience, &progress).await;
			match fetched {
				Err(error) if !error.is_final() && !self.args.only => {
					if !peers.is_empty() {
						watcher.note(CliError::from(error).summary());
					}
				}
				result => return Ok(result?),
			}
		}
		let registered = self.registered_soon().await?;
		peers.extend(registered.iter().filter_map(|(provider, _)| peer(provider)));
		match &self.exchange {
			Some(exchange) => Ok(exchange.retrieve(wanted, &peers, patience, &progress).await?),
			None => Err(ExchangeError::NoPeers { root: self.root }.into()),
		}
	}

	/// Providers that the chain knows. A chain that does not answer does not keep anybody for long from servers
	/// that are known without it.
	async fn registered_soon(&mut self) -> Result<&[(ProviderView, Reason)], CliError> {
		let is_server_known = !(self.recorded.is_empty() && self.args.provider_url.is_empty());
		if self.registered.is_none() {
			let found = if self.args.over == Over::Auto && is_server_known {
				// Not noted down as an answer: when these servers do not have it, the chain is asked again.
				let late = |_| CliError::new(ErrorKind::Timeout, "the node did not answer soon enough");
				tokio::time::timeout(CHAIN_WAIT, self.search())
					.await
					.map_err(late)??
			} else {
				let found = self.search().await;
				if found.is_err() {
					self.registered = Some(Vec::new());
				}
				found?
			};
			self.registered = Some(found);
		}
		Ok(self.registered.as_deref().unwrap_or_default())
	}

	async fn search(&self) -> Result<Vec<(ProviderView, Reason)>, CliError> {
		let chain = self.context.connect().await?;
		Ok(search(&chain, &self.root.to_bytes()).await?)
	}

	async fn through_gateways(
		&mut self,
		wanted: &Wanted,
		watcher: &Watcher<'_>,
	) -> Result<Fetched, CliError> {
		watcher.begin_at(self.exchange_bytes() + self.gateway_bytes());
		let mut candidates = self.candidates();
		candidates.exclude(&self.liars);
		let (http, division) = (http_client()?, Division::default());
		let retrieved = retrieve(&http, wanted, &self.blocks, &mut candidates, division, watcher).await;
		match retrieved {
			Ok(retrieved) => {
				self.liars.extend(retrieved.liars);
				retrieved.from.into_iter().for_each(|from| self.add(from));
				Ok(self.fetched(retrieved.target))
			}
			Err(mut error) => {
				if let RetrieveError::Exhausted { from, liars, .. } = &mut error {
					self.liars.append(liars);
					std::mem::take(from).into_iter().for_each(|from| self.add(from));
				}
				let error = CliError::from(error);
				Err(match candidates.chain_error.take() {
					Some(chain) => {
						error.but_first(format!("the chain could not be asked who has it ({chain})"))
					}
					None => error,
				})
			}
		}
	}

	fn add(&mut self, from: Delivered) {
		match self.delivered.iter_mut().find(|known| known.url == from.url) {
			Some(known) => known.bytes += from.bytes,
			None => self.delivered.push(from),
		}
	}

	fn candidates(&self) -> Candidates<'a> {
		let candidate = |url: &Url, reason| Candidate {
			url: url.clone(),
			reason,
		};
		let delivered = self.delivered.iter();
		let mut known: Vec<Candidate> = delivered
			.map(|from| candidate(&from.url, Reason::Delivered))
			.collect();
		let named = self.args.provider_url.iter();
		known.extend(named.map(|url| candidate(url, Reason::Named)));
		known.extend(candidates(&self.named));
		if self.args.only {
			return Candidates::new(known);
		}
		known.extend(self.recorded.iter().cloned());
		known.extend(self.registered.as_deref().map(candidates).unwrap_or_default());
		let mut candidates = Candidates::new(known);
		if self.registered.is_none() {
			// Retrieval works without the chain as long as somebody else knows who has the object.
			let context = self.context;
			candidates.search_chain(Box::pin(context.connect()), self.root.to_bytes());
		}
		candidates
	}
}

/// Why block exchange did not do.
struct Failure {
	error: CliError,
	/// Whether another way would fail too.
	is_final: bool,
}

impl From<CliError> for Failure {
	fn from(error: CliError) -> Self {
		Failure {
			error,
			is_final: false,
		}
	}
}

impl From<ExchangeError> for Failure {
	fn from(error: ExchangeError) -> Self {
		Failure {
			is_final: error.is_final(),
			error: error.into(),
		}
	}
}

/// Servers that the local record knows to have the object.
fn recorded(records: &[ObjectRecord], root: &Cid) -> Vec<Candidate> {
	let root = root.to_string();
	let deals = records
		.iter()
		.filter(|record| {
			record
				.content
				.as_ref()
				.is_some_and(|content| content.root == root)
		})
		.flat_map(|record| &record.deals)
		.filter(|deal| {
			matches!(
				deal.state,
				DealState::Uploaded | DealState::Published { .. } | DealState::Active { .. }
			)
		});
	deals
		.filter_map(|deal| {
			Some(Candidate {
				url: deal.endpoint.parse().ok()?,
				reason: Reason::Recorded,
			})
		})
		.collect()
}

/// The local record. One that cannot be used must not keep anybody from their data.
pub fn records(context: &Context) -> Vec<ObjectRecord> {
	context.records().all().unwrap_or_else(|error| {
		context
			.output
			.warn(format!("going on without the local record: {error}"));
		Vec::new()
	})
}

/// Reads a CID.
///
/// # Errors
/// If it is none.
pub fn parse_cid(text: &str) -> Result<Cid, CliError> {
	text.parse().map_err(|_| {
		CliError::new(ErrorKind::Usage, format!("{text} is not a CID"))
			.hint("`cairn ls` lists the CIDs of what was stored from here")
	})
}

#[cfg(test)]
mod tests {
	use super::*;
	use clap::Parser;

	#[derive(Parser)]
	struct Line {
		#[command(flatten)]
		sources: SourceArgs,
	}

	#[test]
	fn exchange_is_tried_unless_only_servers_are_named() {
		let peer = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", PeerId::random());
		let tries = |line: &[&str]| {
			let line = [&["test"], line].concat();
			Line::try_parse_from(line).unwrap().sources.tries_exchange()
		};
		assert!(tries(&[]));
		assert!(tries(&["--provider", "x", "--only"]));
		assert!(tries(&["--peer", &peer, "--only"]));
		assert!(tries(&["--peer", &peer, "--provider-url", "http://x"]));
		assert!(tries(&["--bootstrap", &peer, "--only"]));
		assert!(!tries(&["--provider-url", "http://x"]));
		assert!(!tries(&["--only"]));
		assert!(!tries(&["--over", "gateway", "--peer", &peer]));
		assert!(tries(&["--over", "exchange", "--provider-url", "http://x"]));
	}

	#[test]
	fn peers_are_named_with_their_ids() {
		let parse = |peer: &str| Line::try_parse_from(["test", "--peer", peer]);
		let bad = parse("/ip4/127.0.0.1/tcp/1").err().unwrap().to_string();
		assert!(bad.contains("/p2p/"), "{bad}");
		assert!(parse("127.0.0.1:1").is_err());
	}
}
