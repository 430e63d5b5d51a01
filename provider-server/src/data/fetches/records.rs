//! Which datasets are to be fetched also after a restart: one small file for each.
//!
//! `HASH.json` is written in one step before whoever asked for the dataset is answered, and removed when the fetch
//! has ended, whatever its outcome, unless the node's end has ended it. Its name is the SHA-256 of the root's bytes in hex, so that no CID is too long for
//! one. What is in the folder and was not written by this program, or is damaged, is set aside under another name and
//! never believed.

use crate::data::{cid_text, durable_file};
use cairn_dag::HashFunction;
use cairn_provider_api::cid_text::{self as cid_parser, CidTextError};
use cid::Cid;
use serde::{Deserialize, Serialize};
use std::{
	collections::HashSet,
	ffi::OsStr,
	fs::{self, File},
	io::{self, Read},
	path::{Path, PathBuf},
};

/// Largest file that is read.
const MAX_BYTES: u64 = 4096;
/// Most records that are taken up: more than a node has use for. Each takes about a kilobyte of memory.
const MAX_RECORDS: usize = 4096;

const VERSION: u32 = 1;

/// A dataset that was being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
	/// The dataset.
	pub root: Cid,
	/// When it was asked for, in seconds since the Unix epoch.
	pub began: u64,
}

/// A record as it is on disk.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Saved {
	version: u32,
	cid: String,
	began: u64,
}

