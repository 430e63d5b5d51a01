//! Data of uploads that come in several requests, in files until all of it is there.
//!
//! An upload has two files: `ID.json` says what it is to become, `ID.data` is what came. The first is written when
//! the upload begins and removed when it ends, each in one step, so that it tells after a kill which uploads there
//! are; the second is synced before a request is answered, so that its length tells how far they are.

use super::{stored_size, Terms};
use crate::{
	data::{durable_file, upload_problem},
	ingest::Disk,
};
use cairn_blockstore::{repo::ReserveError, Repo, Reservation, Ttl};
use cairn_provider_api::Problem;
use serde::{Deserialize, Serialize};
use std::{
	fs::{self, File, OpenOptions},
	io::{self, Read, Seek, SeekFrom, Write},
	num::NonZeroU64,
	path::{Path, PathBuf},
};

/// Most bytes that are written before the file system is asked again how much is free.
const ASK_EVERY: u64 = 8 << 20;
/// The part of what is free that is written before that, where less is free: of so many uploads at a time none fills the
/// disk for the others.
const SHARE: u64 = 64;

/// Largest file of terms that is read: names are at most a request's head.
const MAX_TERMS_BYTES: u64 = 256 << 10;

/// The terms as they are on disk.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Saved {
	version: u32,
	filename: Option<String>,
	mimetype: Option<String>,
	ttl: Option<SavedTtl>,
	length: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum SavedTtl {
	Never,
	Seconds(NonZeroU64),
}

const VERSION: u32 = 1;

impl From<&Terms> for Saved {
	fn from(terms: &Terms) -> Self {
		Saved {
			version: VERSION,
			filename: terms.filename.clone(),
			mimetype: terms.mimetype.clone(),
			ttl: terms.ttl.map(|ttl| match ttl {
				Ttl::Never => SavedTtl::Never,
				Ttl::Seconds(seconds) => SavedTtl::Seconds(seconds),
			}),
			length: terms.length,
		}
	}
}

impl From<Saved> for Terms {
	fn from(saved: Saved) -> Self {
		Terms {
			filename: saved.filename,
			mimetype: saved.mimetype,
			ttl: saved.ttl.map(|ttl| match ttl {
				SavedTtl::Never => Ttl::Never,
				SavedTtl::Seconds(seconds) => Ttl::Seconds(seconds),
			}),
			length: saved.length,
			resumable: true,
		}
	}
}

/// The folder of all of them.
pub(super) struct Spools {
	folder: PathBuf,
	disk: Disk,
	repo: Repo,
}

/// One of them.
pub(super) struct Spool {
	terms: PathBuf,
	path: PathBuf,
	file: File,
	len: u64,
	/// Of the repository's quota: what came counts before it is there.
	room: Reservation,
	repo: Repo,
	disk: Disk,
	/// Bytes that may be written before the file system is asked how much is free.
	granted: u64,
}

impl Spools {
	/// Opens the folder, and creates it if need be. What is written leaves as much of the disk free as it says.
	pub fn open(folder: &Path, disk: Disk, repo: Repo) -> io::Result<Self> {
		fs::create_dir_all(folder)?;
		Ok(Spools {
			folder: folder.to_owned(),
			disk,
			repo,
		})
	}

	/// Those that an earlier process left. Data without terms is removed, and so are terms that were being written. An
	/// upload whose terms or data cannot be read is logged, and its files stay as they are.
	pub fn restore(&self) -> io::Result<Vec<(String, Terms, Spool)>> {
		let mut restored = Vec::new();
		for entry in fs::read_dir(&self.folder)? {
			let path = entry?.path();
			let id = path
				.file_stem()
				.and_then(|stem| stem.to_str())
				.unwrap_or_default();
			let kind = path.extension().and_then(|extension| extension.to_str());
			let is_name = id.len() == 32 && hex::decode(id).is_ok();
			let outcome = match kind {
				Some("json") if is_name => self
					.restore_one(id)
					.map(|(terms, spool)| restored.push((id.to_owned(), terms, spool))),
				// Its upload ended, or had not begun.
				Some("data") if is_name && !path.with_extension("json").exists() => fs::remove_file(&path),
				Some("data") if is_name => Ok(()),
				// Terms that were being written.
				Some(durable_file::UNFINISHED) => fs::remove_file(&path),
				_ => Ok(()),
			};
			if let Err(error) = outcome {
				tracing::warn!(path = %path.display(), %error, "an unfinished upload cannot be gone on with");
			}
		}
		Ok(restored)
	}

	fn restore_one(&self, id: &str) -> io::Result<(Terms, Spool)> {
		let (terms_path, path) = self.paths(id);
		let mut text = Vec::new();
		File::open(&terms_path)?
			.take(MAX_TERMS_BYTES)
			.read_to_end(&mut text)?;
		let saved: Saved = serde_json::from_slice(&text)?;
		if saved.version != VERSION {
			return Err(io::Error::other(
				"it was begun by a later version of this program",
			));
		}
		let terms = Terms::from(saved);
		let file = OpenOptions::new()
			.read(true)
			.append(true)
			.create(true)
			.open(&path)?;
		let len = file.metadata()?.len();
		let mut spool = self.spool(id, file, len).map_err(io::Error::other)?;
		spool.take_room_again(terms.length);
		Ok((terms, spool))
	}

