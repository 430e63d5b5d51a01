//! A Rust toolchain that compiles the runtime to Wasm.
//!
//! The active toolchain with rustup's `wasm32v1-none` target, where rustup's server is in reach. Otherwise
//! Debian's second Rust (`rustc-web`), for which `core` and `alloc` are built from its sources and which is
//! linked into rustup under the name [`LINKED`]; `WASM_BUILD_TOOLCHAIN` then tells substrate-wasm-builder to
//! use it. A user's own `WASM_BUILD_TOOLCHAIN` is left alone, and set to [`LINKED`] it chooses Debian's way.

use super::{packages::Apt, program_on_path};
use crate::{
	step::{self, step},
	workspace::{cache_folder, Workspace},
};
use anyhow::{bail, Context, Result};
use std::{
	env, fs,
	path::{Path, PathBuf},
	process::Command,
};

/// The compilation target of runtimes.
pub const TARGET: &str = "wasm32v1-none";

/// rustup's name for Debian's toolchain.
pub const LINKED: &str = "cairn-wasm";

const VARIABLE: &str = "WASM_BUILD_TOOLCHAIN";

/// Debian's second Rust: compiler, cargo, the sources of `core` and `alloc`, and the linker's usual name.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm"];
const DEBIAN_PREFIX: &str = "/usr";

/// What the target's folder must hold.
const LIBRARIES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// Beside libraries that were built here: the compiler they are for. They are of no use to another.
const BUILT_FOR: &str = "built-for-rustc";

/// A toolchain that builds the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WasmToolchain {
	/// The one that builds everything else.
	Active,
	/// The one with this name in rustup, to be set as `WASM_BUILD_TOOLCHAIN`.
	Named(String),
}

impl WasmToolchain {
	/// Looks for one: the user's choice, else the active one, else Debian's. Takes a few milliseconds.
	///
	/// # Errors
	/// When a compiler is there but cannot be asked.
	pub fn find() -> Result<Option<Self>> {
		if let Some(name) = users_choice() {
			return Ok(has_target(&Rustc::Named(name.clone()))?.then_some(Self::Named(name)));
		}
		if has_target(&Rustc::Active)? {
			return Ok(Some(Self::Active));
		}
		if is_linked() && has_target(&Rustc::Named(LINKED.into()))? {
			return Ok(Some(Self::Named(LINKED.into())));
		}
		Ok(None)
	}
}

/// Installs the Wasm target where no toolchain has it.
///
/// # Errors
/// Says what was tried, and what to install.
pub fn ensure(workspace: &Workspace) -> Result<()> {
	if WasmToolchain::find()?.is_some() {
		return Ok(());
	}
	match users_choice() {
		Some(name) if name != LINKED => bail!(
			"{VARIABLE} is set to {name}, which has no {TARGET} target\n\
			 Install it with: rustup target add {TARGET} --toolchain {name}"
		),
		None if program_on_path("rustup").is_some() => {
			let added = step(
				"Installing the Wasm target with rustup",
				"less than a minute",
				|| step::run(workspace.command("rustup").args(["target", "add", TARGET])),
			);
			if added.is_ok() && WasmToolchain::find()?.is_some() {
				return Ok(());
			}
			step::note("rustup cannot install it here");
		}
		_ => {}
	}
	let Some(apt) = Apt::find() else {
		bail!(
			"no toolchain compiles to {TARGET}\n\
			 Install it with: rustup target add {TARGET}\n\
			 or, on Debian and without access to rustup's server, run `cargo xtask setup` as root"
		);
	};
	from_debian(apt)?;
	match WasmToolchain::find()? {
		Some(_) => Ok(()),
		None => bail!("Debian's toolchain is in place, but rustup is needed to use it: https://rustup.rs"),
	}
}

fn users_choice() -> Option<String> {
	env::var(VARIABLE).ok().filter(|name| !name.is_empty())
}

