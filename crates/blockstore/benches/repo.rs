//! The repository: importing a file as blocks and as a dataset, beside `sha256sum` of the same file; deleting a large
//! dataset and very many small ones, collecting them.
//!
//! `CAIRN_BENCH_BYTES` sets the size of the file (1 GiB), which lies in the folder for temporary files (`TMPDIR`) as the
//! repositories do, `CAIRN_BENCH_BLOCKS` the blocks of the large
//! dataset (1 million), `CAIRN_BENCH_DATASETS` the number of small ones (100,000).

use cairn_blockstore::{
	repo::{Backend, CommitOptions},
	Cid, MemoryChunks, Repo, RepoConfig,
};
use cairn_dag::{
	codex::{self, DatasetOptions},
	unixfs::import::{ImportOptions, Importer},
	Block, BlockSink, Codec,
};
use criterion::{
	criterion_group, criterion_main, measurement::WallTime, BatchSize, BenchmarkGroup, Criterion,
	SamplingMode, Throughput,
};
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use std::{
	convert::Infallible,
	fs::{self, File},
	path::Path,
	process::{Command, Stdio},
	sync::Arc,
	time::{Duration, Instant},
};
use tempfile::TempDir;

fn number(variable: &str, default: u64) -> u64 {
	match std::env::var(variable) {
		Ok(number) => number.parse().expect("the variable is a number"),
		Err(_) => default,
	}
}

fn config(backend: Backend) -> RepoConfig {
	RepoConfig {
		quota: u64::MAX,
		backend,
		disk_reserve: 0,
		..RepoConfig::default()
	}
}

fn open(folder: &Path, backend: Backend) -> Repo {
	Repo::open(folder, &config(backend)).unwrap().0
}

/// Opens a new repository in a folder that stays until all of its kind were measured: ext4 makes files slowly for a
/// minute after many were removed. Takes disk for about twelve of each.
fn open_another(written: &mut Vec<TempDir>, backend: Backend) -> Repo {
	let folder = tempfile::tempdir().unwrap();
	let repo = open(folder.path(), backend);
	written.push(folder);
	repo
}

/// From bytes in memory, as they come from a socket, to a committed dataset on disk.
fn import(c: &mut Criterion) {
	let bytes = number("CAIRN_BENCH_BYTES", 1 << 30);
	let mut data = vec![0; bytes as usize];
	ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut data);
	let data = bytes::Bytes::from(data);
	let mut group = c.benchmark_group("import");
	group.sample_size(10).throughput(Throughput::Bytes(bytes));
	for (name, backend, block_size) in [
		("fs, 256 KiB blocks", Backend::Fs, 256 << 10),
		("sqlite, 256 KiB blocks", Backend::Sqlite, 256 << 10),
		("fs, 1024 KiB blocks", Backend::Fs, 1 << 20),
	] {
		let mut written = Vec::new();
		group.bench_function(name, |b| {
			b.iter_batched(
				|| open_another(&mut written, backend),
				|repo| {
					let mut upload = repo.upload(bytes).unwrap();
					let root = upload
						.fill(|sink| {
							let mut root = None;
							for start in (0..data.len()).step_by(block_size) {
								let end = data.len().min(start + block_size);
								let block = Block::encode(Codec::Raw, data.slice(start..end));
								root.get_or_insert(*block.cid());
								sink.put(block)?;
							}
							Ok::<_, cairn_dag::SinkError>(root)
						})
						.unwrap();
					upload.commit(&root.unwrap(), &CommitOptions::default()).unwrap();
					repo
				},
				BatchSize::PerIteration,
			)
		});
		drop(written);
	}
	group.finish();
}

/// Cuts a file into the blocks of a dataset, and gives its root.
type Cut = fn(File, &mut dyn BlockSink) -> Cid;

fn cut_as_unixfs(file: File, sink: &mut dyn BlockSink) -> Cid {
	let importer = Importer::new(sink, ImportOptions::default());
	importer.reader(file).unwrap().root
}

fn cut_as_codex(file: File, sink: &mut dyn BlockSink) -> Cid {
	codex::import(file, sink, &DatasetOptions::default()).unwrap().cid
}

/// From a file on disk, through the importers, to a committed dataset on disk, beside the time it takes to hash the
/// same file.
fn import_dataset(c: &mut Criterion) {
	let bytes = number("CAIRN_BENCH_BYTES", 1 << 30);
	let folder = tempfile::tempdir().unwrap();
	let source = folder.path().join("source");
	let mut data = vec![0; bytes as usize];
	ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut data);
	fs::write(&source, data).unwrap();
	File::open(&source).unwrap().sync_all().unwrap();
	let mut group = c.benchmark_group("import a dataset");
	group.sample_size(10).throughput(Throughput::Bytes(bytes));
	group.bench_function("sha256sum", |b| {
		b.iter(|| {
			let mut command = Command::new("sha256sum");
			let status = command.arg(&source).stdout(Stdio::null()).status().unwrap();
			assert!(status.success());
		})
	});
	for (name, backend, cut) in [
		("Codex, 64 KiB blocks, fs", Backend::Fs, cut_as_codex as Cut),
		("Codex, 64 KiB blocks, sqlite", Backend::Sqlite, cut_as_codex),
		("UnixFS, 256 KiB blocks, sqlite", Backend::Sqlite, cut_as_unixfs),
		("UnixFS, 256 KiB blocks, fs", Backend::Fs, cut_as_unixfs),
	] {
		let mut written = Vec::new();
		group.bench_function(name, |b| {
			b.iter_batched(
				|| open_another(&mut written, backend),
				|repo| {
					let mut upload = repo.upload(bytes).unwrap();
					let file = File::open(&source).unwrap();
					let root = upload.fill(|sink| Ok::<_, Infallible>(cut(file, sink))).unwrap();
					upload.commit(&root, &CommitOptions::default()).unwrap();
					repo
				},
				BatchSize::PerIteration,
			)
		});
		drop(written);
	}
	group.finish();
}

