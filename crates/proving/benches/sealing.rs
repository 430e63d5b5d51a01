//! Sealing of one sector, and proving its activation and a period: too long for criterion.
//!
//! `SECTOR_SIZE_LOG2` chooses another size than 1 GiB.

use cairn_primitives::{ProofSpec, Tier};
use cairn_proving::{SealRequest, SectorStore};
use std::{error::Error, ops::ControlFlow, time::Instant};

/// Repetitions of each proof.
const RUNS: u8 = 11;

fn main() -> Result<(), Box<dyn Error>> {
	let sector_size_log2 = match std::env::var("SECTOR_SIZE_LOG2") {
		Ok(text) => text.parse()?,
		Err(_) => 30,
	};
	let spec = ProofSpec {
		tier: Tier::Sealed,
		version: 1,
		sector_size_log2,
		layers: 11,
		activation_challenges: 48,
	};
	let folder = tempfile::tempdir()?;
	let store = SectorStore::open(folder.path())?;
	let request = SealRequest {
		sector: 1,
		prover_id: [1; 32],
		spec,
		ticket: [2; 32],
		pieces: Vec::new(),
	};
	let start = Instant::now();
	let sealed = store.seal(&request, &mut |_| ControlFlow::Continue(()))?;
	println!(
		"seal 2^{sector_size_log2} bytes, {} layers: {:.1} s",
		spec.layers,
		start.elapsed().as_secs_f64()
	);
	times("activation of 48 challenges", |run| {
		Ok(sealed.activation_proof(&[run; 32], 0, spec.activation_challenges)?)
	})?;
	times("windowed proof of 12 openings", |run| {
		let step = spec.leaves() / 12;
		let leaves: Vec<u64> = (0..12).map(|j| j * step + u64::from(run)).collect();
		Ok(sealed.window_proof(&leaves)?)
	})
}

/// Prints the median and spread of a proof's time over other challenges in each run.
fn times(what: &str, prove: impl Fn(u8) -> Result<Vec<u8>, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
	let mut millis = Vec::new();
	let mut bytes = 0;
	for run in 0..RUNS {
		let start = Instant::now();
		bytes = prove(run)?.len();
		millis.push(start.elapsed().as_secs_f64() * 1e3);
	}
	millis.sort_by(f64::total_cmp);
	println!(
		"{what}: {:.2} ms ({:.2} to {:.2}, {RUNS} runs), {bytes} bytes",
		millis[millis.len() / 2],
		millis[0],
		millis[millis.len() - 1]
	);
	Ok(())
}
