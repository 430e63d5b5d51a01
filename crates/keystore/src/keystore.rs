//! A folder of key files, one account each, under a name of the user's choice.

use crate::{
	key_file::{KeyFile, ParseError},
	private_file::{Overwrite, WriteError},
};
use std::{
	fs::{self, DirBuilder},
	io,
	path::{Path, PathBuf},
};
use thiserror::Error;

/// Longest name of an account.
pub const MAX_NAME_BYTES: usize = 64;

const EXTENSION: &str = "json";

/// Why a keystore did not do as asked.
#[derive(Debug, Error)]
pub enum KeystoreError {
	/// Names are letters, digits, `.`, `_` and `-`, start with a letter or digit, and have at most
	/// [`MAX_NAME_BYTES`] bytes: they become file names.
	#[error(
		"{0:?} is no account name: 1 to {MAX_NAME_BYTES} letters, digits, '.', '_' and '-', a letter or digit first"
	)]
	Name(String),
	/// There is no account of this name.
	#[error("there is no account named {name} in {folder}")]
	Missing {
		/// The name.
		name: String,
		/// The keystore's folder.
		folder: PathBuf,
	},
	/// The account's file is there but cannot be used.
	#[error("account {name}: {source}")]
	File {
		/// The name.
		name: String,
		/// What is wrong with it.
		source: ParseError,
	},
	/// Writing failed, or the name is taken.
	#[error(transparent)]
	Write(#[from] WriteError),
	/// The folder could not be created, listed or changed.
	#[error("cannot use the keystore {folder}: {source}")]
	Folder {
		/// The keystore's folder.
		folder: PathBuf,
		/// Why.
		source: io::Error,
	},
}

/// The key files in a folder. Other files in it are left alone and not listed.
#[derive(Clone, Debug)]
pub struct Keystore {
	folder: PathBuf,
}

impl Keystore {
	/// The keystore in `folder`, which the first [`Keystore::add`] creates, readable by its owner only.
	pub fn new(folder: impl Into<PathBuf>) -> Self {
		Self {
			folder: folder.into(),
		}
	}

	/// Its folder.
	pub fn folder(&self) -> &Path {
		&self.folder
	}

	/// The file of the account of this name, whether it exists or not.
	///
	/// # Errors
	/// [`KeystoreError::Name`].
	pub fn path(&self, name: &str) -> Result<PathBuf, KeystoreError> {
		if !is_name(name) {
			return Err(KeystoreError::Name(name.to_owned()));
		}
		Ok(self.folder.join(format!("{name}.{EXTENSION}")))
	}

	/// The names of all accounts, sorted; none when the folder does not exist.
	///
	/// # Errors
	/// [`KeystoreError::Folder`].
	pub fn names(&self) -> Result<Vec<String>, KeystoreError> {
		let entries = match fs::read_dir(&self.folder) {
			Ok(entries) => entries,
			Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
			Err(error) => return Err(self.folder_error(error)),
		};
		let mut names = Vec::new();
		for entry in entries {
			let path = entry.map_err(|error| self.folder_error(error))?.path();
			if path.extension().is_some_and(|extension| extension == EXTENSION) {
				names.extend(
					path.file_stem()
						.and_then(|stem| stem.to_str())
						.filter(|stem| is_name(stem))
						.map(str::to_owned),
				);
			}
		}
		names.sort_unstable();
		Ok(names)
	}

	/// The key file of an account.
	///
	/// # Errors
	/// [`KeystoreError::Missing`] when there is none, [`KeystoreError::File`] when it is unusable.
	pub fn load(&self, name: &str) -> Result<KeyFile, KeystoreError> {
		KeyFile::load(&self.path(name)?).map_err(|source| match source {
			ParseError::Read(crate::ReadError::Io { source, .. })
				if source.kind() == io::ErrorKind::NotFound =>
			{
				self.missing(name)
			}
			source => KeystoreError::File {
				name: name.to_owned(),
				source,
			},
		})
	}

