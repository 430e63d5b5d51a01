//! Random operations on a repository and on a model of it, compared after each.
//!
//! The model is a page of maps: what quota, references, expiry, pins, damage and collecting mean, without
//! a database. Uploads stay open while other things happen. A failing sequence is cut down to the
//! operations that it needs.

mod fixture;
use cairn_blockstore::{
	repo::{CommitOptions, DatasetError, FsckOptions, FsckReport, ReadError, ReserveError, UploadError},
	ChunkStore, Clock, Expiry, ManualClock, MemoryChunks, PinId, Repo, RepoConfig, Reservation, Ttl, Upload,
};
use cairn_dag::Block;
use rand_core::RngCore;
use std::{
	collections::{BTreeMap, BTreeSet},
	panic::{catch_unwind, AssertUnwindSafe},
	sync::Arc,
};

const BLOCKS: u8 = 16;
const QUOTA: u64 = 1300;
/// For how long datasets are kept that do not say, in seconds.
const DEFAULT_TTL: u64 = 25;
/// Datasets of more blocks are released step by step.
const AT_ONCE: usize = 3;
/// Uploads that are open at a time, at most.
const OPEN: u64 = 3;

/// Blocks of different sizes.
fn block(n: u8) -> Block {
	fixture::block(n.into(), size(n) as usize)
}

fn size(n: u8) -> u64 {
	10 + 13 * u64::from(n)
}

#[derive(Clone, Debug)]
enum Op {
	/// The first block is the root.
	Store {
		blocks: Vec<u8>,
		ttl: Option<u64>,
		evictable: bool,
		pin: Option<u8>,
	},
	/// Begins an upload that stays open.
	Begin,
	Put(usize, u8),
	/// Commits an open upload under the root, whether or not that is among its blocks.
	Commit(usize, u8),
	GiveUp(usize),
	/// Something outside changes a block's bytes on the disk.
	Damage(u8),
	Delete(u8),
	Extend(u8, u64),
	Pin(u8, u8),
	Unpin(u8, u8),
	Advance(u64),
	Collect(usize),
	Expire,
	Maintain,
	Reserve(u64),
	Release(usize),
	Grow(usize, u64),
	Reopen,
}

fn random_op(rng: &mut impl RngCore) -> Op {
	let mut below = |end: u64| cairn_test_random::below(rng, end);
	let some_blocks = |below: &mut dyn FnMut(u64) -> u64| -> Vec<u8> {
		(0..1 + below(6)).map(|_| below(BLOCKS.into()) as u8).collect()
	};
	match below(100) {
		0..30 => Op::Store {
			blocks: some_blocks(&mut below),
			ttl: (below(3) > 0).then(|| 1 + below(30)),
			evictable: below(3) == 0,
			pin: (below(5) == 0).then(|| below(3) as u8),
		},
		30..33 => Op::Begin,
		33..40 => Op::Put(below(OPEN) as usize, below(BLOCKS.into()) as u8),
		40..43 => Op::Commit(below(OPEN) as usize, below(BLOCKS.into()) as u8),
		43..44 => Op::GiveUp(below(OPEN) as usize),
		44..46 => Op::Damage(below(BLOCKS.into()) as u8),
		46..52 => Op::Delete(below(BLOCKS.into()) as u8),
		52..56 => Op::Extend(below(BLOCKS.into()) as u8, below(40)),
		56..60 => Op::Pin(below(BLOCKS.into()) as u8, below(3) as u8),
		60..68 => Op::Unpin(below(BLOCKS.into()) as u8, below(3) as u8),
		68..76 => Op::Advance(below(12)),
		76..82 => Op::Collect(1 + below(4) as usize),
		82..85 => Op::Expire,
		85..89 => Op::Maintain,
		89..93 => Op::Reserve(below(QUOTA + 100)),
		93..96 => Op::Release(below(4) as usize),
		96..98 => Op::Grow(below(4) as usize, below(400)),
		_ => Op::Reopen,
	}
}

