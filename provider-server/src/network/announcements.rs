//! Which objects the DHT is told to be here: the roots of all deals whose data is stored, until they end, and those of
//! the datasets in the node's own block store.

use crate::{
	data::Data,
	deal::{Deal, DealState},
	provider::Provider,
	store::StoreError,
};
use cairn_blockstore::repo::MetadataError;
use cairn_network::host::{Host, HostStopped, ProvideError};
use cid::Cid;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often deals and announcements are compared: about once a block.
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

/// Keeps what the host provides equal to what the deals say.
///
/// The host remembers what it provides on its disk, the deals are in the provider's database. They are compared as
/// wholes, so that neither a missed event nor a kill between the two leaves a difference.
pub(super) struct Announcements {
	provider: Arc<Provider>,
	host: Host,
}

impl Announcements {
	pub fn new(provider: Arc<Provider>, host: Host) -> Self {
		Self { provider, host }
	}

	/// Compares from time to time, until `shutdown` or the host's end.
	pub async fn run(self, shutdown: CancellationToken) {
		let mut times = tokio::time::interval(INTERVAL);
		times.set_missed_tick_behavior(MissedTickBehavior::Delay);
		loop {
			tokio::select! {
				() = shutdown.cancelled() => return,
				_ = times.tick() => {},
			}
			match self.update().await {
				Ok(()) => {}
				Err(UpdateError::Stopped(_) | UpdateError::Provide(ProvideError::Stopped(_))) => return,
				Err(error) => tracing::warn!(%error, "objects are not announced"),
			}
		}
	}

	async fn update(&self) -> Result<(), UpdateError> {
		let deals = self.provider.store.run(|store| store.open_deals()).await?;
		let mut wanted: BTreeSet<Vec<u8>> = deals.iter().filter_map(|(_, deal)| stored_root(deal)).collect();
		if let Some(data) = self.provider.data.clone() {
			let roots = tokio::task::spawn_blocking(move || dataset_roots(&data)).await??;
			wanted.extend(roots.iter().map(|root| root.hash().to_bytes()));
		}
		let provided: BTreeSet<Vec<u8>> = self.host.provided().await?.into_iter().collect();
		let new: Vec<_> = wanted.difference(&provided).cloned().collect();
		let over: Vec<_> = provided.difference(&wanted).cloned().collect();
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

/// Roots of the datasets in the block store.
fn dataset_roots(data: &Data) -> Result<Vec<Cid>, MetadataError> {
	let mut roots = Vec::new();
	let mut from = None;
	loop {
		let page = data.repo.datasets(from.as_ref(), PAGE)?;
		roots.extend(page.datasets.iter().map(|dataset| dataset.root));
		from = page.next;
		if from.is_none() {
			return Ok(roots);
		}
	}
}

/// Multihash of the object's root, if its data is here. Roots that are no CIDs (the chain does not look) are nobody's to
/// find.
fn stored_root(deal: &Deal) -> Option<Vec<u8>> {
	let is_stored = match deal.state {
		DealState::Received
		| DealState::Publishing { .. }
		| DealState::Published { .. }
		| DealState::InSector { .. }
		| DealState::Active { .. } => true,
		DealState::Accepted | DealState::Ended { .. } | DealState::Failed { .. } => false,
	};
	let root = Cid::try_from(deal.proposal.payload.root())
		.ok()
		.filter(|_| is_stored)?;
	Some(root.hash().to_bytes())
}
