//! Which objects the DHT is told to be here: the roots of all deals whose data is stored, until they end, and those of
//! the datasets in the node's own block store.

use crate::{data::Data, deal::Deal, provider::Provider, store::StoreError};
use cairn_blockstore::repo::MetadataError;
use cairn_network::host::{Host, HostStopped, ProvideError};
use cairn_primitives::deal::{DealPayload, PayloadKind};
use cid::Cid;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often to look whether something has changed, which costs next to nothing: about once a block.
const INTERVAL: Duration = Duration::from_secs(6);

/// Datasets that are read at a time.
const PAGE: usize = 1000;

/// Why the announcements could not be brought up to date.
#[derive(Debug, thiserror::Error)]
enum UpdateError {
	#[error(transparent)]
	Store(#[from] StoreError),
	#[error(transparent)]
	Repo(#[from] MetadataError),
	#[error("reading the block store was interrupted")]
	Interrupted(#[from] tokio::task::JoinError),
	#[error(transparent)]
	Provide(#[from] ProvideError),
	#[error(transparent)]
	Stopped(#[from] HostStopped),
}

/// Keeps what the host provides equal to what the deals and the block store say.
///
/// The host remembers what it provides on its disk, the deals are in the provider's database. They are compared as
/// wholes, so that neither a missed event nor a kill between the two leaves a difference: once after the start, and
/// then when a number says that deals or datasets came or went ([`Store::needs_generation`],
/// [`Repo::generation`](cairn_blockstore::Repo::generation)). Only what changed is read again.
///
/// [`Store::needs_generation`]: crate::store::Store::needs_generation
pub(super) struct Announcements {
	provider: Arc<Provider>,
	host: Host,
	deals: Roots,
	datasets: Roots,
	/// Whether the host provides what both say.
	is_done: bool,
}

/// Multihashes of objects' roots, as they were last read.
#[derive(Default)]
struct Roots {
	/// The number that was read before them; `None` before the first time.
	generation: Option<u64>,
	hashes: BTreeSet<Vec<u8>>,
}

/// What an update read anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Read {
	deals: bool,
	datasets: bool,
}

impl Announcements {
	pub fn new(provider: Arc<Provider>, host: Host) -> Self {
		Self {
			provider,
			host,
			deals: Roots::default(),
			datasets: Roots::default(),
			is_done: false,
		}
	}

	/// Looks for changes from time to time, until `shutdown` or the host's end.
	pub async fn run(mut self, shutdown: CancellationToken) {
		let mut times = tokio::time::interval(INTERVAL);
		times.set_missed_tick_behavior(MissedTickBehavior::Delay);
		loop {
			tokio::select! {
				() = shutdown.cancelled() => return,
				_ = times.tick() => {},
			}
			match self.update().await {
				Ok(_) => {}
				Err(UpdateError::Stopped(_) | UpdateError::Provide(ProvideError::Stopped(_))) => return,
				Err(error) => tracing::warn!(%error, "objects are not announced"),
			}
		}
	}

	async fn update(&mut self) -> Result<Read, UpdateError> {
		let read = Read {
			deals: self.read_deals().await?,
			datasets: self.read_datasets().await?,
		};
		if read != Read::default() {
			self.is_done = false;
		}
		if !self.is_done {
			self.compare().await?;
			self.is_done = true;
		}
		Ok(read)
	}

	/// Reads the deals' roots if they have changed. Whether they had.
	async fn read_deals(&mut self) -> Result<bool, UpdateError> {
		let store = &self.provider.store;
		let generation = Some(store.needs_generation());
		if self.deals.generation == generation {
			return Ok(false);
		}
		let deals = store.run(|store| store.open_deals()).await?;
		self.deals = Roots {
			generation,
			hashes: deals.iter().filter_map(|(_, deal)| stored_root(deal)).collect(),
		};
		Ok(true)
	}

	/// As [`read_deals`](Self::read_deals), of the datasets in the block store.
	async fn read_datasets(&mut self) -> Result<bool, UpdateError> {
		let Some(data) = self.provider.data.clone() else {
			return Ok(false);
		};
		let generation = Some(data.repo.generation());
		if self.datasets.generation == generation {
			return Ok(false);
		}
		let hashes = tokio::task::spawn_blocking(move || dataset_roots(&data)).await??;
		self.datasets = Roots { generation, hashes };
		Ok(true)
	}

	async fn compare(&self) -> Result<(), UpdateError> {
		let wanted = |key: &Vec<u8>| self.deals.hashes.contains(key) || self.datasets.hashes.contains(key);
		let provided: BTreeSet<Vec<u8>> = self.host.provided().await?.into_iter().collect();
		let new: Vec<_> = self
			.deals
			.hashes
			.union(&self.datasets.hashes)
			.filter(|key| !provided.contains(*key))
			.cloned()
			.collect();
		let over: Vec<_> = provided.into_iter().filter(|key| !wanted(key)).collect();
		if !new.is_empty() {
			tracing::info!(objects = new.len(), "announcing");
			self.host.provide(new).await?;
		}
		if !over.is_empty() {
			tracing::info!(objects = over.len(), "announcing no more");
			self.host.unprovide(over).await?;
		}
		Ok(())
	}
}

/// Multihashes of the roots of the datasets in the block store.
fn dataset_roots(data: &Data) -> Result<BTreeSet<Vec<u8>>, MetadataError> {
	let mut roots = BTreeSet::new();
	let mut from = None;
	loop {
		let page = data.repo.datasets(from.as_ref(), PAGE)?;
		roots.extend(page.datasets.iter().map(|dataset| dataset.root.hash().to_bytes()));
		from = page.next;
		if from.is_none() {
			return Ok(roots);
		}
	}
}

/// Multihash of the object's root, if its data is here and for anyone. Roots that are no CIDs (the chain does not look)
/// are nobody's to find.
fn stored_root(deal: &Deal) -> Option<Vec<u8>> {
	let DealPayload::V1 {
		kind: PayloadKind::Public,
		root,
	} = &deal.proposal.payload
	else {
		return None;
	};
	let root = Cid::try_from(root.as_slice()).ok()?;
	deal.needs_piece().then(|| root.hash().to_bytes())
}

#[cfg(test)]
mod tests;
