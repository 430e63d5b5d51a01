//! How connections are made: QUIC, TCP with Noise and yamux, relays, and the memory of this process.

use super::{
	config::{Limits, TransportConfig},
	metered::Metered,
};
use crate::metrics::Metrics;
use futures::future::Either;
use libp2p::{
	core::{
		muxing::StreamMuxerBox,
		transport::{global_only, Boxed, MemoryTransport},
		upgrade::Version,
	},
	dns,
	identity::Keypair,
	noise, quic, relay, tcp, yamux, PeerId, Transport,
};
use std::{io, time::Duration};
use thiserror::Error;

type Connections = Boxed<(PeerId, StreamMuxerBox)>;

/// Why the transports could not be set up.
#[derive(Debug, Error)]
pub enum TransportSetupError {
	/// The key cannot be used for Noise.
	#[error("the key cannot be used for Noise: {0}")]
	Noise(#[from] noise::Error),
	/// The system's configuration of DNS cannot be read.
	#[error("the system's configuration of DNS cannot be read: {0}")]
	Dns(#[source] io::Error),
}

/// All transports that the configuration wants, and relayed connections, which run over them.
pub(super) fn build(
	config: &TransportConfig,
	limits: &Limits,
	key: &Keypair,
	relayed: relay::client::Transport,
	metrics: &Metrics,
) -> Result<Connections, TransportSetupError> {
	let mut direct: Option<Connections> = None;
	let mut add = |transport: Connections| {
		direct = Some(match direct.take() {
			Some(before) => either(before, transport),
			None => transport,
		});
	};
	if config.quic {
		add(quic_transport(config, limits, key));
	}
	if config.tcp {
		let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
		add(secured(transport, limits, key, config.timeout)?);
	}
	if config.memory {
		add(secured(MemoryTransport::default(), limits, key, config.timeout)?);
	}
	if let Some(transport) = direct.take() {
		let global = match config.global_only {
			true => global_only::Transport::new(transport).boxed(),
			false => transport,
		};
		direct = Some(match config.dns {
			// Names are resolved before the check for global addresses: a name can stand for a local one.
			true => dns::tokio::Transport::system(global)
				.map_err(TransportSetupError::Dns)?
				.boxed(),
			false => global,
		});
	}
	let relayed = secured(relayed, limits, key, config.timeout)?;
	let all = match direct {
		Some(direct) => either(relayed, direct),
		None => relayed,
	};
	let metrics = metrics.clone();
	let counted = all.map(move |(peer, connection), endpoint| {
		let metered = Metered::new(connection, &metrics, &endpoint);
		(peer, StreamMuxerBox::new(metered))
	});
	Ok(counted.boxed())
}

/// The first transport that takes an address has it.
fn either(first: Connections, second: Connections) -> Connections {
	first
		.or_transport(second)
		.map(|connection, _| match connection {
			Either::Left(connection) | Either::Right(connection) => connection,
		})
		.boxed()
}

fn quic_transport(config: &TransportConfig, limits: &Limits, key: &Keypair) -> Connections {
	let mut quic = quic::Config::new(key);
	quic.handshake_timeout = config.timeout;
	quic.max_concurrent_stream_limit = limits.streams;
	quic.max_stream_data = config.quic_stream_window;
	quic.max_connection_data = config.quic_connection_window;
	quic::tokio::Transport::new(quic)
		.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
		.boxed()
}

/// Encrypts and multiplexes what carries bytes only.
fn secured<T>(
	transport: T,
	limits: &Limits,
	key: &Keypair,
	timeout: Duration,
) -> Result<Connections, noise::Error>
where
	T: Transport + Send + Unpin + 'static,
	T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
	T::Error: Send + Sync + 'static,
	T::Dial: Send + 'static,
	T::ListenerUpgrade: Send + 'static,
{
	let mut multiplexer = yamux::Config::default();
	multiplexer.set_max_num_streams(limits.streams as usize);
	Ok(transport
		.upgrade(Version::V1Lazy)
		.authenticate(noise::Config::new(key)?)
		.multiplex(multiplexer)
		.timeout(timeout)
		.boxed())
}
