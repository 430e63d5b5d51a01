//! The sealed tier from `put` to the last settlement.

use anyhow::{ensure, Result};
use cairn_e2e::{
	files::{self, ensure_equal},
	money::Ledger,
	on_network,
};
use std::fs;
use xtask::network::Provider;

/// Blocks that the deals last: three proving periods of the development chain.
const DURATION: u32 = 60;

#[test]
fn a_file_in_a_sector_of_8_mib() -> Result<()> {
	life("sealed-8MiB", 5_000_000)
}

#[test]
fn a_file_in_a_sector_of_2_kib() -> Result<()> {
	life("sealed-2KiB", 1000)
}

fn life(proof_type: &'static str, size: usize) -> Result<()> {
	on_network(proof_type, |network| {
		let provider = network.provider("dave", "//Dave", proof_type)?;
		let user = network.user("user")?;
		let file = files::write(network.folder().join("file"), size, 1)?;
		let ledger = Ledger::open(&user, &provider)?;
		let put = user.put(&file, "sealed", 1, DURATION)?;
		let deal = &put.deals[0];

		// At once: the chain has the sector active, and the provider may not know it yet.
		without_payloads(&provider, || {
			let copy = network.folder().join("copy of the new replica");
			user.get(&put.root, &copy)?;
			ensure_equal(&file, &copy)
		})?;
		let copy = network.folder().join("copy");
		user.get(&put.root, &copy)?;
		ensure_equal(&file, &copy)?;

		ledger.settle_in_the_middle(deal)?;

		// The replica alone is enough: what is read of it is decoded.
		without_payloads(&provider, || {
			let copy = network.folder().join("copy of the replica");
			user.get(&put.root, &copy)?;
			ensure_equal(&file, &copy)
		})?;

		ledger.until_the_end(deal)?;
		ledger.close(deal)
	})
}

/// Takes what is kept beside the replicas away, and sees that reading does without it.
fn without_payloads(provider: &Provider, read: impl FnOnce() -> Result<()>) -> Result<()> {
	let pieces = provider.folder().join("storage/pieces");
	for entry in fs::read_dir(&pieces)? {
		fs::remove_file(entry?.path())?;
	}
	read()?;
	ensure!(
		fs::read_dir(&pieces)?.count() == 0,
		"what was read was written as well"
	);
	Ok(())
}
