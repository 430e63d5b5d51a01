//! Commitments, proofs and sealing: criterion's benchmarks of the libraries.

use super::{cargo_bench, heading};
use crate::workspace::{Workspace, REFERENCE_TESTS};
use anyhow::Result;

const PACKAGE: &str = "cairn-proving";

/// CommP beside SHA-256, proofs of a 1 GiB hot sector, sealing of 8 MiB.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
	heading("Proving");
	cargo_bench(workspace, PACKAGE, "proving", None, None)
}

/// Labels of both implementations on the same sector.
pub(super) fn labels(workspace: &Workspace) -> Result<()> {
	heading("Labels beside the reference implementation");
	cargo_bench(workspace, REFERENCE_TESTS, "labels", None, None)
}

/// Sealing of 1 GiB, and proving its activation and a period.
pub(super) fn sealing(workspace: &Workspace) -> Result<()> {
	heading("Sealing of 1 GiB");
	cargo_bench(workspace, PACKAGE, "sealing", None, None)
}
