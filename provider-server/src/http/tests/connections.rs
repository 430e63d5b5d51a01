//! The server by its sockets: slow, stuck and many clients.

use super::{
	super::{router, serve},
	with_file,
};
use crate::{
	config::Config,
	simulation::{offer, Offer, World},
};
use cairn_primitives::Tier;
use cairn_provider_api::piece_cid;
use cairn_units::ByteSize;
use std::{net::SocketAddr, time::Duration};
use tokio::{
	io::{AsyncReadExt, AsyncWriteExt},
	net::{TcpListener, TcpSocket, TcpStream},
	time::timeout,
};
use tokio_util::sync::CancellationToken;

/// More than any limit set below.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tests must not depend on how full the machine's disk is.
fn whatever_the_disk() -> Config {
	let mut config = Config::default();
	config.storage.keep_free = ByteSize(0);
	config
}

/// A server on a free port.
async fn listen(world: &World) -> (SocketAddr, CancellationToken) {
	let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
	let address = listener.local_addr().unwrap();
	let shutdown = CancellationToken::new();
	let router = router(world.provider().clone()).unwrap();
	let (config, stop) = (world.config.server.clone(), shutdown.clone());
	let metrics = world.provider().metrics.clone();
	tokio::spawn(async move { serve(listener, router, &config, &metrics, stop).await });
	(address, shutdown)
}

async fn request(address: SocketAddr, text: &str) -> String {
	let mut stream = TcpStream::connect(address).await.unwrap();
	stream.write_all(text.as_bytes()).await.unwrap();
	let mut answer = Vec::new();
	// What arrives before a reset counts.
	let _ = stream.read_to_end(&mut answer).await;
	String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_and_huge_heads_are_cut_off_and_the_others_are_served() {
	let mut config = whatever_the_disk();
	config.server.header_timeout_seconds = 1;
	config.server.max_connections = 20;
	let world = World::with(config).await;
	let (address, shutdown) = listen(&world).await;
	// Connections that never finish their heads take every place.
	let mut slow = Vec::new();
	for _ in 0..40 {
		let mut stream = TcpStream::connect(address).await.unwrap();
		stream.write_all(b"GET /healthz HT").await.unwrap();
		slow.push(stream);
	}
	let patient = timeout(
		Duration::from_secs(20),
		request(
			address,
			"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
		),
	);
	assert!(
		patient.await.unwrap().starts_with("HTTP/1.1 200"),
		"served when the slow ones are cut off"
	);
	drop(slow);

	let many: String = (0..100).map(|n| format!("h{n}: x\r\n")).collect();
	let answer = request(address, &format!("GET /healthz HTTP/1.1\r\n{many}\r\n")).await;
	assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
	let long = "x".repeat(300_000);
	let answer = request(address, &format!("GET /healthz HTTP/1.1\r\nh: {long}\r\n\r\n")).await;
	assert!(
		answer.starts_with("HTTP/1.1 431") || answer.is_empty(),
		"{answer}"
	);
	let answer = request(address, "NONSENSE\r\n\r\n").await;
	assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
	shutdown.cancel();
}

#[tokio::test]
async fn a_thousand_connections_at_once_are_served() {
	let (world, ..) = with_file().await;
	let (address, _shutdown) = listen(&world).await;
	let requests: Vec<_> = (0..1000)
		.map(|_| {
			tokio::spawn(async move {
				request(
					address,
					"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
				)
				.await
			})
		})
		.collect();
	for answer in requests {
		assert!(answer.await.unwrap().starts_with("HTTP/1.1 200"));
	}
}

/// A world with a piece larger than what sockets buffer, and the piece's path.
async fn with_large_piece(config: Config) -> (World, String) {
	let world = World::with(config).await;
	let (car, blocks) = crate::simulation::car(9, 6, 1 << 20);
	let mut big = offer(9, Tier::Hot);
	big.proposal.piece = cairn_proving::commp::piece_info(&car[..]).unwrap();
	big.proposal.payload = cairn_primitives::deal::DealPayload::V1 {
		kind: cairn_primitives::deal::PayloadKind::Public,
		root: blocks[0].cid().to_bytes().try_into().unwrap(),
	};
	let big = Offer {
		car,
		root: *blocks[0].cid(),
		..big
	}
	.signed();
	world.store(&big).await;
	let path = format!("/piece/{}", piece_cid::v1(&big.proposal.piece.commitment));
	(world, path)
}

async fn ask(address: SocketAddr, text: &str) -> TcpStream {
	let mut stream = TcpStream::connect(address).await.unwrap();
	stream.write_all(text.as_bytes()).await.unwrap();
	stream
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_given_up() {
	let mut config = whatever_the_disk();
	config.server.write_timeout_seconds = 1;
	config.server.max_retrievals = 1;
	let (world, path) = with_large_piece(config).await;
	let (address, _shutdown) = listen(&world).await;
	let _stuck = ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
	tokio::time::sleep(Duration::from_millis(300)).await;
	// The only place is free again after the write timeout.
	let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\nrange: bytes=0-9\r\nconnection: close\r\n\r\n");
	let answer = timeout(Duration::from_secs(9), request(address, &text))
		.await
		.unwrap();
	assert!(answer.starts_with("HTTP/1.1 206"), "{answer}");
}

#[tokio::test]
async fn connections_of_readers_that_stop_reading_are_closed() {
	let mut config = whatever_the_disk();
	config.server.write_timeout_seconds = 1;
	config.server.max_connections = 3;
	// Not what ends them.
	config.server.header_timeout_seconds = 60;
	let (world, path) = with_large_piece(config).await;
	let (address, _shutdown) = listen(&world).await;
	let mut stuck = Vec::new();
	for _ in 0..3 {
		stuck.push(ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await);
	}
	// They hold every connection, until they have taken nothing for a second.
	let health = request(
		address,
		"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
	);
	let answer = timeout(PATIENCE, health).await.unwrap();
	assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
	drop(stuck);
}

#[tokio::test]
async fn a_json_rpc_request_that_does_not_end_is_refused() {
	let mut config = whatever_the_disk();
	config.server.body_timeout_seconds = 1;
	let world = World::with(config).await;
	let (address, _shutdown) = listen(&world).await;
	let head = "POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
	for body in [
		"content-length: 1000\r\n\r\n{",
		"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
	] {
		let answer = timeout(PATIENCE, request(address, &format!("{head}{body}")))
			.await
			.unwrap();
		assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
		assert!(answer.contains("\"idle_timeout\""), "{answer}");
	}
}

#[tokio::test]
async fn paths_that_are_no_text_are_malformed() {
	let (world, ..) = with_file().await;
	let (address, _shutdown) = listen(&world).await;
	for path in [
		"/piece/%ff%fe",
		"/upload/%c0%ae",
		"/ipfs/%ff",
		"/ipfs/%ff/%fe?format=raw",
	] {
		let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
		let answer = request(address, &text).await;
		assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
		assert!(answer.contains("\"malformed\""), "{path}: {answer}");
	}
}

#[tokio::test]
async fn the_peer_of_a_connection_is_the_client() {
	let mut config = whatever_the_disk();
	config.server.trusted_proxies = Vec::new();
	// Too slow for a token to come back during the test.
	config.server.requests_per_second = 1;
	config.server.request_burst = 2;
	let world = World::with(config).await;
	let (address, _shutdown) = listen(&world).await;
	let probe = "GET /ipfs/bafkqaaa?format=raw HTTP/1.1\r\nhost: x\r\n\r\n";
	// Pipelined, and named for others in vain.
	let named = probe.replace("host: x", "host: x\r\nx-forwarded-for: 1.2.3.4");
	let last = named.replace("host: x", "host: x\r\nconnection: close");
	let answers = request(address, &format!("{probe}{}{last}", named.repeat(6))).await;
	assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
	assert!(answers.contains("HTTP/1.1 429"), "{answers}");
	assert!(answers.contains("retry-after: 1"), "{answers}");
}

/// What is answered on a connection from this address of the machine.
async fn from_address(from: &str, server: SocketAddr) -> (TcpStream, String) {
	let socket = TcpSocket::new_v4().unwrap();
	socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
	let mut stream = socket.connect(server).await.unwrap();
	// Whoever is refused may be so before it has written.
	let _ = stream
		.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
		.await;
	let mut head = vec![0; 12];
	let answered = timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap();
	let head = answered.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&head).into_owned());
	(stream, head)
}

