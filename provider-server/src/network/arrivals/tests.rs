use crate::{
	network::Network,
	simulation::{offer, test_config, World},
};
use bytes::Bytes;
use cairn_dag::{Block, Codec};
use cairn_network::{
	address::PeerAddress,
	discovery::RecordDatabase,
	exchange::wire::{Answer, Id, Request, Response, WantKind, PROTOCOL},
	host::{Host, HostConfig, HostParts},
	identity::Identity,
	streams,
};
use cairn_primitives::Tier;
use cid::Cid;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a slow machine; only a failed test waits for it.
const PATIENCE: Duration = Duration::from_secs(100);

async fn soon<T>(future: impl Future<Output = T>) -> T {
	tokio::time::timeout(PATIENCE, future)
		.await
		.expect("it never happens")
}

/// Asks on a stream of the native exchange for the block of this CID.
async fn ask(stream: &mut (impl AsyncWrite + Unpin), id: Id, cid: Cid) {
	let mut bytes = Vec::new();
	let cids = vec![cid];
	let kind = WantKind::Block;
	Request::Want { id, kind, cids }.encode(&mut bytes);
	stream.write_all(&bytes).await.unwrap();
	stream.flush().await.unwrap();
}

/// The next answer. Frames of these tests are short.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Response {
	soon(async {
		let mut len = 0;
		for place in 0.. {
			let mut byte = [0];
			stream.read_exact(&mut byte).await.unwrap();
			len |= usize::from(byte[0] & 0x7f) << (7 * place);
			if byte[0] < 0x80 {
				break;
			}
		}
		let mut frame = vec![0; len];
		stream.read_exact(&mut frame).await.unwrap();
		Response::decode(&Bytes::from(frame)).unwrap()
	})
	.await
}

fn said(id: Id, answer: Answer) -> Response {
	Response::Answers {
		id,
		answers: vec![Some(answer)],
	}
}

#[tokio::test]
async fn a_peer_that_waits_hears_of_what_others_upload_without_asking_again() {
	let mut config = test_config();
	config.repo.enabled = true;
	config.network.listen = vec!["/ip4/127.0.0.1/tcp/0".into()];
	let world = World::with(config).await;
	let offer = offer(1, Tier::Hot);
	let stop = CancellationToken::new();
	let folder = world.dir.path().join("network");
	let network = Network::start(world.provider().clone(), &folder, stop.clone())
		.await
		.unwrap();

	let (behaviour, control, _events) = streams::Behaviour::new([]);
	let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory().unwrap());
	let config = HostConfig {
		listen: Vec::new(),
		dht: None,
		..HostConfig::default()
	};
	let waiting = Host::start_with(config, parts, Some(behaviour)).await.unwrap();
	let provider: PeerAddress = network.addresses()[0].parse().unwrap();
	soon(waiting.connect(provider.clone())).await.unwrap();
	let (mut stream, _) = soon(control.open(provider.peer, &[PROTOCOL])).await.unwrap();

	// What comes by a deal.
	world.propose(&offer).await.unwrap();
	ask(&mut stream, 1, offer.root).await;
	assert_eq!(answer(&mut stream).await, said(1, Answer::DontHave));
	// And through the data API.
	let block = Block::encode(Codec::Raw, &b"a dataset"[..]);
	ask(&mut stream, 2, *block.cid()).await;
	assert_eq!(answer(&mut stream).await, said(2, Answer::DontHave));

	world.upload(&offer).await.unwrap();
	assert_eq!(answer(&mut stream).await, said(1, Answer::Have));
	let data = world.provider().data.clone().unwrap();
	let put = block.clone();
	tokio::task::spawn_blocking(move || data.put_block(put, None))
		.await
		.unwrap()
		.unwrap();
	assert_eq!(answer(&mut stream).await, said(2, Answer::Have));

	ask(&mut stream, 3, *block.cid()).await;
	match answer(&mut stream).await {
		Response::Block { id: 3, data, .. } => assert_eq!(&data[..], block.data()),
		other => panic!("{other:?}"),
	}
	stop.cancel();
	network.shutdown().await;
}
