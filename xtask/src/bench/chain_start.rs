//! How long a development chain takes to its first block.

use super::{heading, release::scratch_folder, Samples};
use crate::{
	network::{Node, Programs},
	process::{Supervisor, GRACE},
	step,
	workspace::Workspace,
};
use anyhow::Result;
use std::{
	fs,
	time::{Duration, Instant},
};

const RUNS: usize = 5;
/// As `cargo xtask demo` starts it; the first block comes no earlier than this.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// Starts new chains, one after the other, and waits for block 1 of each.
pub(super) fn run(workspace: &Workspace, supervisor: &Supervisor) -> Result<()> {
	let programs = Programs::build(workspace)?;
	let folder = scratch_folder()?;
	let samples = step::step("Starting chains", "a minute", || {
		let mut seconds = Vec::new();
		for _ in 0..RUNS {
			fs::create_dir_all(&folder)?;
			let start = Instant::now();
			let _node = Node::start(supervisor, &programs, &folder, BLOCK_TIME)?;
			seconds.push(start.elapsed().as_secs_f64());
			supervisor.stop_all(GRACE);
			fs::remove_dir_all(&folder)?;
		}
		Ok(Samples::new(seconds))
	})?;
	heading("Development chain, development build, blocks of 1 s");
	samples.print("new chain to block 1", "s", "at most 10");
	Ok(())
}
