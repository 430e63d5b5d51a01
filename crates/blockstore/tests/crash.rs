//! The process dies at every point between two writes, and anywhere: nothing that was acknowledged is
//! missing, nothing is half-visible, and nothing is left over.
//!
//! A test runs this test's program again, as a child that goes through a scenario and acknowledges
//! every step on its standard output. It dies where it is told to. The parent opens what it left.

// Other builds have no points.
#![cfg(any(debug_assertions, feature = "fault-injection"))]

mod fixture;
use cairn_blockstore::{
	fault_injection::POINTS,
	repo::{Backend, CommitOptions, FsckOptions, FsckReport, ReadError},
	ChunkStore, Expiry, FsChunks, ManualClock, PinId, Repo, RepoConfig, SqliteChunks, Ttl,
};
use cairn_dag::Block;
use fixture::{assert_absent, assert_readable, block, blocks};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::{
	collections::{BTreeMap, BTreeSet},
	fs,
	io::{BufRead, BufReader},
	ops::ControlFlow,
	path::{Path, PathBuf},
	process::{Command, Stdio},
	sync::Arc,
};

const CRASH_AT: &str = "CAIRN_BLOCKSTORE_CRASH_AT";
const FOLDER: &str = "CAIRN_TEST_FOLDER";
const BACKEND: &str = "CAIRN_TEST_BACKEND";
const ACKNOWLEDGED: &str = "<acknowledged>";

/// What is visible: numbers of the blocks of each dataset, by number of the root.
type State = BTreeMap<u32, BTreeSet<u32>>;

fn config(backend: Backend) -> (Arc<ManualClock>, RepoConfig) {
	let (clock, config) = fixture::config(3000);
	let config = RepoConfig {
		backend,
		// Several batches to an upload.
		batch_bytes: 250,
		read_cache: 0,
		// Some datasets at once, and others step by step.
		release_at_once: 3,
		..config
	};
	(clock, config)
}

/// Something done to a repository, and what is visible while it goes on.
struct Step {
	act: Box<dyn Fn(&Repo, &ManualClock)>,
	change: Box<dyn Fn(&State) -> Vec<State>>,
	/// From here on [`DAMAGED`] may be damaged, and [`STRAY`] be there.
	disorders: bool,
}

/// The block whose chunk is damaged, and removed, from outside.
const DAMAGED: u32 = 8;
/// A chunk that is put there from outside.
const STRAY: u32 = 99;

fn step(
	act: impl Fn(&Repo, &ManualClock) + 'static,
	change: impl Fn(&State) -> Vec<State> + 'static,
) -> Step {
	Step {
		act: Box::new(act),
		change: Box::new(change),
		disorders: false,
	}
}

fn disorder(act: impl Fn(&Repo, &ManualClock) + 'static) -> Step {
	Step {
		disorders: true,
		..unseen(act)
	}
}

fn with(state: &State, root: u32, numbers: &[u32]) -> State {
	let mut state = state.clone();
	state.insert(root, numbers.iter().copied().collect());
	state
}

fn without(state: &State, root: u32) -> State {
	let mut state = state.clone();
	state.remove(&root);
	state
}

fn commit(numbers: Vec<u32>, options: CommitOptions) -> Step {
	let stored = numbers.clone();
	step(
		move |repo, _| {
			fixture::upload(repo, &blocks(numbers.iter().copied()), &options);
		},
		move |state| vec![with(state, stored[0], &stored)],
	)
}

fn delete(root: u32) -> Step {
	step(
		move |repo, _| {
			repo.delete(block(root, 100).cid()).unwrap();
		},
		move |state| vec![without(state, root)],
	)
}

fn unseen(act: impl Fn(&Repo, &ManualClock) + 'static) -> Step {
	step(act, |state| vec![state.clone()])
}

fn maintain() -> Step {
	unseen(|repo, _| {
		repo.maintain().unwrap();
	})
}