#[derive(Clone, Debug, PartialEq)]
struct ModelDataset {
	number: u64,
	blocks: BTreeSet<u8>,
	expiry: Expiry,
	evictable: bool,
	pins: BTreeSet<u8>,
	created: u64,
}

impl ModelDataset {
	fn key(&self) -> (Expiry, u64) {
		(self.expiry, self.number)
	}
}

#[derive(Debug, Default)]
struct Model {
	now: u64,
	next_number: u64,
	live: BTreeMap<u8, ModelDataset>,
	/// Blocks that deleted datasets have left.
	deleted: BTreeMap<u64, BTreeSet<u8>>,
	/// Blocks of uploads that are not committed.
	uploading: BTreeMap<u64, BTreeSet<u8>>,
	/// Blocks that nothing has, and that are still there.
	garbage: BTreeSet<u8>,
	/// Blocks whose bytes were changed.
	damaged: BTreeSet<u8>,
	/// Those of them of which the repository knows.
	lost: BTreeSet<u8>,
	reserved: Vec<u64>,
}

impl Model {
	fn references(&self, n: u8) -> usize {
		let live = self.live.values().map(|dataset| &dataset.blocks);
		let others = self.deleted.values().chain(self.uploading.values());
		live.chain(others).filter(|blocks| blocks.contains(&n)).count()
	}

	fn is_stored(&self, n: u8) -> bool {
		self.references(n) > 0 || self.garbage.contains(&n)
	}

	fn used(&self) -> u64 {
		(0..BLOCKS).filter(|n| self.is_stored(*n)).map(size).sum()
	}

	fn available(&self) -> u64 {
		QUOTA - self.used() - self.reserved.iter().sum::<u64>()
	}

	fn delete(&mut self, root: u8) {
		if let Some(dataset) = self.live.remove(&root) {
			self.discard(dataset.number, dataset.blocks);
		}
	}

	fn discard(&mut self, number: u64, blocks: BTreeSet<u8>) {
		if blocks.len() > AT_ONCE {
			self.deleted.insert(number, blocks);
			return;
		}
		let unreferenced = blocks.into_iter().filter(|n| self.references(*n) == 0);
		let unreferenced: Vec<u8> = unreferenced.collect();
		self.garbage.extend(unreferenced);
	}

	/// Garbage first, then the deleted datasets' blocks from the oldest on, in the order of the hashes.
	/// Returns whether there was anything to do.
	fn collect_step(&mut self, count: usize) -> bool {
		if self.garbage.is_empty() && self.deleted.is_empty() {
			return false;
		}
		let by_hash = |blocks: &BTreeSet<u8>| {
			let mut ordered: Vec<u8> = blocks.iter().copied().collect();
			ordered.sort_by_key(|n| block(*n).cid().hash().to_bytes());
			ordered
		};
		let mut left = count;
		for n in by_hash(&self.garbage).into_iter().take(count) {
			left -= 1;
			self.garbage.remove(&n);
			self.free(n);
		}
		let mut chosen = Vec::new();
		for (number, blocks) in &self.deleted {
			if left == 0 {
				break;
			}
			let some: Vec<u8> = by_hash(blocks).into_iter().take(left).collect();
			left -= some.len();
			chosen.push((*number, some));
		}
		let unshared: BTreeSet<u8> = (0..BLOCKS).filter(|n| self.references(*n) == 1).collect();
		for (number, some) in chosen {
			for n in some {
				self.deleted.get_mut(&number).unwrap().remove(&n);
				match (self.references(n), unshared.contains(&n)) {
					(0, true) => self.free(n),
					// Two datasets of one step had it: the chunk was not removed for either.
					(0, false) => {
						self.garbage.insert(n);
					}
					_ => {}
				}
			}
			if self.deleted[&number].is_empty() {
				self.deleted.remove(&number);
			}
		}
		true
	}

	fn free(&mut self, n: u8) {
		self.damaged.remove(&n);
		self.lost.remove(&n);
	}

	/// Adds a block to an upload, if there is room for it.
	fn put(&mut self, number: u64, n: u8) -> bool {
		if self.uploading[&number].contains(&n) {
			return true;
		}
		if !self.is_stored(n) && !self.make_room(size(n)) {
			return false;
		}
		self.garbage.remove(&n);
		// What is there already is read, and written again if it is damaged.
		self.free(n);
		self.uploading.get_mut(&number).unwrap().insert(n);
		true
	}

