//! The program as a user's scripts call it.

#![allow(dead_code, reason = "each test file uses a part")]

use serde_json::Value;
use std::{
	path::{Path, PathBuf},
	process::{Command, Output},
};
use tempfile::TempDir;

/// A user with a home of their own.
pub struct User {
	home: TempDir,
}

impl User {
	pub fn new() -> Self {
		User {
			home: tempfile::tempdir().unwrap(),
		}
	}

	pub fn home(&self) -> &Path {
		self.home.path()
	}

	pub fn path(&self, name: &str) -> PathBuf {
		self.home.path().join(name)
	}

	pub fn text(&self, name: &str) -> String {
		self.path(name).display().to_string()
	}

	pub fn command(&self, arguments: &[&str]) -> Command {
		let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
		command
			.args(arguments)
			.current_dir(self.home.path())
			.env_clear()
			.env("HOME", self.home.path())
			.env("PATH", std::env::var_os("PATH").unwrap_or_default());
		command
	}

	pub fn run(&self, arguments: &[&str]) -> Output {
		self.command(arguments).output().unwrap()
	}

	/// The object that a command prints. Nothing else may be printed anywhere: no progress, no notes.
	pub fn json(&self, arguments: &[&str]) -> Value {
		let output = self.run(&[&["--json"], arguments].concat());
		let stderr = String::from_utf8(output.stderr).unwrap();
		assert!(output.status.success(), "{arguments:?}: {stderr}");
		assert_eq!(stderr, "", "{arguments:?}");
		let stdout = String::from_utf8(output.stdout).unwrap();
		assert_eq!(stdout.lines().count(), 1, "{arguments:?}: {stdout}");
		serde_json::from_str(&stdout).unwrap()
	}

	/// The exit code of a command that fails, and its error in JSON, which says the same.
	pub fn failure(&self, arguments: &[&str]) -> (i32, Value) {
		let output = self.run(&[&["--json"], arguments].concat());
		let code = output.status.code().unwrap();
		assert_ne!(code, 0, "{arguments:?}");
		assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{arguments:?}");
		let stderr = String::from_utf8(output.stderr).unwrap();
		let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
		assert_eq!(error["schema"], "cairn.error/1", "{stderr}");
		assert_eq!(error["exit_code"], code, "{stderr}");
		(code, error)
	}
}

/// Names of an object's fields, sorted.
pub fn fields(value: &Value) -> Vec<&str> {
	let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
	names.sort_unstable();
	names
}
