//! Accepting connections.

use super::{
	client_address::Peer,
	places::Places,
	write_timeout::{Pace, WriteTimeout},
};
use crate::{config::Server, metrics::Metrics};
use axum::{body::Body, http::Request, Router};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
	rt::{TokioIo, TokioTimer},
	server::graceful::GracefulShutdown,
};
use socket2::SockRef;
use std::{io, net::IpAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// Most header fields of a request.
const MAX_HEADERS: usize = 64;
/// Most bytes of a request's head, and of what is read at once.
const READ_BUFFER: usize = 128 << 10;
/// Most bytes that the system holds of a response and has not sent. Without a limit they are some megabytes for each
/// connection, and how much a slow reader takes shows only when a third of them is gone.
const UNSENT_BYTES: u32 = 256 << 10;
/// Pause after the system could not accept a connection (too many open files, for instance).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
	/// The address cannot be listened on.
	#[error("cannot listen on {address}")]
	Listen {
		/// The address.
		address: std::net::SocketAddr,
		/// Why.
		source: io::Error,
	},
	/// The routes contradict each other. A defect of this program.
	#[error(transparent)]
	Routes(#[from] jsonrpsee::core::RegisterMethodError),
}

/// Serves until `shutdown`, then lets running requests finish for a while.
pub async fn serve(
	listener: TcpListener,
	router: Router,
	config: &Server,
	metrics: &Metrics,
	shutdown: CancellationToken,
) {
	let places = Places::new(
		config.max_connections,
		config.max_connections_per_client,
		metrics.connections.clone(),
	);
	let graceful = GracefulShutdown::new();
	let header_timeout = Duration::from_secs(config.header_timeout_seconds);
	let pace = Pace {
		timeout: Duration::from_secs(config.write_timeout_seconds),
		min_progress: config.min_progress.0,
	};
	loop {
		// A place first: connections beyond the limit wait in the system's queue.
		let mut place = tokio::select! {
			() = shutdown.cancelled() => break,
			place = places.reserve() => place,
		};
		let (stream, peer) = tokio::select! {
			() = shutdown.cancelled() => break,
			accepted = listener.accept() => match accepted {
				Ok(accepted) => accepted,
				Err(error) => {
					tracing::warn!(%error, "cannot accept a connection");
					tokio::time::sleep(ACCEPT_PAUSE).await;
					continue;
				},
			},
		};
		// What proxies send is others', whose requests are counted.
		let client = Some(peer.ip()).filter(|address| !is_proxy(config, *address));
		if !place.give_to(&places, client) {
			tracing::debug!(client = %peer.ip(), "a client has too many connections");
			metrics.connections_refused.inc();
			continue;
		}
		tune(&stream);
		let stream = WriteTimeout::new(stream, pace);
		let router = router.clone();
		let service = service_fn(move |mut request: Request<Incoming>| {
			request.extensions_mut().insert(Peer(peer.ip()));
			// A router is always ready.
			router.clone().call(request.map(Body::new))
		});
		let connection = http1::Builder::new()
			.timer(TokioTimer::new())
			.header_read_timeout(header_timeout)
			.max_headers(MAX_HEADERS)
			.max_buf_size(READ_BUFFER)
			.serve_connection(TokioIo::new(stream), service);
		let connection = graceful.watch(connection);
		tokio::spawn(async move {
			if let Err(error) = connection.await {
				tracing::debug!(%error, "a connection broke");
			}
			drop(place);
		});
	}
	drop(listener);
	tokio::select! {
		() = graceful.shutdown() => tracing::debug!("every request is finished"),
		() = tokio::time::sleep(Duration::from_secs(config.shutdown_seconds)) => {
			tracing::info!("cutting off requests that are still running");
		},
	}
}

/// Whether clients stand behind this address.
fn is_proxy(config: &Server, peer: IpAddr) -> bool {
	config
		.trusted_proxies
		.iter()
		.any(|proxy| proxy.to_canonical() == peer.to_canonical())
}

/// Sets what suits responses. A connection on which something cannot be set does without it.
fn tune(stream: &TcpStream) {
	// Small responses should not wait for more.
	let _ = stream.set_nodelay(true);
	let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
}
