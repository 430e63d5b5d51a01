//! `cargo xtask weights`: the calls' weights, measured in the runtime's Wasm.

use crate::{
	setup::{self, Needs},
	step::{self, step},
	workspace::{cache_folder, Workspace, SELECTION},
};
use anyhow::{ensure, Context, Result};
use clap::Args;
use std::{
	fs,
	path::{Path, PathBuf},
	process::Command,
};

/// Cairn's pallets; each keeps its weights in `pallets/NAME/src/weights/measured.rs`.
const PALLETS: [&str; 5] = ["faucet", "market", "proofs", "randomness", "storage-provider"];
/// How a pallet's weights are laid out in Rust.
const TEMPLATE: &str = "xtask/templates/weights.hbs";
/// The program that runs benchmarks.
const PROGRAM: &str = "cairn-benchmark-pallets";

/// Options of `cargo xtask weights`.
#[derive(Args, Debug)]
pub struct WeightsArgs {
	/// Only these pallets, for instance: market proofs [default: all]
	#[arg(value_parser = PALLETS)]
	pallets: Vec<String>,
	/// Points between the ends of each component's range
	#[arg(long, default_value_t = 50)]
	steps: u32,
	/// Repetitions of each point
	#[arg(long, default_value_t = 20)]
	repeat: u32,
}

/// Measures the weights and writes them into the pallets. Worth doing on an idle machine.
///
/// # Errors
/// When a build or a benchmark fails; then nothing is written.
pub fn run(workspace: &Workspace, args: &WeightsArgs) -> Result<()> {
	setup::run(workspace, Needs::Building)?;
	let bench = PalletBenchmarks::build(workspace)?;
	let folder = cache_folder()?.join(format!("weights-{}", std::process::id()));
	fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
	let pallets: Vec<&str> = if args.pallets.is_empty() {
		PALLETS.to_vec()
	} else {
		args.pallets.iter().map(String::as_str).collect()
	};
	step("Measuring", "about 20 minutes for all pallets", || {
		let names: Vec<String> = pallets.iter().map(|pallet| module(pallet)).collect();
		step::run(
			bench
				.command(&names.join(","), "*", args.steps, args.repeat)
				.arg("--template")
				.arg(workspace.root().join(TEMPLATE))
				.arg("--output")
				.arg(&folder),
		)
	})?;
	for pallet in pallets {
		let measured = folder.join(module(pallet)).with_extension("rs");
		let place = workspace
			.root()
			.join("pallets")
			.join(pallet)
			.join("src/weights/measured.rs");
		fs::copy(&measured, &place)
			.with_context(|| format!("cannot copy {} to {}", measured.display(), place.display()))?;
		step::note(&format!("{} is new", place.display()));
	}
	fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Name of a pallet's crate in Rust.
fn module(pallet: &str) -> String {
	format!("pallet_{}", pallet.replace('-', "_"))
}

/// A runtime with benchmarks, and the program that runs them.
pub(crate) struct PalletBenchmarks {
	program: PathBuf,
	runtime: PathBuf,
}

impl PalletBenchmarks {
	/// Builds both.
	///
	/// # Errors
	/// When a build fails.
	pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
		// A folder of its own: in the common one this runtime would replace the node's.
		let target = workspace.target().join("benchmarks");
		step(
			"Building the runtime with benchmarks",
			"about 10 minutes the first time",
			|| {
				// The Wasm comes from the build script, which runs for a check too.
				let features = "cairn-runtime/runtime-benchmarks";
				step::run(
					workspace
						.cargo()?
						.args(["check", "--package", "cairn-runtime", "--features", features])
						.arg("--target-dir")
						.arg(&target),
				)
			},
		)?;
		let runtime = target.join("debug/wbuild/cairn-runtime/cairn_runtime.wasm");
		ensure!(runtime.is_file(), "the build left no {}", runtime.display());
		step(
			"Building the program that runs benchmarks",
			"minutes after the node, else half an hour",
			|| {
				step::run(workspace.cargo()?.arg("build").args(SELECTION).args([
					"--features",
					"cairn-node/benchmark-pallets",
					"--bin",
					PROGRAM,
				]))
			},
		)?;
		Ok(Self {
			program: workspace.debug_program(PROGRAM),
			runtime,
		})
	}

	/// Runs the benchmarks that the patterns name; arguments say what to do with the outcome.
	pub(crate) fn command(&self, pallets: &str, benchmarks: &str, steps: u32, repeat: u32) -> Command {
		let mut command = Command::new(&self.program);
		command
			.args(["--genesis-builder", "runtime", "--runtime"])
			.arg(Path::new(&self.runtime))
			.args(["--pallet", pallets, "--extrinsic", benchmarks])
			.args(["--steps", &steps.to_string(), "--repeat", &repeat.to_string()])
			// The pallets' limits are in their benchmarks; a map's size counts towards the proof.
			.args(["--wasm-execution", "compiled", "--no-storage-info"]);
		command
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn every_pallet_has_a_place_for_its_weights() {
		let workspace = Workspace::locate().unwrap();
		for pallet in PALLETS {
			let folder = workspace.root().join("pallets").join(pallet).join("src/weights");
			assert!(folder.join("measured.rs").is_file(), "{}", folder.display());
		}
		assert_eq!(module("storage-provider"), "pallet_storage_provider");
	}
}
