//! Piece commitments, proofs of a 1 GiB hot sector, and labels.

use cairn_primitives::{ProofSpec, Tier};
use cairn_proving::{CommPHasher, HotRequest, SealRequest, SectorStore};
use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use sha2::{Digest, Sha256};
use std::{
	io::{self, Write},
	ops::ControlFlow,
	time::Duration,
};

fn payload(len: usize) -> Vec<u8> {
	let mut bytes = vec![0; len];
	ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut bytes);
	bytes
}

/// SHA-256 of the same bytes on one core. A node of a piece's tree takes two of its steps of 64 bytes, and a
/// payload of n bytes has n/32 nodes: at this speed CommP would take twice the time, shared by the cores.
fn sha256(c: &mut Criterion) {
	let mut group = c.benchmark_group("sha256");
	let bytes = payload(256 << 20);
	group
		.throughput(Throughput::Bytes(bytes.len() as u64))
		.sample_size(10);
	group.bench_function("256 MiB, one core", |b| b.iter(|| Sha256::digest(&bytes)));
	group.finish();
}

/// Streaming CommP of payload that lies in memory: hashing speed alone.
fn commp(c: &mut Criterion) {
	let mut group = c.benchmark_group("commp");
	let bytes = payload(256 << 20);
	group
		.throughput(Throughput::Bytes(bytes.len() as u64))
		.sample_size(10);
	group.bench_function("256 MiB, all cores", |b| {
		b.iter(|| {
			let mut hasher = CommPHasher::new();
			bytes.chunks(1 << 20).for_each(|part| hasher.update(part));
			hasher.finish()
		})
	});
	match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
		Ok(pool) => {
			group.bench_function("256 MiB, one core", |b| {
				b.iter(|| {
					pool.install(|| {
						let mut hasher = CommPHasher::new();
						bytes.chunks(1 << 20).for_each(|part| hasher.update(part));
						hasher.finish()
					})
				})
			});
		}
		Err(error) => eprintln!("no pool of one thread: {error}"),
	}
	group.finish();
}

/// Twelve openings of a 1 GiB hot sector, data in the page cache.
fn hot_proving(c: &mut Criterion) -> io::Result<()> {
	let dir = tempfile::tempdir()?;
	let store = SectorStore::open(dir.path()).map_err(io::Error::other)?;
	let mut writer = store.begin_piece().map_err(io::Error::other)?;
	let part = payload(8 << 20);
	for _ in 0..127 {
		writer.write_all(&part)?;
	}
	let piece = writer.finish(None).map_err(io::Error::other)?;
	let spec = ProofSpec {
		tier: Tier::Hot,
		version: 1,
		sector_size_log2: 30,
		layers: 0,
		activation_challenges: 12,
	};
	let request = HotRequest {
		sector: 1,
		prover_id: [1; 32],
		spec,
		pieces: vec![piece],
	};
	let sector = store.commit_hot(&request).map_err(io::Error::other)?;
	let mut rng = ChaCha8Rng::seed_from_u64(2);
	c.bench_function("hot proof, 1 GiB, 12 openings", |b| {
		b.iter_batched(
			|| {
				(0..12)
					.map(|_| rng.next_u64() % spec.leaves())
					.collect::<Vec<_>>()
			},
			|leaves| sector.window_proof(&leaves),
			BatchSize::SmallInput,
		)
	});
	Ok(())
}

/// Sealing 8 MiB: 11 layers of 262,144 labels, with the graph's parents at hand.
fn sealing(c: &mut Criterion) -> io::Result<()> {
	let dir = tempfile::tempdir()?;
	let store = SectorStore::open(dir.path()).map_err(io::Error::other)?;
	let spec = ProofSpec {
		tier: Tier::Sealed,
		version: 1,
		sector_size_log2: 23,
		layers: 11,
		activation_challenges: 12,
	};
	let mut sector = 0;
	let mut group = c.benchmark_group("seal");
	group.sample_size(10).measurement_time(Duration::from_secs(20));
	group.throughput(Throughput::Elements(11 << 18));
	group.bench_function("8 MiB, 11 layers (labels)", |b| {
		b.iter(|| {
			sector += 1;
			let request = SealRequest {
				sector,
				prover_id: [1; 32],
				spec,
				ticket: [2; 32],
				pieces: Vec::new(),
			};
			let sealed = store.seal(&request, &mut |_| ControlFlow::Continue(()));
			store
				.remove_sector(sector)
				.and(Ok(sealed.map(|sealed| sealed.comm_r())))
		})
	});
	group.finish();
	Ok(())
}

fn on_disk(c: &mut Criterion) {
	for (name, bench) in [
		("hot proving", hot_proving as fn(&mut Criterion) -> io::Result<()>),
		("sealing", sealing),
	] {
		if let Err(error) = bench(c) {
			eprintln!("{name}: {error}");
		}
	}
}

criterion_group!(benches, sha256, commp, on_disk);
criterion_main!(benches);
