//! The block store: criterion's benchmarks of the library, which measure its peers in the same run.

use super::{cargo_bench, heading};
use crate::workspace::Workspace;
use anyhow::Result;

const PACKAGE: &str = "cairn-blockstore";

/// Chunks in files and in SQLite, then the repository over them.
pub(super) fn run(workspace: &Workspace, size: Option<u64>) -> Result<()> {
	heading("Block store");
	cargo_bench(workspace, PACKAGE, "chunks", None, size)?;
	cargo_bench(workspace, PACKAGE, "repo", None, size)
}
