//! Makes a machine ready to build: system packages, the Wasm target, Rust's own checkers, Node.js.
//!
//! Every part first looks whether its things are there, in milliseconds, and changes nothing if they are.

pub mod components;
pub mod node_js;
pub mod packages;
pub mod wasm;

use crate::{step, workspace::Workspace};
use anyhow::Result;
use std::{env, path::PathBuf};
use wasm::WasmToolchain;

/// What a command is going to do, which decides what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
	/// Build and run the programs.
	Building,
	/// Also run the tests and lints.
	Testing,
}

/// Installs what is missing and can be installed.
///
/// # Errors
/// Names what is missing and cannot be installed.
pub fn run(workspace: &Workspace, needs: Needs) -> Result<()> {
	packages::ensure()?;
	wasm::ensure(workspace)?;
	if needs == Needs::Testing {
		components::ensure()?;
		node_js::ensure()?;
	}
	Ok(())
}

/// Says what a build on this machine will use.
///
/// # Errors
/// When the toolchains cannot be asked.
pub fn report(workspace: &Workspace) -> Result<()> {
	eprintln!("==> This machine is ready to build and test");
	match WasmToolchain::find()? {
		Some(WasmToolchain::Active) => step::note("the runtime builds with the active toolchain"),
		Some(WasmToolchain::Named(name)) => step::note(&format!(
			"the runtime builds with the toolchain {name}; for a plain `cargo build`, set WASM_BUILD_TOOLCHAIN={name}"
		)),
		None => step::note("no toolchain builds the runtime"),
	}
	step::note(&format!("xtask builds into {}", workspace.target().display()));
	Ok(())
}

/// Where a program is on the search path.
pub fn program_on_path(name: &str) -> Option<PathBuf> {
	let path = env::var_os("PATH")?;
	env::split_paths(&path)
		.map(|folder| folder.join(name))
		.find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn finds_programs() {
		assert!(program_on_path("sh").is_some_and(|path| path.is_absolute()));
		assert_eq!(program_on_path("no-such-program-anywhere"), None);
	}
}