fn from_debian(apt: Apt) -> Result<()> {
	let prefix = Path::new(DEBIAN_PREFIX);
	let rustc = prefix.join("bin/rustc");
	let cargo = prefix.join("bin/cargo");
	let sources = prefix.join("lib/rustlib/src/rust/library/core");
	// A link to the linker, lld, of the compiler's LLVM version, which is a package of its own.
	let linker = prefix.join("bin/rust-lld");
	if ![&rustc, &cargo, &sources].iter().all(|path| path.exists()) || !linker.is_symlink() {
		apt.install("Debian's second Rust toolchain", &DEBIAN_PACKAGES)?;
	}
	if !linker.exists() {
		let target = fs::read_link(&linker).context("Debian's Rust came without a linker for Wasm")?;
		let package = target
			.file_name()
			.and_then(|name| name.to_str())
			.context("rust-lld links to nothing")?;
		apt.install("its linker", &[package])?;
	}
	if !has_target(&Rustc::At(rustc.clone()))? {
		step("Building core and alloc for Wasm", "less than a minute", || {
			build_libraries(&rustc, &cargo)
		})?;
	}
	if program_on_path("rustup").is_some() && !is_linked() {
		step::run(Command::new("rustup").args(["toolchain", "link", LINKED, DEBIAN_PREFIX]))?;
	}
	Ok(())
}

/// Whether rustup knows [`LINKED`] as Debian's toolchain.
fn is_linked() -> bool {
	let home = env::var_os("RUSTUP_HOME")
		.map(PathBuf::from)
		.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup")));
	home.is_some_and(|home| home.join("toolchains").join(LINKED).join("bin/rustc").exists())
}

/// Compiles the target's libraries from the toolchain's sources and puts them where it looks for them, if
/// it then links Wasm with them.
fn build_libraries(rustc: &Path, cargo: &Path) -> Result<()> {
	let scratch = cache_folder()?.join("wasm-libraries");
	remove_folder(&scratch)?;
	fs::create_dir_all(scratch.join("src"))?;
	fs::write(
		scratch.join("Cargo.toml"),
		"[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n",
	)?;
	fs::write(scratch.join("src/lib.rs"), "#![no_std]\n")?;

	let target = scratch.join("target");
	let mut build = Command::new(cargo);
	build
		.args(["build", "--release", "--target", TARGET, "-Zbuild-std=core,alloc"])
		.current_dir(&scratch)
		.env("RUSTC", rustc)
		.env("CARGO_TARGET_DIR", &target)
		// -Zbuild-std is unstable.
		.env("RUSTC_BOOTSTRAP", "1")
		// The runtime is linked with LTO, which needs the bitcode of everything in it.
		.env("RUSTFLAGS", "-Cembed-bitcode=yes");
	without_active_toolchain(&mut build);
	for name in [
		"CARGO_ENCODED_RUSTFLAGS",
		"RUSTC_WRAPPER",
		"RUSTC_WORKSPACE_WRAPPER",
	] {
		build.env_remove(name);
	}
	step::run(&mut build)?;

	let rustc = Rustc::At(rustc.to_owned());
	let folder = libraries_folder(&rustc)?;
	// Those of an older compiler.
	remove_folder(&folder)?;
	fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
	let built = target.join(TARGET).join("release/deps");
	for library in LIBRARIES {
		let file = find_library(&built, library).with_context(|| format!("cargo built no lib{library}"))?;
		// The name comes last, so that half a copy is never taken for a library.
		let partial = folder.join(format!("{library}.partial"));
		fs::copy(&file, &partial)?;
		fs::rename(
			&partial,
			folder.join(file.file_name().context("a library has a name")?),
		)?;
	}
	fs::write(folder.join(BUILT_FOR), step::output(rustc.command().arg("-vV"))?)?;
	check_linking(&rustc, &scratch).inspect_err(|_| {
		// Else they would count as the working target next time.
		let _ = remove_folder(&folder);
	})?;
	remove_folder(&scratch)
}

/// Links an empty Wasm library, as substrate-wasm-builder does to see whether a toolchain works.
fn check_linking(rustc: &Rustc, scratch: &Path) -> Result<()> {
	let source = scratch.join("empty.rs");
	fs::write(
		&source,
		"#![no_std]\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! {\n\tloop {}\n}\n",
	)?;
	let mut command = rustc.command();
	command.args([
		"--target",
		TARGET,
		"--crate-type",
		"cdylib",
		"-Clto=fat",
		"-Copt-level=2",
		"--out-dir",
	]);
	step::run(command.arg(scratch).arg(&source))
}