	fn give_up(&mut self, number: u64) {
		if let Some(blocks) = self.uploading.remove(&number) {
			self.discard(number, blocks);
		}
	}

	fn commit(&mut self, number: u64, root: u8, ttl: Option<u64>, evictable: bool, pin: Option<u8>) {
		let mut dataset = ModelDataset {
			number,
			blocks: self.uploading.remove(&number).unwrap(),
			expiry: Expiry::At(self.now + ttl.unwrap_or(DEFAULT_TTL)),
			evictable,
			pins: pin.into_iter().collect(),
			created: self.now,
		};
		let old = self.live.remove(&root);
		if let Some(old) = &old {
			dataset.expiry = dataset.expiry.max(old.expiry);
			dataset.evictable &= old.evictable;
			dataset.pins.extend(&old.pins);
			dataset.created = old.created;
		}
		self.live.insert(root, dataset);
		if let Some(old) = old {
			self.discard(old.number, old.blocks);
		}
	}

	/// Expires what is due. At most 128 at once, which are more than there are.
	fn expire_step(&mut self) -> usize {
		let due = self
			.live
			.iter()
			.filter(|(_, dataset)| dataset.pins.is_empty() && dataset.expiry <= Expiry::At(self.now));
		let due: Vec<u8> = due.map(|(root, _)| *root).collect();
		due.iter().for_each(|root| self.delete(*root));
		due.len()
	}

	fn evict(&mut self) -> bool {
		let first = self
			.live
			.iter()
			.filter(|(_, dataset)| dataset.evictable && dataset.pins.is_empty())
			.min_by_key(|(_, dataset)| dataset.key())
			.map(|(root, _)| *root);
		first.is_some_and(|root| {
			self.delete(root);
			true
		})
	}

	fn maintain(&mut self) {
		loop {
			while self.collect_step(usize::MAX) {}
			if self.expire_step() == 0 {
				return;
			}
		}
	}

	fn make_room(&mut self, bytes: u64) -> bool {
		if bytes > QUOTA {
			return false;
		}
		let mut evicting = false;
		while self.available() < bytes {
			if self.collect_step(usize::MAX) || self.expire_step() > 0 {
				continue;
			}
			evicting = evicting || self.available() + self.evictable_bytes() >= bytes;
			if !(evicting && self.evict()) {
				return false;
			}
		}
		true
	}

	/// Bytes of blocks that nothing has but what may be evicted.
	fn evictable_bytes(&self) -> u64 {
		let evictable = |n: u8| {
			let datasets = self
				.live
				.values()
				.filter(|dataset| dataset.evictable && dataset.pins.is_empty());
			datasets.filter(|dataset| dataset.blocks.contains(&n)).count()
		};
		(0..BLOCKS)
			.filter(|n| evictable(*n) > 0 && evictable(*n) == self.references(*n))
			.map(size)
			.sum()
	}
}

/// A repository beside its model.
struct Pair {
	repo: Option<Repo>,
	folder: Option<tempfile::TempDir>,
	config: RepoConfig,
	clock: Arc<ManualClock>,
	chunks: Arc<MemoryChunks>,
	reservations: Vec<Reservation>,
	/// With their numbers in the model.
	uploads: Vec<(u64, Upload)>,
	model: Model,
}

impl Pair {
	fn new(on_disk: bool) -> Self {
		let (clock, config) = fixture::config(QUOTA);
		let config = RepoConfig {
			default_ttl: Ttl::Seconds(DEFAULT_TTL.try_into().unwrap()),
			release_at_once: AT_ONCE,
			// Every block by itself, and read from where it may be damaged.
			batch_bytes: 1,
			read_cache: 0,
			..config
		};
		let mut pair = Self {
			repo: None,
			folder: on_disk.then(fixture::folder),
			config,
			clock,
			chunks: Arc::default(),
			reservations: Vec::new(),
			uploads: Vec::new(),
			model: Model {
				now: fixture::START,
				..Model::default()
			},
		};
		pair.open();
		pair
	}

