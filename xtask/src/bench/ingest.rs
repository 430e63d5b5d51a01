//! A provider takes an upload of almost 1 GiB: the largest that fits a sector of 1 GiB.

use super::{heading, Samples};
use crate::{
	network::{free_port, Client, Node, Offer, Programs, Provider, ProviderSpec},
	process::{json_rpc, put_file, Supervisor, GRACE},
	step::{self, step},
	workspace::{cache_folder, Workspace},
};
use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};
use std::{
	fs::{self, File},
	io::{self, BufWriter, Read, Write},
	path::{Path, PathBuf},
	process::Command,
	time::{Duration, Instant},
};

const RUNS: usize = 3;
/// Bytes of the file; its archive is a little larger, and fits 127/128 of 1 GiB.
const SIZE: usize = 1_060_000_000;
const MEGABYTE: f64 = 1e6;

/// Uploads over HTTP to a provider built for release, each time under a new proposal.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
	let programs = release(workspace, &Programs::build(workspace)?)?;
	let folder = cache_folder()?.join(format!("bench-{}", std::process::id()));
	fs::create_dir_all(&folder)?;
	let supervisor = Supervisor::ending_on_signals()?;
	let outcome = measure(&supervisor, &programs, &folder);
	supervisor.stop_all(GRACE);
	let figures = outcome.with_context(|| format!("the logs are in {}", folder.display()))?;
	fs::remove_dir_all(&folder)?;
	heading("Ingest of 1.06 GB over loopback HTTP, release build");
	figures.hashing.print("sha256sum of the archive", "MB/s", "");
	figures.copying.print("cp of the archive", "MB/s", "");
	figures
		.ingest
		.print("upload, verified, indexed and stored", "MB/s", "at least 250");
	figures
		.memory
		.print("provider's peak of resident memory", "MB", "under 300");
	Ok(())
}

/// Node and client as they are, the provider as its users build it.
fn release(workspace: &Workspace, programs: &Programs) -> Result<Programs> {
	step(
		"Building the provider for release",
		"about 10 minutes the first time",
		|| {
			step::run(workspace.cargo_without_wasm().args([
				"build",
				"--release",
				"--package",
				"cairn-provider-server",
				"--package",
				"cairn-client",
			]))
		},
	)?;
	let release = workspace.target().join("release");
	Ok(Programs {
		provider: release.join("cairn-provider"),
		client: release.join("cairn"),
		..programs.clone()
	})
}

struct Figures {
	hashing: Samples,
	copying: Samples,
	ingest: Samples,
	memory: Samples,
}

fn measure(supervisor: &Supervisor, programs: &Programs, folder: &Path) -> Result<Figures> {
	let node = step("Starting the chain", "seconds", || {
		Node::start(supervisor, programs, folder, Duration::from_secs(1))
	})?;
	let client = Client::new(programs, folder, &node.url()).signing_as("//Alice");
	let spec = ProviderSpec {
		name: "provider",
		owner: "//Bob",
		offer: Offer {
			proof_type: "hot-1GiB",
			price: "1 CAIRN",
		},
		port: free_port()?,
	};
	let provider = Provider::start(supervisor, programs, folder, &node.url(), spec)?;
	let (mut hashing, mut copying, mut ingest, mut memory) = (vec![], vec![], vec![], vec![]);
	step("Measuring", "two minutes", || {
		for run in 0..RUNS {
			// A provider takes no second hot deal for the same bytes.
			let (archive, root) = pack(&client, folder)?;
			let length = fs::metadata(&archive)?.len() as f64;
			let speed = |start: Instant| length / MEGABYTE / start.elapsed().as_secs_f64();
			let start = Instant::now();
			step::output(Command::new("sha256sum").arg(&archive))?;
			hashing.push(speed(start));
			let copy = folder.join("copy");
			let start = Instant::now();
			step::output(Command::new("cp").arg(&archive).arg(&copy))?;
			copying.push(speed(start));
			fs::remove_file(&copy)?;

			let proposal = folder.join(format!("proposal-{run}.json"));
			let hash = propose(&client, &provider, &archive, &root, &proposal)?;
			let start = Instant::now();
			put_file(&format!("{}/upload/{hash}", provider.url()), &archive)?;
			ingest.push(speed(start));
			memory.push(peak_memory(&provider)?);
			fs::remove_file(&archive)?;
		}
		Ok(())
	})?;
	Ok(Figures {
		hashing: Samples::new(hashing),
		copying: Samples::new(copying),
		ingest: Samples::new(ingest),
		memory: Samples::new(memory),
	})
}

/// Makes a file that does not compress and its archive; the archive and its root.
fn pack(client: &Client, folder: &Path) -> Result<(PathBuf, String)> {
	let file = folder.join("file");
	let mut writer = BufWriter::new(File::create(&file)?);
	io::copy(&mut File::open("/dev/urandom")?.take(SIZE as u64), &mut writer)?;
	writer.flush()?;
	let archive = folder.join("file.car");
	let paths = [file.display().to_string(), archive.display().to_string()];
	let created = client.json(["car", "create", &paths[0], "--output", &paths[1]])?;
	fs::remove_file(&file)?;
	let root = created["root"].as_str().context("the archive has no root")?;
	Ok((archive, root.to_owned()))
}

/// Has a proposal for the archive accepted; the proposal's hash.
fn propose(
	client: &Client,
	provider: &Provider,
	archive: &Path,
	root: &str,
	proposal: &Path,
) -> Result<String> {
	let (archive, proposal) = (archive.display().to_string(), proposal.display().to_string());
	let account = provider.account();
	client.json([
		"deal",
		"propose",
		&archive,
		"--provider",
		account,
		"--root",
		root,
		"--duration",
		"50 blocks",
		"--start-within",
		"600 blocks",
		"--output",
		&proposal,
	])?;
	client.json(["deal", "sign", &proposal])?;
	client.json(["wallet", "add-balance", "1000 CAIRN"])?;
	let signed: Value = serde_json::from_slice(&fs::read(&proposal)?)?;
	let parameter = json!([{
		"kind": "signed",
		"proposal": signed["proposal"],
		"signature": signed["signature"],
	}]);
	let answer = json_rpc(
		&format!("{}/rpc", provider.url()),
		"cairn_v1_proposeDeal",
		parameter,
	)?;
	ensure!(
		answer["progress"]["state"] == "accepted",
		"the proposal was not accepted: {answer}"
	);
	let hash = signed["proposal_hash"]
		.as_str()
		.context("the proposal has no hash")?;
	Ok(hash.to_owned())
}

/// Peak of a process's resident memory in MB, as Linux counts it.
fn peak_memory(provider: &Provider) -> Result<f64> {
	let process = provider.process().context("the provider does not run")?;
	let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
	let line = status
		.lines()
		.find_map(|line| line.strip_prefix("VmHWM:"))
		.context("no VmHWM")?;
	let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
	Ok(kib * 1024.0 / MEGABYTE)
}
