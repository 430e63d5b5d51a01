//! The checkout, where its builds go, and cargo run there.
//!
//! Builds go to one folder outside the checkout, so that a fresh clone builds on what an earlier one left.

use crate::{
	setup::{node_js, wasm::WasmToolchain},
	step,
};
use anyhow::{Context, Result};
use std::{
	env,
	ffi::{OsStr, OsString},
	fs, iter,
	path::{Path, PathBuf},
	process::Command,
};

/// What cargo sets for the program it runs, here for xtask itself. Passed on, it would look to build scripts
/// as if something had changed, and they would run again.
const SET_FOR_US_BY_CARGO: [&str; 5] = [
	"CARGO_MANIFEST_DIR",
	"CARGO_MANIFEST_PATH",
	"CARGO_BIN_NAME",
	"CARGO_CRATE_NAME",
	"CARGO_PRIMARY_PACKAGE",
];

/// What builds and tests select, always the same: cargo unites the features of what is selected, and would
/// build the node's thousand crates anew for each other selection. The tests against the reference
/// implementation bring features of their own, and so are run by themselves.
pub const SELECTION: [&str; 3] = ["--workspace", "--exclude", REFERENCE_TESTS];

/// The tests against the reference implementation.
pub const REFERENCE_TESTS: &str = "cairn-proving-reference-tests";

/// The checkout and its build folder.
#[derive(Clone, Debug)]
pub struct Workspace {
	root: PathBuf,
	target: PathBuf,
}

impl Workspace {
	/// Finds the checkout around the current folder, and its build folder: the user's `CARGO_TARGET_DIR`, or
	/// `cairn/target` in the user's cache folder.
	///
	/// # Errors
	/// Outside a checkout, and when there is neither a home nor a cache folder.
	pub fn locate() -> Result<Self> {
		// Cargo says where xtask's manifest is; a directly started xtask looks around.
		let start = match env::var_os("CARGO_MANIFEST_DIR") {
			Some(folder) => PathBuf::from(folder),
			None => env::current_dir().context("there is no current folder")?,
		};
		let root = start
			.ancestors()
			.find(|folder| {
				fs::read_to_string(folder.join("Cargo.toml"))
					.is_ok_and(|manifest| manifest.contains("[workspace]"))
			})
			.with_context(|| format!("{} is not in a checkout of the project", start.display()))?
			.to_owned();
		let target = match own_target(|name| env::var_os(name)) {
			// Cargo takes a relative one from its current folder, which the commands here set to the root.
			Some(folder) => root.join(folder),
			None => cache_folder()?.join("target"),
		};
		Ok(Self { root, target })
	}

	/// The checkout's top folder.
	pub fn root(&self) -> &Path {
		&self.root
	}

	/// The build folder.
	pub fn target(&self) -> &Path {
		&self.target
	}

	/// A program that `cargo build` left in the build folder's `debug`.
	pub fn debug_program(&self, name: &str) -> PathBuf {
		self.target
			.join("debug")
			.join(name)
			.with_extension(env::consts::EXE_EXTENSION)
	}

	/// Cargo in the checkout, building into the build folder, the runtime with a toolchain that can.
	///
	/// # Errors
	/// When no toolchain builds Wasm; [`crate::setup::run`] sees to it that one does.
	pub fn cargo(&self) -> Result<Command> {
		let mut cargo = self.cargo_without_wasm();
		let toolchain =
			WasmToolchain::find()?.context("no toolchain builds Wasm: run `cargo xtask setup`")?;
		if let WasmToolchain::Named(name) = toolchain {
			cargo.env("WASM_BUILD_TOOLCHAIN", name);
		}
		Ok(cargo)
	}

	/// Cargo as in [`Workspace::cargo`], for commands that do not build the runtime.
	pub fn cargo_without_wasm(&self) -> Command {
		let mut cargo = self.command("cargo");
		cargo.env("CARGO_TARGET_DIR", &self.target);
		cargo
	}

