//! What a walk says that it will ask for.

use cairn_dag::{
	unixfs::import::{ImportOptions, Importer},
	walk::{walk, Budget, Order, Scope},
	Block, BlockSource, Cid, MemoryBlocks, SourceError,
};
use cairn_test_random::{bytes, rng};
use std::{
	cell::RefCell,
	collections::{HashMap, HashSet},
};

/// Notes what is asked for, and what is announced before it is.
struct Noting {
	blocks: MemoryBlocks,
	asked: RefCell<Vec<Cid>>,
	/// Each with how many were asked for before, when it was announced first.
	announced: RefCell<HashMap<Cid, usize>>,
	/// Most that were announced at a time.
	most: RefCell<usize>,
}

impl Noting {
	fn new(blocks: &MemoryBlocks) -> Self {
		Noting {
			blocks: blocks.clone(),
			asked: RefCell::default(),
			announced: RefCell::default(),
			most: RefCell::default(),
		}
	}
}

impl BlockSource for Noting {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.get_ahead(cid, &mut std::iter::empty())
	}

	fn get_ahead(
		&self,
		cid: &Cid,
		next: &mut dyn Iterator<Item = Cid>,
	) -> Result<Option<Block>, SourceError> {
		self.asked.borrow_mut().push(*cid);
		let at = self.asked.borrow().len();
		let next: Vec<Cid> = next.collect();
		let most = next.len().max(*self.most.borrow());
		self.most.replace(most);
		for cid in next {
			self.announced.borrow_mut().entry(cid).or_insert(at);
		}
		self.blocks.get(cid)
	}
}

/// A file of 100 leaves with eight links per node.
fn file() -> (Cid, MemoryBlocks) {
	let content = bytes(&mut rng(), 100 << 10);
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 1 << 10,
		max_links: 8,
		..ImportOptions::default()
	};
	let imported = Importer::new(&mut blocks, options).reader(&content[..]).unwrap();
	(imported.root, blocks)
}

/// A folder of so many entries that it is sharded.
fn sharded() -> (Cid, MemoryBlocks) {
	let folder = tempfile::tempdir().unwrap();
	for name in 0..300 {
		std::fs::write(folder.path().join(name.to_string()), name.to_string()).unwrap();
	}
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		max_directory_size: 1000,
		..ImportOptions::default()
	};
	let imported = Importer::new(&mut blocks, options).path(folder.path()).unwrap();
	(imported.root, blocks)
}

#[test]
fn what_is_announced_is_asked_for_later() {
	for (what, (root, blocks), scope, order) in [
		("all", file(), Scope::All, Order::DepthFirst),
		("wide", file(), Scope::All, Order::BreadthFirst),
		("file", file(), Scope::Entity, Order::DepthFirst),
		("shards", sharded(), Scope::Entity, Order::DepthFirst),
	] {
		let source = Noting::new(&blocks);
		let walked: Vec<Cid> = walk(&source, root, scope)
			.order(order)
			.map(|block| *block.unwrap().cid())
			.collect();
		let asked = source.asked.borrow();
		// A file's or folder's root is looked at once more.
		let distinct: HashSet<&Cid> = asked.iter().collect();
		assert_eq!(distinct, walked.iter().collect(), "{what}");
		assert!(asked.len() <= walked.len() + 1, "{what}");
		let announced = source.announced.borrow();
		for (cid, at) in announced.iter() {
			assert!(asked[*at..].contains(cid), "{what}");
		}
		// All that have an elder sibling are announced with it; the others become known when they are next.
		let never: HashSet<&Cid> = asked.iter().filter(|cid| !announced.contains_key(*cid)).collect();
		assert!(
			never.len() * 5 < asked.len(),
			"{what}: {} of {}",
			never.len(),
			asked.len()
		);
	}
}

#[test]
fn no_more_is_announced_than_the_budget_allows() {
	let (root, blocks) = file();
	let [blocks_left, bytes_left] = [
		Budget {
			max_blocks: 5,
			..Budget::default()
		},
		Budget {
			max_bytes: 2 << 20,
			..Budget::default()
		},
	];
	for scope in [Scope::All, Scope::Entity] {
		// After the root, of whose children there are two: one beside that which is loaded. Of its children there are
		// eight, and two blocks are left beside the first of them.
		for (budget, most) in [(blocks_left, 2), (bytes_left, 1)] {
			let source = Noting::new(&blocks);
			let walked = walk(&source, root, scope).budget(budget);
			assert!(walked.count() > 1);
			assert_eq!(*source.most.borrow(), most, "{scope:?}");
		}
	}
}