/// Everything that writes, at least once.
fn scenario(folder: PathBuf) -> Vec<Step> {
	let kept = CommitOptions::default;
	let pinned = || CommitOptions {
		pins: vec![PinId([1; 32])],
		..kept()
	};
	let evictable = CommitOptions {
		evictable: true,
		..fixture::seconds(1000)
	};
	vec![
		commit((0..6).collect(), fixture::seconds(1 << 30)),
		commit((3..9).collect(), pinned()),
		// Given up in the middle.
		unseen(|repo, _| {
			let mut upload = repo.upload(100).unwrap();
			for block in blocks((4..6).chain(20..24)) {
				upload.put(block).unwrap();
			}
		}),
		// Replaced.
		commit(vec![0, 1, 30, 31], kept()),
		maintain(),
		unseen(|repo, _| {
			repo.pin(block(0, 100).cid(), &PinId([2; 32])).unwrap();
		}),
		unseen(|repo, _| {
			let until = Expiry::At(fixture::START + (1 << 31));
			repo.extend(block(0, 100).cid(), until).unwrap();
		}),
		unseen(|repo, _| {
			repo.unpin(block(0, 100).cid(), &PinId([2; 32])).unwrap();
		}),
		unseen(|repo, _| {
			let change = |_: Option<&[u8]>| Ok::<_, std::convert::Infallible>((Some(vec![1; 50]), ()));
			repo.modify_get(b"a record", change).unwrap();
		}),
		unseen(|repo, _| {
			let mut upload = repo.upload(0).unwrap();
			for block in blocks((0..2).chain(25..30)) {
				upload.put(block).unwrap();
			}
			upload.abort().unwrap();
		}),
		commit((50..56).collect(), kept()),
		delete(50),
		commit(vec![57, 52, 53], kept()),
		maintain(),
		commit(vec![60, 61, 62], fixture::seconds(5)),
		step(
			|repo, clock| {
				clock.advance(5);
				repo.maintain().unwrap();
			},
			|state| vec![without(state, 60)],
		),
		// Damaged from outside, noticed, and mended by an upload.
		disorder({
			let folder = folder.clone();
			move |repo, _| {
				tamper(&folder, &block(DAMAGED, 100), Some(b"damaged"));
				let read = repo.get(block(DAMAGED, 100).cid());
				assert!(matches!(read, Err(ReadError::Damaged { .. })));
			}
		}),
		commit(vec![70, DAMAGED], kept()),
		// Removed from outside, and a stray put there; noticed by a check, and mended by an upload.
		disorder(move |repo, _| {
			tamper(&folder, &block(DAMAGED, 100), None);
			tamper(&folder, &block(STRAY, 100), Some(block(STRAY, 100).data()));
			let report = repo.fsck(FsckOptions::default()).unwrap();
			assert_eq!((report.lost_blocks, report.stray_chunks), (1, 1));
		}),
		commit(vec![71, DAMAGED], kept()),
		commit((40..46).collect(), evictable),
		// More than is free.
		step(
			|repo, _| {
				fixture::store(repo, &blocks(80..93));
			},
			|state| {
				let evicted = without(state, 40);
				let stored = with(&evicted, 80, &(80..93).collect::<Vec<_>>());
				vec![evicted, stored]
			},
		),
		maintain(),
	]
}

/// Changes a chunk from outside, or removes it.
fn tamper(folder: &Path, block: &Block, data: Option<&[u8]>) {
	let hash = block.cid().hash().to_bytes();
	let database = folder.join("chunks.sqlite");
	if database.exists() {
		let connection = rusqlite::Connection::open(database).unwrap();
		connection
			.execute("DELETE FROM chunks WHERE hash = ?1", [&hash])
			.unwrap();
		if let Some(data) = data {
			connection
				.execute("INSERT INTO chunks (hash, data) VALUES (?1, ?2)", (&hash, data))
				.unwrap();
		}
	} else {
		let name = hex::encode(hash);
		let path = folder.join("chunks").join(&name[name.len() - 2..]).join(name);
		match data {
			Some(data) => fs::write(path, data).unwrap(),
			None => fs::remove_file(path).unwrap(),
		}
	}
}

