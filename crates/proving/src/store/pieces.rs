//! Pieces of the store.

use super::{at, SectorStore, StoreError};
use crate::{
	commp::{feed, CommPError, CommPHasher, HashedPiece, BATCH},
	data::PieceFolder,
	durable,
	error::{DataFault, ProveError},
	rows::Rows,
};
use cairn_primitives::PieceInfo;
use std::{
	fs::{self, File},
	io::{self, Write},
	path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

impl SectorStore {
	/// Starts to receive a piece. Nothing is visible until [`PieceWriter::finish`].
	///
	/// # Errors
	/// [`StoreError::Io`].
	pub fn begin_piece(&self) -> Result<PieceWriter, StoreError> {
		let incoming = self.incoming();
		let hasher = CommPHasher::with_rows(&incoming).map_err(at(&incoming))?;
		let file = NamedTempFile::new_in(&incoming).map_err(at(&incoming))?;
		Ok(PieceWriter {
			store: self.clone(),
			hasher,
			file,
			batch: Vec::new(),
		})
	}

	/// Takes over a finished upload: hashes `file` and moves it in (copies it from another file
	/// system). The file stays where it is if it is not the expected piece.
	///
	/// # Errors
	/// [`StoreError::PieceMismatch`], [`StoreError::EmptyPiece`], [`StoreError::PieceTooLarge`],
	/// [`StoreError::Io`].
	pub fn adopt_piece(&self, file: &Path, expected: Option<&PieceInfo>) -> Result<PieceInfo, StoreError> {
		self.hash_upload(file, expected)?.adopt()
	}

	/// The first half of [`Self::adopt_piece`]: hashes a finished upload, which must not change from now on. The store
	/// is as it was until [`HashedUpload::adopt`], so that what else there is to say of the upload can be found out
	/// before others see the piece.
	///
	/// # Errors
	/// As [`Self::adopt_piece`].
	pub fn hash_upload(&self, file: &Path, expected: Option<&PieceInfo>) -> Result<HashedUpload, StoreError> {
		Ok(HashedUpload {
			store: self.clone(),
			file: file.to_owned(),
			hashed: self.hash(file, expected)?,
		})
	}

	fn move_in(&self, file: &Path, info: &PieceInfo) -> Result<(), StoreError> {
		let target = self.piece_path(info);
		let moved = File::open(file)
			.and_then(|f| f.sync_all())
			.and_then(|()| fs::rename(file, &target));
		match moved {
			Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
				let incoming = self.incoming();
				let mut copy = NamedTempFile::new_in(&incoming).map_err(at(&incoming))?;
				let copied = File::open(file).and_then(|mut source| io::copy(&mut source, &mut copy));
				if copied.map_err(at(file))? != info.payload_size {
					return Err(at(file)(io::Error::other("the file changed while it was copied")));
				}
				durable::persist(copy, &target).map_err(at(&target))?;
				fs::remove_file(file).map_err(at(file))?;
			}
			other => {
				other.map_err(at(file))?;
				durable::sync_parent(&target).map_err(at(&target))?;
			}
		}
		Ok(())
	}

	/// Whether the piece's files are there with the right lengths. Reads no data: see
	/// [`Self::check_piece`].
	pub fn has_piece(&self, piece: &PieceInfo) -> bool {
		let has = |path: PathBuf, len| fs::metadata(path).is_ok_and(|meta| meta.len() == len);
		let shape = PieceFolder::shape(piece);
		piece.is_valid()
			&& has(self.piece_path(piece), piece.payload_size)
			&& (shape.base == shape.height || has(self.inner.pieces.rows(piece), shape.len()))
	}

	/// The piece's raw payload.
	pub fn piece_path(&self, piece: &PieceInfo) -> PathBuf {
		self.inner.pieces.payload(piece)
	}

	/// Hashes the whole piece and compares it with its commitment; writes its rows anew if they are
	/// gone or damaged.
	///
	/// # Errors
	/// [`StoreError::Piece`] with the fault if the payload is not the piece; [`StoreError::Io`].
	pub fn check_piece(&self, piece: &PieceInfo) -> Result<(), StoreError> {
		drop(self.inner.pieces.open_payload(piece).map_err(StoreError::Piece)?);
		let path = self.piece_path(piece);
		match self.hash(&path, Some(piece)) {
			Ok(hashed) => self.store_rows(hashed),
			Err(StoreError::PieceMismatch { .. }) => {
				let fault = DataFault::Corrupt {
					leaf: self.first_difference(piece).unwrap_or(0),
				};
				Err(StoreError::Piece(ProveError::Piece {
					commitment: piece.commitment,
					path,
					fault,
				}))
			}
			Err(other) => Err(other),
		}
	}

	/// First leaf of the first sub-tree that differs from the stored rows.
	fn first_difference(&self, piece: &PieceInfo) -> Option<u64> {
		let shape = PieceFolder::shape(piece);
		let stored = Rows::open(&self.inner.pieces.rows(piece), shape).ok()?;
		let mut hasher = CommPHasher::with_rows(&self.incoming()).ok()?;
		feed(&mut hasher, File::open(self.piece_path(piece)).ok()?, io::sink()).ok()?;
		let hashed = hasher.finish_rows(Some(piece.size_log2)).ok()?;
		let found = Rows::open(hashed.rows?.path(), shape).ok()?;
		stored.first_difference(&found)
	}

	/// The pieces in the store, in no order.
	///
	/// # Errors
	/// [`StoreError::Io`].
	pub fn pieces(&self) -> Result<Vec<PieceInfo>, StoreError> {
		let folder = &self.inner.pieces.0;
		let mut pieces = Vec::new();
		for entry in fs::read_dir(folder).map_err(at(folder))? {
			let name = entry.map_err(at(folder))?.file_name();
			let stem = name.to_str().and_then(|name| name.strip_suffix(".car"));
			pieces.extend(stem.and_then(PieceFolder::parse));
		}
		Ok(pieces)
	}

	/// Removes a piece. An absent one is fine. Only the caller knows whether a sector needs it.
	///
	/// # Errors
	/// [`StoreError::Io`].
	pub fn remove_piece(&self, piece: &PieceInfo) -> Result<(), StoreError> {
		for path in [self.piece_path(piece), self.inner.pieces.rows(piece)] {
			durable::remove(&path).map_err(at(path))?;
		}
		Ok(())
	}

	/// Hashes a file and compares it with what is expected.
	fn hash(&self, file: &Path, expected: Option<&PieceInfo>) -> Result<HashedPiece, StoreError> {
		let incoming = self.incoming();
		let mut hasher = CommPHasher::with_rows(&incoming).map_err(at(&incoming))?;
		feed(&mut hasher, File::open(file).map_err(at(file))?, io::sink()).map_err(at(file))?;
		finish(hasher, expected, &incoming)
	}

	/// Removes rows whose payload never arrived, for instance because the disk was full.
	fn remove_lone_rows(&self, piece: &PieceInfo) {
		if !self.piece_path(piece).is_file() {
			// What cannot be removed costs space only, and is found again at the next start.
			let _ = durable::remove(&self.inner.pieces.rows(piece));
		}
	}

	/// As [`Self::remove_lone_rows`], for all that a crash left.
	pub(super) fn remove_all_lone_rows(&self) -> Result<(), StoreError> {
		let folder = &self.inner.pieces.0;
		for entry in fs::read_dir(folder).map_err(at(folder))? {
			let name = entry.map_err(at(folder))?.file_name();
			let stem = name.to_str().and_then(|name| name.strip_suffix(".rows"));
			if let Some(piece) = stem.and_then(PieceFolder::parse) {
				self.remove_lone_rows(&piece);
			}
		}
		Ok(())
	}

	fn store_rows(&self, hashed: HashedPiece) -> Result<(), StoreError> {
		let path = self.inner.pieces.rows(&hashed.info);
		match hashed.rows {
			Some(rows) => durable::persist(rows, &path).map_err(at(path)),
			None => Ok(()),
		}
	}
}

