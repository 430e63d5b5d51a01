//! Fetching blocks from another node: Cairn's protocols by criterion, then helia's Bitswap.

use super::{
	cargo_bench,
	files::write_random,
	heading,
	import::megabytes_per_second,
	release::{on_network, Network},
	Samples,
};
use crate::{process::Supervisor, scripts::Scripts, step::step, workspace::Workspace};
use anyhow::{Context, Result};

const RUNS: usize = 3;

/// Bytes of the file that helia fetches, unless the command line says otherwise.
const SIZE: u64 = 256 << 20;

const SCRIPT: &str = "bench-helia-bitswap.mjs";

/// Cairn from Cairn, helia from helia, helia from a provider.
pub(super) fn run(workspace: &Workspace, supervisor: &Supervisor, size: Option<u64>) -> Result<()> {
	heading("Exchange of blocks over loopback");
	cargo_bench(workspace, "cairn-network", "exchange", None, size)?;

	let size = size.unwrap_or(SIZE);
	let scripts = Scripts::interop(workspace)?;
	let (from_helia, from_cairn) = on_network(workspace, supervisor, "", |network| {
		measure(network, &scripts, size)
	})?;
	heading(&format!(
		"helia fetches {size} bytes over Bitswap, TCP, Noise and Yamux; blocks of 256 KiB"
	));
	Samples::new(from_helia).print("helia from helia, blocks in memory", "MB/s", "");
	Samples::new(from_cairn).print("helia from a provider, release build", "MB/s", "");
	Ok(())
}

fn measure(network: &Network<'_>, scripts: &Scripts<'_>, size: u64) -> Result<(Vec<f64>, Vec<f64>)> {
	let root = step("Storing a file in a deal", "a minute", || {
		let file = network.folder.join("file");
		write_random(&file, size)?;
		network.put(&file)
	})?;
	let addresses = network.provider.peer_addresses()?;
	let address = addresses.iter().find(|address| address.contains("/tcp/"));
	let address = address.context("the provider does not listen on TCP")?;
	let size = size.to_string();
	let (mut from_helia, mut from_cairn) = (vec![], vec![]);
	step("Measuring", "three minutes", || {
		for _ in 0..RUNS {
			from_helia.push(megabytes_per_second(&scripts.json(&[SCRIPT, &size])?)?);
			from_cairn.push(megabytes_per_second(
				&scripts.json(&[SCRIPT, &size, address, &root])?,
			)?);
		}
		Ok(())
	})?;
	Ok((from_helia, from_cairn))
}
