//! Orders in which the steps of threads can fall: of two threads every order in which they are
//! interrupted a few times, of three threads random orders.
//!
//! The threads run the real code, over a real database and chunk store in memory. A scheduler lets one
//! of them run at a time, from one point of [`fault_injection`] to the next; between two points there is
//! at most one transaction, one call of the chunk store, or one change of the locks, so that no finer
//! order could make a difference. (The quota's counters follow their transaction without a point
//! between. They err on the full side meanwhile.) Between any two steps it is checked that what can be
//! read is on disk, and at the end of each order that nothing is lost, left over or counted wrong.

// Other builds have no points.
#![cfg(any(debug_assertions, feature = "fault-injection"))]

mod fixture;
use cairn_blockstore::{
	fault_injection::{with_observer, Event},
	repo::{Backend, CommitOptions, FsckOptions, ReadError},
	ChunkStore, Expiry, FsChunks, ManualClock, MemoryChunks, PinId, Repo, SqliteChunks,
};
use cairn_dag::Block;
use fixture::{block, blocks, seconds, store, upload, START};
use rand_core::RngCore;
use std::{
	cell::Cell,
	panic::{catch_unwind, AssertUnwindSafe},
	sync::{Arc, Condvar, Mutex},
};
use tempfile::TempDir;

thread_local! {
	/// Datasets of so many blocks are released at once: every order is run with none and with all.
	static AT_ONCE: Cell<usize> = const { Cell::new(0) };
	/// Where chunks are kept: most tests keep them in memory.
	static STORE: Cell<Option<Backend>> = const { Cell::new(None) };
}

/// A repository, its chunks and its clock.
struct World {
	repo: Repo,
	chunks: Arc<dyn ChunkStore>,
	clock: Arc<ManualClock>,
	universe: Vec<Block>,
	/// Chunks were taken away from outside: blocks may be readable and not there until that is noticed.
	disordered: bool,
	/// Where the chunks are, if they are on a disk.
	_folder: Option<TempDir>,
}

impl World {
	fn new(quota: u64) -> Self {
		let (clock, mut config) = fixture::config(quota);
		config.read_cache = 0;
		config.release_at_once = AT_ONCE.get();
		let folder = STORE.get().map(|_| fixture::folder());
		let path = |name| folder.as_ref().unwrap().path().join(name);
		let chunks: Arc<dyn ChunkStore> = match STORE.get() {
			None => Arc::new(MemoryChunks::new()),
			Some(Backend::Fs) => Arc::new(FsChunks::open(path("chunks")).unwrap()),
			Some(Backend::Sqlite) => Arc::new(SqliteChunks::open(path("chunks.sqlite")).unwrap()),
		};
		Self {
			repo: Repo::in_memory_with(&config, chunks.clone()).unwrap(),
			chunks,
			clock,
			universe: blocks(0..10),
			disordered: false,
			_folder: folder,
		}
	}

	/// What holds at any time.
	fn check(&self) {
		for block in &self.universe {
			if self.repo.has(block.cid()).unwrap() && !self.disordered {
				let is_there = self.chunks.has(block.cid()).unwrap();
				assert!(is_there, "{block:?} can be read, and is not there");
			}
		}
		for dataset in self.repo.datasets(None, 100).unwrap().datasets {
			for hash in self.repo.blocks_of(&dataset.root, None, 100).unwrap() {
				let cid = cairn_blockstore::Cid::new_v1(0x55, hash);
				let stat = self.repo.stat(&cid).unwrap();
				assert!(stat.is_some(), "a dataset lacks {cid}");
			}
		}
		let space = self.repo.space().unwrap();
		assert!(space.used + space.reserved <= space.quota, "{space:?}");
	}

	/// What holds when nothing is in motion.
	fn check_end(&self) {
		self.check();
		self.repo.maintain().unwrap();
		self.check();
		let visible: Vec<_> = self
			.universe
			.iter()
			.filter(|block| self.repo.has(block.cid()).unwrap())
			.collect();
		let space = self.repo.space().unwrap();
		assert_eq!(space.used, visible.len() as u64 * 100);
		assert_eq!(
			(space.reserved, space.hidden_datasets, space.pending_delete),
			(0, 0, 0)
		);
		let options = FsckOptions {
			verify: true,
			mend: false,
		};
		let report = self.repo.fsck(options).unwrap();
		assert!(report.is_clean(), "{report:?}");
	}
}