/// The states that may be seen after so many steps were acknowledged.
fn possible(steps: &[Step], acknowledged: usize) -> Vec<State> {
	let mut states = vec![State::new()];
	for step in &steps[..acknowledged] {
		let last = states.pop().unwrap();
		states = (step.change)(&last);
	}
	let now = states.pop().unwrap();
	let mut possible = vec![now.clone()];
	if let Some(next) = steps.get(acknowledged) {
		possible.extend((next.change)(&now));
	}
	possible
}

fn visible(repo: &Repo, universe: u32) -> State {
	let numbers: BTreeMap<Vec<u8>, u32> = (0..universe)
		.map(|n| (block(n, 100).cid().hash().to_bytes(), n))
		.collect();
	let page = repo.datasets(None, 1000).unwrap();
	let number = |hash: &cairn_blockstore::Multihash| numbers[&hash.to_bytes()];
	page.datasets
		.iter()
		.map(|dataset| {
			let blocks = repo.blocks_of(&dataset.root, None, 1000).unwrap();
			assert_eq!(blocks.len() as u64, dataset.blocks);
			(number(dataset.root.hash()), blocks.iter().map(number).collect())
		})
		.collect()
}

/// Opens what a dead process left and compares it with what it acknowledged.
fn examine(folder: &Path, backend: Backend, possible: &[State], universe: u32, disordered: bool) {
	let (_, config) = config(backend);
	let (repo, recovery) = Repo::open(folder, &config).unwrap();
	if let Some(check) = recovery.check {
		let rest = match disordered {
			true => FsckReport {
				lost_blocks: 0,
				recovered_blocks: 0,
				stray_chunks: 0,
				..check.clone()
			},
			false => check.clone(),
		};
		assert!(rest.is_clean(), "{check:?}");
		assert!(check.stray_chunks <= 1 && check.lost_blocks <= 1, "{check:?}");
	}
	let state = visible(&repo, universe);
	assert!(possible.contains(&state), "{state:?} is none of {possible:?}");
	let seen: BTreeSet<u32> = state.values().flatten().copied().collect();
	for n in 0..universe {
		let block = [block(n, 100)];
		match (seen.contains(&n), disordered && n == DAMAGED) {
			(true, true) => {
				if repo.get(block[0].cid()).is_err() {
					fixture::store(&repo, &block);
					assert_readable(&repo, &block);
					repo.delete(block[0].cid()).unwrap();
				}
			}
			(true, false) => assert_readable(&repo, &block),
			(false, _) => assert_absent(&repo, &block),
		}
	}

	repo.maintain().unwrap();
	assert_eq!(visible(&repo, universe), state);
	let space = repo.space().unwrap();
	assert_eq!(
		(space.used, space.blocks),
		(seen.len() as u64 * 100, seen.len() as u64)
	);
	assert_eq!(
		(space.pending_delete, space.hidden_datasets, space.reserved),
		(0, 0, 0)
	);
	if disordered {
		// The stray.
		repo.fsck(FsckOptions::default()).unwrap();
	}
	let report = repo
		.fsck(FsckOptions {
			verify: true,
			mend: false,
		})
		.unwrap();
	assert!(report.is_clean(), "{report:?}");

	// It still works.
	let new = blocks(0..4);
	fixture::store(&repo, &new);
	assert_readable(&repo, &new);
	drop(repo);
	let mut chunks = 0;
	let count = &mut |_| {
		chunks += 1;
		ControlFlow::Continue(())
	};
	match backend {
		Backend::Fs => FsChunks::open(folder.join("chunks")).unwrap().list(count),
		Backend::Sqlite => SqliteChunks::open(folder.join("chunks.sqlite"))
			.unwrap()
			.list(count),
	}
	.unwrap();
	assert_eq!(
		chunks,
		seen.iter().chain(&[0, 1, 2, 3]).collect::<BTreeSet<_>>().len()
	);
}

