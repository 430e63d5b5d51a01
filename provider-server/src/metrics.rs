//! Prometheus metrics.

use crate::{
	deal::DealState,
	sector::SectorState,
	store::{Store, StoreError},
};
use cairn_blockstore::repo::Space;
use prometheus::{
	Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
	TextEncoder,
};
use std::collections::HashMap;

/// The metrics of one provider.
#[derive(Clone)]
pub struct Metrics {
	registry: Registry,
	/// Deals by state.
	pub deals: IntGaugeVec,
	/// Sectors by state.
	pub sectors: IntGaugeVec,
	/// Latest finalized block seen.
	pub finalized_block: IntGauge,
	/// Transactions by call and outcome (`ok`, `refused`, `not_included`, `unknown`).
	pub transactions: IntCounterVec,
	/// Partitions proven in time.
	pub window_partitions_proven: IntCounter,
	/// Sectors that were left out of a proof because their data could not be read.
	pub sectors_skipped: IntCounter,
	/// Windowed proofs that could not be made or were not accepted.
	pub window_proofs_failed: IntCounter,
	/// Activation proofs accepted, in parts.
	pub activation_parts: IntCounter,
	/// Bytes received by uploads.
	pub bytes_received: IntCounter,
	/// Uploads by outcome.
	pub uploads: IntCounterVec,
	/// Datasets fetched from other nodes, by outcome (`complete`, `failed`, `given_up`).
	pub fetches: IntCounterVec,
	/// Bytes sent to readers, by route (`ipfs`, `piece`).
	pub bytes_served: IntCounterVec,
	/// Bytes that readers were given out of replicas.
	pub bytes_unsealed: IntCounter,
	/// Keys of sealed sectors that were computed, or whose computation was taken up.
	pub keys_computed: IntCounter,
	/// Requests by route and status class.
	pub requests: IntCounterVec,
	/// Plancks received for deals, as far as this process saw it.
	pub earned: prometheus::Counter,
	/// Seconds until a request is answered, up to the response's head, by route.
	pub request_seconds: HistogramVec,
	/// Open HTTP connections.
	pub connections: IntGauge,
	/// Connections closed at once because their client had its share.
	pub connections_refused: IntCounter,
	/// Requests being answered that proxies send for others.
	pub proxied_requests: IntGauge,
	/// Responses that read data at the moment.
	pub retrievals: IntGauge,
	/// Bytes that retrievals hold to walk through objects.
	pub walk_memory: IntGauge,
	/// The block store's bytes: `quota`, `used`, `reserved`, `pending_delete`.
	pub repo_bytes: IntGaugeVec,
	/// Blocks in the block store.
	pub repo_blocks: IntGauge,
	/// Datasets in the block store: `live`, and `hidden` while they are uploaded or deleted.
	pub repo_datasets: IntGaugeVec,
}

impl Default for Metrics {
	fn default() -> Self {
		Self::new().expect("the metrics' names are valid and distinct: a test makes them")
	}
}

impl Metrics {
	/// Where further metrics of the same process are registered.
	pub fn registry(&self) -> &Registry {
		&self.registry
	}

