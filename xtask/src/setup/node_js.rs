//! Node.js, which runs the tests with other people's JavaScript: polkadot.js and IPFS's libraries.

use super::{packages::Apt, program_on_path};
use crate::{
	step::{self, step},
	workspace::cache_folder,
};
use anyhow::{bail, Context, Result};
use std::{fs, path::PathBuf, process::Command};

/// The oldest version, major and minor, that helia's packages run on.
const OLDEST: (u32, u32) = (22, 19);

/// What is installed from the npm registry where the system has an older one.
const FROM_NPM: &str = "node@22";

/// Installs Node.js and npm where they are missing or too old: Debian's packages, and where those are too old
/// as well, the Node.js that the npm registry carries, into the project's cache folder.
///
/// # Errors
/// Says what to install where that does not work.
pub fn ensure() -> Result<()> {
	if is_ready() {
		return Ok(());
	}
	let (major, minor) = OLDEST;
	let advice = format!(
		"missing: Node.js {major}.{minor} or newer, with npm\nInstall it from https://nodejs.org, then try again."
	);
	let Some(apt) = Apt::find() else { bail!(advice) };
	// A package of Node.js from elsewhere than Debian brings npm and cannot be installed beside Debian's npm.
	if program_on_path("node").is_none() {
		apt.install("Node.js", &["nodejs"]).context(advice.clone())?;
	}
	if program_on_path("npm").is_none() {
		apt.install("npm", &["npm"]).context(advice.clone())?;
	}
	if !is_ready() {
		let folder = install_folder()?;
		let found = apt.candidate("nodejs").unwrap_or_else(|| "none".into());
		step(
			&format!("Installing Node.js from npm, because Debian's is {found}"),
			"about a minute",
			|| {
				fs::create_dir_all(&folder)?;
				let mut npm = Command::new("npm");
				step::run(
					npm.args(["install", "--no-fund", "--no-audit", "--prefix"])
						.arg(&folder)
						.arg(FROM_NPM),
				)
			},
		)
		.context(advice.clone())?;
	}
	if !is_ready() {
		bail!(advice);
	}
	Ok(())
}

/// The folder of the Node.js that [`ensure`] got from npm, if it did.
pub fn own_folder() -> Option<PathBuf> {
	let folder = install_folder().ok()?.join("node_modules/node/bin");
	folder.join("node").is_file().then_some(folder)
}

fn install_folder() -> Result<PathBuf> {
	Ok(cache_folder()?.join("node"))
}

/// Whether there is a Node.js that is new enough, with npm.
pub fn is_ready() -> bool {
	let node = match own_folder() {
		Some(folder) => folder.join("node"),
		None => "node".into(),
	};
	let version = step::output(Command::new(node).arg("--version"));
	version.is_ok_and(|text| parse(&text).is_some_and(|found| found >= OLDEST))
		&& program_on_path("npm").is_some()
}

/// The major and minor version in what `node --version` prints.
fn parse(text: &str) -> Option<(u32, u32)> {
	let mut parts = text.trim().strip_prefix('v')?.split('.');
	Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn reads_versions() {
		assert_eq!(parse("v20.20.2\n"), Some((20, 20)));
		assert_eq!(parse("v8.1.0"), Some((8, 1)));
		assert_eq!(parse("v22"), None);
		assert_eq!(parse("22.19"), None);
		assert_eq!(parse(""), None);
	}
}
