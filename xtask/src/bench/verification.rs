//! Verification of proofs by the compiled runtime, host functions and all.

use super::{heading, Samples};
use crate::{
	step,
	weights::PalletBenchmarks,
	workspace::{cache_folder, Workspace},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;

/// Repetitions of each measurement.
const REPEAT: u32 = 100;

/// A benchmark of `pallet_proofs` at one point of its components.
struct Point {
	what: &'static str,
	benchmark: &'static str,
	/// The components' values, as the command line takes them.
	at: &'static str,
	unit: &'static str,
	/// Nanoseconds of a unit.
	nanos: f64,
	target: &'static str,
}

const POINTS: [Point; 4] = [
	Point {
		what: "one opening of a 1 GiB hot sector (depth 25)",
		benchmark: "verify_opening",
		at: "25",
		unit: "us",
		nanos: 1e3,
		target: "at most 100",
	},
	Point {
		what: "12 openings of each of 64 hot sectors of 1 GiB",
		benchmark: "windowed_proof_of_64_gib",
		at: "",
		unit: "ms",
		nanos: 1e6,
		target: "at most 80",
	},
	Point {
		what: "one PoRep challenge, 11 layers, 1 GiB (depth 25)",
		benchmark: "verify_activation_challenge",
		at: "25,11",
		unit: "ms",
		nanos: 1e6,
		target: "",
	},
	Point {
		what: "one PoRep challenge, 11 layers, 32 GiB (depth 30)",
		benchmark: "verify_activation_challenge",
		at: "30,11",
		unit: "ms",
		nanos: 1e6,
		target: "at most 1",
	},
];

/// Runs the benchmarks of the points.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
	let bench = PalletBenchmarks::build(workspace)?;
	let file = cache_folder()?.join(format!("bench-{}.json", std::process::id()));
	let mut rows = Vec::new();
	for point in &POINTS {
		let mut command = bench.command("pallet_proofs", point.benchmark, 2, REPEAT);
		command.args(["--extra", "--no-verify", "--json-file"]).arg(&file);
		if !point.at.is_empty() {
			command.args(["--low", point.at, "--high", point.at]);
		}
		step::step(point.what, "seconds", || step::output(&mut command))?;
		let json: Value = serde_json::from_slice(&fs::read(&file)?)?;
		rows.push(times(&json).context("the benchmark's result has no times")?);
	}
	fs::remove_file(&file)?;
	heading("Verification in the runtime's Wasm, compiled");
	for (point, nanos) in POINTS.iter().zip(rows) {
		Samples::new(nanos.into_iter().map(|nanos| nanos / point.nanos)).print(
			point.what,
			point.unit,
			point.target,
		);
	}
	Ok(())
}

/// Nanoseconds of each run in a benchmark's JSON.
fn times(json: &Value) -> Option<Vec<f64>> {
	json.as_array()?
		.first()?
		.get("time_results")?
		.as_array()?
		.iter()
		.map(|run| run.get("extrinsic_time")?.as_f64())
		.collect()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn times_are_found() {
		let json =
			serde_json::json!([{ "time_results": [{ "extrinsic_time": 7 }, { "extrinsic_time": 9 }] }]);
		assert_eq!(times(&json), Some(vec![7.0, 9.0]));
		assert_eq!(times(&serde_json::json!([])), None);
	}
}
