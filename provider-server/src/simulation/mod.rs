//! A provider on a simulated chain, for tests: everything but the chain and the network is real.

pub mod chain;

use crate::{
	access::WriteAccess,
	chain::Chain,
	config::{Config, Paths},
	data::Data,
	deal::{DealState, Proposal, ProposalHash},
	ingest::{Disk, Limits, Progress, Start, Uploads},
	metrics::Metrics,
	pipeline::Pipeline,
	provider::{Parts, Provider},
	retrieval::unsealing::{Bounds, Unsealer},
	sector::SectorState,
	store::{Identity, Store},
};
use bytes::Bytes;
use cairn_car::CarWriter;
use cairn_chain_client::MultiSignature;
use cairn_dag::{Block, Codec};
use cairn_keystore::Keypair;
use cairn_primitives::{
	deal::{DealPayload, DealProposal, PayloadKind},
	SectorNumber, Tier,
};
use cairn_provider_api::{Problem, ProposeDeal, ProposedDeal};
use cairn_proving::{commp::piece_info, SectorStore};
use chain::{SimulatedChain, GENESIS, OWNER, WORKER};
use cid::Cid;
use codec::Encode;
use std::{sync::Arc, time::Duration};

/// A provider and its chain.
pub struct World {
	pub dir: tempfile::TempDir,
	pub chain: Arc<SimulatedChain>,
	pub config: Config,
	running: Option<(Arc<Provider>, Pipeline)>,
}

/// A deal's data and terms.
#[derive(Clone)]
pub struct Offer {
	pub car: Vec<u8>,
	pub root: Cid,
	pub proposal: Proposal,
	pub signature: Vec<u8>,
}

impl Offer {
	pub fn hash(&self) -> ProposalHash {
		cairn_primitives::deal::proposal_hash(&self.proposal.signing_bytes(&GENESIS))
	}

	pub fn request(&self) -> ProposeDeal {
		ProposeDeal::Signed {
			proposal: self.proposal.encode().into(),
			signature: self.signature.clone().into(),
		}
	}

	/// Signs the proposal anew after a change.
	pub fn signed(mut self) -> Self {
		let client = client();
		self.proposal.client = client.public();
		let signature = client.sign(&self.proposal.signing_bytes(&GENESIS));
		self.signature = MultiSignature::Sr25519(signature).encode();
		self
	}
}

pub fn client() -> Keypair {
	"//Alice".parse().unwrap()
}

/// A CAR of raw blocks of pseudo-random bytes; the first is the root.
pub fn car(seed: u8, blocks: usize, block_size: usize) -> (Vec<u8>, Vec<Block>) {
	let blocks: Vec<Block> = (0..blocks)
		.map(|n| {
			let mut state = (u64::from(seed) << 32) | (n as u64 + 1);
			let data: Vec<u8> = (0..block_size)
				.map(|_| {
					state = state
						.wrapping_mul(6364136223846793005)
						.wrapping_add(1442695040888963407);
					(state >> 56) as u8
				})
				.collect();
			Block::encode(Codec::Raw, data)
		})
		.collect();
	let mut writer = CarWriter::new(Vec::new(), &[*blocks[0].cid()]).unwrap();
	for block in &blocks {
		writer.put(block).unwrap();
	}
	(writer.finish().unwrap().0, blocks)
}

/// An offer whose data is made of `seed`.
pub fn offer(seed: u8, tier: Tier) -> Offer {
	let (car, blocks) = car(seed, 3, 200);
	let piece = piece_info(&car[..]).unwrap();
	let root = *blocks[0].cid();
	let proposal = DealProposal {
		piece,
		payload: DealPayload::V1 {
			kind: PayloadKind::Public,
			root: root.to_bytes().try_into().unwrap(),
		},
		client: client().public(),
		provider: OWNER,
		tier,
		start_by: 200,
		duration: 60,
		price_per_block: 1_000_000,
		provider_collateral: 10_000_000,
		nonce: seed.into(),
		label: Default::default(),
	};
	Offer {
		car,
		root,
		proposal,
		signature: Vec::new(),
	}
	.signed()
}

/// Short waits, no margin on the disk, and no block store: what tests it asks for one.
pub fn test_config() -> Config {
	let mut config = Config::default();
	config.storage.keep_free = cairn_units::ByteSize(0);
	config.deals.batch_wait_blocks = 1;
	config.deals.settle_every_blocks = 10;
	config.uploads.idle_timeout_seconds = 1;
	config.server.write_timeout_seconds = 2;
	config.repo.enabled = false;
	config
}

impl World {
	pub async fn new() -> World {
		Self::with(test_config()).await
	}

	pub async fn with(config: Config) -> World {
		let mut world = World {
			dir: tempfile::tempdir().unwrap(),
			chain: Arc::new(SimulatedChain::new()),
			config,
			running: None,
		};
		world.start().await;
		world
	}

	/// Opens database and storage, as at the start of the process.
	pub async fn start(&mut self) {
		self.open().await;
		let (_, pipeline) = self.running.as_mut().unwrap();
		pipeline.recover().await.unwrap();
	}

