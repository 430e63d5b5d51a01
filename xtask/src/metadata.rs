//! `cargo xtask metadata`: what is written from the runtime's metadata.
//!
//! That is the client's copy of it and the book's chain reference. Tests fail when either is out of date: one of
//! the runtime, and one of those of polkadot.js.

use crate::{
	network::{Node, Programs},
	process::{Supervisor, GRACE},
	scale::{compact, hex, unhex},
	scripts::Scripts,
	setup::{self, Needs},
	step::{self, step},
	workspace::{cache_folder, Workspace},
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{fs, time::Duration};

/// Version of the metadata's format that the client reads.
const VERSION: u32 = 16;
/// Where the client keeps its copy.
const COPY: &str = "crates/chain-client/metadata.scale";

/// Asks a node built from this checkout for its metadata, and writes the client's copy and the chain reference.
///
/// # Errors
/// When the node does not build or start, or a file cannot be written.
pub fn run(workspace: &Workspace) -> Result<()> {
	// Testing: the chain reference is written by a script for Node.js.
	setup::run(workspace, Needs::Testing)?;
	let programs = Programs::build(workspace)?;
	let metadata = step("Asking a node for its metadata", "less than a minute", || {
		read(&programs)
	})?;
	let path = workspace.root().join(COPY);
	if fs::read(&path).is_ok_and(|copy| copy == metadata) {
		step::note("the client's copy is the runtime's metadata");
	} else {
		fs::write(&path, &metadata).with_context(|| format!("cannot write {}", path.display()))?;
		step::note(&format!("{COPY} is new, {} bytes", metadata.len()));
	}
	step("Writing the book's chain reference", "seconds", || {
		Scripts::polkadot_js(workspace)?.run(&["chain-reference.mjs"], &[])
	})
}

fn read(programs: &Programs) -> Result<Vec<u8>> {
	let folder = cache_folder()?.join(format!("metadata-{}", std::process::id()));
	fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
	let supervisor = Supervisor::ending_on_signals()?;
	let node = Node::start(&supervisor, programs, &folder, Duration::from_secs(3))?;
	let argument = format!("0x{}", hex(&VERSION.to_le_bytes()));
	let answer = node.rpc("state_call", json!(["Metadata_metadata_at_version", argument]))?;
	supervisor.stop_all(GRACE);
	fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
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