fn finish(
	hasher: CommPHasher,
	expected: Option<&PieceInfo>,
	incoming: &Path,
) -> Result<HashedPiece, StoreError> {
	if hasher.payload_size() == 0 {
		return Err(StoreError::EmptyPiece);
	}
	let hashed = hasher
		.finish_rows(expected.map(|piece| piece.size_log2))
		.map_err(|e| match e {
			CommPError::TooLarge { payload_size } => StoreError::PieceTooLarge { payload_size },
			CommPError::Io(e) => at(incoming)(e),
		})?;
	match expected {
		Some(expected) if *expected != hashed.info => Err(StoreError::PieceMismatch {
			expected: Box::new(*expected),
			found: Box::new(hashed.info),
		}),
		_ => Ok(hashed),
	}
}

/// A finished upload that is a piece, but not in the store yet. Dropped, it changes nothing.
pub struct HashedUpload {
	store: SectorStore,
	file: PathBuf,
	hashed: HashedPiece,
}

impl HashedUpload {
	/// Moves the upload into the store (copies it from another file system).
	///
	/// # Errors
	/// [`StoreError::Io`]: the file stays where it is.
	pub fn adopt(self) -> Result<PieceInfo, StoreError> {
		let info = self.hashed.info;
		self.store.store_rows(self.hashed)?;
		self.store
			.move_in(&self.file, &info)
			.inspect_err(|_| self.store.remove_lone_rows(&info))?;
		Ok(info)
	}
}