type Thread = fn(&World);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
	Running,
	/// At a point.
	Parked,
	/// It waits for a chunk; it looks again when another has made a step.
	Waiting,
	Done,
}

/// Lets one thread run at a time.
struct Scheduler {
	state: Mutex<(Vec<Status>, Option<usize>)>,
	changed: Condvar,
}

impl Scheduler {
	fn new(threads: usize) -> Self {
		Self {
			state: Mutex::new((vec![Status::Running; threads], None)),
			changed: Condvar::new(),
		}
	}

	/// A thread stops here until it is its turn.
	fn park(&self, thread: usize, status: Status) {
		let mut state = self.state.lock().unwrap();
		state.0[thread] = status;
		self.changed.notify_all();
		while state.1 != Some(thread) {
			state = self.changed.wait(state).unwrap();
		}
		state.1 = None;
		state.0[thread] = Status::Running;
	}

	fn finish(&self, thread: usize) {
		self.state.lock().unwrap().0[thread] = Status::Done;
		self.changed.notify_all();
	}

	/// Waits until every thread stands.
	fn stand_still(&self) -> Vec<Status> {
		let state = self.state.lock().unwrap();
		let standing = |state: &mut (Vec<Status>, Option<usize>)| {
			state.1.is_some() || state.0.contains(&Status::Running)
		};
		self.changed.wait_while(state, standing).unwrap().0.clone()
	}

	fn run(&self, thread: usize) {
		self.state.lock().unwrap().1 = Some(thread);
		self.changed.notify_all();
	}
}

/// Which threads can make the next step.
struct Choice {
	/// So many. The one that made the last step is the first of them, if it is among them.
	ready: usize,
	/// It is, so that taking another interrupts it.
	interrupts: bool,
}

/// Runs the threads in the order that `choose` says.
fn run_in_order(world: &World, threads: &[Thread], end: fn(&World), choose: &mut dyn FnMut(Choice) -> usize) {
	let scheduler = Arc::new(Scheduler::new(threads.len()));
	let mut order = Vec::new();
	let outcome = std::thread::scope(|scope| {
		let running: Vec<_> = threads
			.iter()
			.enumerate()
			.map(|(number, thread)| {
				let scheduler = scheduler.clone();
				scope.spawn(move || {
					let observer = scheduler.clone();
					scheduler.park(number, Status::Parked);
					let result = catch_unwind(AssertUnwindSafe(|| {
						with_observer(
							move |event| match event {
								Event::Reached(_) => observer.park(number, Status::Parked),
								Event::Waiting => observer.park(number, Status::Waiting),
								Event::Disk(_) => {}
							},
							|| thread(world),
						);
					}));
					scheduler.finish(number);
					result
				})
			})
			.collect();
		// A thread that waits can go on after another has made a step.
		let mut waited = vec![false; threads.len()];
		let mut wrong = None;
		loop {
			let standing = scheduler.stand_still();
			if wrong.is_none() {
				wrong = catch_unwind(AssertUnwindSafe(|| world.check())).err();
			}
			let mut ready: Vec<usize> = (0..threads.len())
				.filter(|n| match standing[*n] {
					Status::Parked => true,
					Status::Waiting => !waited[*n],
					Status::Running | Status::Done => false,
				})
				.collect();
			if standing.iter().all(|status| *status == Status::Done) {
				break;
			}
			if ready.is_empty() {
				eprintln!("deadlock: {standing:?} after {order:?}");
				// A panic would wait for the threads.
				std::process::abort();
			}
			let last = order.last().and_then(|last| ready.iter().position(|n| n == last));
			if let Some(last) = last {
				ready[..=last].rotate_right(1);
			}
			let choice = Choice {
				ready: ready.len(),
				interrupts: last.is_some(),
			};
			// After a failure the threads only have to come to their end.
			let next = match wrong {
				None => ready[choose(choice)],
				Some(_) => ready[0],
			};
			order.push(next);
			let was_waiting = standing[next] == Status::Waiting;
			scheduler.run(next);
			let after = scheduler.stand_still();
			let still_waits = was_waiting && after[next] == Status::Waiting;
			match still_waits {
				true => waited[next] = true,
				false => waited.fill(false),
			}
		}
		let results = running.into_iter().map(|thread| thread.join().unwrap());
		let failed = results.filter_map(Result::err).next();
		wrong.or(failed)
	});
	let outcome = match outcome {
		None => catch_unwind(AssertUnwindSafe(|| {
			end(world);
			world.check_end();
		}))
		.err(),
		wrong => wrong,
	};
	if let Some(panic) = outcome {
		println!("in the order {order:?}");
		std::panic::resume_unwind(panic);
	}
}

