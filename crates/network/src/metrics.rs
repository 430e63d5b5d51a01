//! Prometheus metrics of host, discovery and exchange.
//!
//! All names begin with `network_`; the registry that they are registered with may put a prefix before it.

use crate::peers::Offence;
use libp2p::{core::ConnectedPoint, multiaddr::Protocol, Multiaddr};
use prometheus::{
	HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// How a connection is carried; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
	/// QUIC version 1.
	Quic,
	/// TCP with Noise and yamux.
	Tcp,
	/// Another peer's relay.
	Relay,
	/// This process's memory.
	Memory,
}

impl Carrier {
	/// Every carrier.
	pub const ALL: [Carrier; 4] = [Carrier::Quic, Carrier::Tcp, Carrier::Relay, Carrier::Memory];

	/// Its label.
	pub const fn name(self) -> &'static str {
		match self {
			Carrier::Quic => "quic",
			Carrier::Tcp => "tcp",
			Carrier::Relay => "relay",
			Carrier::Memory => "memory",
		}
	}

	/// The carrier that an address is for.
	pub fn of(address: &Multiaddr) -> Self {
		let has = |wanted: fn(&Protocol) -> bool| address.iter().any(|protocol| wanted(&protocol));
		if has(|protocol| matches!(protocol, Protocol::P2pCircuit)) {
			Carrier::Relay
		} else if has(|protocol| matches!(protocol, Protocol::QuicV1 | Protocol::Quic)) {
			Carrier::Quic
		} else if has(|protocol| matches!(protocol, Protocol::Memory(_))) {
			Carrier::Memory
		} else {
			Carrier::Tcp
		}
	}

	/// The carrier of a connection.
	pub fn of_endpoint(endpoint: &ConnectedPoint) -> Self {
		match endpoint {
			ConnectedPoint::Dialer { address, .. } => Self::of(address),
			// A relayed listener's own address is the circuit; the remote's names the peer alone.
			ConnectedPoint::Listener { local_addr, .. } => Self::of(local_addr),
		}
	}
}

/// What block exchange counts on which protocol; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeProtocol {
	/// Cairn's own.
	Cairn,
	/// Bitswap.
	Bitswap,
}

impl ExchangeProtocol {
	/// Its label.
	pub const fn name(self) -> &'static str {
		match self {
			ExchangeProtocol::Cairn => "cairn",
			ExchangeProtocol::Bitswap => "bitswap",
		}
	}
}

/// The metrics of one network. Clones count together.
#[derive(Clone)]
pub struct Metrics {
	/// Open connections by carrier.
	pub connections: IntGaugeVec,
	/// Connections made, by carrier and direction (`in`, `out`).
	pub connections_made: IntCounterVec,
	/// Connections refused, by reason (`limit`, `address`, `memory`, `banned`, `not_allowed`).
	pub connections_refused: IntCounterVec,
	/// Dials that reached nobody.
	pub dials_failed: IntCounter,
	/// Bytes of streams, by carrier and direction (`in`, `out`), encryption and framing not counted.
	pub bytes: IntCounterVec,
	/// Strikes by offence.
	pub strikes: IntCounterVec,
	/// Peers banned now.
	pub banned: IntGauge,
	/// Bans for strikes.
	pub bans: IntCounter,
	/// Finished DHT queries by kind (`find`, `announce`, `bootstrap`, `other`) and outcome (`ok`, `failed`).
	pub dht_queries: IntCounterVec,
	/// Seconds that DHT queries took, by kind.
	pub dht_query_seconds: HistogramVec,
	/// Peers in the DHT's routing table.
	pub dht_peers: IntGauge,
	/// Keys that this host provides.
	pub provided_keys: IntGauge,
	/// Provider records that this host keeps for others.
	pub provider_records: IntGauge,
	/// Blocks by exchange protocol and direction (`in`, `out`).
	pub blocks: IntCounterVec,
	/// Bytes of those blocks.
	pub block_bytes: IntCounterVec,
	/// Blocks that this host wants from others now, by exchange protocol.
	pub wants: IntGaugeVec,
	/// Blocks that others want from this host now, by exchange protocol.
	pub peer_wants: IntGaugeVec,
}

impl Default for Metrics {
	/// Metrics that no registry shows.
	fn default() -> Self {
		Self::register(&Registry::new()).expect("the names are valid and distinct: a test registers them")
	}
}