	fn open(&mut self) {
		self.repo = Some(match &self.folder {
			Some(folder) => {
				let (repo, recovery) =
					Repo::open_with(folder.path(), &self.config, self.chunks.clone()).unwrap();
				assert_eq!(recovery, Default::default());
				repo
			}
			None => Repo::in_memory_with(&self.config, self.chunks.clone()).unwrap(),
		});
	}

	fn repo(&self) -> &Repo {
		self.repo.as_ref().unwrap()
	}

	fn apply(&mut self, op: &Op) {
		match op {
			Op::Store {
				blocks,
				ttl,
				evictable,
				pin,
			} => self.store(blocks, *ttl, *evictable, *pin),
			Op::Begin => {
				if (self.uploads.len() as u64) < OPEN {
					let upload = self.repo().upload(0).unwrap();
					let number = self.begin();
					self.uploads.push((number, upload));
				}
			}
			Op::Put(slot, n) => {
				if *slot < self.uploads.len() {
					let (number, mut upload) = self.uploads.remove(*slot);
					if self.put(number, &mut upload, *n) {
						self.uploads.insert(*slot, (number, upload));
					} else {
						drop(upload);
						self.model.give_up(number);
					}
				}
			}
			Op::Commit(slot, root) => {
				if *slot < self.uploads.len() {
					let (number, upload) = self.uploads.remove(*slot);
					let outcome = upload.commit(block(*root).cid(), &CommitOptions::default());
					if self.model.uploading[&number].contains(root) {
						outcome.unwrap();
						self.model.commit(number, *root, None, false, None);
					} else {
						assert!(matches!(outcome, Err(UploadError::RootMissing { .. })));
						self.model.give_up(number);
					}
				}
			}
			Op::GiveUp(slot) => {
				if *slot < self.uploads.len() {
					let (number, upload) = self.uploads.remove(*slot);
					upload.abort().unwrap();
					self.model.give_up(number);
				}
			}
			Op::Damage(n) => {
				let right = block(*n);
				if self.chunks.has(right.cid()).unwrap() {
					let mut data = right.data().to_vec();
					data[0] ^= 1;
					let wrong = Block::assume_verified(*right.cid(), data);
					self.chunks.put_many(&[wrong]).unwrap();
					self.model.damaged.insert(*n);
				}
			}
			Op::Delete(root) => {
				let outcome = self.repo().delete(block(*root).cid());
				match self.model.live.get(root) {
					Some(dataset) if !dataset.pins.is_empty() => {
						let pins = dataset.pins.len() as u32;
						assert!(
							matches!(outcome, Err(DatasetError::Pinned { pins: found, .. }) if found == pins)
						);
					}
					Some(_) => {
						assert!(outcome.unwrap());
						self.model.delete(*root);
					}
					None if self.is_visible(*root) => {
						assert!(matches!(outcome, Err(DatasetError::PartOfDataset { .. })));
					}
					None => assert!(!outcome.unwrap()),
				}
			}
			Op::Extend(root, seconds) => {
				let expiry = Expiry::At(self.model.now + seconds);
				let outcome = self.repo().extend(block(*root).cid(), expiry);
				match self.model.live.get_mut(root) {
					Some(dataset) => {
						dataset.expiry = dataset.expiry.max(expiry);
						assert_eq!(outcome.unwrap().expiry, dataset.expiry);
					}
					None => assert!(matches!(outcome, Err(DatasetError::NotFound { .. }))),
				}
			}
			Op::Pin(root, pin) => {
				let outcome = self.repo().pin(block(*root).cid(), &PinId([*pin; 32]));
				match self.model.live.get_mut(root) {
					Some(dataset) => assert_eq!(outcome.unwrap(), dataset.pins.insert(*pin)),
					None => assert!(outcome.is_err()),
				}
			}
			Op::Unpin(root, pin) => {
				let outcome = self.repo().unpin(block(*root).cid(), &PinId([*pin; 32]));
				match self.model.live.get_mut(root) {
					Some(dataset) => assert_eq!(outcome.unwrap(), dataset.pins.remove(pin)),
					None => assert!(outcome.is_err()),
				}
			}
			Op::Advance(seconds) => {
				self.clock.advance(*seconds);
				self.model.now += seconds;
				assert_eq!(self.clock.now(), self.model.now);
			}
			Op::Collect(count) => {
				let idle = self.repo().collect_step(*count).unwrap().idle;
				let worked = self.model.collect_step(*count);
				assert_eq!(idle, !worked);
			}
			Op::Expire => {
				let expired = self.repo().expire_step().unwrap();
				assert_eq!(expired, self.model.expire_step() as u64);
			}
			Op::Maintain => {
				self.repo().maintain().unwrap();
				self.model.maintain();
			}
			Op::Reserve(bytes) => {
				let outcome = self.repo().reserve(*bytes);
				match self.model.make_room(*bytes) {
					true => {
						self.reservations.push(outcome.unwrap());
						self.model.reserved.push(*bytes);
					}
					false => assert!(matches!(outcome, Err(ReserveError::Quota(_)))),
				}
			}
			Op::Release(n) => {
				if *n < self.reservations.len() {
					drop(self.reservations.remove(*n));
					self.model.reserved.remove(*n);
				}
			}
			Op::Grow(n, bytes) => {
				if let Some(reservation) = self.reservations.get_mut(*n) {
					let fits = *bytes <= self.model.available();
					assert_eq!(reservation.grow(*bytes).is_ok(), fits);
					self.model.reserved[*n] += if fits { *bytes } else { 0 };
				}
			}
			Op::Reopen => {
				if self.folder.is_some() {
					for (number, upload) in std::mem::take(&mut self.uploads) {
						drop(upload);
						self.model.give_up(number);
					}
					self.repo = None;
					self.reservations.clear();
					self.model.reserved.clear();
					self.open();
				}
			}
		}
	}

