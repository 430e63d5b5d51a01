//! The key that names the provider's host: `identity` in the network's folder, libp2p's protobuf form of an ed25519
//! key, readable by its user only.
//!
//! It is not encrypted, because it guards no money: whoever has it can pass for the host, but not for the account
//! whose registration names the host.

use cairn_network::identity::{Identity, IdentityError};
use std::{
	fs::{self, File},
	io::{self, Write},
	path::{Path, PathBuf},
};

/// Longest file that is read: a key takes 68 bytes.
const MAX_LEN: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
	/// The file system failed.
	#[error("cannot use {}", path.display())]
	Io {
		/// The file or folder.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
	/// The file holds something else.
	#[error("{} is not a host's key: restore it, or remove it to become a new peer", path.display())]
	Content {
		/// The file.
		path: PathBuf,
		/// What is wrong with it.
		source: IdentityError,
	},
}

/// The host's key in `folder`; a new one the first time.
///
/// # Errors
/// See [`IdentityFileError`]. A file that is there is never replaced.
pub fn load_or_create(folder: &Path) -> Result<Identity, IdentityFileError> {
	let path = folder.join("identity");
	let failed = |source| IdentityFileError::Io {
		path: path.clone(),
		source,
	};
	match read(&path) {
		Ok(bytes) => {
			return Identity::from_protobuf(&bytes).map_err(|source| IdentityFileError::Content {
				path: path.clone(),
				source,
			})
		}
		Err(error) if error.kind() == io::ErrorKind::NotFound => {}
		Err(error) => return Err(failed(error)),
	}
	let identity = Identity::generate();
	match create(folder, &path, &identity.to_protobuf()) {
		Ok(()) => Ok(identity),
		// Another process was faster: both are the same peer.
		Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load_or_create(folder),
		Err(error) => Err(failed(error)),
	}
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
	let mut bytes = Vec::new();
	io::Read::read_to_end(&mut io::Read::take(File::open(path)?, MAX_LEN), &mut bytes)?;
	Ok(bytes)
}

/// Writes the file as a whole or not at all, for its user's eyes only.
fn create(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
	fs::create_dir_all(folder)?;
	// Temporary files are made for their user only.
	let mut file = tempfile::NamedTempFile::new_in(folder)?;
	file.write_all(bytes)?;
	file.as_file().sync_all()?;
	file.persist_noclobber(path)?;
	File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::os::unix::fs::PermissionsExt;

	#[test]
	fn a_key_is_made_once_and_kept_private() {
		let base = tempfile::tempdir().unwrap();
		let folder = base.path().join("network");
		let first = load_or_create(&folder).unwrap();
		let again = load_or_create(&folder).unwrap();
		assert_eq!(first.peer_id(), again.peer_id());
		let mode = fs::metadata(folder.join("identity"))
			.unwrap()
			.permissions()
			.mode();
		assert_eq!(mode & 0o777, 0o600);
		assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
	}

	#[test]
	fn what_is_no_key_is_neither_used_nor_replaced() {
		let base = tempfile::tempdir().unwrap();
		let path = base.path().join("identity");
		for content in [&b""[..], b"not a key", &[0x08; 2000]] {
			fs::write(&path, content).unwrap();
			let error = load_or_create(base.path()).unwrap_err();
			assert!(matches!(error, IdentityFileError::Content { .. }), "{error}");
			assert_eq!(fs::read(&path).unwrap(), content);
		}
	}
}