	/// Registers every metric.
	///
	/// # Errors
	/// Never with the names below.
	pub fn new() -> Result<Self, prometheus::Error> {
		let registry = Registry::new_custom(Some("cairn_provider".into()), None)?;
		macro_rules! register {
			($metric:expr) => {{
				let metric = $metric?;
				registry.register(Box::new(metric.clone()))?;
				metric
			}};
		}
		Ok(Metrics {
			deals: register!(IntGaugeVec::new(Opts::new("deals", "Deals by state"), &["state"])),
			sectors: register!(IntGaugeVec::new(
				Opts::new("sectors", "Sectors by state"),
				&["state"]
			)),
			finalized_block: register!(IntGauge::new("finalized_block", "Latest finalized block seen")),
			transactions: register!(IntCounterVec::new(
				Opts::new("transactions_total", "Transactions by call and outcome"),
				&["call", "outcome"]
			)),
			window_partitions_proven: register!(IntCounter::new(
				"window_partitions_proven_total",
				"Partitions proven in time"
			)),
			sectors_skipped: register!(IntCounter::new(
				"sectors_skipped_total",
				"Sectors left out of a windowed proof because their data could not be read"
			)),
			window_proofs_failed: register!(IntCounter::new(
				"window_proofs_failed_total",
				"Windowed proofs that could not be made or were not accepted"
			)),
			activation_parts: register!(IntCounter::new(
				"activation_parts_total",
				"Parts of activation proofs accepted"
			)),
			bytes_received: register!(IntCounter::new(
				"bytes_received_total",
				"Bytes received by uploads"
			)),
			uploads: register!(IntCounterVec::new(
				Opts::new("uploads_total", "Uploads by outcome"),
				&["outcome"]
			)),
			fetches: register!(IntCounterVec::new(
				Opts::new("fetches_total", "Datasets fetched from other nodes, by outcome"),
				&["outcome"]
			)),
			bytes_served: register!(IntCounterVec::new(
				Opts::new("bytes_served_total", "Bytes sent to readers by route"),
				&["route"]
			)),
			bytes_unsealed: register!(IntCounter::new(
				"bytes_unsealed_total",
				"Bytes that readers were given out of replicas"
			)),
			keys_computed: register!(IntCounter::new(
				"unsealing_keys_computed_total",
				"Computations of keys of sealed sectors that were begun or taken up"
			)),
			requests: register!(IntCounterVec::new(
				Opts::new("requests_total", "HTTP requests by route and status class"),
				&["route", "status"]
			)),
			earned: register!(prometheus::Counter::new(
				"earned_plancks_total",
				"Plancks received for deals, as far as this process saw it"
			)),
			request_seconds: register!(HistogramVec::new(
				HistogramOpts::new(
					"request_seconds",
					"Seconds until a request is answered, up to the response's head, by route"
				),
				&["route"]
			)),
			connections: register!(IntGauge::new("connections", "Open HTTP connections")),
			connections_refused: register!(IntCounter::new(
				"connections_refused_total",
				"HTTP connections closed at once because their client had its share"
			)),
			proxied_requests: register!(IntGauge::new(
				"proxied_requests",
				"Requests being answered that proxies send for others"
			)),
			retrievals: register!(IntGauge::new(
				"retrievals",
				"Responses that read data at the moment"
			)),
			walk_memory: register!(IntGauge::new(
				"walk_memory_bytes",
				"Bytes that retrievals hold to walk through objects"
			)),
			repo_bytes: register!(IntGaugeVec::new(
				Opts::new("repo_bytes", "The block store's bytes by what they are"),
				&["kind"]
			)),
			repo_blocks: register!(IntGauge::new("repo_blocks", "Blocks in the block store")),
			repo_datasets: register!(IntGaugeVec::new(
				Opts::new(
					"repo_datasets",
					"Datasets in the block store: live, and hidden while they are uploaded or deleted"
				),
				&["state"]
			)),
			registry,
		})
	}

	/// Counts deals and sectors anew.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn count(&self, store: &Store) -> Result<(), StoreError> {
		let mut deals: HashMap<&str, i64> = HashMap::new();
		for (_, deal) in store.open_deals()? {
			*deals.entry(deal.state.name()).or_default() += 1;
		}
		for name in DealState::NAMES {
			// Final states are counted together below.
			if !matches!(name, "ended" | "failed") {
				self.deals
					.with_label_values(&[name])
					.set(deals.get(name).copied().unwrap_or(0));
			}
		}
		self.deals
			.with_label_values(&["closed"])
			.set(store.count_closed_deals()? as i64);
		let mut sectors: HashMap<&str, i64> = HashMap::new();
		for sector in store.open_sectors()?.iter().chain(&store.closed_sectors()?) {
			*sectors.entry(sector.state.name()).or_default() += 1;
		}
		for name in SectorState::NAMES {
			self.sectors
				.with_label_values(&[name])
				.set(sectors.get(name).copied().unwrap_or(0));
		}
		Ok(())
	}

	/// Shows how full the block store is.
	pub fn show_space(&self, space: &Space) {
		for (kind, bytes) in [
			("quota", space.quota),
			("used", space.used),
			("reserved", space.reserved),
			("pending_delete", space.pending_delete),
		] {
			self.repo_bytes.with_label_values(&[kind]).set(bytes as i64);
		}
		self.repo_blocks.set(space.blocks as i64);
		for (state, datasets) in [("live", space.datasets), ("hidden", space.hidden_datasets)] {
			self.repo_datasets
				.with_label_values(&[state])
				.set(datasets as i64);
		}
	}

	/// The exposition text.
	///
	/// # Errors
	/// If encoding fails.
	pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
		let mut text = Vec::new();
		TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
		Ok(text)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn names_are_valid_and_every_state_is_shown() {
		let metrics = Metrics::new().unwrap();
		let (store, _dir) = crate::store::tests::store();
		metrics.count(&store).unwrap();
		let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
		assert!(text.contains("cairn_provider_deals{state=\"publishing\"} 0"));
		assert!(text.contains("cairn_provider_sectors{state=\"recovering\"} 0"));
		assert!(text.contains("cairn_provider_bytes_received_total 0"));
	}
}