fn child(name: &str, folder: &Path, backend: Backend) -> Command {
	let mut command = Command::new(std::env::current_exe().unwrap());
	command
		.args(["--exact", name, "--ignored", "--nocapture"])
		.env(FOLDER, folder)
		.env(BACKEND, format!("{backend:?}"))
		.env_remove(CRASH_AT)
		.stdout(Stdio::piped())
		.stderr(Stdio::piped());
	command
}

fn told() -> (PathBuf, Backend) {
	let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
	let backend = match std::env::var(BACKEND).unwrap().as_str() {
		"Fs" => Backend::Fs,
		"Sqlite" => Backend::Sqlite,
		other => panic!("{other}"),
	};
	(folder, backend)
}

#[test]
#[ignore = "run in a process of its own by another test"]
fn go_through_the_scenario() {
	let (folder, backend) = told();
	let (clock, config) = config(backend);
	let (repo, _) = Repo::open(&folder, &config).unwrap();
	for step in scenario(folder) {
		(step.act)(&repo, &clock);
		println!("{ACKNOWLEDGED}");
	}
}

#[test]
#[ignore = "run in a process of its own by another test"]
fn recover() {
	let (folder, backend) = told();
	let (_, config) = config(backend);
	let (repo, _) = Repo::open(folder, &config).unwrap();
	repo.maintain().unwrap();
}

/// Kills the scenario's process at the n-th passage of a point. Returns whether it got so far.
fn die_at(point: &str, n: u32, backend: Backend) -> bool {
	let folder = fixture::folder();
	let output = child("go_through_the_scenario", folder.path(), backend)
		.env(CRASH_AT, format!("{point}:{n}"))
		.output()
		.unwrap();
	let stdout = String::from_utf8_lossy(&output.stdout);
	let stderr = String::from_utf8_lossy(&output.stderr);
	let acknowledged = stdout.matches(ACKNOWLEDGED).count();
	let steps = scenario(folder.path().to_owned());
	if output.status.success() {
		assert_eq!(acknowledged, steps.len());
		return false;
	}
	assert!(
		stderr.contains(&format!("dying at {point}")),
		"{stdout}\n{stderr}"
	);
	println!("{backend:?}: died at {point}:{n} after {acknowledged} steps");
	// Recovering is cut off as well, if it comes to that point.
	let again = [
		"open:recovered",
		"collect:locked",
		"collect:removed",
		"collect:released",
	];
	let again = again[(n as usize + point.len()) % again.len()];
	child("recover", folder.path(), backend)
		.env(CRASH_AT, again)
		.output()
		.unwrap();
	let begun = (acknowledged + 1).min(steps.len());
	let disordered = steps[..begun].iter().any(|step| step.disorders);
	examine(
		folder.path(),
		backend,
		&possible(&steps, acknowledged),
		100,
		disordered,
	);
	true
}

/// Dies at the first passage of each point and at some of the later ones, or thoroughly at every one.
fn die_at_each(points: impl Iterator<Item = &'static str>, backend: Backend) {
	for point in points {
		let mut n = 1;
		while die_at(point, n, backend) {
			n = match fixture::thorough() {
				true => n + 1,
				false => 3 * n,
			};
		}
		let other_store = match backend {
			Backend::Fs => "sqlite:",
			Backend::Sqlite => "fs:",
		};
		assert!(
			n > 1 || point.starts_with(other_store),
			"{point} was never reached"
		);
	}
}

fn points_of(prefixes: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
	POINTS
		.into_iter()
		.filter(|point| prefixes.iter().any(|prefix| point.starts_with(prefix)))
}

const UPLOADING: &[&str] = &["open:", "upload:"];
const REMOVING: &[&str] = &[
	"delete:", "expire:", "evict:", "collect:", "pin:", "read:", "fsck:",
];
const STORING: &[&str] = &["metadata:", "fs:", "sqlite:"];

#[test]
fn every_point_is_in_a_group() {
	let grouped = [UPLOADING, REMOVING, STORING].map(|group| points_of(group).count());
	assert_eq!(grouped.iter().sum::<usize>(), POINTS.len());
}

