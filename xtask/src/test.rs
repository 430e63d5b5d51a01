//! `cargo xtask test`: everything that CI runs.

use crate::{
	setup::{self, program_on_path, Needs},
	step::{self, step},
	workspace::{Workspace, REFERENCE_TESTS, SELECTION},
};
use anyhow::Result;
use clap::Args;

/// Crates whose dependencies would have to be checked a second time, for a quarter of an hour, only to lint a
/// few hundred lines. Building them reports rustc's warnings.
const NOT_LINTED: [&str; 3] = ["cairn-node", "cairn-runtime", REFERENCE_TESTS];

/// Options of `cargo xtask test`.
#[derive(Args, Debug, Default)]
pub struct TestArgs {
	/// Only the tests: no formatting, lints or spelling
	#[arg(long)]
	pub no_lint: bool,
	/// Also the long end-to-end tests, which take half an hour: every crash point, lost data, hostile input, sealing
	#[arg(long)]
	pub full: bool,
	/// Passed on to cargo nextest (or cargo test), for instance: -p cairn-keystore
	#[arg(last = true)]
	pub arguments: Vec<String>,
}

/// Runs everything that CI runs, and stops at the first failure.
///
/// # Errors
/// The first failure.
pub fn run(workspace: &Workspace, args: &TestArgs) -> Result<()> {
	setup::run(workspace, Needs::Testing)?;
	if !args.no_lint {
		lint(workspace)?;
	}
	tests(workspace, args)
}

fn lint(workspace: &Workspace) -> Result<()> {
	step("Formatting", "seconds", || {
		step::run(workspace.cargo_without_wasm().args(["fmt", "--all", "--check"]))
	})?;
	optional(workspace, "Spelling", "typos", &[])?;
	optional(
		workspace,
		"Licences and sources of dependencies",
		"cargo-deny",
		&["check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
	)?;
	step("Lints", "about 10 minutes the first time, then seconds", || {
		let mut clippy = workspace.cargo()?;
		clippy.args(["clippy", "--workspace", "--all-targets"]);
		for package in NOT_LINTED {
			clippy.args(["--exclude", package]);
		}
		step::run(clippy.args(["--", "--deny", "warnings"]))
	})
}

/// Runs a checker that not every machine has; the check says so where it is skipped.
fn optional(workspace: &Workspace, what: &str, program: &str, arguments: &[&str]) -> Result<()> {
	if program_on_path(program).is_none() {
		eprintln!("==> {what}: skipped, {program} is not installed");
		return Ok(());
	}
	step(what, "seconds", || {
		step::run(workspace.command(program).args(arguments))
	})
}

fn tests(workspace: &Workspace, args: &TestArgs) -> Result<()> {
	if !args.arguments.is_empty() {
		return step("Tests", "minutes", || {
			run_tests(workspace, args.full, &args.arguments)
		});
	}
	// The end-to-end tests run them.
	workspace.build_programs()?;
	step("Tests", "about 15 minutes the first time, then minutes", || {
		run_tests(workspace, args.full, &SELECTION)
	})?;
	step(
		"Tests against the reference implementation",
		"about 10 minutes the first time, then a minute",
		|| run_tests(workspace, args.full, &["--package", REFERENCE_TESTS]),
	)
}

fn run_tests<A: AsRef<std::ffi::OsStr>>(workspace: &Workspace, full: bool, arguments: &[A]) -> Result<()> {
	let mut cargo = workspace.cargo()?;
	if program_on_path("cargo-nextest").is_some() {
		cargo.args(["nextest", "run"]);
		if full {
			cargo.args(["--profile", "full"]);
		}
	} else {
		step::note("cargo-nextest is not installed: using cargo test");
		cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
	}
	step::run(cargo.args(arguments))
}
