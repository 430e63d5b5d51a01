//! A provider takes an upload of almost 1 GiB: the largest that fits a sector of 1 GiB.

use super::{
	files::{copying_speed, hashing_speed, speed, write_random},
	heading,
	release::{on_network, Network},
	usage, Samples,
};
use crate::{
	network::{Client, Provider},
	process::{json_rpc, put_file, Supervisor},
	step::step,
	workspace::Workspace,
};
use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};
use std::{
	fs,
	path::{Path, PathBuf},
	time::Instant,
};

const RUNS: usize = 3;
/// Bytes of the file; its archive is a little larger, and fits 127/128 of 1 GiB.
const SIZE: u64 = 1_060_000_000;

/// Uploads over HTTP to a provider built for release, each time under a new proposal.
pub(super) fn run(workspace: &Workspace, supervisor: &Supervisor) -> Result<()> {
	let figures = on_network(workspace, supervisor, "", |network| measure(network))?;
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

struct Figures {
	hashing: Samples,
	copying: Samples,
	ingest: Samples,
	memory: Samples,
}

fn measure(network: &Network<'_>) -> Result<Figures> {
	let Network {
		folder,
		client,
		provider,
		..
	} = network;
	let (mut hashing, mut copying, mut ingest, mut peaks) = (vec![], vec![], vec![], vec![]);
	step("Measuring", "two minutes", || {
		for run in 0..RUNS {
			// A provider takes no second hot deal for the same bytes.
			let (archive, root) = pack(client, folder)?;
			let length = fs::metadata(&archive)?.len();
			hashing.push(hashing_speed(&archive)?);
			copying.push(copying_speed(&archive, &folder.join("copy"))?);

			let proposal = folder.join(format!("proposal-{run}.json"));
			let hash = propose(client, provider, &archive, &root, &proposal)?;
			let start = Instant::now();
			put_file(&format!("{}/upload/{hash}", provider.url()), &archive)?;
			ingest.push(speed(length, start));
			peaks.push(usage::peak(
				provider.process().context("the provider does not run")?,
			)?);
			fs::remove_file(&archive)?;
		}
		Ok(())
	})?;
	Ok(Figures {
		hashing: Samples::new(hashing),
		copying: Samples::new(copying),
		ingest: Samples::new(ingest),
		memory: Samples::new(peaks),
	})
}

/// Makes a file that does not compress and its archive; the archive and its root.
fn pack(client: &Client, folder: &Path) -> Result<(PathBuf, String)> {
	let file = folder.join("file");
	write_random(&file, SIZE)?;
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