/// How often threads are interrupted, a thread that waits or is done not being counted. Bugs of
/// concurrency need very few; the number of orders grows with each by a factor of the number of steps.
fn interruptions_allowed() -> usize {
	match fixture::thorough() {
		true => 3,
		false => 2,
	}
}

/// Runs every order with a few interruptions. Returns how many there are.
fn every_order(setup: fn() -> World, threads: &[Thread], end: fn(&World)) -> usize {
	let allowed = interruptions_allowed();
	// A deletion at once has fewer steps, and fewer ways to go wrong.
	let orders = [(0, allowed), (10, allowed - 1)].map(|(at_once, allowed)| {
		AT_ONCE.set(at_once);
		orders_with(allowed, setup, threads, end)
	});
	orders.iter().sum()
}

fn orders_with(allowed: usize, setup: fn() -> World, threads: &[Thread], end: fn(&World)) -> usize {
	// What was chosen, of how many, at each step of the order that comes next.
	let mut path: Vec<(usize, usize)> = Vec::new();
	let mut orders = 0;
	loop {
		let (mut step, mut interruptions) = (0, 0);
		run_in_order(&setup(), threads, end, &mut |choice| {
			let of = match choice.interrupts && interruptions == allowed {
				true => 1,
				false => choice.ready,
			};
			if step == path.len() {
				path.push((0, of));
			}
			let (chosen, before) = path[step];
			assert_eq!(of, before, "the same order has the same choices");
			step += 1;
			interruptions += usize::from(choice.interrupts && chosen > 0);
			chosen
		});
		orders += 1;
		path.truncate(step);
		while let Some((chosen, of)) = path.pop() {
			if chosen + 1 < of {
				path.push((chosen + 1, of));
				break;
			}
		}
		if path.is_empty() {
			println!("{orders} orders");
			return orders;
		}
	}
}

fn random_orders(setup: fn() -> World, threads: &[Thread], end: fn(&World)) {
	let mut rng = cairn_test_random::rng();
	let count = match (fixture::thorough(), STORE.get()) {
		(true, _) => 2000,
		(false, None) => 60,
		(false, Some(_)) => 12,
	};
	for at_once in [0, 10] {
		AT_ONCE.set(at_once);
		for _ in 0..count / 2 {
			run_in_order(&setup(), threads, end, &mut |choice| {
				(rng.next_u64() % choice.ready as u64) as usize
			});
		}
	}
}

fn delete_and_collect(world: &World) {
	world.repo.delete(block(1, 100).cid()).unwrap();
	world.repo.maintain().unwrap();
}

fn readable(world: &World, numbers: std::ops::Range<u32>) {
	fixture::assert_readable(&world.repo, &blocks(numbers));
}

/// A dataset of blocks 1 and 2.
fn stored() -> World {
	let world = World::new(1 << 20);
	store(&world.repo, &blocks(1..3));
	world
}

#[test]
fn an_upload_that_shares_a_block_with_a_dataset_that_is_collected() {
	let orders = every_order(
		stored,
		&[
			|world| {
				store(&world.repo, &blocks(2..4));
			},
			delete_and_collect,
		],
		|world| {
			readable(world, 2..4);
			fixture::assert_absent(&world.repo, &blocks(1..2));
		},
	);
	assert!(orders > 50, "{orders}");
}

#[test]
fn a_dataset_that_is_stored_again_while_it_is_deleted() {
	let threads: [Thread; 2] = [
		|world| {
			store(&world.repo, &blocks(1..3));
		},
		delete_and_collect,
	];
	let end: fn(&World) = |world| {
		// Whichever came last.
		match world.repo.dataset(block(1, 100).cid()).unwrap() {
			Some(_) => readable(world, 1..3),
			None => fixture::assert_absent(&world.repo, &blocks(1..3)),
		}
	};
	every_order(stored, &threads, end);
	AT_ONCE.set(10);
	orders_with(interruptions_allowed(), stored, &threads, end);
}

