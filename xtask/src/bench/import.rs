//! Importing a file to UnixFS: Cairn's client beside helia's importer.

use super::{
	files::{copying_speed, hashing_speed, settle_disk, speed, write_random},
	heading, release,
	usage::output_and_peak,
	Samples, MEGABYTE,
};
use crate::{network::Client, scripts::Scripts, step::step, workspace::Workspace};
use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::{fs, path::Path, time::Instant};

const RUNS: usize = 3;

/// Bytes of the file, unless the command line says otherwise.
const SIZE: u64 = 1 << 30;

const SCRIPT: &str = "bench-unixfs-import.mjs";

/// A way to make blocks of a file that both know. All have CIDv1 and raw leaves.
struct Profile {
	what: &'static str,
	cairn: &'static str,
	helia: &'static str,
}

const PROFILES: [Profile; 2] = [
	Profile {
		what: "256 KiB",
		cairn: "ipfs",
		helia: "default",
	},
	Profile {
		what: "1 MiB",
		cairn: "unixfs-v1-2025",
		helia: "unixfs-v1-2025",
	},
];

/// What one profile took.
#[derive(Default)]
struct Times {
	cairn: Vec<f64>,
	cairn_peak: Vec<f64>,
	helia_files: Vec<f64>,
	helia_discarded: Vec<f64>,
	helia_peak: Vec<f64>,
}

/// Imports the same random file with both, which must find the same root.
pub(super) fn run(workspace: &Workspace, size: Option<u64>) -> Result<()> {
	let size = size.unwrap_or(SIZE);
	let programs = release::client(workspace)?;
	let scripts = Scripts::interop(workspace)?;
	let folder = release::scratch_folder()?;
	// No command that is used here asks a node.
	let client = Client::new(&programs, &folder, "ws://127.0.0.1:9");
	let file = folder.join("file");
	let (mut hashing, mut copying) = (vec![], vec![]);
	let mut times = PROFILES.map(|_| Times::default());
	step("Measuring", "three minutes", || {
		write_random(&file, size)?;
		for _ in 0..RUNS {
			settle_disk()?;
			hashing.push(hashing_speed(&file)?);
			copying.push(copying_speed(&file, &folder.join("copy"))?);
			for (profile, times) in PROFILES.iter().zip(&mut times) {
				let ours = cairn(&client, profile, &file, &folder, times)?;
				let theirs = helia(&scripts, profile, &file, &folder, times)?;
				ensure!(
					ours == theirs,
					"{}: Cairn's root is {ours}, helia's {theirs}",
					profile.what
				);
			}
		}
		Ok(())
	})?;
	fs::remove_dir_all(&folder)?;
	heading(&format!(
		"Import of {size} bytes to UnixFS, CIDv1, raw leaves; the same roots"
	));
	Samples::new(hashing).print("sha256sum of the file", "MB/s", "");
	Samples::new(copying).print("cp of the file", "MB/s", "");
	for (profile, times) in PROFILES.iter().zip(times) {
		let print = |what: &str, values, unit| {
			Samples::new(values).print(&format!("{}: {what}", profile.what), unit, "");
		};
		print("cairn dag import, to an archive, synced", times.cairn, "MB/s");
		print("helia, each block a file, not synced", times.helia_files, "MB/s");
		print("helia, blocks thrown away", times.helia_discarded, "MB/s");
		print("cairn's peak of resident memory", times.cairn_peak, "MB");
		print(
			"helia's peak of resident memory, with files",
			times.helia_peak,
			"MB",
		);
	}
	Ok(())
}

/// Imports with the client, start and end of its process included; the root.
fn cairn(
	client: &Client,
	profile: &Profile,
	file: &Path,
	folder: &Path,
	times: &mut Times,
) -> Result<String> {
	let archive = folder.join("file.car");
	settle_disk()?;
	let mut command = client.command();
	command
		.args(["--json", "dag", "import", "--profile", profile.cairn, "--output"])
		.arg(&archive)
		.arg(file);
	let start = Instant::now();
	let (text, peak) = output_and_peak(&mut command)?;
	times.cairn.push(speed(fs::metadata(file)?.len(), start));
	times.cairn_peak.push(peak);
	fs::remove_file(&archive)?;
	let report: Value = serde_json::from_str(text.trim())?;
	Ok(report["root"].as_str().context("no root")?.to_owned())
}

/// Imports with helia, both ways; the root.
fn helia(
	scripts: &Scripts<'_>,
	profile: &Profile,
	file: &Path,
	folder: &Path,
	times: &mut Times,
) -> Result<String> {
	let blocks = folder.join("blocks");
	let (file, store) = (file.display().to_string(), blocks.display().to_string());
	settle_disk()?;
	let files: Value = scripts.json(&[SCRIPT, &file, profile.helia, "files", &store])?;
	fs::remove_dir_all(&blocks)?;
	settle_disk()?;
	let discarded: Value = scripts.json(&[SCRIPT, &file, profile.helia, "discarded"])?;
	times.helia_files.push(megabytes_per_second(&files)?);
	times.helia_discarded.push(megabytes_per_second(&discarded)?);
	times
		.helia_peak
		.push(files["peakMemory"].as_f64().context("no peak")? / MEGABYTE);
	ensure!(files["root"] == discarded["root"], "helia finds two roots");
	Ok(files["root"].as_str().context("no root")?.to_owned())
}

/// Speed that a script reports as `bytes` and `seconds`.
pub(super) fn megabytes_per_second(report: &Value) -> Result<f64> {
	let number = |name: &str| report[name].as_f64().with_context(|| format!("no {name}"));
	Ok(number("bytes")? / MEGABYTE / number("seconds")?)
}
