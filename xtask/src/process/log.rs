//! A program's output in a file, read while it grows.

use super::create_parent;
use anyhow::{Context, Result};
use std::{
	fs::{File, OpenOptions},
	io::{Read, Seek, SeekFrom},
	path::{Path, PathBuf},
};

/// What is read at once, and the longest line; longer ones are read in parts.
const CHUNK: usize = 1 << 20;

/// How far from a log's end its last lines are looked for.
const TAIL_BYTES: u64 = 64 * 1024;

/// A reader of a log, at a line of it. A clone goes on from the same line, independently.
#[derive(Clone, Debug)]
pub struct Log {
	path: PathBuf,
	/// Where the program's output starts; what is before is of earlier ones.
	start: u64,
	/// Where the next line starts.
	position: u64,
}

impl Log {
	/// The log at the end of a file, which is created if need be.
	pub(super) fn create(path: PathBuf) -> Result<Self> {
		create_parent(&path)?;
		let file = OpenOptions::new().create(true).append(true).open(&path);
		let file = file.with_context(|| format!("cannot create {}", path.display()))?;
		let start = file.metadata()?.len();
		Ok(Self {
			path,
			start,
			position: start,
		})
	}

	/// Its file.
	pub fn path(&self) -> &Path {
		&self.path
	}

	/// Goes on to the first line of which `find` makes something, or to the end of what has been written.
	/// Incomplete last lines are left for later.
	pub fn find<T>(&mut self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
		loop {
			let chunk = self.read(self.position, CHUNK as u64)?;
			let complete = match chunk.iter().rposition(|byte| *byte == b'\n') {
				Some(last) => last + 1,
				// A line longer than a chunk.
				None if chunk.len() == CHUNK => CHUNK,
				None => return None,
			};
			for line in chunk[..complete].split_inclusive(|byte| *byte == b'\n') {
				self.position += line.len() as u64;
				if let Some(found) = find(String::from_utf8_lossy(line).trim_end_matches(['\n', '\r'])) {
					return Some(found);
				}
			}
		}
	}

	/// Goes on to the end of what has been written, so that [`Log::find`] sees later lines only.
	pub fn skip(&mut self) {
		self.find(|_| None::<()>);
	}

	/// The last `count` lines that the program has written.
	pub fn last_lines(&self, count: usize) -> String {
		let end = self.path.metadata().map_or(0, |file| file.len());
		let from = end.saturating_sub(TAIL_BYTES).max(self.start);
		let tail = self.read(from, TAIL_BYTES).unwrap_or_default();
		let text = String::from_utf8_lossy(&tail);
		let lines: Vec<_> = text.lines().collect();
		lines[lines.len().saturating_sub(count)..].join("\n")
	}

	/// What can be read; a log that was removed reads as one that does not grow.
	fn read(&self, from: u64, limit: u64) -> Option<Vec<u8>> {
		let mut bytes = Vec::new();
		let mut file = File::open(&self.path).ok()?;
		file.seek(SeekFrom::Start(from)).ok()?;
		file.take(limit).read_to_end(&mut bytes).ok()?;
		Some(bytes)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::{fs, io::Write};

	fn append(log: &Log, text: &str) {
		OpenOptions::new()
			.append(true)
			.open(log.path())
			.unwrap()
			.write_all(text.as_bytes())
			.unwrap();
	}

	#[test]
	fn reads_whole_lines_as_they_come() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("deep/log");
		create_parent(&path).unwrap();
		fs::write(&path, "of an earlier run\n").unwrap();
		let mut log = Log::create(path).unwrap();
		let again = log.clone();
		let mut next = || log.find(|line| Some(line.to_owned()));
		assert_eq!(next(), None);
		append(&again, "one\r\ntwo\nthr");
		assert_eq!(next().as_deref(), Some("one"));
		assert_eq!(next().as_deref(), Some("two"));
		assert_eq!(next(), None);
		append(&again, "ee\n");
		assert_eq!(next().as_deref(), Some("three"));
		assert_eq!(again.last_lines(2), "two\nthree");
		assert_eq!(again.last_lines(9), "one\ntwo\nthree");

		let mut later = again.clone();
		later.skip();
		append(&again, "four\n");
		assert_eq!(later.find(|line| Some(line.to_owned())).as_deref(), Some("four"));
	}

	#[test]
	fn long_lines_come_in_parts() {
		let folder = tempfile::tempdir().unwrap();
		let mut log = Log::create(folder.path().join("log")).unwrap();
		append(&log, &"x".repeat(2 * CHUNK + 5));
		append(&log, "\nnext\n");
		let mut lengths = Vec::new();
		log.find(|line| {
			lengths.push(line.len());
			None::<()>
		});
		assert_eq!(lengths, [CHUNK, CHUNK, 5, 4]);
		assert!(log.last_lines(1) == "next");
	}
}
