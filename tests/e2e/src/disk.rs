//! A disk of its own for a program, which a test can make full and give room again.
//!
//! It is a file system in memory with a limit, mounted where the program keeps its files: writes beyond the
//! limit fail with the system's own error. Mounting needs a right that root has, and that everybody has in a
//! user namespace where the system allows those; [`where_mounting_works`] goes there if it must.

use anyhow::{ensure, Context, Result};
use rustix::fs::statvfs;
use std::{
	env,
	ffi::OsStr,
	fs,
	path::{Path, PathBuf},
	process::{self, Command, Stdio},
};

/// Set in the process that was started in a namespace of its own.
const IN_NAMESPACE: &str = "CAIRN_E2E_IN_NAMESPACE";

/// A mounted disk. Unmounted when dropped.
pub struct Disk {
	path: PathBuf,
}

impl Disk {
	/// Mounts a disk of `size` bytes at `path`, a folder that is made if it is not there.
	///
	/// # Errors
	/// When mounting is not allowed.
	pub fn mount(path: impl Into<PathBuf>, size: u64) -> Result<Self> {
		let path = path.into();
		fs::create_dir_all(&path)?;
		let option = format!("size={size}");
		run("mount", ["-t", "tmpfs", "-o", &option, "tmpfs"], &path)?;
		Ok(Self { path })
	}

	/// Changes the disk's size.
	///
	/// # Errors
	/// When more is in use.
	pub fn resize(&self, size: u64) -> Result<()> {
		let option = format!("remount,size={size}");
		run("mount", ["-o", &option], &self.path)
	}

	/// Changes the disk's size so that about this many bytes are free.
	///
	/// # Errors
	/// When the system refuses.
	pub fn leave(&self, free: u64) -> Result<()> {
		// Whoever writes in between makes it refuse.
		let mut last = Ok(());
		for _ in 0..10 {
			last = self.resize(self.used()? + free);
			if last.is_ok() {
				break;
			}
		}
		last
	}

	/// Bytes in use.
	///
	/// # Errors
	/// When the system does not tell.
	pub fn used(&self) -> Result<u64> {
		let stat = statvfs(&self.path)?;
		Ok((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
	}
}

impl Drop for Disk {
	fn drop(&mut self) {
		// Lazily, should something still hold a file.
		if let Err(error) = run("umount", ["--lazy"], &self.path) {
			eprintln!("{} stays mounted: {error:#}", self.path.display());
		}
	}
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>, path: &Path) -> Result<()> {
	let output = Command::new(program)
		.args(arguments)
		.arg(path)
		.output()
		.with_context(|| format!("cannot run {program}"))?;
	ensure!(
		output.status.success(),
		"{program}: {}",
		String::from_utf8_lossy(&output.stderr).trim()
	);
	Ok(())
}

/// Runs a test that mounts disks: here, or in a process of its own where it may, or not at all, which is
/// said. `name` is the test's, as the test runner knows it.
///
/// # Errors
/// Those of the test.
pub fn where_mounting_works(name: &str, test: impl FnOnce() -> Result<()>) -> Result<()> {
	let trial = env::temp_dir().join(format!("cairn-e2e-mount-{}", process::id()));
	let mounted = Disk::mount(&trial, 1 << 20).map(drop);
	fs::remove_dir(&trial)?;
	let Err(refusal) = mounted else {
		return test();
	};
	ensure!(
		env::var_os(IN_NAMESPACE).is_none(),
		"mounting is not even allowed in a namespace: {refusal:#}"
	);
	let namespace = |program: &OsStr| {
		let mut command = Command::new("unshare");
		command
			.args(["--user", "--map-root-user", "--mount"])
			.arg(program)
			.stdin(Stdio::null());
		command
	};
	if !namespace("true".as_ref())
		.status()
		.is_ok_and(|status| status.success())
	{
		eprintln!("skipped: disks can be mounted neither as this user nor in a user namespace ({refusal:#})");
		return Ok(());
	}
	let status = namespace(env::current_exe()?.as_os_str())
		.args(["--exact", name, "--nocapture"])
		.env(IN_NAMESPACE, "1")
		.status()?;
	ensure!(status.success(), "{name} failed in a namespace of its own");
	Ok(())
}
