//! Storing an object: from files to proven sectors.
//!
//! A `put` is a state machine that is recorded at every step: packed, signed, accepted, uploaded,
//! published, active. It can be interrupted anywhere and taken up again; what was done is not done
//! twice, because every step has the effect of one when repeated: the same proposal (same nonce) has the
//! same hash for provider and chain, an upload goes on from the provider's offset, and the escrow is
//! topped up only by what is missing.

use super::{
	escrow, follow,
	offers::gather,
	placement::{describe_misfits, rank, Candidate, Need},
	proposing::{probe, propose_and_upload, Reachable},
	terms::{self, Terms},
};
use crate::{
	account::{display, short, Account},
	context::Context,
	error::{CliError, ErrorKind},
	progress::Progress,
	provider::ProviderClient,
	record::{DealRecord, DealState, ObjectRecord, Records},
};
use cairn_chain_client::{ChainClient, Submitter};
use cairn_dag::Cid;
use cairn_primitives::BlockNumber;
use cairn_provider_api::{DealProgress, Hash32};
use cairn_units::{human_blocks, Amount};
use futures::{future::join_all, stream, StreamExt};
use indicatif::HumanBytes;
use std::{collections::HashSet, sync::Mutex, time::Duration};
use tokio::sync::mpsc;

/// Rounds of replacing providers that fail.
const MAX_ROUNDS: u32 = 4;
/// Providers asked at the same time whether they are there.
const CONCURRENT_PROBES: usize = 8;
/// How often a provider is asked how far it is.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

/// What a `put` wants beside what its record says.
#[derive(Clone, Debug)]
pub struct Choices {
	/// Most that all copies together may cost.
	pub max_price: Option<u128>,
	/// Blocks within which the deals should start.
	pub start_within: BlockNumber,
}

/// A `put` under way.
pub struct Storing<'a> {
	/// Settings and output.
	pub context: &'a Context,
	/// The chain.
	pub chain: ChainClient,
	/// Who pays.
	pub account: Account,
	/// Sends its transactions.
	pub submitter: Submitter,
	/// Talks to providers.
	pub http: reqwest::Client,
	/// The local record.
	pub records: Records,
	/// This object in it.
	pub record: ObjectRecord,
	/// Time between blocks.
	pub block_time: Duration,
	/// The bars.
	pub progress: Progress,
	/// Whether this process has made the archive, or compared it with the record.
	pub archive_checked: bool,
	/// Deals that had failed when this process began: their providers are asked again.
	pub failed_before: HashSet<Hash32>,
}

/// A provider that was chosen.
struct Chosen {
	candidate: Candidate,
	reachable: Reachable,
}

