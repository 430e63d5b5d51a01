//! A disk of a test's own: a small tmpfs, mounted by `unshare` in a namespace of its own. Where that is not
//! allowed, the tests say so and check nothing; where `CI` is set, they fail.

use crate::fixture;
use std::{path::PathBuf, process::Command};

const FOLDER: &str = "CAIRN_TEST_FOLDER";
/// Bytes of the disk.
const DISK: u64 = 24 << 20;

/// Runs an ignored test of the same file in a process whose [`small_disk`] is there.
pub fn on_a_small_disk(name: &str) {
	let folder = fixture::folder();
	let mount = |then: &str| {
		let script = format!("mount -t tmpfs -o size={DISK} tmpfs \"${FOLDER}\" && {then}");
		let mut command = Command::new("unshare");
		command
			.args(["--map-root-user", "--mount", "sh", "-c", &script])
			.env(FOLDER, folder.path());
		command
	};
	let mounted = mount("true").output();
	if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
		let is_ci = std::env::var_os("CI").is_some();
		assert!(!is_ci, "no disk can be mounted here: {mounted:?}");
		println!("no disk can be mounted here: nothing is checked");
		return;
	}
	let program = std::env::current_exe().unwrap();
	let output = mount(&format!(
		"exec '{}' --exact {name} --ignored --nocapture",
		program.display()
	))
	.output()
	.unwrap();
	let (stdout, stderr) = (
		String::from_utf8_lossy(&output.stdout),
		String::from_utf8_lossy(&output.stderr),
	);
	assert!(output.status.success(), "{stdout}\n{stderr}");
	assert!(stdout.contains("1 passed"), "{stdout}");
}

/// The disk's folder.
pub fn small_disk() -> PathBuf {
	std::env::var_os(FOLDER).unwrap().into()
}