/// Why a file is no record.
#[derive(Debug, thiserror::Error)]
enum InvalidRecord {
	#[error(transparent)]
	Io(#[from] io::Error),
	#[error("it is no file")]
	NoFile,
	#[error("it has more than {MAX_BYTES} bytes")]
	TooLarge,
	#[error(transparent)]
	Json(#[from] serde_json::Error),
	#[error("it was written by a later version of this program")]
	Version,
	#[error(transparent)]
	Cid(#[from] CidTextError),
	#[error("it is not named after its dataset")]
	Name,
}

/// The folder of all records.
pub(super) struct Records {
	folder: PathBuf,
	/// Those that are on the disk.
	roots: HashSet<Cid>,
	/// Whether there are others that could not be read.
	has_others: bool,
}

impl Records {
	/// Opens the folder, and creates it if need be. Returns what an earlier process left, in the order in which it
	/// was asked for. Blocks the thread.
	///
	/// # Errors
	/// If the folder cannot be created or read.
	pub fn open(folder: &Path) -> io::Result<(Self, Vec<Record>)> {
		fs::create_dir_all(folder)?;
		let mut left = Vec::new();
		let mut has_others = false;
		for entry in fs::read_dir(folder)? {
			let path = entry?.path();
			if left.len() >= MAX_RECORDS {
				let folder = folder.display();
				tracing::error!(%folder, "there are too many records of fetches: the rest waits for another start");
				has_others = true;
				break;
			}
			match path.extension().and_then(OsStr::to_str) {
				Some("json") => match read(&path) {
					Ok(record) => left.push(record),
					// Another start, or the version that wrote it, can read it.
					Err(error @ (InvalidRecord::Io(_) | InvalidRecord::Version)) => {
						has_others = true;
						let error = &error as &dyn std::error::Error;
						tracing::error!(error, file = %path.display(), "a record of a fetch cannot be read now");
					}
					Err(error) => set_aside(&path, &error),
				},
				// One that was being written: nobody was told that it is there.
				Some(durable_file::UNFINISHED) => {
					if let Err(error) = fs::remove_file(&path) {
						tracing::warn!(file = %path.display(), %error, "an unfinished file cannot be removed");
					}
				}
				_ => {}
			}
		}
		left.sort_by_key(|record| (record.began, record.root));
		let records = Records {
			folder: folder.to_owned(),
			roots: left.iter().map(|record| record.root).collect(),
			has_others,
		};
		Ok((records, left))
	}

	/// Whether there is a record of a dataset.
	pub fn has(&self, root: &Cid) -> bool {
		self.roots.contains(root)
	}

	/// Whether there are records that could not be read, of whatever datasets.
	pub fn has_others(&self) -> bool {
		self.has_others
	}

	/// Writes a record. Blocks the thread.
	///
	/// # Errors
	/// If it cannot be written; there is none then that was not there before.
	pub fn write(&mut self, record: &Record) -> io::Result<()> {
		let saved = Saved {
			version: VERSION,
			cid: cid_text(&record.root),
			began: record.began,
		};
		durable_file::replace(&self.path(&record.root), &serde_json::to_vec(&saved)?)?;
		self.roots.insert(record.root);
		Ok(())
	}

	/// Removes a record, if there is one. Blocks the thread.
	///
	/// # Errors
	/// If it cannot be removed.
	pub fn remove(&mut self, root: &Cid) -> io::Result<()> {
		if self.has(root) {
			let path = self.path(root);
			let removed = durable_file::remove(&path);
			if removed.is_ok() || !path.exists() {
				self.roots.remove(root);
			}
			removed?;
		}
		Ok(())
	}

	fn path(&self, root: &Cid) -> PathBuf {
		self.folder.join(name(root))
	}
}

fn name(root: &Cid) -> String {
	let hash = HashFunction::Sha2_256.digest(&root.to_bytes());
	format!("{}.json", hex::encode(hash.digest()))
}

fn read(path: &Path) -> Result<Record, InvalidRecord> {
	// Before it is opened: opening a pipe waits for who writes.
	if !fs::symlink_metadata(path)?.is_file() {
		return Err(InvalidRecord::NoFile);
	}
	let mut text = Vec::new();
	File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
	if text.len() as u64 > MAX_BYTES {
		return Err(InvalidRecord::TooLarge);
	}
	let saved: Saved = serde_json::from_slice(&text)?;
	if saved.version != VERSION {
		return Err(InvalidRecord::Version);
	}
	let root = cid_parser::parse(&saved.cid)?;
	if path.file_name() != Some(OsStr::new(&name(&root))) {
		return Err(InvalidRecord::Name);
	}
	Ok(Record {
		root,
		began: saved.began,
	})
}

/// Gives a file a name under which it is not looked at again.
fn set_aside(path: &Path, reason: &InvalidRecord) {
	let aside = path.with_extension("json.invalid");
	let error = reason as &dyn std::error::Error;
	match fs::rename(path, &aside) {
		Ok(()) => {
			tracing::error!(error, file = %aside.display(), "a record of a fetch is invalid and was set aside")
		}
		Err(failed) => {
			tracing::error!(error, file = %path.display(), %failed, "a record of a fetch is invalid and cannot be set aside");
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::{Block, Codec};

	fn root(n: u8) -> Cid {
		*Block::encode(Codec::Raw, vec![n]).cid()
	}

	fn names(folder: &Path) -> Vec<String> {
		let mut names: Vec<String> = fs::read_dir(folder)
			.unwrap()
			.map(|entry| entry.unwrap().file_name().into_string().unwrap())
			.collect();
		names.sort();
		names
	}

	#[test]
	fn what_is_written_is_left_and_what_is_removed_is_not() {
		let dir = tempfile::tempdir().unwrap();
		let folder = dir.path().join("fetches");
		let (mut records, left) = Records::open(&folder).unwrap();
		assert!(left.is_empty());
		let written = [(1, 30), (2, 10), (3, 20)].map(|(n, began)| Record { root: root(n), began });
		for record in &written {
			records.write(record).unwrap();
		}
		// Writing it again is writing it once.
		records.write(&written[0]).unwrap();
		let (mut records, left) = Records::open(&folder).unwrap();
		assert_eq!(left, [written[1], written[2], written[0]]);
		for record in &written {
			records.remove(&record.root).unwrap();
			records.remove(&record.root).unwrap();
		}
		assert!(names(&folder).is_empty());
		assert!(Records::open(&folder).unwrap().1.is_empty());
	}

	#[test]
	fn what_is_no_record_is_set_aside() {
		let dir = tempfile::tempdir().unwrap();
		let folder = dir.path();
		let good = Record {
			root: root(1),
			began: 7,
		};
		Records::open(folder).unwrap().0.write(&good).unwrap();
		let saved = |n: u8| format!("{{\"version\":1,\"cid\":\"{}\",\"began\":7}}", root(n));
		let named = |n: u8, text: &str| fs::write(folder.join(name(&root(n))), text).unwrap();
		assert_eq!(fs::read_to_string(folder.join(name(&root(1)))).unwrap(), saved(1));
		named(2, "");
		named(3, &saved(3)[..30]);
		named(4, &saved(4).replace("\"version\":1", "\"version\":2"));
		// Another's name.
		named(5, &saved(6));
		named(7, &saved(7).replace(&root(7).to_string(), "no CID"));
		named(8, &saved(8).replace('}', ",\"more\":1}"));
		named(9, &format!("{}{}", saved(9), " ".repeat(MAX_BYTES as usize)));
		fs::create_dir(folder.join("folder.json")).unwrap();
		std::os::unix::fs::symlink("/dev/zero", folder.join("endless.json")).unwrap();
		let pipe = folder.join("pipe.json");
		rustix::fs::mknodat(
			rustix::fs::CWD,
			&pipe,
			rustix::fs::FileType::Fifo,
			rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
			0,
		)
		.unwrap();
		// What a kill leaves of a record that was being written.
		fs::write(folder.join(".tmpabc.tmp"), "{").unwrap();
		// What is not this program's business.
		fs::write(folder.join("notes.txt"), "mine").unwrap();

		for _ in 0..2 {
			let (records, found) = Records::open(folder).unwrap();
			assert_eq!(found, [good]);
			let left = names(folder);
			assert_eq!(
				left.iter().filter(|name| name.ends_with(".json.invalid")).count(),
				9,
				"{left:?}"
			);
			// That of a later version is for that version.
			assert!(records.has_others());
			assert!(left.contains(&name(&root(4))), "{left:?}");
			assert_eq!(left.len(), 12, "{left:?}");
		}
	}
}
