//! Files with contents that tests can tell apart.

use anyhow::{ensure, Context, Result};
use std::{
	collections::{BTreeMap, BTreeSet},
	fs,
	path::{Path, PathBuf},
	time::{SystemTime, UNIX_EPOCH},
};

/// Pseudo-random numbers (SplitMix64): the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
	/// Numbers from a seed.
	pub fn new(seed: u64) -> Self {
		Self(seed)
	}

	/// Numbers from a seed that differs each time, which is printed; `CAIRN_E2E_SEED` sets it.
	pub fn seeded() -> Self {
		let given = std::env::var("CAIRN_E2E_SEED")
			.ok()
			.and_then(|text| text.parse().ok());
		let seed = given.unwrap_or_else(|| {
			let now = SystemTime::now().duration_since(UNIX_EPOCH);
			now.map_or(0, |time| time.as_nanos() as u64)
		});
		eprintln!("random numbers: CAIRN_E2E_SEED={seed}");
		Self(seed)
	}

	/// The next number.
	pub fn draw(&mut self) -> u64 {
		self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
		let mut mixed = self.0;
		mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		mixed ^ (mixed >> 31)
	}

	/// A number below `bound`.
	pub fn below(&mut self, bound: u64) -> u64 {
		self.draw() % bound
	}

	/// Bytes.
	pub fn bytes(&mut self, size: usize) -> Vec<u8> {
		let mut bytes = Vec::with_capacity(size + 8);
		while bytes.len() < size {
			bytes.extend_from_slice(&self.draw().to_le_bytes());
		}
		bytes.truncate(size);
		bytes
	}
}

/// Writes a file of `size` bytes that follow from `seed`, and the folders it is in.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: impl Into<PathBuf>, size: usize, seed: u64) -> Result<PathBuf> {
	let path = path.into();
	if let Some(folder) = path.parent() {
		fs::create_dir_all(folder)?;
	}
	fs::write(&path, Random::new(seed).bytes(size))
		.with_context(|| format!("cannot write {}", path.display()))?;
	Ok(path)
}

/// Fails unless two files or folders have the same content.
///
/// # Errors
/// When they differ, with the first difference, or cannot be read.
pub fn ensure_equal(left: &Path, right: &Path) -> Result<()> {
	let (left_files, right_files) = (contents(left)?, contents(right)?);
	let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
	ensure!(
		names(&left_files) == names(&right_files),
		"{} and {} have other files: {:?}, {:?}",
		left.display(),
		right.display(),
		names(&left_files),
		names(&right_files)
	);
	for (name, bytes) in &left_files {
		ensure!(
			right_files[name] == *bytes,
			"{} differs between {} and {}",
			name.display(),
			left.display(),
			right.display()
		);
	}
	Ok(())
}

/// Every file below a path, by its path from there; the path itself as the empty one if it is a file.
///
/// # Errors
/// When one cannot be read.
pub fn contents(path: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
	let mut files = BTreeMap::new();
	for name in names(path)? {
		let file = match name.as_os_str().is_empty() {
			true => path.to_owned(),
			false => path.join(&name),
		};
		let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
		files.insert(name, bytes);
	}
	Ok(files)
}

/// The names that [`contents`] has.
///
/// # Errors
/// When a folder cannot be read.
pub fn names(path: &Path) -> Result<BTreeSet<PathBuf>> {
	let mut names = BTreeSet::new();
	let mut open = vec![path.to_owned()];
	while let Some(next) = open.pop() {
		if next.is_dir() {
			for entry in fs::read_dir(&next)? {
				open.push(entry?.path());
			}
		} else {
			names.insert(next.strip_prefix(path)?.to_owned());
		}
	}
	Ok(names)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn seeds_decide() {
		assert_eq!(Random::new(1).bytes(100), Random::new(1).bytes(100));
		assert_ne!(Random::new(1).bytes(100), Random::new(2).bytes(100));
		assert_eq!(Random::new(1).bytes(13).len(), 13);
	}
}