	/// Counts an upload that has begun.
	fn begin(&mut self) -> u64 {
		let number = self.model.next_number;
		self.model.next_number += 1;
		self.model.uploading.insert(number, BTreeSet::new());
		number
	}

	/// Adds a block to an upload; whether there was room.
	fn put(&mut self, number: u64, upload: &mut Upload, n: u8) -> bool {
		let outcome = upload.put(block(n));
		let fits = self.model.put(number, n);
		match fits {
			true => outcome.unwrap(),
			false => assert!(matches!(outcome, Err(UploadError::Quota(_))), "{outcome:?}"),
		}
		fits
	}

	fn store(&mut self, blocks: &[u8], ttl: Option<u64>, evictable: bool, pin: Option<u8>) {
		let root = blocks[0];
		let options = CommitOptions {
			ttl: ttl.map(|seconds| Ttl::Seconds(seconds.try_into().unwrap())),
			evictable,
			pins: pin.map(|pin| PinId([pin; 32])).into_iter().collect(),
		};
		let mut upload = self.repo().upload(0).unwrap();
		let number = self.begin();
		for n in blocks {
			if !self.put(number, &mut upload, *n) {
				drop(upload);
				self.model.give_up(number);
				return;
			}
		}
		upload.commit(block(root).cid(), &options).unwrap();
		self.model.commit(number, root, ttl, evictable, pin);
	}

	fn is_visible(&self, n: u8) -> bool {
		self.model
			.live
			.values()
			.any(|dataset| dataset.blocks.contains(&n))
	}