	/// Begins one, and sets the room for it aside.
	pub fn begin(&self, id: &str, terms: &Terms) -> Result<Spool, Problem> {
		let (_, path) = self.paths(id);
		let file = OpenOptions::new()
			.read(true)
			.append(true)
			.create_new(true)
			.open(&path)
			.map_err(|error| disk_problem(&error))?;
		let begun = self
			.spool(id, file, 0)
			.map_err(|error| upload_problem(&error.into()))
			.and_then(|mut spool| spool.announce(terms).map(|()| spool));
		begun.inspect_err(|_| {
			let _ = fs::remove_file(&path);
		})
	}

	fn spool(&self, id: &str, file: File, len: u64) -> Result<Spool, ReserveError> {
		let (terms, path) = self.paths(id);
		Ok(Spool {
			terms,
			path,
			file,
			len,
			room: self.repo.reserve(0)?,
			repo: self.repo.clone(),
			disk: self.disk.clone(),
			granted: 0,
		})
	}

	fn paths(&self, id: &str) -> (PathBuf, PathBuf) {
		let path = |extension| self.folder.join(id).with_extension(extension);
		(path("json"), path("data"))
	}
}

impl Spool {
	/// Bytes that came.
	pub fn len(&self) -> u64 {
		self.len
	}

	/// Notes what the upload is to become, and sets the room for it aside.
	pub fn announce(&mut self, terms: &Terms) -> Result<(), Problem> {
		self.ensure(terms.length.map_or(self.len, stored_size))?;
		let saved = serde_json::to_vec(&Saved::from(terms)).map_err(io::Error::from);
		saved
			.and_then(|text| durable_file::replace(&self.terms, &text))
			.map_err(|error| disk_problem(&error))
	}

	/// Adds what comes next, or nothing.
	pub fn write(&mut self, data: &[u8]) -> Result<(), Problem> {
		let len = self.len.saturating_add(data.len() as u64);
		self.ensure(len)?;
		self.take_disk(data.len() as u64)?;
		if let Err(error) = self.file.write_all(data) {
			// Else the next bytes would stand behind a part of these.
			self.file
				.set_len(self.len)
				.map_err(|error| disk_problem(&error))?;
			return Err(disk_problem(&error));
		}
		self.len = len;
		Ok(())
	}

	/// Takes bytes of the disk's free ones.
	fn take_disk(&mut self, bytes: u64) -> Result<(), Problem> {
		if self.granted < bytes {
			// A file system that does not tell is used as far as it goes.
			let available = self.disk.available().unwrap_or(u64::MAX);
			self.granted =
				grant(available, bytes).ok_or_else(|| disk_problem(&io::ErrorKind::StorageFull.into()))?;
		}
		self.granted -= bytes;
		Ok(())
	}

	/// Has what came survive a power cut.
	pub fn sync(&self) -> Result<(), Problem> {
		self.file.sync_data().map_err(|error| disk_problem(&error))
	}

	/// What came, from its first byte.
	pub fn read(&self) -> Result<impl Read, Problem> {
		let opened = self.file.try_clone().and_then(|mut file| {
			file.seek(SeekFrom::Start(0))?;
			Ok(file.take(self.len))
		});
		opened.map_err(|error| disk_problem(&error))
	}

	/// The room that was set aside.
	pub fn give_room(&mut self) -> Reservation {
		self.room.split(u64::MAX)
	}

	/// Sets the room for all of it aside again, or as much of it as came. Without room the upload is kept all the
	/// same: whether there is some shows when it is gone on with.
	pub fn take_room_again(&mut self, length: Option<u64>) {
		let whole = length.map_or(self.len, stored_size).max(self.len);
		if self.ensure(whole).is_err() && self.ensure(self.len).is_err() {
			tracing::warn!(bytes = self.len, "the quota has no room for an unfinished upload");
		}
	}

	fn ensure(&mut self, bytes: u64) -> Result<(), Problem> {
		let missing = bytes.saturating_sub(self.room.left());
		if missing == 0 || self.room.grow(missing).is_ok() {
			return Ok(());
		}
		// Makes room, if it can.
		let more = self.repo.reserve(missing);
		self.room
			.absorb(more.map_err(|error| upload_problem(&error.into()))?);
		Ok(())
	}

	/// Removes it.
	pub fn remove(self) {
		for path in [&self.terms, &self.path] {
			match fs::remove_file(path) {
				Ok(()) => {}
				Err(error) if error.kind() == io::ErrorKind::NotFound => {}
				Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove an upload"),
			}
		}
	}
}

/// Bytes that may be written before the file system is asked again, if so many are free; none if `needed` are too many.
fn grant(available: u64, needed: u64) -> Option<u64> {
	(needed <= available).then(|| (available / SHARE).min(ASK_EVERY).max(needed))
}

fn disk_problem(error: &io::Error) -> Problem {
	crate::data::error::disk_problem(error, "upload")
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn the_disk_is_asked_more_often_the_fuller_it_is() {
		let piece = 128 << 10;
		assert_eq!(grant(1 << 40, piece), Some(8 << 20));
		assert_eq!(grant(u64::MAX, piece), Some(8 << 20));
		assert_eq!(grant(64 << 20, piece), Some(1 << 20));
		// Before each piece.
		assert_eq!(grant(1 << 20, piece), Some(piece));
		assert_eq!(grant(piece, piece), Some(piece));
		assert_eq!(grant(piece - 1, piece), None);
		assert_eq!(grant(0, 0), Some(0));
	}
}
