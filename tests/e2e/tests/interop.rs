//! What other implementations of IPFS and Filecoin make of what Cairn writes and serves, and Cairn of what they write:
//! the scripts in `tests/interop`, against real programs.

use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal},
	on_network, User,
};
use serde_json::Value;
use std::{
	fs,
	io::{BufRead, BufReader},
	path::{Path, PathBuf},
	process::Command,
};
use xtask::{network::Programs, scripts::Scripts, workspace::Workspace};

/// Blocks that the deals last: longer than the tests.
const DURATION: u32 = 200;

/// Links of this many names of 200 characters are more than a folder holds in one block.
const SHARDED: usize = 1200;

/// Runs a script that needs nothing but the client's program.
fn run(arguments: &[&str]) -> Result<()> {
	let workspace = Workspace::locate()?;
	let programs = Programs::find(&workspace)?;
	Scripts::interop(&workspace)?.run(arguments, &[("CAIRN_PROGRAM", &programs.client)])
}

#[test]
fn ipld_car_reads_archives_and_writes_archives_that_are_read() -> Result<()> {
	run(&["archives.mjs"])
}

#[test]
fn piece_cids_are_those_of_other_implementations() -> Result<()> {
	run(&["pieces.mjs", "table"])
}

/// What the tests of `crates/dag` compare with is what the libraries say.
#[test]
fn golden_files_are_what_the_libraries_say_today() -> Result<()> {
	let workspace = Workspace::locate()?;
	let scripts = Scripts::interop(&workspace)?;
	for script in ["unixfs.mjs", "ipld.mjs"] {
		scripts.run(&[script, "--check"], &[])?;
	}
	Ok(())
}

/// Files of one block and of several, and a folder of which one folder is sharded.
#[test]
fn files_and_folders_come_from_helia_over_bitswap() -> Result<()> {
	let workspace = Workspace::locate()?;
	let program = Programs::find(&workspace)?.client;
	let place = tempfile::tempdir()?;
	let folder = folder(&place.path().join("folder"))?;
	let paths = [folder.join("sub/127"), folder.join("sub/deeper/blocks"), folder];
	let texts: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
	let mut arguments = vec!["helia-bitswap.mjs", "serve"];
	arguments.extend(texts.iter().map(String::as_str));
	let mut helia = Scripts::interop(&workspace)?.start(&arguments)?;
	// It ends with its standard input, which ends with this test at the latest.
	let input = helia.stdin.take().context("no standard input")?;
	let mut lines = BufReader::new(helia.stdout.take().context("no standard output")?).lines();
	let mut said = |field: &str| -> Result<String> {
		let line = lines.next().context("helia ended early")??;
		let said: Value = serde_json::from_str(&line)?;
		Ok(said[field]
			.as_str()
			.with_context(|| format!("no {field}: {line}"))?
			.to_owned())
	};
	let roots = paths.iter().map(|_| said("cid")).collect::<Result<Vec<_>>>()?;
	let address = said("multiaddr")?;
	for (index, (root, path)) in roots.iter().zip(&paths).enumerate() {
		let copy = place.path().join(format!("copy-{index}"));
		let status = Command::new(&program)
			.args([
				"get", root, "--over", "exchange", "--only", "--peer", &address, "--output",
			])
			.arg(&copy)
			.env("HOME", place.path())
			.status()?;
		ensure!(status.success(), "{root} was not fetched from helia");
		if path.is_dir() {
			ensure_equal(path, &copy)?;
		} else {
			ensure!(fs::read(&copy)? == fs::read(path)?, "{} differs", path.display());
		}
	}
	drop(input);
	ensure!(helia.wait()?.success(), "helia failed");
	Ok(())
}

#[test]
fn codex_sdk_works_unchanged() -> Result<()> {
	on_network("interop-codex", |network| {
		let scripts = Scripts::interop(&network.workspace)?;
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		scripts.run(&["codex-sdk.mjs", &provider.url()], &[])
	})
}

/// The deal holds a folder with files below folders, one of which is sharded; the file is one of those in it.
#[test]
fn helia_fetches_a_deals_file_and_folder_over_bitswap_and_through_the_gateway() -> Result<()> {
	on_network("interop-gateway", |network| {
		let scripts = Scripts::interop(&network.workspace)?;
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		let folder = folder(&network.folder().join("folder"))?;
		let file = files::write(folder.join("file"), 2_000_000, 1)?;
		let (put, _) = user.put_with(&provider, &folder, "hot", DURATION)?;

		let sub = folder.join("sub");
		let file_root = root_of(&user, &file)?;
		let sub_root = root_of(&user, &sub)?;
		let file = file.display().to_string();
		let url = provider.url();
		let arguments = [
			"gateway.mjs",
			"--gateway",
			&url,
			"--file",
			&format!("{file_root}={file}"),
			"--folder",
			&format!("{}={}", put.root, folder.display()),
		];
		scripts.run(&arguments, &[])?;
		let with_helia: Vec<_> = arguments.into_iter().chain(["--helia"]).collect();
		scripts.run(&with_helia, &[])?;
		let objects = [
			format!("{file_root}={file}"),
			format!("{sub_root}={}", sub.display()),
		];
		let peer = provider.peer_addresses()?;
		let tcp = peer.iter().find(|address| address.contains("/tcp/"));
		let tcp = tcp.context("the provider does not listen on TCP")?;
		scripts.run(
			&["helia-bitswap.mjs", "fetch", tcp, &objects[0], &objects[1]],
			&[],
		)?;
		let piece = format!("{url}/piece/{}", put.piece);
		scripts.run(&["pieces.mjs", "download", &piece, &put.piece], &[])
	})
}

/// The root of what `put` makes of a file or folder.
fn root_of(user: &User, path: &Path) -> Result<String> {
	let archive = path.with_extension("car-for-its-root");
	let (path, output) = (path.display().to_string(), archive.display().to_string());
	let created = user.json(["car", "create", &path, "--output", &output])?;
	fs::remove_file(archive)?;
	Ok(created["root"].as_str().context("no root")?.to_owned())
}

fn folder(folder: &Path) -> Result<PathBuf> {
	for (seed, (name, size)) in [
		("empty", 0),
		("sub/127", 127),
		("sub/deeper/a block", 256 << 10),
		("sub/deeper/blocks", 700_001),
		("sub/naïve name €", 10),
	]
	.into_iter()
	.enumerate()
	{
		files::write(folder.join(name), size, seed as u64)?;
	}
	for index in 0..SHARDED {
		let name = format!("sharded/{index:0>200}");
		files::write(folder.join(name), index % 5, index as u64)?;
	}
	Ok(folder.to_owned())
}