impl Metrics {
	/// Makes the metrics and registers them.
	///
	/// # Errors
	/// If the registry has metrics of these names already.
	pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
		macro_rules! register {
			($metric:expr) => {{
				let metric = $metric?;
				registry.register(Box::new(metric.clone()))?;
				metric
			}};
		}
		let counters =
			|name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
		let gauges =
			|name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
		let metrics = Metrics {
			connections: register!(gauges(
				"network_connections",
				"Open connections by carrier",
				&["carrier"]
			)),
			connections_made: register!(counters(
				"network_connections_made_total",
				"Connections made by carrier and direction",
				&["carrier", "direction"]
			)),
			connections_refused: register!(counters(
				"network_connections_refused_total",
				"Connections refused by reason",
				&["reason"]
			)),
			dials_failed: register!(IntCounter::new(
				"network_dials_failed_total",
				"Dials that reached nobody"
			)),
			bytes: register!(counters(
				"network_bytes_total",
				"Bytes of streams by carrier and direction",
				&["carrier", "direction"]
			)),
			strikes: register!(counters(
				"network_strikes_total",
				"Strikes by offence",
				&["offence"]
			)),
			banned: register!(IntGauge::new("network_banned_peers", "Peers banned now")),
			bans: register!(IntCounter::new("network_bans_total", "Bans for strikes")),
			dht_queries: register!(counters(
				"network_dht_queries_total",
				"Finished DHT queries by kind and outcome",
				&["kind", "outcome"]
			)),
			dht_query_seconds: register!(HistogramVec::new(
				HistogramOpts::new("network_dht_query_seconds", "Seconds that DHT queries took"),
				&["kind"]
			)),
			dht_peers: register!(IntGauge::new(
				"network_dht_peers",
				"Peers in the DHT's routing table"
			)),
			provided_keys: register!(IntGauge::new(
				"network_provided_keys",
				"Keys that this host provides"
			)),
			provider_records: register!(IntGauge::new(
				"network_provider_records",
				"Provider records kept for others"
			)),
			blocks: register!(counters(
				"network_blocks_total",
				"Blocks exchanged by protocol and direction",
				&["protocol", "direction"]
			)),
			block_bytes: register!(counters(
				"network_block_bytes_total",
				"Bytes of blocks exchanged by protocol and direction",
				&["protocol", "direction"]
			)),
			wants: register!(gauges(
				"network_wants",
				"Blocks wanted from others now by protocol",
				&["protocol"]
			)),
			peer_wants: register!(gauges(
				"network_peer_wants",
				"Blocks that others want now by protocol",
				&["protocol"]
			)),
		};
		metrics.show_zeros();
		Ok(metrics)
	}

	/// Makes series appear before their first event, so that rates are right from the start.
	fn show_zeros(&self) {
		for carrier in Carrier::ALL.map(Carrier::name) {
			self.connections.with_label_values(&[carrier]);
			for direction in ["in", "out"] {
				self.bytes.with_label_values(&[carrier, direction]);
				self.connections_made.with_label_values(&[carrier, direction]);
			}
		}
		for offence in Offence::ALL {
			self.strikes.with_label_values(&[offence.name()]);
		}
		for protocol in [ExchangeProtocol::Cairn, ExchangeProtocol::Bitswap].map(ExchangeProtocol::name) {
			self.wants.with_label_values(&[protocol]);
			self.peer_wants.with_label_values(&[protocol]);
			for direction in ["in", "out"] {
				self.blocks.with_label_values(&[protocol, direction]);
				self.block_bytes.with_label_values(&[protocol, direction]);
			}
		}
	}

	/// A block of so many bytes came from a peer.
	pub fn block_received(&self, protocol: ExchangeProtocol, bytes: usize) {
		self.count_block(protocol, "in", bytes);
	}

	/// A block of so many bytes went to a peer.
	pub fn block_sent(&self, protocol: ExchangeProtocol, bytes: usize) {
		self.count_block(protocol, "out", bytes);
	}

	fn count_block(&self, protocol: ExchangeProtocol, direction: &str, bytes: usize) {
		let labels = [protocol.name(), direction];
		self.blocks.with_label_values(&labels).inc();
		self.block_bytes.with_label_values(&labels).inc_by(bytes as u64);
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use prometheus::{Encoder, TextEncoder};

	#[test]
	fn names_are_valid_and_counted_under() {
		let registry = Registry::new_custom(Some("cairn_provider".into()), None).unwrap();
		let metrics = Metrics::register(&registry).unwrap();
		assert!(Metrics::register(&registry).is_err());
		metrics.block_received(ExchangeProtocol::Bitswap, 100);
		metrics.block_received(ExchangeProtocol::Bitswap, 28);
		metrics.block_sent(ExchangeProtocol::Cairn, 5);
		let mut text = Vec::new();
		TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
		let text = String::from_utf8(text).unwrap();
		for line in [
			"cairn_provider_network_blocks_total{direction=\"in\",protocol=\"bitswap\"} 2",
			"cairn_provider_network_block_bytes_total{direction=\"in\",protocol=\"bitswap\"} 128",
			"cairn_provider_network_block_bytes_total{direction=\"out\",protocol=\"cairn\"} 5",
			"cairn_provider_network_connections{carrier=\"quic\"} 0",
			"cairn_provider_network_strikes_total{offence=\"bad_block\"} 0",
		] {
			assert!(text.contains(line), "{line} in {text}");
		}
	}

	#[test]
	fn carriers_are_told_from_addresses() {
		for (address, carrier) in [
			("/ip4/1.2.3.4/udp/1/quic-v1", Carrier::Quic),
			("/ip4/1.2.3.4/tcp/1", Carrier::Tcp),
			("/memory/7", Carrier::Memory),
			("/ip4/1.2.3.4/udp/1/quic-v1/p2p/12D3KooWQFE6imyNmATA1bPUdgN2LnZuNUhCkvRTX44FBnBrZTP3/p2p-circuit", Carrier::Relay),
		] {
			assert_eq!(Carrier::of(&address.parse().unwrap()), carrier, "{address}");
		}
	}
}