	/// Stores a key file under a name.
	///
	/// # Errors
	/// [`WriteError::Exists`] when the name is taken and `overwrite` does not allow to replace it.
	pub fn add(&self, name: &str, file: &KeyFile, overwrite: Overwrite) -> Result<(), KeystoreError> {
		let path = self.path(name)?;
		let mut builder = DirBuilder::new();
		builder.recursive(true);
		#[cfg(unix)]
		std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
		builder
			.create(&self.folder)
			.map_err(|error| self.folder_error(error))?;
		Ok(file.store(&path, overwrite)?)
	}

	/// Deletes an account's file. Without another copy or its phrase the account is lost.
	///
	/// # Errors
	/// [`KeystoreError::Missing`], [`KeystoreError::Folder`].
	pub fn remove(&self, name: &str) -> Result<(), KeystoreError> {
		fs::remove_file(self.path(name)?).map_err(|error| match error.kind() {
			io::ErrorKind::NotFound => self.missing(name),
			_ => self.folder_error(error),
		})
	}

	fn missing(&self, name: &str) -> KeystoreError {
		KeystoreError::Missing {
			name: name.to_owned(),
			folder: self.folder.clone(),
		}
	}

	fn folder_error(&self, source: io::Error) -> KeystoreError {
		KeystoreError::Folder {
			folder: self.folder.clone(),
			source,
		}
	}
}

fn is_name(name: &str) -> bool {
	name.len() <= MAX_NAME_BYTES
		&& name.starts_with(|first: char| first.is_ascii_alphanumeric())
		&& name
			.chars()
			.all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{Keypair, Password, ScryptCost};

	fn key_file() -> KeyFile {
		let password = Password::new("password".into()).unwrap();
		KeyFile::encrypt(&Keypair::generate(), &password, "name", ScryptCost::Legacy).unwrap()
	}

	#[test]
	fn adds_lists_loads_and_removes() {
		let parent = tempfile::tempdir().unwrap();
		let keystore = Keystore::new(parent.path().join("deep/keys"));
		assert!(keystore.names().unwrap().is_empty());
		assert!(matches!(keystore.load("a"), Err(KeystoreError::Missing { .. })));

		let (one, two) = (key_file(), key_file());
		keystore.add("b.2", &one, Overwrite::Refuse).unwrap();
		keystore.add("A_1-x", &two, Overwrite::Refuse).unwrap();
		let taken = keystore.add("b.2", &two, Overwrite::Refuse);
		assert!(matches!(taken, Err(KeystoreError::Write(WriteError::Exists(_)))));
		assert!(keystore.load("b.2").unwrap() == one);
		keystore.add("b.2", &two, Overwrite::Replace).unwrap();
		assert!(keystore.load("b.2").unwrap() == two);

		fs::write(keystore.folder().join("notes.txt"), "").unwrap();
		fs::write(keystore.folder().join("bad.json"), "{}").unwrap();
		assert_eq!(keystore.names().unwrap(), ["A_1-x", "b.2", "bad"]);
		assert!(matches!(keystore.load("bad"), Err(KeystoreError::File { .. })));

		keystore.remove("b.2").unwrap();
		assert!(matches!(
			keystore.remove("b.2"),
			Err(KeystoreError::Missing { .. })
		));
		assert_eq!(keystore.names().unwrap(), ["A_1-x", "bad"]);
	}

	#[cfg(unix)]
	#[test]
	fn only_the_owner_may_look() {
		use std::os::unix::fs::PermissionsExt;
		let parent = tempfile::tempdir().unwrap();
		let keystore = Keystore::new(parent.path().join("keys"));
		keystore.add("a", &key_file(), Overwrite::Refuse).unwrap();
		let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
		assert_eq!(mode(keystore.folder()), 0o700);
		assert_eq!(mode(&keystore.path("a").unwrap()), 0o600);
	}

	#[test]
	fn names_stay_in_the_folder() {
		let keystore = Keystore::new("keys");
		for name in [
			"",
			".",
			"..",
			".hidden",
			"../up",
			"a/b",
			"/etc/passwd",
			"a\0",
			"a b",
			"ä",
			&"a".repeat(65),
		] {
			assert!(
				matches!(keystore.path(name), Err(KeystoreError::Name(_))),
				"{name}"
			);
		}
		assert_eq!(
			keystore.path(&"a".repeat(64)).unwrap().file_name().unwrap().len(),
			69
		);
	}
}