#[test]
fn an_upload_and_one_of_the_same_blocks_that_is_given_up() {
	every_order(
		|| World::new(1 << 20),
		&[
			|world| {
				store(&world.repo, &blocks(1..3));
			},
			|world| {
				let mut upload = world.repo.upload(0).unwrap();
				for block in blocks(1..3) {
					upload.put(block).unwrap();
				}
				// Written, but not committed: the root is missing.
				upload
					.commit(block(9, 100).cid(), &CommitOptions::default())
					.unwrap_err();
				world.repo.maintain().unwrap();
			},
		],
		|world| readable(world, 1..3),
	);
}

#[test]
fn two_uploads_of_one_dataset() {
	every_order(
		|| World::new(1 << 20),
		&[
			|world| {
				store(&world.repo, &blocks(1..3));
			},
			|world| {
				store(&world.repo, &blocks(1..3));
			},
		],
		|world| {
			readable(world, 1..3);
			assert_eq!(world.repo.space().unwrap().datasets, 1);
		},
	);
}

#[test]
fn two_collectors_of_one_dataset() {
	every_order(
		|| {
			let world = stored();
			world.repo.delete(block(1, 100).cid()).unwrap();
			world
		},
		&[
			|world| {
				while !world.repo.collect_step(1).unwrap().idle {}
			},
			|world| {
				world.repo.maintain().unwrap();
			},
		],
		|world| fixture::assert_absent(&world.repo, &blocks(1..3)),
	);
}

/// One of two collectors is overtaken: what it is about to remove was removed, and stored again.
#[test]
fn a_dataset_that_is_stored_again_between_two_collectors() {
	every_order(
		|| {
			let world = stored();
			world.repo.delete(block(1, 100).cid()).unwrap();
			world
		},
		&[
			|world| {
				world.repo.collect_step(10).unwrap();
			},
			|world| {
				world.repo.collect_step(10).unwrap();
				store(&world.repo, &blocks(1..2));
			},
		],
		|world| readable(world, 1..2),
	);
}

/// Whoever was told that the dataset is extended or pinned has it.
#[test]
fn extending_and_pinning_what_is_due() {
	fn due() -> World {
		let world = World::new(1 << 20);
		upload(&world.repo, &blocks(1..3), &seconds(10));
		world.clock.advance(10);
		world
	}
	fn maintain(world: &World) {
		world.repo.maintain().unwrap();
	}
	fn kept(world: &World) -> bool {
		world.repo.record(b"told").unwrap().is_some()
	}
	fn tell(world: &World) {
		let told = |_: Option<&[u8]>| Ok::<_, std::convert::Infallible>((Some(vec![]), ()));
		world.repo.modify_get(b"told", told).unwrap();
	}
	fn end(world: &World) {
		match kept(world) {
			true => readable(world, 1..3),
			false => fixture::assert_absent(&world.repo, &blocks(1..3)),
		}
	}
	every_order(
		due,
		&[maintain, |world| {
			if world
				.repo
				.extend(block(1, 100).cid(), Expiry::At(START + 100))
				.is_ok()
			{
				tell(world);
			}
		}],
		end,
	);
	every_order(
		due,
		&[maintain, |world| {
			if world.repo.pin(block(1, 100).cid(), &PinId([1; 32])).is_ok() {
				tell(world);
			}
		}],
		end,
	);
}

#[test]
fn pinning_what_is_about_to_be_evicted() {
	every_order(
		|| {
			let world = World::new(300);
			let options = CommitOptions {
				evictable: true,
				..seconds(10)
			};
			upload(&world.repo, &blocks(1..3), &options);
			world
		},
		&[
			|world| {
				// Two more do not fit beside the two.
				let mut upload = world.repo.upload(0).unwrap();
				for block in blocks(5..7) {
					upload.put(block).unwrap();
				}
				let _ = upload.commit(block(5, 100).cid(), &CommitOptions::default());
			},
			|world| {
				let _ = world.repo.pin(block(1, 100).cid(), &PinId([1; 32]));
			},
		],
		|world| {
			let pinned = world.repo.dataset(block(1, 100).cid()).unwrap();
			let stored = world.repo.dataset(block(5, 100).cid()).unwrap();
			assert!(pinned.is_some() != stored.is_some(), "{pinned:?} {stored:?}");
			if let Some(pinned) = pinned {
				assert_eq!(pinned.pins, 1);
				readable(world, 1..3);
			}
		},
	);
}

