//! The division of work, without servers.

use super::{
	blocks::BlockStore,
	missing::{Part, Wanted},
	pieces::{Ask, Speaks},
	work::{Division, Ended, Job, Offer, Work},
};
use cairn_dag::{
	unixfs::{
		export::file,
		import::{ImportOptions, Importer},
		ByteRange,
	},
	walk::{walk, EntityBytes, Scope},
	Block, Cid, MemoryBlocks,
};
use std::time::Duration;

/// A file of 256 leaves of 64 bytes.
fn object() -> (Cid, MemoryBlocks, Vec<u8>) {
	let content: Vec<u8> = (0..4_096u32)
		.flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
		.collect();
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 64,
		max_links: 6,
		..ImportOptions::default()
	};
	let imported = Importer::new(&mut blocks, options).reader(&content[..]).unwrap();
	(imported.root, blocks, content)
}

struct Scene {
	all: MemoryBlocks,
	root: Cid,
	content: Vec<u8>,
	_folder: tempfile::TempDir,
	kept: BlockStore,
	work: Work,
}

impl Scene {
	fn new(patience: Duration) -> Self {
		Scene::of(|_| Part::Whole, patience)
	}

	/// Of a part of the object, given all of its blocks.
	fn of(part: impl FnOnce(&[Block]) -> Part, patience: Duration) -> Self {
		let (root, all, content) = object();
		let blocks: Vec<Block> = walk(&all, root, Scope::All).map(Result::unwrap).collect();
		let folder = tempfile::tempdir().unwrap();
		let kept = BlockStore::open(&folder.path().join("x.car"), &root).unwrap();
		let wanted = Wanted {
			root,
			path: String::new(),
			part: part(&blocks),
		};
		let division = Division {
			largest_part: 4 << 10,
			least_divided: 128,
			least_gain: Duration::ZERO,
			patience,
		};
		Scene {
			work: Work::new(kept.clone(), wanted, division),
			all,
			root,
			content,
			_folder: folder,
			kept,
		}
	}

	/// The blocks that an honest gateway sends.
	fn blocks_of(&self, ask: &Ask) -> Vec<Block> {
		let walking = match ask {
			Ask::Target => walk(&self.all, self.root, Scope::All),
			Ask::Block(cid) => walk(&self.all, *cid, Scope::Block),
			Ask::Subtree(cid) => walk(&self.all, *cid, Scope::All),
			Ask::Bytes(cid, bytes) => walk(&self.all, *cid, Scope::Entity).entity_bytes(EntityBytes {
				from: bytes.start as i64,
				to: Some(bytes.end as i64 - 1),
			}),
		};
		walking.map(Result::unwrap).collect()
	}

	fn deliver(&self, job: &Job, count: usize) {
		for block in self.blocks_of(&job.ask).iter().take(count) {
			job.flow.count(block.data().len());
			self.kept.put(block).unwrap();
		}
	}

	fn is_over(&mut self) -> bool {
		!self.work.is_anything_owed().unwrap() && !self.work.is_anything_waiting().unwrap()
	}

	fn assert_complete(&self) {
		let mut out = Vec::new();
		file(&self.kept, &self.root, &mut out, ByteRange::ALL).unwrap();
		assert_eq!(out, self.content);
	}
}