	async fn open(&mut self) {
		let base = self.dir.path();
		let identity = Identity {
			genesis_hash: GENESIS,
			owner: OWNER,
		};
		let store = Store::open(&base.join("provider.redb"), &identity).unwrap();
		let sectors = SectorStore::open(base.join("storage")).unwrap();
		let uploads = Uploads::open(
			&base.join("storage/uploads"),
			store.clone(),
			sectors.clone(),
			Disk::new(base, self.config.storage.keep_free.0),
			Limits {
				max_concurrent: self.config.uploads.max_concurrent,
				idle_timeout: self.config.idle_timeout(),
				min_progress: self.config.uploads.min_progress.0,
			},
		)
		.unwrap();
		let paths = Paths {
			base: base.to_owned(),
			config: base.join("config.toml"),
		};
		let token = paths.token(&self.config);
		let access = WriteAccess::load(token.as_deref(), &self.config.api.cors_origins).unwrap();
		let data = Data::open(&self.config, &paths).unwrap();
		let chain: Arc<dyn Chain> = self.chain.clone();
		let metrics = Metrics::default();
		let bounds = Bounds::new(self.config.storage.unsealing_keys.0);
		let disk = uploads.disk().clone();
		let unsealer = Unsealer::start(sectors.clone(), disk, bounds, metrics.clone()).unwrap();
		let provider = Provider::assemble(Parts {
			config: self.config.clone(),
			owner: OWNER,
			worker: WORKER,
			chain,
			store,
			sectors,
			uploads,
			unsealer,
			data,
			access,
			metrics,
		})
		.await
		.unwrap();
		let pipeline = Pipeline::new(provider.clone());
		self.running = Some((provider, pipeline));
	}

	pub fn provider(&self) -> &Arc<Provider> {
		&self.running.as_ref().unwrap().0
	}

	pub fn pipeline(&mut self) -> &mut Pipeline {
		&mut self.running.as_mut().unwrap().1
	}

	/// Ends the provider as a kill does: jobs are dropped where they are.
	pub async fn kill(&mut self) {
		let (provider, pipeline) = self.running.take().unwrap();
		drop(pipeline);
		// Jobs that were just dropped still hold the database for a moment.
		let weak = Arc::downgrade(&provider);
		drop(provider);
		for _ in 0..1000 {
			if weak.strong_count() == 0 {
				return;
			}
			tokio::time::sleep(Duration::from_millis(5)).await;
		}
		panic!("the killed provider is still held");
	}

	pub async fn restart(&mut self) {
		self.kill().await;
		self.start().await;
	}

	/// Lets everything happen that needs no further block.
	pub async fn settle(&mut self) {
		for _ in 0..20 {
			let before = self.snapshot();
			let actions = self.chain.actions_taken();
			let hangs = self.chain.hangs();
			let (_, pipeline) = self.running.as_mut().unwrap();
			pipeline.step().await.unwrap();
			if hangs {
				// A job that waits for an answer that never comes would not drain.
				tokio::time::sleep(Duration::from_millis(200)).await;
				pipeline.reap();
				if self.chain.is_hanging() {
					return;
				}
			} else {
				pipeline.drain().await;
			}
			if before == self.snapshot() && actions == self.chain.actions_taken() {
				return;
			}
		}
		panic!("the pipeline does not settle");
	}

	fn snapshot(&self) -> Vec<u8> {
		let store = &self.provider().store;
		let mut bytes = Vec::new();
		for (hash, deal) in store.open_deals().unwrap() {
			bytes.extend(hash);
			bytes.extend(deal.encode());
		}
		for sector in store.open_sectors().unwrap() {
			bytes.extend(sector.encode());
		}
		bytes
	}

	/// One block, and everything that follows from it.
	pub async fn block(&mut self) {
		let (number, events) = self.chain.advance();
		let (_, pipeline) = self.running.as_mut().unwrap();
		pipeline.block(number, events).await;
		self.settle().await;
	}

	pub async fn blocks(&mut self, count: u32) {
		for _ in 0..count {
			self.block().await;
		}
	}

	/// Blocks until `done`, at most `limit`.
	pub async fn blocks_until(&mut self, limit: u32, what: &str, done: impl Fn(&World) -> bool) {
		for _ in 0..limit {
			if done(self) {
				return;
			}
			self.block().await;
		}
		panic!(
			"not within {limit} blocks: {what}\n{:#?}",
			self.provider().store.open_deals().unwrap()
		);
	}

	pub async fn propose(&self, offer: &Offer) -> Result<ProposedDeal, Problem> {
		self.provider().propose(offer.request()).await
	}

	pub async fn upload(&self, offer: &Offer) -> Result<Progress, Problem> {
		self.upload_bytes(offer, &offer.car, Start::Fresh).await
	}

	pub async fn upload_bytes(&self, offer: &Offer, bytes: &[u8], start: Start) -> Result<Progress, Problem> {
		let provider = self.provider();
		let hash = offer.hash();
		let deal = provider.store.deal(&hash).unwrap().expect("proposed before");
		let chunks: Vec<Result<Bytes, std::io::Error>> = bytes
			.chunks(97)
			.map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
			.collect();
		let stream = futures::stream::iter(chunks);
		provider.uploads.receive(&hash, &deal, start, None, stream).await
	}

	/// Proposes and uploads.
	pub async fn store(&self, offer: &Offer) {
		self.propose(offer).await.unwrap();
		assert!(self.upload(offer).await.unwrap().complete);
	}

	pub fn deal_state(&self, offer: &Offer) -> DealState {
		self.provider()
			.store
			.deal(&offer.hash())
			.unwrap()
			.expect("known deal")
			.state
	}

	pub fn is_active(&self, offer: &Offer) -> bool {
		matches!(self.deal_state(offer), DealState::Active { .. })
	}

	pub fn is_over(&self, offer: &Offer) -> bool {
		self.deal_state(offer).is_final()
	}

	pub fn sector_of(&self, offer: &Offer) -> SectorNumber {
		self.provider()
			.store
			.deal(&offer.hash())
			.unwrap()
			.unwrap()
			.sector()
			.expect("in a sector")
	}

	pub fn sector_state(&self, number: SectorNumber) -> SectorState {
		self.provider()
			.store
			.sector(number)
			.unwrap()
			.expect("known sector")
			.state
	}
}