/// A reader finds a block or does not, but never takes a collected one for a damaged one.
#[test]
fn a_reader_while_a_dataset_goes_and_comes() {
	fn read(world: &World) {
		for block in blocks(1..3) {
			if let Some(found) = world.repo.get(block.cid()).unwrap() {
				assert_eq!(found, block);
			}
		}
	}
	every_order(stored, &[read, delete_and_collect], |_| {});
	random_orders(
		stored,
		&[read, delete_and_collect, |world| {
			store(&world.repo, &blocks(1..3));
		}],
		|_| {},
	);
}

#[test]
fn three_threads_in_random_orders() {
	for store in [None, Some(Backend::Fs), Some(Backend::Sqlite)] {
		STORE.set(store);
		three_threads();
	}
}

fn three_threads() {
	random_orders(
		stored,
		&[
			|world| {
				store(&world.repo, &[block(8, 100), block(1, 100), block(2, 100)]);
			},
			delete_and_collect,
			|world| {
				let mut upload = world.repo.upload(0).unwrap();
				for block in blocks(1..6) {
					upload.put(block).unwrap();
				}
				drop(upload);
				world.repo.maintain().unwrap();
				store(&world.repo, &blocks(2..6));
			},
		],
		|world| {
			readable(world, 1..6);
			readable(world, 8..9);
		},
	);
}

/// Blocks 1 and 2, of which the first is damaged, and nobody has noticed.
fn damaged() -> World {
	let world = stored();
	let right = block(1, 100);
	let wrong = Block::assume_verified(*right.cid(), vec![0xee; 100]);
	world.chunks.put_many(&[wrong]).unwrap();
	world
}

/// What an upload has replaced is not taken for damaged by who looked at it before.
#[test]
fn readers_of_a_damaged_block_and_an_upload_of_it() {
	fn read(world: &World) {
		match world.repo.get(block(1, 100).cid()) {
			Ok(found) => assert!(found.is_none_or(|found| found == block(1, 100))),
			Err(error) => assert!(matches!(error, ReadError::Damaged { .. }), "{error:?}"),
		}
	}
	fn upload(world: &World) {
		store(&world.repo, &blocks(1..3));
	}
	fn end(world: &World) {
		readable(world, 1..3);
	}
	every_order(damaged, &[read, upload], end);
	random_orders(damaged, &[read, read, upload], end);
	random_orders(
		damaged,
		&[read, |world| {
			delete_and_collect(world);
			upload(world);
		}],
		end,
	);
}

/// A database that counts wrong, a chunk that is missing and one too many.
fn disordered() -> World {
	let mut world = damaged();
	world.disordered = true;
	world.chunks.delete_many(&[*block(2, 100).cid().hash()]).unwrap();
	world.chunks.put_many(&blocks(9..10)).unwrap();
	world
}

fn mend(world: &World) {
	let verify = FsckOptions {
		verify: true,
		mend: true,
	};
	world.repo.fsck(verify).unwrap();
}

#[test]
fn a_check_while_a_dataset_comes() {
	every_order(
		|| {
			let world = World::new(1 << 20);
			world.chunks.put_many(&blocks(9..10)).unwrap();
			world
		},
		&[mend, |world| {
			store(&world.repo, &[block(1, 100), block(9, 100)]);
		}],
		|world| {
			readable(world, 1..2);
			readable(world, 9..10);
		},
	);
}

#[test]
fn a_check_while_a_dataset_goes() {
	every_order(stored, &[mend, delete_and_collect], |world| {
		fixture::assert_absent(&world.repo, &blocks(1..3));
	});
}

/// Whatever the check finds, the upload that comes meanwhile or afterwards mends.
#[test]
fn a_check_of_a_disordered_repository_and_an_upload_that_mends_it() {
	fn upload(world: &World) {
		store(&world.repo, &blocks(1..3));
	}
	random_orders(
		disordered,
		&[mend, upload, |world| {
			for block in blocks(1..3) {
				let _ = world.repo.get(block.cid());
			}
		}],
		|world| {
			readable(world, 1..3);
			mend(world);
		},
	);
}
