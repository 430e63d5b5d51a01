//! System packages: what the node's C, C++ and protobuf parts need to build.

use super::program_on_path;
use crate::step::{self, step};
use anyhow::{bail, Context, Result};
use rustix::process::geteuid;
use std::{env, fs, path::Path, process::Command};

/// Something a build needs that does not come from a Rust registry.
struct Requirement {
	what: &'static str,
	/// Debian's and Ubuntu's packages that bring it.
	packages: &'static [&'static str],
	is_there: fn() -> bool,
}

const REQUIREMENTS: [Requirement; 7] = [
	Requirement {
		what: "a C and C++ compiler and make",
		packages: &["build-essential"],
		is_there: || {
			["cc", "c++", "make"]
				.iter()
				.all(|name| program_on_path(name).is_some())
		},
	},
	Requirement {
		what: "the protobuf compiler (protoc)",
		packages: &["protobuf-compiler"],
		is_there: || env::var_os("PROTOC").is_some() || program_on_path("protoc").is_some(),
	},
	Requirement {
		what: "clang",
		packages: &["clang"],
		is_there: || program_on_path("clang").is_some(),
	},
	Requirement {
		what: "libclang",
		packages: &["libclang-dev"],
		is_there: has_libclang,
	},
	Requirement {
		what: "cmake",
		packages: &["cmake"],
		is_there: || program_on_path("cmake").is_some(),
	},
	Requirement {
		what: "pkg-config",
		packages: &["pkg-config"],
		is_there: || program_on_path("pkg-config").is_some(),
	},
	Requirement {
		what: "OpenSSL with its headers",
		packages: &["libssl-dev"],
		is_there: has_openssl,
	},
];

/// Installs the missing packages.
///
/// # Errors
/// Names them where they cannot be installed: on other systems than Debian and Ubuntu, and without root.
pub fn ensure() -> Result<()> {
	let missing: Vec<_> = REQUIREMENTS
		.iter()
		.filter(|requirement| !(requirement.is_there)())
		.collect();
	if missing.is_empty() {
		return Ok(());
	}
	let names = missing
		.iter()
		.map(|requirement| requirement.what)
		.collect::<Vec<_>>()
		.join(", ");
	let packages: Vec<_> = missing
		.iter()
		.flat_map(|requirement| requirement.packages)
		.copied()
		.collect();
	match Apt::find() {
		Some(apt) => apt.install(&names, &packages)?,
		None if has_apt() => bail!(
			"missing: {names}\nInstall with: sudo apt-get install {}",
			packages.join(" ")
		),
		None => bail!("missing: {names}\nInstall them with your system's package manager, then try again."),
	}
	let still: Vec<_> = missing
		.iter()
		.filter(|requirement| !(requirement.is_there)())
		.map(|r| r.what)
		.collect();
	if !still.is_empty() {
		bail!(
			"installed {}, but cannot find: {}",
			packages.join(" "),
			still.join(", ")
		);
	}
	Ok(())
}

/// Debian's and Ubuntu's installer, and the right to use it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apt(());

impl Apt {
	/// On Debian, Ubuntu and their like, as root.
	pub(super) fn find() -> Option<Self> {
		(has_apt() && geteuid().is_root()).then_some(Self(()))
	}

	/// Installs packages, refreshing the package lists if it does not work with those that are there.
	pub(super) fn install(self, what: &str, packages: &[&str]) -> Result<()> {
		step(&format!("Installing {what}"), "about 2 minutes", || {
			if step::run(self.command("install").args(packages)).is_ok() {
				return Ok(());
			}
			step::note("trying again with fresh package lists");
			step::run(&mut self.command("update"))?;
			step::run(self.command("install").args(packages))
		})
		.with_context(|| format!("could not install {}", packages.join(" ")))
	}

	/// The version `apt-get install` would install, or has.
	pub(super) fn candidate(self, package: &str) -> Option<String> {
		let policy = step::output(
			Command::new("apt-cache")
				.args(["policy", package])
				.env("LC_ALL", "C"),
		)
		.ok()?;
		let version = policy
			.lines()
			.find_map(|line| line.trim().strip_prefix("Candidate: "))?;
		(version != "(none)").then(|| version.to_owned())
	}

	fn command(self, verb: &str) -> Command {
		let mut command = Command::new("apt-get");
		command
			.args([
				"-qq",
				"-o",
				"DPkg::Lock::Timeout=120",
				"-o",
				"Dpkg::Use-Pty=0",
				verb,
			])
			.env("DEBIAN_FRONTEND", "noninteractive");
		if verb == "install" {
			command.args(["--yes", "--no-install-recommends"]);
		}
		command
	}
}

fn has_apt() -> bool {
	program_on_path("apt-get").is_some() && Path::new("/etc/debian_version").exists()
}

fn has_openssl() -> bool {
	let asked = Command::new("pkg-config").args(["--exists", "openssl"]).status();
	env::var_os("OPENSSL_DIR").is_some() || asked.is_ok_and(|status| status.success())
}

/// Looks where bindgen's `clang-sys` does, for the names it knows.
fn has_libclang() -> bool {
	if let Some(path) = env::var_os("LIBCLANG_PATH") {
		return Path::new(&path).exists();
	}
	let mut folders: Vec<_> = [
		"/usr/lib",
		"/usr/lib64",
		"/usr/local/lib",
		"/opt/homebrew/opt/llvm/lib",
	]
	.into_iter()
	.map(Into::into)
	.collect();
	folders.push(Path::new("/usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH)));
	// Debian keeps each version in a folder of its own.
	let versions = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
	folders.extend(
		versions
			.filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm"))
			.map(|entry| entry.path().join("lib")),
	);
	folders
		.iter()
		.flat_map(fs::read_dir)
		.flatten()
		.flatten()
		.any(|entry| {
			let name = entry.file_name();
			let name = name.to_string_lossy();
			name.starts_with("libclang.")
				|| name.starts_with("libclang-") && !name.starts_with("libclang-cpp")
		})
}
