//! Peers that wait for a block hear of it when it comes by a deal's upload or through the data API.

use crate::provider::Provider;
use cairn_network::exchange::service::Exchange;
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often to look whether blocks have come, which costs next to nothing. Blocks that come within it are looked for
/// together.
const INTERVAL: Duration = Duration::from_millis(250);

/// Says to the exchange that blocks may have come, whenever they may have.
///
/// Blocks of a deal are in the index of pieces when the deal begins to need its piece, blocks of a dataset are in the
/// block store when the dataset is there: the two numbers that say so show each of them
/// ([`Store::needs_generation`](crate::store::Store::needs_generation),
/// [`Repo::generation`](cairn_blockstore::Repo::generation)). They rise when something goes, too, which does no harm.
/// Which blocks came is not said: a dataset can have millions, and peers wait for few.
pub(super) struct Arrivals {
	provider: Arc<Provider>,
	exchange: Exchange,
	/// Of deals and datasets; `None` before the first look.
	seen: Option<(u64, Option<u64>)>,
}

impl Arrivals {
	pub fn new(provider: Arc<Provider>, exchange: Exchange) -> Self {
		Self {
			provider,
			exchange,
			seen: None,
		}
	}

	/// Looks for changes from time to time, until `shutdown` or the exchange's end.
	pub async fn run(mut self, shutdown: CancellationToken) {
		let mut times = tokio::time::interval(INTERVAL);
		times.set_missed_tick_behavior(MissedTickBehavior::Delay);
		loop {
			tokio::select! {
				() = shutdown.cancelled() => return,
				_ = times.tick() => {},
			}
			let now = Some(generations(&self.provider));
			if now != self.seen && self.exchange.store_changed().is_err() {
				return;
			}
			self.seen = now;
		}
	}
}

fn generations(provider: &Provider) -> (u64, Option<u64>) {
	let datasets = provider.data.as_ref().map(|data| data.repo.generation());
	(provider.store.needs_generation(), datasets)
}

#[cfg(test)]
mod tests;
