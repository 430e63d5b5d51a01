//! rustfmt and clippy.

use super::program_on_path;
use crate::step::{self, step};
use anyhow::{bail, Context, Result};
use std::process::Command;

/// Components of the Rust toolchain, with the command that shows whether one is there.
const COMPONENTS: [(&str, &str); 2] = [("rustfmt", "fmt"), ("clippy", "clippy")];

/// Installs the missing ones with rustup.
///
/// # Errors
/// Names them where there is no rustup, or where its server is out of reach.
pub fn ensure() -> Result<()> {
	let missing: Vec<_> = COMPONENTS
		.iter()
		.filter(|(_, command)| !has_command(command))
		.map(|(component, _)| *component)
		.collect();
	if missing.is_empty() {
		return Ok(());
	}
	let names = missing.join(" and ");
	if program_on_path("rustup").is_none() {
		bail!("missing: {names}\nInstall the packages of that name of where your Rust comes from.");
	}
	step(&format!("Installing {names}"), "less than a minute", || {
		step::run(Command::new("rustup").args(["component", "add"]).args(&missing))
	})
	.with_context(|| format!("missing: {names}; `cargo xtask test --no-lint` does without"))
}

fn has_command(name: &str) -> bool {
	step::output(Command::new("cargo").args([name, "--version"])).is_ok()
}