/// A compiler to ask.
enum Rustc {
	Active,
	Named(String),
	At(PathBuf),
}

impl Rustc {
	fn command(&self) -> Command {
		match self {
			Self::Active => Command::new("rustc"),
			Self::Named(name) => {
				let mut command = Command::new("rustup");
				command.args(["run", name, "rustc"]);
				without_active_toolchain(&mut command);
				command
			}
			Self::At(path) => {
				let mut command = Command::new(path);
				without_active_toolchain(&mut command);
				command
			}
		}
	}
}

/// Cargo and rustup tell their children which toolchain is the active one, and where its libraries are.
fn without_active_toolchain(command: &mut Command) {
	for name in [
		"RUSTUP_TOOLCHAIN",
		"LD_LIBRARY_PATH",
		"CARGO",
		"RUST_RECURSION_COUNT",
	] {
		command.env_remove(name);
	}
}

fn has_target(rustc: &Rustc) -> Result<bool> {
	let folder = match libraries_folder(rustc) {
		Ok(folder) => folder,
		// A compiler too old to know the target, or a toolchain that is not installed.
		Err(_) => return Ok(false),
	};
	if LIBRARIES
		.iter()
		.any(|library| find_library(&folder, library).is_none())
	{
		return Ok(false);
	}
	match fs::read_to_string(folder.join(BUILT_FOR)) {
		Ok(built_for) => Ok(built_for == step::output(rustc.command().arg("-vV"))?),
		// rustup put them there.
		Err(_) => Ok(true),
	}
}

fn libraries_folder(rustc: &Rustc) -> Result<PathBuf> {
	let folder = step::output(
		rustc
			.command()
			.args(["--print", "target-libdir", "--target", TARGET]),
	)?;
	Ok(folder.trim_end().into())
}

fn find_library(folder: &Path, name: &str) -> Option<PathBuf> {
	let prefix = format!("lib{name}-");
	fs::read_dir(folder)
		.ok()?
		.flatten()
		.map(|entry| entry.path())
		.find(|path| {
			let file = path.file_name().unwrap_or_default().to_string_lossy();
			file.starts_with(&prefix) && file.ends_with(".rlib")
		})
}

fn remove_folder(folder: &Path) -> Result<()> {
	match fs::remove_dir_all(folder) {
		Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
			Err(error).with_context(|| format!("cannot remove {}", folder.display()))
		}
		_ => Ok(()),
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// A compiler that answers as told.
	fn compiler(folder: &Path, version: &str) -> Rustc {
		use std::os::unix::fs::PermissionsExt;
		let path = folder.join("rustc");
		let libraries = folder.join("lib").display().to_string();
		let script =
			format!("#!/bin/sh\ncase $1 in\n-vV) echo {version} ;;\n--print) echo {libraries} ;;\nesac\n");
		fs::write(&path, script).unwrap();
		fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
		Rustc::At(path)
	}

	#[test]
	fn the_target_is_there_when_all_its_libraries_are() {
		let folder = tempfile::tempdir().unwrap();
		let rustc = compiler(folder.path(), "1.96");
		let libraries = folder.path().join("lib");
		assert!(!has_target(&rustc).unwrap());
		fs::create_dir(&libraries).unwrap();
		for library in LIBRARIES {
			assert!(!has_target(&rustc).unwrap());
			fs::write(libraries.join(format!("lib{library}-0123.rlib")), "").unwrap();
		}
		assert!(has_target(&rustc).unwrap());
	}

	#[test]
	fn libraries_built_for_another_compiler_do_not_count() {
		let folder = tempfile::tempdir().unwrap();
		let rustc = compiler(folder.path(), "1.96");
		let libraries = folder.path().join("lib");
		fs::create_dir(&libraries).unwrap();
		for library in LIBRARIES {
			fs::write(libraries.join(format!("lib{library}-0123.rlib")), "").unwrap();
		}
		fs::write(libraries.join(BUILT_FOR), "1.96\n").unwrap();
		assert!(has_target(&rustc).unwrap());
		assert!(!has_target(&compiler(folder.path(), "1.97")).unwrap());
	}

	#[test]
	fn a_compiler_that_fails_has_no_target() {
		assert!(!has_target(&Rustc::At("/nonexistent/rustc".into())).unwrap());
	}
}