#[test]
fn files_survive_a_death_while_uploading() {
	die_at_each(points_of(UPLOADING), Backend::Fs);
}

#[test]
fn files_survive_a_death_while_removing() {
	die_at_each(points_of(REMOVING), Backend::Fs);
}

#[test]
fn files_survive_a_death_while_storing() {
	die_at_each(points_of(STORING), Backend::Fs);
}

#[test]
fn sqlite_survives_a_death_while_uploading() {
	die_at_each(points_of(UPLOADING), Backend::Sqlite);
}

#[test]
fn sqlite_survives_a_death_while_removing() {
	die_at_each(points_of(REMOVING), Backend::Sqlite);
}

#[test]
fn sqlite_survives_a_death_while_storing() {
	die_at_each(points_of(STORING), Backend::Sqlite);
}

/// Random uploads, deletions and maintenance.
fn random_steps(seed: u64) -> Vec<Step> {
	let mut rng = ChaCha8Rng::seed_from_u64(seed);
	let mut below = |end| cairn_test_random::below(&mut rng, end) as u32;
	(0..400)
		.map(|_| match below(10) {
			0..6 => {
				let root = below(10);
				let others = (0..below(6)).map(|_| 10 + below(10));
				let numbers: BTreeSet<u32> = others.collect();
				let numbers: Vec<u32> = [root].into_iter().chain(numbers).collect();
				let options = CommitOptions {
					ttl: Some(Ttl::Never),
					..CommitOptions::default()
				};
				commit(numbers, options)
			}
			6..9 => delete(below(10)),
			_ => maintain(),
		})
		.collect()
}

const SEED: &str = "CAIRN_TEST_CHILD_SEED";

#[test]
#[ignore = "run in a process of its own by another test"]
fn go_through_random_steps() {
	let (folder, backend) = told();
	let (clock, config) = config(backend);
	let (repo, _) = Repo::open(&folder, &config).unwrap();
	let _worker = repo.start_worker().unwrap();
	for step in random_steps(std::env::var(SEED).unwrap().parse().unwrap()) {
		(step.act)(&repo, &clock);
		println!("{ACKNOWLEDGED}");
	}
}

/// `kill -9` after a random number of acknowledged steps: in the middle of whatever comes then.
fn kill_anywhere(backend: Backend) {
	let seed = cairn_test_random::seed();
	let mut rng = ChaCha8Rng::seed_from_u64(seed);
	let rounds = match fixture::thorough() {
		true => 100,
		false => 6,
	};
	for round in 0..rounds {
		let folder = fixture::folder();
		let child_seed = seed.wrapping_add(round);
		let until = 1 + cairn_test_random::below(&mut rng, 120) as usize;
		let spins = cairn_test_random::below(&mut rng, 3_000_000);
		let mut process = child("go_through_random_steps", folder.path(), backend)
			.env(SEED, child_seed.to_string())
			.stderr(Stdio::null())
			.spawn()
			.unwrap();
		let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
		let mut acknowledged = 0;
		let mut count = |line: std::io::Result<String>| {
			acknowledged += line.unwrap().matches(ACKNOWLEDGED).count();
			acknowledged
		};
		for line in lines.by_ref() {
			if count(line) >= until {
				break;
			}
		}
		(0..spins).for_each(|n| {
			std::hint::black_box(n);
		});
		process.kill().unwrap();
		process.wait().unwrap();
		// What it wrote before it died was acknowledged too.
		lines.for_each(|line| {
			count(line);
		});
		let steps = random_steps(child_seed);
		println!("{backend:?}: killed after {acknowledged} steps of seed {child_seed}");
		examine(folder.path(), backend, &possible(&steps, acknowledged), 20, false);
	}
}

#[test]
fn files_survive_being_killed_anywhere() {
	kill_anywhere(Backend::Fs);
}

#[test]
fn sqlite_survives_being_killed_anywhere() {
	kill_anywhere(Backend::Sqlite);
}