/// A dataset of so many blocks of eight bytes, in memory but for the database.
fn large_dataset(repo: &Repo, blocks: u64) -> Cid {
	let mut upload = repo.upload(0).unwrap();
	let mut root = None;
	for n in 0..blocks {
		let block = Block::encode(Codec::Raw, n.to_le_bytes().to_vec());
		root = Some(*block.cid());
		upload.put(block).unwrap();
	}
	let root = root.unwrap();
	upload.commit(&root, &CommitOptions::default()).unwrap();
	root
}

/// Times `measured` on a repository with a large dataset, given its root.
fn with_large_dataset(blocks: u64, times: u64, measured: impl Fn(&Repo, &Cid) -> Duration) -> Duration {
	let folder = tempfile::tempdir().unwrap();
	let chunks = Arc::new(MemoryChunks::new());
	let (repo, _) = Repo::open_with(folder.path(), &config(Backend::Fs), chunks).unwrap();
	(0..times)
		.map(|_| {
			let root = large_dataset(&repo, blocks);
			let time = measured(&repo, &root);
			repo.maintain().unwrap();
			time
		})
		.sum()
}

/// For what takes much longer to prepare than to measure: criterion would repeat it until the measured part alone
/// took seconds.
fn once_per_sample(group: &mut BenchmarkGroup<'_, WallTime>) {
	group
		.sample_size(10)
		.sampling_mode(SamplingMode::Flat)
		.warm_up_time(Duration::from_millis(1))
		.measurement_time(Duration::from_millis(1));
}

fn delete(c: &mut Criterion) {
	let blocks = number("CAIRN_BENCH_BLOCKS", 1_000_000);
	let mut group = c.benchmark_group("delete");
	once_per_sample(&mut group);
	group.bench_function(format!("{blocks} blocks, until they are invisible"), |b| {
		b.iter_custom(|times| {
			with_large_dataset(blocks, times, |repo, root| {
				let start = Instant::now();
				assert!(repo.delete(root).unwrap());
				let gone = repo.get(root).unwrap().is_none();
				let time = start.elapsed();
				assert!(gone);
				time
			})
		})
	});
	group.throughput(Throughput::Elements(blocks));
	group.bench_function(format!("{blocks} blocks, collecting"), |b| {
		b.iter_custom(|times| {
			with_large_dataset(blocks, times, |repo, root| {
				repo.delete(root).unwrap();
				let start = Instant::now();
				let done = repo.maintain().unwrap();
				let time = start.elapsed();
				assert_eq!(done.freed_blocks, blocks);
				time
			})
		})
	});
	group.finish();
}

/// So many datasets of one block, and one of them that stays. The database is in memory too: each commit
/// would wait for the disk.
fn small_datasets(datasets: u64) -> (Repo, Vec<Cid>, Cid) {
	let repo = Repo::in_memory(&config(Backend::Fs)).unwrap();
	let store = |n: u64| {
		let block = Block::encode(Codec::Raw, n.to_le_bytes().to_vec());
		let root = *block.cid();
		let mut upload = repo.upload(0).unwrap();
		upload.put(block).unwrap();
		upload.commit(&root, &CommitOptions::default()).unwrap();
		root
	};
	let roots = (0..datasets).map(store).collect();
	let kept = store(datasets);
	(repo, roots, kept)
}

/// Deletes them all, and times `measured` then.
fn after_deleting(datasets: u64, times: u64, measured: impl Fn(&Repo, &Cid) -> Duration) -> Duration {
	(0..times)
		.map(|_| {
			let (repo, roots, kept) = small_datasets(datasets);
			for root in &roots {
				repo.delete(root).unwrap();
			}
			measured(&repo, &kept)
		})
		.sum()
}

fn delete_small(c: &mut Criterion) {
	let datasets = number("CAIRN_BENCH_DATASETS", 100_000);
	let mut group = c.benchmark_group("delete small");
	group.sample_size(10).warm_up_time(Duration::from_millis(1));
	group.bench_function(format!("a read after {datasets} deletions of one block"), |b| {
		b.iter_custom(|times| {
			let read = |repo: &Repo, kept: &Cid| {
				let start = Instant::now();
				for _ in 0..times {
					assert!(repo.get(kept).unwrap().is_some());
				}
				start.elapsed()
			};
			after_deleting(datasets, 1, read)
		})
	});
	group.throughput(Throughput::Elements(datasets));
	group.bench_function(
		format!("{datasets} datasets of one block, until they are invisible"),
		|b| {
			b.iter_custom(|times| {
				(0..times)
					.map(|_| {
						let (repo, roots, _) = small_datasets(datasets);
						let start = Instant::now();
						for root in &roots {
							assert!(repo.delete(root).unwrap());
						}
						start.elapsed()
					})
					.sum()
			})
		},
	);
	group.bench_function(format!("{datasets} datasets of one block, collecting"), |b| {
		b.iter_custom(|times| {
			after_deleting(datasets, times, |repo, _| {
				let start = Instant::now();
				let done = repo.maintain().unwrap();
				let time = start.elapsed();
				assert_eq!(done.freed_blocks, datasets);
				time
			})
		})
	});
	group.finish();
}

criterion_group!(benches, import, import_dataset, delete, delete_small);
criterion_main!(benches);
