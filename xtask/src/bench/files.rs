//! Files to measure with, and what the system's own programs make of them.

use super::MEGABYTE;
use crate::step;
use anyhow::Result;
use std::{
	fs::{self, File},
	io::{self, BufWriter, Read, Write},
	path::Path,
	process::Command,
	time::Instant,
};

/// Writes a file of `size` bytes that does not compress.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_random(file: &Path, size: u64) -> Result<()> {
	let mut writer = BufWriter::new(File::create(file)?);
	io::copy(&mut File::open("/dev/urandom")?.take(size), &mut writer)?;
	writer.flush()?;
	Ok(())
}

/// Speed of `sha256sum` of a file in MB/s.
///
/// # Errors
/// When it fails.
pub(super) fn hashing_speed(file: &Path) -> Result<f64> {
	let length = fs::metadata(file)?.len();
	let start = Instant::now();
	step::output(Command::new("sha256sum").arg(file))?;
	Ok(speed(length, start))
}

/// Speed of `cp` of a file to `copy`, which is removed afterwards, in MB/s.
///
/// # Errors
/// When it fails.
pub(super) fn copying_speed(file: &Path, copy: &Path) -> Result<f64> {
	let length = fs::metadata(file)?.len();
	let start = Instant::now();
	step::output(Command::new("cp").arg(file).arg(copy))?;
	let speed = speed(length, start);
	fs::remove_file(copy)?;
	Ok(speed)
}

/// Has everything that was written before reach the disk, so that it does not slow down what comes.
///
/// # Errors
/// When `sync` fails.
pub(super) fn settle_disk() -> Result<()> {
	step::output(&mut Command::new("sync"))?;
	Ok(())
}

/// MB/s of `bytes` since `start`.
pub(super) fn speed(bytes: u64, start: Instant) -> f64 {
	bytes as f64 / MEGABYTE / start.elapsed().as_secs_f64()
}
