//! Fetching a whole DAG.
//!
//! Links are followed depth first, so that few wait; as many blocks are wanted at a time as
//! [`Limits::wants`](super::Limits) allows, wherever they stand in the DAG.

use super::{FetchError, Fetched, Fetcher, Providers, Sources};
use crate::{blocks::BlockStore, exchange::service::SessionEvent};
use cairn_dag::{links, source::load, Block, Cid, Codec};
use std::{collections::HashSet, time::Instant};
use tokio::task::spawn_blocking;

/// CIDs that are looked up in the store at a time.
const LOOKUP: usize = 256;

/// Bytes of blocks that are stored at a time.
const STORE: usize = 8 << 20;

/// What the store has of some CIDs.
struct Local {
	found: u64,
	/// What the blocks found link to, in order.
	links: Vec<Cid>,
	missing: Vec<Cid>,
}

pub(super) async fn fetch(
	fetcher: &Fetcher,
	root: Cid,
	providers: Providers<'_>,
	deadline: Instant,
) -> Result<Fetched, FetchError> {
	let limits = fetcher.limits;
	let mut session = fetcher.exchange.session(deadline).await?;
	let mut providers = Sources::new(providers);
	let mut fetched = Fetched::default();
	// The next one last.
	let mut pending = vec![root];
	let mut nodes = HashSet::new();
	let mut wanted: HashSet<Cid> = HashSet::new();
	loop {
		// Many at a time, each time a quarter of the wants is there.
		let is_low = wanted.len() <= limits.wants - limits.wants / 4;
		while is_low && wanted.len() < limits.wants && !pending.is_empty() {
			let count = LOOKUP.min(limits.wants - wanted.len()).min(pending.len());
			let batch = pending.split_off(pending.len() - count);
			let batch: Vec<_> = batch
				.into_iter()
				.rev()
				// What has no links is cheap to look up twice, and too much to remember.
				.filter(|cid| cid.codec() == Codec::Raw.code() || nodes.insert(*cid))
				.filter(|cid| !wanted.contains(cid))
				.collect();
			if nodes.len() > limits.nodes {
				return Err(FetchError::TooLarge {
					limit: "blocks with links",
				});
			}
			let store = fetcher.exchange.store().clone();
			let local = spawn_blocking(move || look_up(&*store, batch)).await??;
			fetched.local += local.found;
			pending.extend(local.links.into_iter().rev());
			let new: Vec<_> = local
				.missing
				.into_iter()
				.filter(|cid| wanted.insert(*cid))
				.collect();
			if !new.is_empty() {
				session.want(new);
			}
			check_pending(&pending, limits.pending)?;
		}
		if wanted.is_empty() {
			return Ok(fetched);
		}
		let mut blocks = Vec::new();
		let mut bytes = 0;
		let mut event = Some(providers.next_event(&mut session).await?);
		while let Some(next) = event {
			match next {
				SessionEvent::Block { block, .. } => {
					if wanted.remove(block.cid()) {
						fetched.received.add(&block);
						bytes += block.data().len();
						blocks.push(block);
					}
				}
				SessionEvent::Expired(expired) => {
					fetcher.put(blocks).await?;
					return Err(FetchError::expired(&expired.missing, providers.found));
				}
			}
			event = if bytes < STORE { session.try_next() } else { None };
		}
		// Links first: a block that cannot be followed is stored all the same, and found when resuming.
		let links = links_of(&blocks);
		fetcher.put(blocks).await?;
		pending.extend(links?.into_iter().rev());
		check_pending(&pending, limits.pending)?;
	}
}

fn check_pending(pending: &[Cid], most: usize) -> Result<(), FetchError> {
	if pending.len() > most {
		return Err(FetchError::TooLarge {
			limit: "waiting links",
		});
	}
	Ok(())
}

fn links_of(blocks: &[Block]) -> Result<Vec<Cid>, FetchError> {
	let mut all = Vec::new();
	for block in blocks {
		let cid = *block.cid();
		all.extend(links(block).map_err(|error| FetchError::Codec { cid, error })?);
	}
	Ok(all)
}

fn look_up(store: &dyn BlockStore, cids: Vec<Cid>) -> Result<Local, FetchError> {
	let mut local = Local {
		found: 0,
		links: Vec::new(),
		missing: Vec::new(),
	};
	for cid in cids {
		let raw = cid.codec() == Codec::Raw.code();
		if raw && Block::from_identity(&cid).is_none() {
			if store.has(&cid)? {
				local.found += 1;
			} else {
				local.missing.push(cid);
			}
			continue;
		}
		match load(store, &cid)? {
			Some(block) => {
				local.found += 1;
				local.links.extend(links_of(&[block])?);
			}
			None => local.missing.push(cid),
		}
	}
	Ok(local)
}
