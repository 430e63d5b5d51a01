//! Label speed of both implementations on the same sector, graph cached by both.

#[path = "../tests/reference/mod.rs"]
mod reference;

use cairn_proving::{SealStage, SectorStore};
use filecoin_hashers::{sha256::Sha256Domain, Domain};
use reference::*;
use std::{fs, ops::ControlFlow, time::Instant};

fn main() {
	let sector_size_log2 = std::env::var("SECTOR_SIZE_LOG2")
		.ok()
		.and_then(|s| s.parse().ok())
		.unwrap_or(25);
	let spec = spec(sector_size_log2, 3);
	// The reference holds its whole parents cache in memory, to be at its best.
	std::env::set_var("FIL_PROOFS_SDR_PARENTS_CACHE_SIZE", spec.leaves().to_string());
	let labels = (spec.leaves() * u64::from(spec.layers)) as f64;
	let dir = tempfile::tempdir().unwrap();
	let store = SectorStore::open(dir.path().join("store")).unwrap();
	let (_, piece, _) = seal(&store, spec);
	let parameters = parameters(&spec);
	drop(parameters.graph.parent_cache().unwrap());
	for round in 0..3 {
		store.remove_sector(SECTOR).unwrap();
		let request = cairn_proving::SealRequest {
			sector: SECTOR,
			prover_id: PROVER_ID,
			spec,
			ticket: [round; 32],
			pieces: vec![piece],
		};
		let (mut from, mut to) = (None, None);
		let stopped = store.seal(&request, &mut |progress| match progress.stage {
			SealStage::Labels { .. } => {
				from.get_or_insert_with(Instant::now);
				ControlFlow::Continue(())
			}
			SealStage::Columns => {
				to.get_or_insert_with(Instant::now);
				ControlFlow::Break(())
			}
			_ => ControlFlow::Continue(()),
		});
		assert!(stopped.is_err());
		let ours = to.unwrap() - from.unwrap();

		let replica_id = Sha256Domain::try_from_bytes(&[round & 0x3f; 32]).unwrap();
		let cache = dir.path().join(format!("reference-{round}"));
		fs::create_dir(&cache).unwrap();
		let start = Instant::now();
		Drg::replicate_phase1(&parameters, &replica_id, &cache).unwrap();
		let theirs = start.elapsed();
		fs::remove_dir_all(cache).unwrap();
		println!(
			"2^{sector_size_log2} bytes, {} layers: {:.3} M labels/s, reference {:.3} M labels/s, {:.2} times",
			spec.layers,
			labels / ours.as_secs_f64() / 1e6,
			labels / theirs.as_secs_f64() / 1e6,
			theirs.as_secs_f64() / ours.as_secs_f64(),
		);
	}
}