/// Receives a piece's payload, hashing it on the way. Dropped unfinished, it leaves nothing.
pub struct PieceWriter {
	store: SectorStore,
	hasher: CommPHasher,
	file: NamedTempFile,
	batch: Vec<u8>,
}

impl PieceWriter {
	/// Bytes received so far.
	pub fn payload_size(&self) -> u64 {
		self.hasher.payload_size() + self.batch.len() as u64
	}

	/// Writes and hashes what has come together, at the same time.
	fn flush_batch(&mut self) -> io::Result<()> {
		let (hasher, file, batch) = (&mut self.hasher, &mut self.file, &self.batch);
		let (written, ()) = rayon::join(|| file.write_all(batch), || hasher.update(batch));
		self.batch.clear();
		written
	}

	/// Makes the piece visible, synced to disk. With `expected`, only if it is that piece.
	///
	/// # Errors
	/// [`StoreError::PieceMismatch`], [`StoreError::EmptyPiece`], [`StoreError::PieceTooLarge`],
	/// [`StoreError::Io`].
	pub fn finish(self, expected: Option<&PieceInfo>) -> Result<PieceInfo, StoreError> {
		self.finish_open(expected).map(|(info, _)| info)
	}

	/// As [`Self::finish`]; gives the payload too, open at its start.
	pub(super) fn finish_open(
		mut self,
		expected: Option<&PieceInfo>,
	) -> Result<(PieceInfo, File), StoreError> {
		let incoming = self.store.incoming();
		self.flush_batch().map_err(at(&incoming))?;
		let hashed = finish(self.hasher, expected, &incoming)?;
		let info = hashed.info;
		self.store.store_rows(hashed)?;
		let path = self.store.piece_path(&info);
		match durable::persist_open(self.file, &path) {
			Ok(payload) => Ok((info, payload)),
			Err(error) => {
				self.store.remove_lone_rows(&info);
				Err(at(path)(error))
			}
		}
	}
}

impl Write for PieceWriter {
	fn write(&mut self, payload: &[u8]) -> io::Result<usize> {
		let taken = payload.len().min(BATCH - self.batch.len());
		self.batch.extend_from_slice(&payload[..taken]);
		if self.batch.len() == BATCH {
			self.flush_batch()?;
		}
		Ok(taken)
	}

