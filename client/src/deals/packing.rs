//! From files to the archive that providers store, and its commitment.

use crate::{
	error::{CliError, ErrorKind},
	progress::Progress,
};
use cairn_car::{pack_to_file, PackOptions, Packed};
use cairn_primitives::{draw::blake2_256, PieceInfo};
use cairn_provider_api::Hash32;
use cairn_proving::CommPHasher;
use indicatif::ProgressBar;
use std::{
	fs::{self, File},
	io::{self, Read},
	path::{Path, PathBuf},
	time::UNIX_EPOCH,
};

/// Bytes read at a time when hashing.
const CHUNK: usize = 4 << 20;
/// Most files whose names and times are remembered to notice changes.
const MAX_FINGERPRINTED: usize = 10_000_000;

/// Packs files and folders into a CARv2 at `archive`, with progress, off the executor.
pub async fn pack(
	sources: &[PathBuf],
	archive: &Path,
	options: PackOptions,
	progress: &Progress,
) -> Result<Packed, CliError> {
	let (sources, archive) = (sources.to_vec(), archive.to_owned());
	let bar = progress.counted_bytes("packing");
	tokio::task::spawn_blocking(move || {
		if let Some(folder) = archive.parent() {
			fs::create_dir_all(folder)?;
		}
		let packed = pack_to_file(&sources, &archive, &options, &mut |progress| {
			bar.set_position(progress.content_bytes);
			if let Some(name) = progress.path.and_then(|path| path.file_name()) {
				bar.set_message(name.to_string_lossy().into_owned());
			}
		})?;
		bar.finish_and_clear();
		Ok(packed)
	})
	.await?
}

/// The piece that a file's bytes form: CommP and sizes, with progress, off the executor.
pub async fn piece_of(file: &Path, progress: &Progress) -> Result<PieceInfo, CliError> {
	let path = file.to_owned();
	let size = fs::metadata(&path)
		.map_err(|error| CliError::from(error).during(path.display()))?
		.len();
	let bar = progress.bytes("computing CommP", size);
	tokio::task::spawn_blocking(move || {
		let file = File::open(&path).map_err(|error| CliError::from(error).during(path.display()))?;
		piece_of_reader(file, &bar)
	})
	.await?
}

/// The piece that the bytes of a reader form, counted by a bar.
pub fn piece_of_reader(mut reader: impl Read, bar: &ProgressBar) -> Result<PieceInfo, CliError> {
	let mut hasher = CommPHasher::new();
	let mut buffer = vec![0; CHUNK];
	loop {
		let read = reader.read(&mut buffer)?;
		if read == 0 {
			break;
		}
		hasher.update(&buffer[..read]);
		bar.inc(read as u64);
	}
	bar.finish_and_clear();
	let piece = hasher.finish()?;
	if !piece.is_valid() {
		return Err(CliError::new(ErrorKind::File, "the archive is empty"));
	}
	Ok(piece)
}

/// Names, kinds, sizes and times of files and everything in folders, hashed: tells whether they changed
/// between two runs. Links are not followed.
pub fn fingerprint(sources: &[PathBuf]) -> io::Result<Hash32> {
	let mut entries = Vec::new();
	let mut pending: Vec<PathBuf> = sources.to_vec();
	while let Some(path) = pending.pop() {
		let metadata = fs::symlink_metadata(&path)?;
		let modified = metadata
			.modified()?
			.duration_since(UNIX_EPOCH)
			.unwrap_or_default();
		let kind = if metadata.is_dir() { b'd' } else { b'f' };
		let size = if metadata.is_dir() { 0 } else { metadata.len() };
		if metadata.is_dir() {
			for entry in fs::read_dir(&path)? {
				pending.push(entry?.path());
			}
		}
		entries.push((
			path.into_os_string().into_encoded_bytes(),
			kind,
			size,
			modified.as_nanos(),
		));
		if entries.len() > MAX_FINGERPRINTED {
			return Err(io::Error::other("too many files for one object"));
		}
	}
	entries.sort();
	let mut text = Vec::new();
	for (path, kind, size, modified) in entries {
		text.extend_from_slice(&(path.len() as u64).to_le_bytes());
		text.extend_from_slice(&path);
		text.push(kind);
		text.extend_from_slice(&size.to_le_bytes());
		text.extend_from_slice(&modified.to_le_bytes());
	}
	Ok(Hash32(blake2_256(&[&text])))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn fingerprints_notice_changes() {
		let folder = tempfile::tempdir().unwrap();
		let sources = [folder.path().join("a"), folder.path().join("b")];
		fs::create_dir(&sources[0]).unwrap();
		fs::write(sources[0].join("x"), "1").unwrap();
		fs::write(&sources[1], "2").unwrap();
		let first = fingerprint(&sources).unwrap();
		assert_eq!(fingerprint(&sources).unwrap(), first);
		fs::write(sources[0].join("y"), "").unwrap();
		let second = fingerprint(&sources).unwrap();
		assert_ne!(second, first);
		fs::write(&sources[1], "22").unwrap();
		assert_ne!(fingerprint(&sources).unwrap(), second);
		assert!(fingerprint(&[folder.path().join("missing")]).is_err());
	}
}
