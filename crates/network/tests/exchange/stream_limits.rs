//! Limits of streams and walks, on real hosts.

use crate::nodes::{file, native, read_frame, seeded, within, Node, Stranger};
use cairn_dag::Cid;
use cairn_network::{
	address::PeerAddress,
	discovery::RecordDatabase,
	exchange::{
		server,
		service::Config,
		wire::{Range, Request, Response, WalkEnd, PROTOCOL},
	},
	host::{Host, HostConfig, HostParts},
	identity::Identity,
	streams::{self, OpenError, MAX_INBOUND_PER_PEER, MAX_OPENING_PER_PEER},
	PeerId,
};
use futures::{
	stream::{FuturesOrdered, FuturesUnordered},
	AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt,
};
use libp2p::swarm::Stream;
use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;
use tokio::net::TcpListener;

/// Waits for the end of a stream that nobody writes to.
async fn end(mut stream: Stream) {
	// A reset is an end as well.
	let _ = stream.read(&mut [0]).await;
}

/// Opens a stream and writes to it, which fails if it is reset at once.
async fn open(stranger: &Stranger, peer: PeerId, bytes: &[u8]) -> Stream {
	let (mut stream, _) = stranger.control.open(peer, &[PROTOCOL]).await.unwrap();
	let _ = stream.write_all(bytes).await;
	let _ = stream.flush().await;
	stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_has_so_many_streams_under_way() {
	const TOO_MANY: usize = 6;
	let mut rng = seeded();
	let mut server = Stranger::start(&mut rng, [PROTOCOL]).await;
	let client = Stranger::start(&mut rng, []).await;
	client
		.host
		.connect(server.host.address().await.unwrap())
		.await
		.unwrap();
	let mut ends = FuturesUnordered::new();
	for _ in 0..MAX_INBOUND_PER_PEER + TOO_MANY {
		ends.push(end(open(&client, server.id(), b"x").await));
	}
	let mut accepted = Vec::new();
	for _ in 0..MAX_INBOUND_PER_PEER {
		accepted.push(server.accept().await);
	}
	for _ in 0..TOO_MANY {
		within("a stream to be reset", ends.next()).await;
	}
	assert!(ends.next().now_or_never().is_none(), "the others stay");
	assert!(server.accept().now_or_never().is_none(), "and no other came");
	// Where one ends, there is room for one, and others are not held up by this peer.
	accepted.pop();
	within("the end of it", ends.next()).await;
	ends.push(end(open(&client, server.id(), b"x").await));
	accepted.push(server.accept().await);
	let other = Stranger::start(&mut rng, []).await;
	other
		.host
		.connect(server.host.address().await.unwrap())
		.await
		.unwrap();
	let _stream = open(&other, server.id(), b"x").await;
	assert_eq!(server.accept().await.peer, other.id());
	assert_eq!(accepted.len(), MAX_INBOUND_PER_PEER);
}

/// A host on TCP that opens streams.
async fn on_tcp(rng: &mut ChaCha8Rng) -> (Host, streams::Control) {
	let (behaviour, control, events) = streams::Behaviour::new([]);
	let mut secret = [0; 32];
	rng.fill_bytes(&mut secret);
	let identity = Identity::from_secret(&mut secret).unwrap();
	let config = HostConfig {
		listen: Vec::new(),
		dht: None,
		..HostConfig::default()
	};
	let parts = HostParts::new(identity, RecordDatabase::in_memory().unwrap());
	let host = Host::start_with(config, parts, Some(behaviour)).await.unwrap();
	drop(events);
	(host, control)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_streams_wait_for_a_connection() {
	let mut rng = seeded();
	let (host, control) = on_tcp(&mut rng).await;
	// Somebody who takes the connection and says nothing.
	let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
	let port = listener.local_addr().unwrap().port();
	let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
	let mut secret = [0; 32];
	rng.fill_bytes(&mut secret);
	let peer = Identity::from_secret(&mut secret).unwrap().peer_id();
	let dialling = host.clone();
	let dial = tokio::spawn(async move { dialling.connect(PeerAddress::new(peer, [address])).await });
	let (silent, _) = within("the dial", listener.accept()).await.unwrap();
	let protocols = [PROTOCOL];
	let mut waiting = FuturesOrdered::new();
	for _ in 0..MAX_OPENING_PER_PEER {
		waiting.push_back(control.open(peer, &protocols));
	}
	// Requests are taken in their order: this one is answered, when those before it wait.
	assert!(waiting.next().now_or_never().is_none());
	let refused = within("the refusal", control.open(peer, &protocols)).await;
	assert!(matches!(refused, Err(OpenError::Busy)), "{refused:?}");
	assert!(waiting.next().now_or_never().is_none());
	// The dial's end is theirs.
	drop(silent);
	for _ in 0..MAX_OPENING_PER_PEER {
		let failed = within("a failure", waiting.next()).await.unwrap();
		assert!(matches!(failed, Err(OpenError::Dial { .. })), "{failed:?}");
	}
	assert!(within("the dial's end", dial).await.unwrap().is_err());
}

fn walks(root: Cid, ids: std::ops::Range<u32>) -> Vec<u8> {
	let mut bytes = Vec::new();
	for id in ids {
		let range = Range::Bytes {
			root,
			start: 0,
			len: u64::MAX,
		};
		Request::Walk { id, range }.encode(&mut bytes);
	}
	bytes
}

/// How the walks of a stream ended: so many completely, so many are to be asked for later.
type Ends = (usize, usize);

/// Reads a stream until its walks have ended so.
async fn until_ends(stream: &mut Stream, enough: impl Fn(Ends) -> bool) -> Ends {
	let (mut done, mut later) = (0, 0);
	while !enough((done, later)) {
		let frame = within("a frame", read_frame(stream)).await.unwrap();
		match Response::decode(&frame).unwrap() {
			Response::WalkEnd {
				end: WalkEnd::Done, ..
			} => done += 1,
			Response::WalkEnd {
				end: WalkEnd::Later, ..
			} => later += 1,
			Response::WalkBlock { .. } => {}
			other => panic!("{other:?}"),
		}
	}
	(done, later)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walks_beyond_a_peers_share_come_later() {
	let mut rng = seeded();
	// More than is read ahead for a stream that nobody reads from, so that no walk is done too soon.
	let (root, all, _) = file(&mut rng, 8 << 20);
	let config = Config {
		server: server::Config {
			max_walks: 2,
			max_all_walks: 3,
			..server::Config::default()
		},
		..native()
	};
	let node = Node::start(&mut rng, config, &all).await;
	let mut strangers = Vec::new();
	for _ in 0..2 {
		let stranger = Stranger::start(&mut rng, []).await;
		let address = node.host.address().await.unwrap();
		stranger.host.connect(address).await.unwrap();
		strangers.push(stranger);
	}
	let mut first = open(&strangers[0], node.id(), &walks(root, 0..5)).await;
	let refused = until_ends(&mut first, |(_, later)| later == 3).await;
	assert_eq!(refused, (0, 3), "two are under way");
	// That leaves the second one of all three.
	let mut second = open(&strangers[1], node.id(), &walks(root, 0..2)).await;
	assert_eq!(
		until_ends(&mut second, |(done, later)| done + later == 2).await,
		(1, 1)
	);
	assert_eq!(until_ends(&mut first, |(done, _)| done == 2).await, (2, 0));
	// They have ended, and make room.
	first.write_all(&walks(root, 5..7)).await.unwrap();
	first.flush().await.unwrap();
	assert_eq!(
		until_ends(&mut first, |(done, later)| done + later == 2).await,
		(2, 0)
	);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_a_peers_share_are_reset() {
	let mut rng = seeded();
	let config = Config {
		server: server::Config {
			max_streams: 3,
			..server::Config::default()
		},
		..native()
	};
	let node = Node::start(&mut rng, config, &[]).await;
	let stranger = Stranger::start(&mut rng, []).await;
	stranger
		.host
		.connect(node.host.address().await.unwrap())
		.await
		.unwrap();
	let absent = *cairn_dag::Block::encode(cairn_dag::Codec::Raw, &b"absent"[..]).cid();
	let mut streams = Vec::new();
	for _ in 0..3 {
		let mut stream = open(&stranger, node.id(), &walks(absent, 0..1)).await;
		assert!(within("an answer", read_frame(&mut stream)).await.is_some());
		streams.push(stream);
	}
	let mut fourth = open(&stranger, node.id(), &walks(absent, 0..1)).await;
	assert!(within("the reset", read_frame(&mut fourth)).await.is_none());
	// Where one was closed, another takes its place.
	let mut closed = streams.pop().unwrap();
	closed.close().await.unwrap();
	within("the end of it", read_frame(&mut closed)).await;
	within("a place", async {
		loop {
			let mut stream = open(&stranger, node.id(), &walks(absent, 0..1)).await;
			if read_frame(&mut stream).await.is_some() {
				break;
			}
		}
	})
	.await;
}