	/// Does nothing: payload is written in batches, and durable only after `finish`.
	fn flush(&mut self) -> io::Result<()> {
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::commp::{piece_info, BASE_PAYLOAD};

	fn store() -> (tempfile::TempDir, SectorStore) {
		let dir = tempfile::tempdir().unwrap();
		let store = SectorStore::open(dir.path().join("store")).unwrap();
		(dir, store)
	}

	fn payload(len: usize) -> Vec<u8> {
		(0..len).map(|i| (i * 7 / 5) as u8).collect()
	}

	fn leftovers(store: &SectorStore) -> usize {
		fs::read_dir(store.incoming()).unwrap().count()
	}

	#[test]
	fn a_written_piece_is_found_and_intact() {
		let (_dir, store) = store();
		for len in [1, 5000, 3 * BASE_PAYLOAD + 9, BATCH + 1] {
			let payload = payload(len);
			let expected = piece_info(&payload[..]).unwrap();
			assert!(!store.has_piece(&expected));
			let mut writer = store.begin_piece().unwrap();
			for part in payload.chunks(70_001) {
				writer.write_all(part).unwrap();
			}
			assert_eq!(writer.payload_size(), len as u64);
			assert_eq!(writer.finish(Some(&expected)).unwrap(), expected);
			assert!(store.has_piece(&expected));
			assert_eq!(fs::read(store.piece_path(&expected)).unwrap(), payload);
			store.check_piece(&expected).unwrap();
		}
		assert_eq!(store.pieces().unwrap().len(), 4);
		for piece in store.pieces().unwrap() {
			store.remove_piece(&piece).unwrap();
			store.remove_piece(&piece).unwrap();
		}
		assert!(store.pieces().unwrap().is_empty());
		assert_eq!(leftovers(&store), 0);
	}

	#[test]
	fn a_wrong_or_abandoned_upload_leaves_nothing() {
		let (_dir, store) = store();
		let expected = piece_info(&payload(5000)[..]).unwrap();
		let mut writer = store.begin_piece().unwrap();
		writer.write_all(&payload(4999)).unwrap();
		assert!(matches!(
			writer.finish(Some(&expected)),
			Err(StoreError::PieceMismatch { .. })
		));
		let mut writer = store.begin_piece().unwrap();
		writer.write_all(&payload(100_000)).unwrap();
		assert!(matches!(
			writer.finish(Some(&expected)),
			Err(StoreError::PieceTooLarge {
				payload_size: 100_000
			})
		));
		assert!(matches!(
			store.begin_piece().unwrap().finish(None),
			Err(StoreError::EmptyPiece)
		));
		let mut writer = store.begin_piece().unwrap();
		writer.write_all(&[1]).unwrap();
		drop(writer);
		assert!(store.pieces().unwrap().is_empty());
		assert_eq!(leftovers(&store), 0);
	}

	#[test]
	fn adopting_moves_the_file_or_leaves_it() {
		let (dir, store) = store();
		let upload = dir.path().join("upload");
		fs::write(&upload, payload(100_000)).unwrap();
		let other = piece_info(&payload(100_001)[..]).unwrap();
		assert!(matches!(
			store.adopt_piece(&upload, Some(&other)),
			Err(StoreError::PieceMismatch { .. })
		));
		assert!(upload.exists());
		let info = store.adopt_piece(&upload, None).unwrap();
		assert!(!upload.exists());
		assert!(store.has_piece(&info));
		store.check_piece(&info).unwrap();
	}

	#[test]
	fn a_hashed_upload_is_not_in_the_store_until_it_is_adopted() {
		let (dir, store) = store();
		let upload = dir.path().join("upload");
		fs::write(&upload, payload(100_000)).unwrap();
		drop(store.hash_upload(&upload, None).unwrap());
		let hashed = store.hash_upload(&upload, None).unwrap();
		assert!(store.pieces().unwrap().is_empty() && upload.exists());
		let info = hashed.adopt().unwrap();
		assert!(store.has_piece(&info) && !upload.exists());
		assert_eq!(leftovers(&store), 0);
	}

	/// Rows get their name before the payload does.
	#[test]
	fn a_payload_that_cannot_be_kept_leaves_no_rows() {
		let (dir, store) = store();
		let bytes = payload(5 * BASE_PAYLOAD);
		let info = piece_info(&bytes[..]).unwrap();
		let rows = store.inner.pieces.rows(&info);
		// A folder in its place keeps the payload from getting its name.
		fs::create_dir(store.piece_path(&info)).unwrap();
		let mut writer = store.begin_piece().unwrap();
		writer.write_all(&bytes).unwrap();
		assert!(matches!(writer.finish(Some(&info)), Err(StoreError::Io { .. })));
		assert!(!rows.exists());
		let upload = dir.path().join("upload");
		fs::write(&upload, &bytes).unwrap();
		assert!(matches!(
			store.adopt_piece(&upload, Some(&info)),
			Err(StoreError::Io { .. })
		));
		assert!(!rows.exists() && upload.exists());
		assert_eq!(leftovers(&store), 0);
		fs::remove_dir(store.piece_path(&info)).unwrap();

		// As a crash between the two leaves it.
		store.adopt_piece(&upload, None).unwrap();
		fs::rename(store.piece_path(&info), &upload).unwrap();
		let root = store.root().to_owned();
		drop(store);
		let store = SectorStore::open(&root).unwrap();
		assert!(!rows.exists());
		store.adopt_piece(&upload, None).unwrap();
		drop(store);
		assert!(SectorStore::open(&root).unwrap().has_piece(&info) && rows.exists());
	}

	/// Payloads that differ in trailing zeros have the same commitment.
	#[test]
	fn equal_commitments_do_not_collide() {
		let (_dir, store) = store();
		let mut infos = Vec::new();
		for len in [1000, 1001] {
			let mut bytes = payload(1000);
			bytes.resize(len, 0);
			let mut writer = store.begin_piece().unwrap();
			writer.write_all(&bytes).unwrap();
			infos.push(writer.finish(None).unwrap());
		}
		assert_eq!(infos[0].commitment, infos[1].commitment);
		assert!(store.has_piece(&infos[0]) && store.has_piece(&infos[1]));
		store.remove_piece(&infos[1]).unwrap();
		store.check_piece(&infos[0]).unwrap();
	}

	#[test]
	fn checking_names_damage_and_mends_rows() {
		let (_dir, store) = store();
		let mut writer = store.begin_piece().unwrap();
		writer.write_all(&payload(5 * BASE_PAYLOAD)).unwrap();
		let info = writer.finish(None).unwrap();
		let rows = store.inner.pieces.rows(&info);
		let intact = fs::read(&rows).unwrap();
		for damage in [Vec::new(), vec![0; intact.len()]] {
			fs::write(&rows, damage).unwrap();
			store.check_piece(&info).unwrap();
			assert_eq!(fs::read(&rows).unwrap(), intact);
		}
		let path = store.piece_path(&info);
		let mut bytes = fs::read(&path).unwrap();
		bytes[2 * BASE_PAYLOAD + 5] ^= 1;
		fs::write(&path, &bytes).unwrap();
		assert!(matches!(
			store.check_piece(&info),
			Err(StoreError::Piece(ProveError::Piece {
				fault: DataFault::Corrupt { leaf: 2048 },
				..
			}))
		));
		bytes.pop();
		fs::write(&path, &bytes).unwrap();
		assert!(matches!(
			store.check_piece(&info),
			Err(StoreError::Piece(ProveError::Piece {
				fault: DataFault::Truncated { .. },
				..
			}))
		));
		fs::remove_file(&path).unwrap();
		assert!(matches!(
			store.check_piece(&info),
			Err(StoreError::Piece(ProveError::Piece {
				fault: DataFault::Missing,
				..
			}))
		));
	}
}
