//! Chunk stores beside the tools that move the same bytes: `cp`, `cat`, `sha256sum`.
//!
//! `CAIRN_BENCH_BYTES` sets the size of the file, 1 GiB by default. Put a store where the file is:
//! both lie in the folder for temporary files (`TMPDIR`).

use cairn_blockstore::{ChunkStore, FsChunks, SqliteChunks};
use cairn_dag::{Block, Codec};
use criterion::{criterion_group, criterion_main, BatchSize, BenchmarkId, Criterion, Throughput};
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use std::{
	fs::File,
	io::{BufWriter, Read, Write},
	path::{Path, PathBuf},
	process::{Command, Stdio},
	sync::mpsc,
	thread,
};
use tempfile::TempDir;

const KIB: usize = 1 << 10;
/// Bytes that are handed to a store at once.
const BATCH: usize = 8 << 20;

fn bytes() -> u64 {
	match std::env::var("CAIRN_BENCH_BYTES") {
		Ok(bytes) => bytes.parse().expect("CAIRN_BENCH_BYTES is a number of bytes"),
		Err(_) => 1 << 30,
	}
}

/// A file of random bytes, in a folder that goes with it.
fn source() -> (TempDir, PathBuf) {
	let folder = tempfile::tempdir().unwrap();
	let path = folder.path().join("source");
	let mut file = BufWriter::new(File::create(&path).unwrap());
	let mut rng = ChaCha8Rng::seed_from_u64(1);
	let mut part = vec![0; 1 << 20];
	let mut left = bytes() as usize;
	while left > 0 {
		rng.fill_bytes(&mut part);
		let now = left.min(part.len());
		file.write_all(&part[..now]).unwrap();
		left -= now;
	}
	file.into_inner().unwrap().sync_all().unwrap();
	(folder, path)
}

fn run(program: &str, args: &[&Path]) {
	let status = Command::new(program)
		.args(args)
		.stdout(Stdio::null())
		.status()
		.unwrap();
	assert!(status.success());
}

/// Cuts a file into blocks on this thread, which hashes them, while another writes them.
fn put_file(store: &dyn ChunkStore, path: &Path, block_size: usize) -> Vec<cairn_blockstore::Cid> {
	let (sender, receiver) = mpsc::sync_channel::<Vec<Block>>(2);
	thread::scope(|scope| {
		let writer = scope.spawn(move || {
			for batch in receiver {
				store.put_many(&batch).unwrap();
			}
		});
		let mut file = File::open(path).unwrap();
		let mut cids = Vec::new();
		let mut batch = Vec::new();
		loop {
			let mut data = Vec::with_capacity(block_size);
			Read::by_ref(&mut file)
				.take(block_size as u64)
				.read_to_end(&mut data)
				.unwrap();
			let last = data.is_empty();
			if !last {
				let block = Block::encode(Codec::Raw, data);
				cids.push(*block.cid());
				batch.push(block);
			}
			if last || batch.len() * block_size >= BATCH {
				sender.send(std::mem::take(&mut batch)).unwrap();
			}
			if last {
				break;
			}
		}
		drop(sender);
		writer.join().unwrap();
		cids
	})
}

fn get_all(store: &dyn ChunkStore, cids: &[cairn_blockstore::Cid], threads: usize) {
	thread::scope(|scope| {
		for part in cids.chunks(cids.len().div_ceil(threads)) {
			scope.spawn(move || {
				for cid in part {
					std::hint::black_box(store.get(cid).unwrap().unwrap());
				}
			});
		}
	});
}

fn open(kind: &str, folder: &Path) -> Box<dyn ChunkStore> {
	match kind {
		"fs" => Box::new(FsChunks::open(folder.join("chunks")).unwrap()),
		_ => Box::new(SqliteChunks::open(folder.join("chunks.sqlite")).unwrap()),
	}
}

/// The one with most files first: see [`put`].
const STORES: [(&str, usize); 5] = [
	("fs", 64 * KIB),
	("sqlite", 64 * KIB),
	("sqlite", 256 * KIB),
	("fs", 256 * KIB),
	("fs", 1024 * KIB),
];

fn name(kind: &str, block_size: usize) -> String {
	format!("{kind}, {} KiB blocks", block_size / KIB)
}

/// ext4 gives away no inode that was freed in the last minute, and looks at each of them whenever a file is made: who
/// removes thousands of files before a measurement measures that. So stores stay until all of their kind were
/// measured, which takes disk for about twelve of each.
fn put(c: &mut Criterion) {
	let (_folder, source) = source();
	let mut group = c.benchmark_group("put");
	group.sample_size(10).throughput(Throughput::Bytes(bytes()));
	group.bench_function("sha256sum", |b| b.iter(|| run("sha256sum", &[&source])));
	let folder = || tempfile::tempdir().unwrap();
	group.bench_function("cp", |b| {
		b.iter_batched(
			folder,
			|folder| {
				run("cp", &[&source, &folder.path().join("copy")]);
				folder
			},
			BatchSize::PerIteration,
		)
	});
	group.bench_function("cp and sync", |b| {
		b.iter_batched(
			folder,
			|folder| {
				let copy = folder.path().join("copy");
				run("cp", &[&source, &copy]);
				run("sync", &[&copy]);
				folder
			},
			BatchSize::PerIteration,
		)
	});
	for (kind, block_size) in STORES {
		let mut written = Vec::new();
		group.bench_function(name(kind, block_size), |b| {
			b.iter_batched(
				|| {
					let folder = tempfile::tempdir().unwrap();
					let store = open(kind, folder.path());
					written.push(folder);
					store
				},
				|store| {
					put_file(&*store, &source, block_size);
					store
				},
				BatchSize::PerIteration,
			)
		});
		drop(written);
	}
	group.finish();
}

fn get(c: &mut Criterion) {
	let (_folder, source) = source();
	let mut group = c.benchmark_group("get");
	group.sample_size(10).throughput(Throughput::Bytes(bytes()));
	group.bench_function("cat", |b| b.iter(|| run("cat", &[&source])));
	group.bench_function("sha256sum", |b| b.iter(|| run("sha256sum", &[&source])));
	for (kind, block_size) in STORES {
		let folder = tempfile::tempdir().unwrap();
		let store = open(kind, folder.path());
		let cids = put_file(&*store, &source, block_size);
		for threads in [1, 2] {
			let id = BenchmarkId::new(name(kind, block_size), format!("{threads} threads"));
			group.bench_function(id, |b| b.iter(|| get_all(&*store, &cids, threads)));
		}
	}
	group.finish();
}

criterion_group!(benches, put, get);
criterion_main!(benches);