impl Storing<'_> {
	/// Runs until every copy's data is with a provider; with `wait` until every deal is active.
	///
	/// # Errors
	/// If not every copy comes about. What did is recorded.
	pub async fn run(&mut self, choices: &Choices, wait: bool) -> Result<(), CliError> {
		let now = follow::refresh(&self.chain, &self.account.id(), &mut self.record.deals).await?;
		self.record.revive(now);
		let failed = self
			.record
			.deals
			.iter()
			.filter(|deal| matches!(deal.state, DealState::Failed { .. }));
		self.failed_before = failed.map(|deal| deal.proposal_hash).collect();
		self.save()?;
		for _ in 0..MAX_ROUNDS {
			if !self.record.needs_archive() {
				break;
			}
			self.ensure_archive().await?;
			self.place(choices).await?;
			self.propose_and_upload_all().await?;
		}
		self.drop_archive()?;
		if wait {
			self.wait().await?;
		}
		self.judge()
	}

	/// Forgets a `put` that failed before anything was signed: nothing is to be resumed.
	///
	/// # Errors
	/// If the record cannot be removed.
	pub fn forget_if_fruitless(&self) -> Result<(), CliError> {
		if !self.record.deals.is_empty() {
			return Ok(());
		}
		self.remove_archives();
		Ok(self.records.remove(&self.record.id)?)
	}

	pub(super) fn save(&self) -> Result<(), CliError> {
		Ok(self.records.save(&self.record)?)
	}

	/// Signs deals for the copies that have none.
	async fn place(&mut self, choices: &Choices) -> Result<(), CliError> {
		let wanted = usize::from(self.record.wanted.copies);
		let lacking = wanted.saturating_sub(self.record.alive().count());
		let Some(content) = self.record.content.clone().filter(|_| lacking > 0) else {
			return Ok(());
		};
		let need = Need {
			piece: content.piece(),
			tier: self.record.wanted.tier.into(),
			duration: self.record.wanted.duration,
		};
		let root: Cid = content.root.parse().map_err(|_| {
			CliError::new(
				ErrorKind::Configuration,
				"the local record has a damaged root CID",
			)
		})?;
		let terms = Terms {
			need,
			root: root.to_bytes(),
			client: self.account.id(),
			label: self.record.label.clone().into_bytes(),
			parameters: self.chain.query().parameters().await?,
			now: self.chain.finalized().await?.number,
			start_within: choices.start_within,
		};
		terms.check_duration()?;
		let chosen = self.choose(&terms, lacking).await?;

		let price = chosen.iter().fold(0u128, |sum, chosen| {
			sum.saturating_add(chosen.candidate.total_price)
		});
		let already: u128 = self
			.record
			.alive()
			.fold(0, |sum, deal| sum.saturating_add(deal.total_price.0));
		let total = price.saturating_add(already);
		if let Some(max) = choices.max_price.filter(|max| total > *max) {
			return Err(CliError::new(
				ErrorKind::Provider,
				format!("the cheapest offers cost {}, more than --max-price {}", Amount(total), Amount(max)),
			)
			.hint("allow a higher price, fewer copies or a shorter duration; `cairn chain providers` shows the prices"));
		}
		let mut question = format!(
			"Storing {} ({}) for {}, {} tier, with",
			self.record.name(),
			HumanBytes(content.size),
			human_blocks(need.duration, self.block_time),
			self.record.wanted.tier,
		);
		for chosen in &chosen {
			let line = format!(
				"\n  {}  {}",
				display(&chosen.candidate.provider),
				Amount(chosen.candidate.total_price)
			);
			question.push_str(&line);
		}
		question.push_str(&format!(
			"\nPrice: {} at most, paid by the block while the data is proven.",
			Amount(price)
		));
		// A price limit is consent to any price below it.
		let asked = choices.max_price.is_none().then_some(question.as_str());
		let _escrow_lock = escrow::ensure(
			self.context,
			&self.chain,
			&self.submitter,
			&self.records,
			price,
			asked,
		)
		.await?;

		let genesis_hash = self.chain.genesis_hash();
		for chosen in chosen {
			let proposal = terms.proposal(&chosen.candidate, chosen.reachable.min_start_delay)?;
			let hash = terms::hash(&proposal, &genesis_hash);
			let signature = self
				.account
				.multi_signature(&proposal.signing_bytes(&genesis_hash));
			self.record.deals.push(DealRecord::signed(
				&proposal,
				hash,
				signature,
				chosen.reachable.endpoint.to_string(),
				chosen.candidate.total_price,
			));
		}
		self.save()
	}

	/// The cheapest providers that fit and answer, which have no deal for the piece yet.
	async fn choose(&self, terms: &Terms, lacking: usize) -> Result<Vec<Chosen>, CliError> {
		let named: Vec<[u8; 32]> = self
			.record
			.wanted
			.providers
			.iter()
			.map(|provider| provider.0)
			.collect();
		let offers = gather(&self.chain, &named).await?;
		let (mut candidates, misfits) = rank(&offers, &terms.need);
		let mut used: HashSet<[u8; 32]> = self
			.record
			.deals
			.iter()
			.filter(|deal| !self.failed_before.contains(&deal.proposal_hash))
			.map(|deal| deal.provider.0)
			.collect();
		for view in follow::deals_of(&self.chain, &self.account.id()).await? {
			if view.deal.piece.commitment == terms.need.piece.commitment {
				used.insert(view.deal.provider);
			}
		}
		candidates.retain(|candidate| !used.contains(&candidate.provider));

		let (genesis_hash, ppm) = (self.chain.genesis_hash(), terms.parameters.min_collateral_ppm);
		let mut probes = stream::iter(candidates)
			.map(|candidate| async {
				let verdict = probe(&self.http, &candidate, &terms.need, &genesis_hash, ppm).await;
				(candidate, verdict)
			})
			.buffered(CONCURRENT_PROBES);
		let (mut chosen, mut refused) = (Vec::new(), Vec::new());
		while chosen.len() < lacking {
			let Some((candidate, verdict)) = probes.next().await else {
				break;
			};
			match verdict {
				Ok(reachable) => chosen.push(Chosen { candidate, reachable }),
				Err(reason) => {
					let text = format!("{}: {reason}", short(&candidate.provider));
					self.context.output.note(format!("passing over {text}"));
					refused.push(text);
				}
			}
		}
		if chosen.len() < lacking {
			let mut message = format!(
				"{} more {} needed, and {} {}",
				lacking,
				if lacking == 1 {
					"provider is"
				} else {
					"providers are"
				},
				if chosen.is_empty() {
					"none".to_owned()
				} else {
					format!("only {}", chosen.len())
				},
				if chosen.len() == 1 {
					"takes the deal"
				} else {
					"take the deal"
				},
			);
			if !misfits.is_empty() {
				message.push_str(&format!(" ({})", describe_misfits(&misfits)));
			}
			if !used.is_empty() {
				message.push_str(&format!("; {} store it already or failed before", used.len()));
			}
			for text in refused {
				message.push_str(&format!("; {text}"));
			}
			let abandoned = |deal: &DealRecord| matches!(deal.state, DealState::Abandoned { .. });
			let hint = match self.record.deals.iter().any(abandoned) {
				true => "run the same command again when those who fell silent are back, or ask for fewer --copies",
				false => {
					"ask for fewer --copies, another --tier or --duration; `cairn chain providers` shows the asks"
				}
			};
			return Err(CliError::new(ErrorKind::Provider, message).hint(hint));
		}
		Ok(chosen)
	}

	/// Brings the data of all signed deals to their providers, all at the same time.
	async fn propose_and_upload_all(&mut self) -> Result<(), CliError> {
		let Some(content) = self.record.content.clone() else {
			return Ok(());
		};
		let Some(archive) = content.archive else {
			return Ok(());
		};
		let pending: Vec<usize> = self
			.record
			.deals
			.iter()
			.enumerate()
			.filter(|(_, deal)| matches!(deal.state, DealState::Signed | DealState::Accepted))
			.map(|(index, _)| index)
			.collect();
		let record = Mutex::new(self.record.clone());
		let (records, http, archive) = (&self.records, &self.http, &archive);
		let uploads = pending.iter().map(|index| {
			let (index, record) = (*index, &record);
			let deal = self.record.deals[index].clone();
			let bar = self.progress.bytes(
				format!("uploading to {}", short(&deal.provider.0)),
				content.payload_size,
			);
			async move {
				let reached = |state: &DealState| {
					// Poisoned only by a panic elsewhere, which ends the program anyway.
					let mut record = record.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
					record.deals[index].state = state.clone();
					Ok(records.save(&record)?)
				};
				let uploaded = |bytes: u64| bar.set_position(bytes);
				let state =
					propose_and_upload(http, &deal, archive, content.payload_size, &reached, &uploaded).await;
				bar.finish_and_clear();
				state.map(|state| (deal.provider.0, state))
			}
		});
		let outcomes = join_all(uploads).await;
		self.record = record
			.into_inner()
			.unwrap_or_else(|poisoned| poisoned.into_inner());
		for outcome in outcomes {
			let (provider, state) = outcome?;
			let output = &self.context.output;
			match state.failure() {
				Some(reason) => output.warn(format!("{} failed: {reason}", short(&provider))),
				None => output.note(format!("{} has the data and verified it", short(&provider))),
			}
		}
		Ok(())
	}

	/// Waits until every deal that can is active.
	async fn wait(&mut self) -> Result<(), CliError> {
		let from = follow::refresh(&self.chain, &self.account.id(), &mut self.record.deals).await?;
		self.save()?;
		let pending =
			|deal: &DealRecord| deal.state.is_alive() && !matches!(deal.state, DealState::Active { .. });
		if !self.record.deals.iter().any(pending) {
			return Ok(());
		}
		self.context
			.output
			.note("waiting for the deals to become active (interrupting is safe: `cairn put --resume`)");
		let (failures, mut failed) = mpsc::channel(16);
		let watchers: Vec<_> = self
			.record
			.deals
			.iter()
			.filter(|deal| pending(deal))
			.map(|deal| self.watch(deal, failures.clone()))
			.collect();
		drop(failures);
		let mut blocks = self.chain.finalized_blocks_from(from);
		while self.record.deals.iter().any(pending) {
			let changed = tokio::select! {
				block = blocks.next() => {
					let block = block?;
					let events: Vec<_> =
						self.chain.events(block.hash).await?.into_iter().map(|record| record.event).collect();
					let moved = follow::apply(&mut self.record.deals, &events);
					follow::expire(&mut self.record.deals, block.number) || moved
				},
				Some((hash, reason)) = failed.recv() => {
					let deal = self.record.deals.iter_mut().find(|deal| deal.proposal_hash == hash);
					match deal.filter(|deal| deal.state.draws_on_escrow()) {
						Some(deal) => {
							deal.state = DealState::Failed { reason };
							true
						},
						// On chain already: what happens there counts.
						None => false,
					}
				},
			};
			if changed {
				self.save()?;
			}
		}
		for watcher in watchers {
			watcher.abort();
		}
		Ok(())
	}

	/// Shows what a provider says about a deal, and reports when it gives up.
	fn watch(
		&self,
		deal: &DealRecord,
		failures: mpsc::Sender<(Hash32, String)>,
	) -> tokio::task::JoinHandle<()> {
		let bar = self.progress.spinner(short(&deal.provider.0));
		let (http, deal) = (self.http.clone(), deal.clone());
		tokio::spawn(async move {
			let Ok(endpoint) = deal.endpoint.parse() else {
				return;
			};
			let provider = ProviderClient::new(http, endpoint);
			loop {
				if let Some(status) = follow::provider_says(&provider, &deal).await {
					bar.set_message(follow::describe(&status));
					match status.progress {
						DealProgress::Failed { reason } => {
							// Nobody listens any more when the wait is over.
							let _ = failures.send((deal.proposal_hash, reason)).await;
							return;
						}
						DealProgress::Active { .. } | DealProgress::Ended { .. } => return,
						_ => {}
					}
				}
				tokio::time::sleep(STATUS_INTERVAL).await;
			}
		})
	}

	/// An error unless every copy is alive.
	fn judge(&self) -> Result<(), CliError> {
		let alive = self.record.alive().count();
		let wanted = usize::from(self.record.wanted.copies);
		if alive > wanted {
			self.context.output.warn(format!(
				"there are {alive} copies instead of {wanted}: a provider that had been given up published its deal"
			));
		}
		if alive >= wanted {
			return Ok(());
		}
		let reasons: Vec<String> = self
			.record
			.deals
			.iter()
			.filter_map(|deal| {
				let reason = deal.state.failure()?;
				Some(format!("{}: {reason}", short(&deal.provider.0)))
			})
			.collect();
		Err(CliError::new(
			ErrorKind::Provider,
			format!("{alive} of {wanted} copies came about ({})", reasons.join("; ")),
		)
		.hint("run the same command again to go on with other providers, or with these when they are back"))
	}

	/// Price of the deals that have not failed.
	pub fn price(&self) -> Amount {
		Amount(
			self.record
				.alive()
				.fold(0, |sum, deal| sum.saturating_add(deal.total_price.0)),
		)
	}
}
