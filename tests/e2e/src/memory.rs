//! What a program takes of memory, as Linux tells it.

use anyhow::{Context, Result};
use std::fs;
use xtask::process::Process;

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
	/// Resident now.
	pub resident: u64,
	/// Most that was ever resident.
	pub peak: u64,
}

impl Memory {
	/// Memory of a running program.
	///
	/// # Errors
	/// When it has ended.
	pub fn of(process: &Process) -> Result<Self> {
		let path = format!("/proc/{}/status", process.id());
		let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
		Self::parse(&status)
	}

	fn parse(status: &str) -> Result<Self> {
		let field = |name: &str| -> Result<u64> {
			let line = status
				.lines()
				.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
				.with_context(|| format!("no {name}"))?;
			let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
			Ok(kib << 10)
		};
		Ok(Self {
			resident: field("VmRSS")?,
			peak: field("VmHWM")?,
		})
	}
}

/// Number of files and connections that a running program has open.
///
/// # Errors
/// When it has ended.
pub fn open_files(process: &Process) -> Result<usize> {
	let path = format!("/proc/{}/fd", process.id());
	let files = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
	Ok(files.count())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn fields_are_read() {
		let status = "Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n";
		let memory = Memory::parse(status).unwrap();
		assert_eq!((memory.resident, memory.peak), (200 << 10, 300 << 10));
		assert!(Memory::parse("VmRSS: 1 kB").is_err());
	}
}
