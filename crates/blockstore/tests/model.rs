//! Random operations on a repository and on a model of it, compared after each.
//!
//! The model is a page of maps: what quota, references, expiry, pins and collecting mean, without a
//! database. A failing sequence is cut down to the operations that it needs.

mod fixture;
mod random;

use cairn_blockstore::{
	repo::{CommitOptions, DatasetError, FsckOptions, ReserveError, UploadError},
	Cid, Clock, Expiry, ManualClock, MemoryChunks, PinId, Repo, RepoConfig, Reservation, Ttl,
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
	/// Blocks are written, and the upload is given up.
	Abandon(Vec<u8>),
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
	let mut below = |end: u64| random::below(rng, end);
	let some_blocks = |below: &mut dyn FnMut(u64) -> u64| -> Vec<u8> {
		(0..1 + below(6)).map(|_| below(BLOCKS.into()) as u8).collect()
	};
	match below(100) {
		0..35 => Op::Store {
			blocks: some_blocks(&mut below),
			ttl: (below(3) > 0).then(|| 1 + below(30)),
			evictable: below(3) == 0,
			pin: (below(5) == 0).then(|| below(3) as u8),
		},
		35..40 => Op::Abandon(some_blocks(&mut below)),
		40..50 => Op::Delete(below(BLOCKS.into()) as u8),
		50..55 => Op::Extend(below(BLOCKS.into()) as u8, below(40)),
		55..60 => Op::Pin(below(BLOCKS.into()) as u8, below(3) as u8),
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
	reserved: Vec<u64>,
}

impl Model {
	fn references(&self, n: u8) -> usize {
		let live = self.live.values().filter(|dataset| dataset.blocks.contains(&n));
		live.count() + self.deleted.values().filter(|blocks| blocks.contains(&n)).count()
	}

	fn used(&self) -> u64 {
		(0..BLOCKS).filter(|n| self.references(*n) > 0).map(size).sum()
	}

	fn available(&self) -> u64 {
		QUOTA - self.used() - self.reserved.iter().sum::<u64>()
	}

	fn delete(&mut self, root: u8) {
		if let Some(dataset) = self.live.remove(&root) {
			self.deleted.insert(dataset.number, dataset.blocks);
		}
	}

	/// In the order of the hashes, from the oldest deleted dataset. Returns whether there was one.
	fn collect_step(&mut self, count: usize) -> bool {
		let Some(mut entry) = self.deleted.first_entry() else {
			return false;
		};
		if entry.get().is_empty() {
			entry.remove();
			return true;
		}
		let mut ordered: Vec<u8> = entry.get().iter().copied().collect();
		ordered.sort_by_key(|n| block(*n).cid().hash().to_bytes());
		for n in ordered.into_iter().take(count) {
			entry.get_mut().remove(&n);
		}
		true
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

	/// Whether the blocks fit, after making room for them.
	fn fit(&mut self, blocks: &BTreeSet<u8>) -> bool {
		loop {
			let new = blocks.iter().filter(|n| self.references(**n) == 0);
			let needed: u64 = new.map(|n| size(*n)).sum();
			if needed <= self.available() {
				return true;
			}
			if !self.make_room(needed) {
				return false;
			}
		}
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
	model: Model,
}

impl Pair {
	fn new(on_disk: bool) -> Self {
		let (clock, config) = fixture::config(QUOTA);
		let mut pair = Self {
			repo: None,
			folder: on_disk.then(fixture::folder),
			config,
			clock,
			chunks: Arc::default(),
			reservations: Vec::new(),
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
			Op::Abandon(blocks) => {
				let mut upload = self.repo().upload(0).unwrap();
				for n in blocks {
					upload.put(block(*n)).unwrap();
				}
				let blocks: BTreeSet<u8> = blocks.iter().copied().collect();
				// Without its root it is written, and not committed.
				let outcome = upload.commit(&no_root(), &CommitOptions::default());
				let number = self.model.next_number;
				self.model.next_number += 1;
				let fits = self.model.fit(&blocks);
				match outcome {
					Err(UploadError::RootMissing { .. }) => assert!(fits),
					Err(UploadError::Quota(_)) => assert!(!fits),
					other => panic!("{other:?}"),
				}
				self.model
					.deleted
					.insert(number, if fits { blocks } else { BTreeSet::new() });
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
					self.repo = None;
					self.reservations.clear();
					self.model.reserved.clear();
					self.open();
				}
			}
		}
	}

	fn store(&mut self, blocks: &[u8], ttl: Option<u64>, evictable: bool, pin: Option<u8>) {
		let root = blocks[0];
		let options = CommitOptions {
			ttl: ttl.map(|seconds| Ttl::Seconds(seconds.try_into().unwrap())),
			evictable,
			pins: pin.map(|pin| PinId([pin; 32])).into_iter().collect(),
		};
		let mut upload = self.repo().upload(0).unwrap();
		for n in blocks {
			upload.put(block(*n)).unwrap();
		}
		let outcome = upload.commit(block(root).cid(), &options);
		let number = self.model.next_number;
		self.model.next_number += 1;
		let blocks: BTreeSet<u8> = blocks.iter().copied().collect();
		if !self.model.fit(&blocks) {
			assert!(matches!(outcome, Err(UploadError::Quota(_))), "{outcome:?}");
			self.model.deleted.insert(number, BTreeSet::new());
			return;
		}
		outcome.unwrap();
		let mut dataset = ModelDataset {
			number,
			blocks,
			expiry: ttl.map_or(Expiry::Never, |ttl| Expiry::At(self.model.now + ttl)),
			evictable,
			pins: pin.into_iter().collect(),
			created: self.model.now,
		};
		if let Some(old) = self.model.live.get(&root).cloned() {
			dataset.expiry = dataset.expiry.max(old.expiry);
			dataset.evictable &= old.evictable;
			dataset.pins.extend(&old.pins);
			dataset.created = old.created;
			self.model.delete(root);
		}
		self.model.live.insert(root, dataset);
	}

	fn is_visible(&self, n: u8) -> bool {
		self.model
			.live
			.values()
			.any(|dataset| dataset.blocks.contains(&n))
	}

	fn compare(&self) {
		let repo = self.repo();
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
			let expected = self.is_visible(n).then_some(&block);
			assert_eq!(repo.get(block.cid()).unwrap().as_ref(), expected);
			assert_eq!(repo.has(block.cid()).unwrap(), expected.is_some());
		}
		let space = repo.space().unwrap();
		let deleted = self.model.deleted.values().flatten();
		assert_eq!(space.used, self.model.used());
		assert_eq!(space.reserved, self.model.reserved.iter().sum::<u64>());
		assert!(space.used + space.reserved <= QUOTA);
		assert_eq!(space.pending_delete, deleted.map(|n| size(*n)).sum::<u64>());
		assert_eq!(space.hidden_datasets, self.model.deleted.len() as u64);
		assert_eq!(space.datasets, self.model.live.len() as u64);
		let blocks = (0..BLOCKS).filter(|n| self.model.references(*n) > 0).count();
		assert_eq!(space.blocks, blocks as u64);
	}
}

/// The CID of a block that is never stored.
fn no_root() -> Cid {
	*fixture::block(9999, 50).cid()
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
	assert!(report.is_clean(), "{report:?}");
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
	let mut rng = random::rng();
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
