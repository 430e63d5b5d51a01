//! Accepting connections.

use super::{client_address::Peer, write_timeout::WriteTimeout};
use crate::config::Server;
use axum::{body::Body, http::Request, Router};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
	rt::{TokioIo, TokioTimer},
	server::graceful::GracefulShutdown,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// Most header fields of a request.
const MAX_HEADERS: usize = 64;
/// Most bytes of a request's head, and of what is read at once.
const READ_BUFFER: usize = 128 << 10;
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
pub async fn serve(listener: TcpListener, router: Router, config: &Server, shutdown: CancellationToken) {
	let places = Arc::new(Semaphore::new(config.max_connections));
	let graceful = GracefulShutdown::new();
	let header_timeout = Duration::from_secs(config.header_timeout_seconds);
	let write_timeout = Duration::from_secs(config.write_timeout_seconds);
	loop {
		// A place first: connections beyond the limit wait in the system's queue.
		let place = tokio::select! {
			() = shutdown.cancelled() => break,
			place = places.clone().acquire_owned() => place,
		};
		// The semaphore is never closed.
		let Ok(place) = place else { break };
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
		// Small responses should not wait for more.
		let _ = stream.set_nodelay(true);
		let stream = WriteTimeout::new(stream, write_timeout);
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