	/// Any program in the checkout, finding the Node.js that setup may have installed before the system's.
	pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
		let mut command = Command::new(program);
		command.current_dir(&self.root);
		for (name, _) in env::vars_os() {
			let is_ours = name
				.to_str()
				.is_some_and(|name| SET_FOR_US_BY_CARGO.contains(&name) || name.starts_with("CARGO_PKG_"));
			if is_ours {
				command.env_remove(name);
			}
		}
		if let Some(folder) = node_js::own_folder() {
			command.env(
				"PATH",
				with_path_first(folder, env::var_os("PATH").unwrap_or_default()),
			);
		}
		command
	}

	/// Builds all programs of the workspace.
	///
	/// # Errors
	/// When the build fails.
	pub fn build_programs(&self) -> Result<()> {
		step::step(
			"Building node, provider and client",
			"about 30 minutes the first time, then seconds",
			|| step::run(self.cargo()?.arg("build").args(SELECTION).arg("--bins")),
		)
	}
}

/// The project's folder in the user's cache folder: `$XDG_CACHE_HOME/cairn` or `~/.cache/cairn`.
///
/// # Errors
/// When neither is set.
pub fn cache_folder() -> Result<PathBuf> {
	user_folder(|name| env::var_os(name), "XDG_CACHE_HOME", ".cache")
		.context("neither XDG_CACHE_HOME nor HOME is set: set CARGO_TARGET_DIR to the folder to build in")
}

/// The project's folder in the one that `xdg` names, by default the one below the user's home.
fn user_folder(variable: impl Fn(&str) -> Option<OsString>, xdg: &str, below_home: &str) -> Option<PathBuf> {
	// The XDG specification says to ignore relative paths.
	let absolute = |name| {
		variable(name)
			.map(PathBuf::from)
			.filter(|path| path.is_absolute())
	};
	let base = absolute(xdg).or_else(|| absolute("HOME").map(|home| home.join(below_home)))?;
	Some(base.join("cairn"))
}

/// The project's folder in the user's data folder: `$XDG_DATA_HOME/cairn` or `~/.local/share/cairn`.
///
/// # Errors
/// When neither is set.
pub fn data_folder() -> Result<PathBuf> {
	user_folder(|name| env::var_os(name), "XDG_DATA_HOME", ".local/share")
		.context("neither XDG_DATA_HOME nor HOME is set: name a folder")
}

fn own_target(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
	["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"]
		.into_iter()
		.filter_map(variable)
		.find(|folder| !folder.is_empty())
		.map(PathBuf::from)
}

fn with_path_first(folder: PathBuf, path: OsString) -> OsString {
	let folders = iter::once(folder).chain(env::split_paths(&path));
	// Fails when a folder's name has a colon: then the path stays as it was.
	env::join_paths(folders).unwrap_or(path)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn variables<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
		move |name| {
			set.iter()
				.find(|(key, _)| *key == name)
				.map(|(_, value)| value.into())
		}
	}

	#[test]
	fn the_users_own_target_wins() {
		let target = |set| own_target(variables(set));
		assert_eq!(target(&[]), None);
		assert_eq!(target(&[("CARGO_TARGET_DIR", "")]), None);
		assert_eq!(
			target(&[("CARGO_TARGET_DIR", "/a"), ("CARGO_BUILD_TARGET_DIR", "/b")]),
			Some("/a".into())
		);
		assert_eq!(target(&[("CARGO_BUILD_TARGET_DIR", "/b")]), Some("/b".into()));
	}

	#[test]
	fn folders_follow_xdg() {
		let cache = |set| user_folder(variables(set), "XDG_CACHE_HOME", ".cache");
		assert_eq!(cache(&[("HOME", "/home/a")]), Some("/home/a/.cache/cairn".into()));
		assert_eq!(
			cache(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")]),
			Some("/c/cairn".into())
		);
		assert_eq!(
			cache(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "c")]),
			Some("/home/a/.cache/cairn".into())
		);
		assert_eq!(cache(&[]), None);
	}

	#[test]
	fn commands_run_in_the_checkout_without_our_own_variables() {
		let workspace = Workspace::locate().unwrap();
		assert!(workspace.root().join("xtask/Cargo.toml").is_file());
		let cargo = workspace.cargo_without_wasm();
		assert_eq!(cargo.get_current_dir(), Some(workspace.root()));
		let variable = |name: &str| {
			cargo
				.get_envs()
				.find(|(key, _)| *key == name)
				.map(|(_, value)| value)
		};
		assert_eq!(
			variable("CARGO_TARGET_DIR"),
			Some(Some(workspace.target().as_os_str()))
		);
		// Cargo sets both for this test; they are removed.
		assert_eq!(variable("CARGO_MANIFEST_DIR"), Some(None));
		assert_eq!(variable("CARGO_PKG_NAME"), Some(None));
	}
}