#[tokio::test]
async fn one_client_does_not_take_every_connection() {
	let mut config = whatever_the_disk();
	config.server.trusted_proxies = Vec::new();
	config.server.max_connections = 4;
	config.server.max_connections_per_client = 2;
	let world = World::with(config).await;
	let metrics = world.provider().metrics.clone();
	let (address, _shutdown) = listen(&world).await;
	let mut open = Vec::new();
	for _ in 0..2 {
		let (stream, head) = from_address("127.0.0.1", address).await;
		assert_eq!(head, "HTTP/1.1 200");
		open.push(stream);
	}
	for refused in 1..=5 {
		let (_, head) = from_address("127.0.0.1", address).await;
		assert_eq!(head, "", "closed at once");
		assert_eq!(metrics.connections_refused.get(), refused);
	}
	// Others are served, and so is this one when it has closed one of its own.
	let (_other, head) = from_address("127.0.0.2", address).await;
	assert_eq!(head, "HTTP/1.1 200");
	assert_eq!(metrics.connections.get(), 3);
	open.pop();
	let served = async {
		while from_address("127.0.0.1", address).await.1.is_empty() {
			tokio::task::yield_now().await;
		}
	};
	timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn connections_of_proxies_are_not_counted() {
	let mut config = whatever_the_disk();
	config.server.max_connections_per_client = 1;
	let world = World::with(config).await;
	let (address, _shutdown) = listen(&world).await;
	let mut open = Vec::new();
	for _ in 0..5 {
		let (stream, head) = from_address("127.0.0.1", address).await;
		assert_eq!(head, "HTTP/1.1 200");
		open.push(stream);
	}
}