	fn compare(&mut self) {
		let repo = self.repo().clone();
		let datasets = repo.datasets(None, 1000).unwrap().datasets;
		assert_eq!(datasets.len(), self.model.live.len());
		for (root, expected) in &self.model.live {
			let found = repo
				.dataset(block(*root).cid())
				.unwrap()
				.expect("the dataset is there");
			assert!(datasets.contains(&found));
			let bytes: u64 = expected.blocks.iter().map(|n| size(*n)).sum();
			assert_eq!(
				(found.expiry, found.evictable, found.pins as usize, found.created),
				(
					expected.expiry,
					expected.evictable,
					expected.pins.len(),
					expected.created
				)
			);
			assert_eq!((found.blocks, found.bytes), (expected.blocks.len() as u64, bytes));
			let pins: Vec<u8> = repo
				.pins(&found.root)
				.unwrap()
				.iter()
				.map(|pin| pin.0[0])
				.collect();
			assert_eq!(pins, expected.pins.iter().copied().collect::<Vec<_>>());
		}
		for n in 0..BLOCKS {
			let block = block(n);
			let is_visible = self.is_visible(n);
			let damaged = is_visible && self.model.damaged.contains(&n);
			let known = is_visible && !self.model.lost.contains(&n);
			assert_eq!(repo.has(block.cid()).unwrap(), known);
			let found = repo.get(block.cid());
			if damaged {
				assert!(matches!(found, Err(ReadError::Damaged { .. })), "{found:?}");
				self.model.lost.insert(n);
				assert!(!repo.has(block.cid()).unwrap());
			} else {
				assert_eq!(found.unwrap().as_ref(), is_visible.then_some(&block));
			}
		}
		let space = repo.space().unwrap();
		let deleted = self.model.deleted.values().flatten().chain(&self.model.garbage);
		assert_eq!(space.used, self.model.used());
		assert_eq!(space.reserved, self.model.reserved.iter().sum::<u64>());
		assert!(space.used + space.reserved <= QUOTA);
		assert_eq!(space.pending_delete, deleted.map(|n| size(*n)).sum::<u64>());
		let hidden = self.model.deleted.len() + self.model.uploading.len();
		assert_eq!(space.hidden_datasets, hidden as u64);
		assert_eq!(space.datasets, self.model.live.len() as u64);
		let blocks = (0..BLOCKS).filter(|n| self.model.is_stored(*n)).count();
		assert_eq!(space.blocks, blocks as u64);
	}
}

fn run(ops: &[Op], on_disk: bool) {
	let mut pair = Pair::new(on_disk);
	for op in ops {
		pair.apply(op);
		pair.compare();
	}
	let options = FsckOptions {
		verify: true,
		mend: false,
	};
	let report = pair.repo().fsck(options).unwrap();
	let visible = pair.model.damaged.iter().filter(|n| pair.is_visible(**n)).count() as u64;
	assert_eq!(report.lost_blocks, visible);
	let rest = FsckReport {
		lost_blocks: 0,
		..report.clone()
	};
	assert!(rest.is_clean(), "{report:?}");
}

/// Leaves out operations, as long as the rest still fails.
fn shrink(mut ops: Vec<Op>, on_disk: bool) -> Vec<Op> {
	let fails = |ops: &[Op]| catch_unwind(AssertUnwindSafe(|| run(ops, on_disk))).is_err();
	// It fails hundreds of times on the way.
	let hook = std::panic::take_hook();
	std::panic::set_hook(Box::new(|_| {}));
	let mut part = ops.len() / 2;
	while part > 0 {
		let mut at = 0;
		while at < ops.len() {
			let mut fewer = ops.clone();
			fewer.drain(at..(at + part).min(ops.len()));
			match fails(&fewer) {
				true => ops = fewer,
				false => at += part,
			}
		}
		part /= 2;
	}
	std::panic::set_hook(hook);
	ops
}

fn random_sequences(sequences: usize, length: usize, on_disk: bool) {
	let mut rng = cairn_test_random::rng();
	for _ in 0..sequences {
		let ops: Vec<Op> = (0..length).map(|_| random_op(&mut rng)).collect();
		if catch_unwind(AssertUnwindSafe(|| run(&ops, on_disk))).is_err() {
			let ops = shrink(ops, on_disk);
			println!("the shortest sequence found that fails: {ops:#?}");
			run(&ops, on_disk);
			unreachable!("it failed a moment ago");
		}
	}
}

#[test]
fn the_repository_agrees_with_the_model() {
	random_sequences(15, 120, false);
}

#[test]
fn the_repository_agrees_with_the_model_when_it_is_reopened() {
	random_sequences(4, 80, true);
}
