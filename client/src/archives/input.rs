//! Archives that are read.

use crate::error::{CliError, ErrorKind};
use cairn_car::{CarFile, ReadAt, ReadOptions};
use indicatif::ProgressBar;
use std::{
	fs::File,
	io::{self, IsTerminal, Read},
	os::fd::AsFd,
	path::Path,
};

/// How archives are read: with blocks as large as a store keeps, and with the zeros at the end that make an archive
/// a piece.
pub fn read_options() -> ReadOptions {
	ReadOptions {
		max_section: 32 << 20,
		zero_padding: true,
		..ReadOptions::default()
	}
}

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
	path.as_os_str() == "-"
}

/// A file that is read at any position, while a bar counts the bytes.
#[derive(Debug)]
pub struct ArchiveInput {
	file: File,
	bar: ProgressBar,
}

impl ArchiveInput {
	/// Opens the file at `path`; `-` is standard input. What is no file, such as a pipe, is copied to a
	/// temporary file first, which nobody else sees.
	///
	/// # Errors
	/// If it cannot be opened or copied.
	pub fn open(path: &Path, bar: &ProgressBar) -> Result<Self, CliError> {
		let opened = match is_standard(path) {
			true => standard_input(),
			false => File::open(path),
		};
		let file = opened.and_then(|file| seekable(file, bar));
		Ok(ArchiveInput {
			file: file.map_err(|error| CliError::from(error).during(path.display()))?,
			bar: bar.clone(),
		})
	}
}

impl ReadAt for ArchiveInput {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		self.bar.inc(out.len() as u64);
		self.file.read_exact_at(out, offset)
	}

	fn size(&self) -> io::Result<u64> {
		self.file.size()
	}
}

/// Opens a file, or with `-` standard input, to be read once from its start while a bar counts the bytes.
///
/// # Errors
/// If it cannot be opened.
pub fn stream(path: &Path, bar: &ProgressBar) -> Result<Box<dyn Read>, CliError> {
	Ok(match is_standard(path) {
		true => Box::new(bar.wrap_read(io::stdin().lock())),
		false => {
			let file = File::open(path).map_err(|error| CliError::from(error).during(path.display()))?;
			Box::new(bar.wrap_read(file))
		}
	})
}

fn standard_input() -> io::Result<File> {
	let stdin = io::stdin();
	if stdin.is_terminal() {
		return Err(io::Error::other("there is nothing on standard input"));
	}
	Ok(stdin.as_fd().try_clone_to_owned()?.into())
}

fn seekable(file: File, bar: &ProgressBar) -> io::Result<File> {
	if file.metadata()?.is_file() {
		return Ok(file);
	}
	let mut copy = tempfile::tempfile()?;
	io::copy(&mut bar.wrap_read(file), &mut copy)?;
	Ok(copy)
}

/// Opens an archive for random access: by its index, or by one that is built.
///
/// # Errors
/// If the file cannot be read, or is none.
pub fn open(path: &Path, bar: &ProgressBar) -> Result<CarFile<ArchiveInput>, CliError> {
	let input = ArchiveInput::open(path, bar)?;
	CarFile::new(input, read_options()).map_err(|error| {
		let error = CliError::from(error).during(path.display());
		match error.kind() {
			ErrorKind::Verification => error.hint("`cairn car salvage` saves what is sound in it"),
			_ => error,
		}
	})
}
