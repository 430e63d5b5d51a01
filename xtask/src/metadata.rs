//! `cargo xtask metadata`: the client's copy of the runtime's metadata.

use crate::{
	network::{Node, Programs},
	process::Supervisor,
	scale::{compact, hex, unhex},
	setup::{self, Needs},
	step::{self, step},
	workspace::{cache_folder, Workspace},
};
use anyhow::{bail, Context, Result};
use clap::Args;
use serde_json::json;
use std::{fs, time::Duration};

/// Version of the metadata's format that the client reads.
const VERSION: u32 = 16;
/// Where the client keeps its copy.
const COPY: &str = "crates/chain-client/metadata.scale";

/// Options of `cargo xtask metadata`.
#[derive(Args, Debug, Default)]
pub struct MetadataArgs {
	/// Only compare, and fail if the copy is not the runtime's
	#[arg(long)]
	pub check: bool,
}

/// Asks a node built from this checkout for its metadata and writes or compares the client's copy.
///
/// # Errors
/// When the node does not build or start, and with `--check` when the copy differs.
pub fn run(workspace: &Workspace, args: &MetadataArgs) -> Result<()> {
	setup::run(workspace, Needs::Building)?;
	workspace.build_programs()?;
	let current = step("Asking the node for its metadata", "less than a minute", || {
		read(workspace)
	})?;
	let path = workspace.root().join(COPY);
	let copy = fs::read(&path).unwrap_or_default();
	if copy == current {
		step::note("the client's copy is the runtime's metadata");
		return Ok(());
	}
	if args.check {
		bail!("{COPY} is not the runtime's metadata: run `cargo xtask metadata` and commit the file");
	}
	fs::write(&path, &current).with_context(|| format!("cannot write {}", path.display()))?;
	step::note(&format!("{COPY} is new, {} bytes", current.len()));
	Ok(())
}

fn read(workspace: &Workspace) -> Result<Vec<u8>> {
	let folder = cache_folder()?.join(format!("metadata-{}", std::process::id()));
	fs::create_dir_all(&folder)?;
	let supervisor = Supervisor::ending_on_signals()?;
	let node = Node::start(
		&supervisor,
		&Programs::built(workspace),
		&folder,
		Duration::from_secs(3),
	)?;
	let argument = format!("0x{}", hex(&VERSION.to_le_bytes()));
	let answer = node.rpc("state_call", json!(["Metadata_metadata_at_version", argument]))?;
	supervisor.stop_all(crate::process::GRACE);
	fs::remove_dir_all(&folder).ok();
	let bytes = unhex(answer.as_str().context("the node's answer is no text")?)
		.context("the node's answer is not hexadecimal")?;
	opaque(&bytes)
		.map(<[u8]>::to_vec)
		.context("the node's answer is no metadata")
}

/// The bytes inside a SCALE-encoded `Option<Vec<u8>>`.
fn opaque(bytes: &[u8]) -> Option<&[u8]> {
	let (&some, mut content) = bytes.split_first()?;
	let length = compact(&mut content)?;
	(some == 1 && content.len() as u64 == length).then_some(content)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn opaque_metadata_is_unwrapped() {
		assert_eq!(opaque(&[1, 8, 7, 9]), Some(&[7, 9][..]));
		assert_eq!(opaque(&[0]), None);
		assert_eq!(opaque(&[1, 8, 7]), None);
		let mut long = vec![1];
		long.extend(((20_000u32 << 2) | 2).to_le_bytes());
		long.extend(vec![5; 20_000]);
		assert_eq!(opaque(&long).map(<[u8]>::len), Some(20_000));
	}
}
