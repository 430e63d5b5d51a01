//! The data API over the network: nodes that fetch datasets from each other, on loopback, with ports that the
//! system chooses.

mod banning;
mod failing;
mod keeping;
mod peers;
mod restarting;
mod streaming;

use super::{
	data_api::{local, read, CAIRN},
	*,
};
use crate::{
	data::{cid_text, open_repo, Data},
	network::Network,
};
use cairn_blockstore::repo::{OpenError, Space, StartupCheck};
use cairn_dag::{
	codex::{self, DatasetOptions},
	Block,
};
use cairn_units::ByteSize;
use serde_json::Value;
use std::{future::Future, path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a slow machine; only a failed test waits for it.
const PATIENCE: Duration = Duration::from_secs(100);

/// A node with a block store of 64 MiB.
struct Node {
	world: World,
	router: Router,
	/// Its place in the network, once it has joined.
	network: Option<Network>,
	stop: CancellationToken,
}

impl Node {
	/// A node that is to join through these peers, with another configuration than the usual.
	async fn with(bootstrap: &[String], change: impl FnOnce(&mut Config)) -> Node {
		let mut config = test_config();
		config.repo.enabled = true;
		config.repo.quota = ByteSize(64 << 20);
		config.network.listen = vec![
			"/ip4/127.0.0.1/udp/0/quic-v1".into(),
			"/ip4/127.0.0.1/tcp/0".into(),
		];
		config.network.bootstrap = bootstrap.to_vec();
		// Clients here take their time.
		config.server.write_timeout_seconds = 100;
		change(&mut config);
		let world = World::with(config).await;
		let router = router(world.provider().clone()).unwrap();
		Node {
			world,
			router,
			network: None,
			stop: CancellationToken::new(),
		}
	}

	/// A node that has joined through these peers.
	async fn joined(bootstrap: &[String]) -> Node {
		let mut node = Node::with(bootstrap, |_| {}).await;
		node.join().await;
		node
	}

	/// Joins the network, and waits until it knows those that it joins through.
	async fn join(&mut self) {
		let folder = self.world.dir.path().join("network");
		let provider = self.world.provider().clone();
		let network = Network::start(provider, &folder, self.stop.clone())
			.await
			.unwrap();
		if !self.world.config.network.bootstrap.is_empty() {
			let mut dht = network.host().dht();
			soon(dht.wait_for(|status| status.peers > 0)).await.unwrap();
		}
		self.network = Some(network);
	}

	/// Ends as a process does that is told to.
	async fn stop(mut self) {
		self.stop.cancel();
		if let Some(network) = self.network.take() {
			network.shutdown().await;
		}
	}

	/// Ends as a process does that is told to, has its folder changed, and starts again. It is to join anew.
	async fn restart(&mut self, between: impl FnOnce(&Path)) {
		self.stop.cancel();
		if let Some(network) = self.network.take() {
			network.shutdown().await;
		}
		self.router = Router::new();
		self.world.kill().await;
		// What was just told to end has the block store open for a moment.
		let folder = self.world.dir.path().join("repo");
		let closing = async {
			while let Err(error) = open_repo(&self.world.config, &folder, StartupCheck::Skip) {
				assert!(matches!(error, OpenError::InUse { .. }), "{error}");
				tokio::time::sleep(Duration::from_millis(5)).await;
			}
		};
		soon(closing).await;
		between(self.world.dir.path());
		self.stop = CancellationToken::new();
		self.world.start().await;
		self.router = router(self.world.provider().clone()).unwrap();
	}

	/// Where others reach it.
	fn addresses(&self) -> Vec<String> {
		self.network.as_ref().unwrap().addresses().to_vec()
	}

	fn data(&self) -> Arc<Data> {
		self.world.provider().data.clone().unwrap()
	}

	/// Has a dataset fetched in the background.
	async fn keep(&self, cid: &Cid) -> Answer {
		let path = format!("{CAIRN}/data/{}/network", cid_text(cid));
		local(&self.router, Method::POST, &path, &[], Body::empty()).await
	}

	async fn get(&self, cid: &Cid, way: &str) -> Answer {
		read(&self.router, &format!("{CAIRN}/data/{}{way}", cid_text(cid)), &[]).await
	}

	async fn exists(&self, cid: &Cid) -> bool {
		self.get(cid, "/exists").await.json::<Value>()["exists"] == true
	}

	/// How far a fetch is.
	async fn fetch(&self, cid: &Cid) -> Value {
		let answer = read(&self.router, &format!("{CAIRN}/fetches/{}", cid_text(cid)), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
		answer.json()
	}

	async fn give_up(&self, cid: &Cid) -> StatusCode {
		let path = format!("{CAIRN}/fetches/{}", cid_text(cid));
		local(&self.router, Method::DELETE, &path, &[], Body::empty())
			.await
			.status
	}

	/// Waits until a fetch has ended; how it has.
	async fn ended(&self, cid: &Cid) -> Value {
		self.fetch_until(cid, |fetch| {
			["complete", "failed", "given_up"].contains(&fetch["state"].as_str().unwrap())
		})
		.await
	}

	async fn fetch_until(&self, cid: &Cid, done: impl Fn(&Value) -> bool) -> Value {
		let waiting = async {
			loop {
				let fetch = self.fetch(cid).await;
				if done(&fetch) {
					return fetch;
				}
				tokio::time::sleep(Duration::from_millis(5)).await;
			}
		};
		soon(waiting).await
	}

	/// Waits until the block store is as wanted, with everything collected that goes.
	async fn settles(&self, wanted: impl Fn(&Space) -> bool) -> Space {
		let data = self.data();
		let waiting = async {
			loop {
				let repo = data.repo.clone();
				let looked = tokio::task::spawn_blocking(move || {
					repo.maintain().unwrap();
					repo.space().unwrap()
				});
				let space = looked.await.unwrap();
				if wanted(&space) {
					return space;
				}
				tokio::time::sleep(Duration::from_millis(5)).await;
			}
		};
		soon(waiting).await
	}

	/// Waits until nothing is left of what was fetched.
	async fn is_empty(&self) {
		self.settles(|space| {
			(space.used, space.reserved, space.blocks, space.hidden_datasets) == (0, 0, 0, 0)
		})
		.await;
	}
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
	for entry in std::fs::read_dir(from).unwrap() {
		let entry = entry.unwrap();
		let to = to.join(entry.file_name());
		if entry.file_type().unwrap().is_dir() {
			std::fs::create_dir(&to).unwrap();
			copy(&entry.path(), &to);
		} else {
			std::fs::copy(entry.path(), &to).unwrap();
		}
	}
}

/// Files of chunks, those being written included.
fn count_chunks(folder: &Path) -> u64 {
	let entries = std::fs::read_dir(folder)
		.unwrap()
		.map(|entry| entry.unwrap().path());
	entries
		.filter(|path| path.is_dir())
		.map(|shard| std::fs::read_dir(shard).unwrap().count() as u64)
		.sum()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
	tokio::time::timeout(PATIENCE, future)
		.await
		.expect("it never happens")
}

/// Bytes that look like chance, the same every time.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
	let mut state = seed;
	(0..len)
		.map(|_| {
			state = state
				.wrapping_mul(6364136223846793005)
				.wrapping_add(1442695040888963407);
			(state >> 56) as u8
		})
		.collect()
}

/// A Codex dataset of such bytes.
struct Sample {
	cid: Cid,
	content: Vec<u8>,
	blocks: Vec<Block>,
	/// The blocks of data, in order.
	leaves: Vec<Cid>,
}

impl Sample {
	fn new(seed: u64, len: usize) -> Sample {
		let content = bytes(seed, len);
		let options = DatasetOptions {
			filename: Some("sample.txt".into()),
			mimetype: Some("text/plain".into()),
			..DatasetOptions::default()
		};
		let mut made = Recorder::default();
		let dataset = codex::import(&content[..], &mut made, &options).unwrap();
		let leaves = made.0.iter().map(|block| *block.cid());
		Sample {
			cid: dataset.cid,
			content,
			leaves: leaves
				.filter(|cid| cid.codec() == cairn_dag::Codec::CodexBlock.code())
				.collect(),
			blocks: made.0,
		}
	}

	fn stored_bytes(&self) -> u64 {
		self.blocks.iter().map(|block| block.data().len() as u64).sum()
	}
}

/// Blocks in the order in which they are made.
#[derive(Default)]
struct Recorder(Vec<Block>);

impl cairn_dag::BlockSink for Recorder {
	fn put(&mut self, block: Block) -> Result<(), cairn_dag::SinkError> {
		self.0.push(block);
		Ok(())
	}
}