fn offer(gateway: usize, speaks: Speaks) -> Offer {
	Offer {
		gateway,
		speaks,
		window: 16 << 10,
		latency: Duration::ZERO,
		rate: None,
	}
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn one_gateway_gets_one_request() {
	let mut scene = Scene::new(LONG);
	let job = scene.work.next_job(&offer(0, Speaks::Ranges)).unwrap().unwrap();
	assert_eq!(job.ask, Ask::Target);
	assert!(scene.work.next_job(&offer(0, Speaks::Ranges)).unwrap().is_none());
	scene.deliver(&job, usize::MAX);
	assert_eq!(scene.work.finish(job.id).unwrap(), Ended::Done);
	assert!(scene.is_over());
	scene.assert_complete();
}

#[test]
fn another_takes_the_end_and_the_first_stops_where_they_meet() {
	let mut scene = Scene::new(LONG);
	let first = scene.work.next_job(&offer(0, Speaks::Ranges)).unwrap().unwrap();
	// Nothing is known of the object yet.
	assert!(scene.work.next_job(&offer(1, Speaks::Ranges)).unwrap().is_none());
	scene.deliver(&first, 10);
	assert!(!first.flow.is_contested());
	let second = scene.work.next_job(&offer(1, Speaks::Ranges)).unwrap().unwrap();
	assert!(first.flow.is_contested());
	let in_order = scene.blocks_of(&Ask::Target);
	let position = |block: &Block| in_order.iter().position(|other| other == block).unwrap();
	let sent = scene.blocks_of(&second.ask);
	assert!(position(sent.last().unwrap()) > in_order.len() / 2);
	let mut job = second;
	loop {
		scene.deliver(&job, usize::MAX);
		assert_eq!(scene.work.finish(job.id).unwrap(), Ended::Done);
		if !scene.work.is_anything_waiting().unwrap() {
			break;
		}
		job = scene.work.next_job(&offer(1, Speaks::Ranges)).unwrap().unwrap();
	}
	// The first one delivers until nothing is missing of what it owes.
	let mut delivered = 0;
	while !scene.work.is_settled(first.id) {
		delivered += 1;
		scene.deliver(&first, delivered);
	}
	assert!(delivered < in_order.len());
	assert_eq!(scene.work.finish(first.id).unwrap(), Ended::Done);
	assert!(scene.is_over());
	scene.assert_complete();
}

#[test]
fn what_is_left_is_given_to_the_next() {
	let mut scene = Scene::new(LONG);
	let first = scene.work.next_job(&offer(0, Speaks::Ranges)).unwrap().unwrap();
	scene.deliver(&first, 200);
	assert_eq!(scene.work.finish(first.id).unwrap(), Ended::Left);
	while !scene.is_over() {
		let job = scene.work.next_job(&offer(1, Speaks::Ranges)).unwrap().unwrap();
		let fresh = scene.blocks_of(&job.ask);
		// The way down comes again, leaves do not.
		assert!(fresh
			.iter()
			.filter(|block| block.cid().codec() == cairn_dag::Codec::Raw.code())
			.all(|leaf| !cairn_dag::BlockSource::has(&scene.kept, leaf.cid()).unwrap()));
		scene.deliver(&job, usize::MAX);
		assert_eq!(scene.work.finish(job.id).unwrap(), Ended::Done);
	}
	scene.assert_complete();
}

#[test]
fn what_cannot_be_divided_is_handed_over_and_the_first_is_stopped() {
	let mut scene = Scene::new(Duration::ZERO);
	let first = scene.work.next_job(&offer(0, Speaks::Ranges)).unwrap().unwrap();
	let second = scene.work.next_job(&offer(1, Speaks::Ranges)).unwrap().unwrap();
	assert_eq!(second.ask, Ask::Target);
	scene.deliver(&second, usize::MAX);
	assert!(!first.flow.is_stopped());
	assert_eq!(scene.work.finish(second.id).unwrap(), Ended::Done);
	assert!(first.flow.is_stopped());
	assert_eq!(scene.work.finish(first.id).unwrap(), Ended::Relieved);
	assert!(scene.is_over());
	scene.assert_complete();
}

#[test]
fn gateways_that_know_whole_objects_only_take_what_waits() {
	let mut scene = Scene::new(Duration::ZERO);
	let first = scene.work.next_job(&offer(0, Speaks::Ranges)).unwrap().unwrap();
	scene.deliver(&first, 100);
	assert!(scene.work.next_job(&offer(1, Speaks::Whole)).unwrap().is_none());
	scene.work.finish(first.id).unwrap();
	let job = scene.work.next_job(&offer(1, Speaks::Whole)).unwrap().unwrap();
	assert_eq!(job.ask, Ask::Target);
	assert!(job.flow.is_contested(), "it ends when nothing is missing");
	scene.deliver(&job, usize::MAX);
	assert!(scene.work.is_settled(job.id));
	assert_eq!(scene.work.finish(job.id).unwrap(), Ended::Done);
	scene.assert_complete();
}

#[test]
fn who_lacks_a_block_is_asked_for_the_others() {
	let mut cids = Vec::new();
	let choose = |blocks: &[Block]| {
		cids = blocks[..3].iter().map(|block| *block.cid()).collect();
		Part::Blocks(cids.clone().into())
	};
	let mut scene = Scene::of(choose, Duration::ZERO);
	let next = |scene: &mut Scene, gateway| {
		let job = scene.work.next_job(&offer(gateway, Speaks::Ranges)).unwrap();
		job.map(|job| match job.ask {
			Ask::Block(cid) => (job.id, cid),
			other => panic!("{other:?}"),
		})
	};
	let fails = |scene: &mut Scene, gateway, (id, cid): (u64, Cid)| {
		assert_eq!(scene.work.finish(id).unwrap(), Ended::Left);
		scene.work.lacks(gateway, cid);
	};
	for cid in &cids[..2] {
		let job = next(&mut scene, 0).unwrap();
		assert_eq!(job.1, *cid);
		fails(&mut scene, 0, job);
	}
	// Another brings one of those, and begins with the other. What failed last comes first.
	let first = next(&mut scene, 1).unwrap();
	assert_eq!(first.1, cids[1]);
	scene.kept.put(&scene.blocks_of(&Ask::Block(first.1))[0]).unwrap();
	assert_eq!(scene.work.finish(first.0).unwrap(), Ended::Done);
	let second = next(&mut scene, 1).unwrap();
	assert_eq!(second.1, cids[0]);
	// What is left for the first is the last one; the slow one's block is not handed to who lacks it.
	assert!(scene.work.is_anything_for(0).unwrap());
	let last = next(&mut scene, 0).unwrap();
	assert_eq!(last.1, cids[2]);
	fails(&mut scene, 0, last);
	assert!(!scene.work.is_anything_for(0).unwrap());
	assert!(next(&mut scene, 0).is_none());
	assert!(scene.work.is_anything_waiting().unwrap());
	assert_eq!(next(&mut scene, 2).unwrap().1, cids[2]);
}

/// Gateways of all kinds begin, deliver, fail and finish in any order: nothing is lost, and it ends.
#[test]
fn any_order_of_events_completes_the_object() {
	let mut rng = cairn_test_random::rng();
	let mut below = |bound: usize| cairn_test_random::below(&mut rng, bound as u64) as usize;
	for _ in 0..8 {
		let patience = [Duration::ZERO, LONG][below(2)];
		let mut scene = Scene::new(patience);
		let speaks = [Speaks::Ranges, Speaks::Ranges, Speaks::Subtrees, Speaks::Whole];
		// What each is still to deliver, the next block last.
		let mut running: Vec<(Job, Vec<Block>)> = Vec::new();
		let mut steps = 0;
		while !(running.is_empty() && scene.is_over()) {
			steps += 1;
			assert!(steps < 20_000, "it does not end");
			let gateway = below(speaks.len());
			let own = running.iter().filter(|(job, _)| job.gateway == gateway).count();
			if own < 3 && below(3) == 0 {
				let job = scene.work.next_job(&offer(gateway, speaks[gateway])).unwrap();
				running.extend(job.map(|job| {
					let mut blocks = scene.blocks_of(&job.ask);
					blocks.reverse();
					(job, blocks)
				}));
			}
			if running.is_empty() {
				continue;
			}
			let at = below(running.len());
			let (job, rest) = &mut running[at];
			for block in rest.drain(rest.len().saturating_sub(1 + below(30))..).rev() {
				job.flow.count(block.data().len());
				scene.kept.put(&block).unwrap();
			}
			let is_finished = rest.is_empty();
			if is_finished || below(10) == 0 || job.flow.is_stopped() || scene.work.is_settled(job.id) {
				let (job, _) = running.swap_remove(at);
				let ended = scene.work.finish(job.id).unwrap();
				assert!(!is_finished || ended != Ended::Left, "{:?}", job.ask);
			}
		}
		scene.assert_complete();
	}
}
