//! Passwords, and where they come from.

use crate::private_file::{read_bounded, ReadError};
use std::{
	env::{self, VarError},
	fmt, io,
	path::{Path, PathBuf},
	str::FromStr,
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longer passwords are refused.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// A password. Wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
	/// Takes a password over.
	///
	/// # Errors
	/// [`PasswordError::TooLong`] beyond [`MAX_PASSWORD_BYTES`].
	pub fn new(text: String) -> Result<Self, PasswordError> {
		let text = Zeroizing::new(text);
		if text.len() > MAX_PASSWORD_BYTES {
			return Err(PasswordError::TooLong);
		}
		Ok(Self(text))
	}

	/// Its text.
	pub fn as_str(&self) -> &str {
		&self.0
	}
}

impl fmt::Debug for Password {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("Password(..)")
	}
}

/// Why there is no password.
#[derive(Debug, Error)]
pub enum PasswordError {
	/// More than [`MAX_PASSWORD_BYTES`].
	#[error("a password has at most {MAX_PASSWORD_BYTES} bytes")]
	TooLong,
	/// Passwords are UTF-8.
	#[error("the password is not UTF-8")]
	NotUtf8,
	/// The environment variable is not set.
	#[error("the environment variable {0} is not set")]
	NotSet(String),
	/// The prompt failed, for instance because there is no terminal.
	#[error("cannot ask for a password: {0}")]
	Prompt(#[source] io::Error),
	/// The file or descriptor could not be read.
	#[error(transparent)]
	Read(#[from] ReadError),
}

/// Where a program gets a password from. Never from its arguments, which every user of the machine sees.
///
/// As text: `prompt`, `env:NAME`, `fd:3`, `file:/run/secrets/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
	/// Ask on the terminal.
	Prompt,
	/// The value of this environment variable.
	Environment(String),
	/// An open file descriptor: a pipe, or a file the shell opened. Read through `/dev/fd`.
	Descriptor(u32),
	/// A file, such as a service manager's credential.
	File(PathBuf),
}

impl PasswordSource {
	/// Reads the password; `prompt` asks for it without echo, and is called for [`PasswordSource::Prompt`]
	/// only. One line end after a password from a file or descriptor is not part of it.
	///
	/// # Errors
	/// [`PasswordError`].
	pub fn read(&self, prompt: impl FnOnce() -> io::Result<String>) -> Result<Password, PasswordError> {
		match self {
			Self::Prompt => Password::new(prompt().map_err(PasswordError::Prompt)?),
			Self::Environment(name) => match env::var(name) {
				Ok(value) => Password::new(value),
				Err(VarError::NotPresent) => Err(PasswordError::NotSet(name.clone())),
				Err(VarError::NotUnicode(_)) => Err(PasswordError::NotUtf8),
			},
			Self::Descriptor(number) => read_file(Path::new(&format!("/dev/fd/{number}"))),
			Self::File(path) => read_file(path),
		}
	}
}

fn read_file(path: &Path) -> Result<Password, PasswordError> {
	// Two more for the line end.
	let bytes = Zeroizing::new(read_bounded(path, MAX_PASSWORD_BYTES as u64 + 2)?);
	let text = std::str::from_utf8(&bytes).map_err(|_| PasswordError::NotUtf8)?;
	let line = text
		.strip_suffix('\n')
		.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
	Password::new(line.to_owned())
}

/// The text names no source of a password. Carries nothing of it: somebody may have written the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a password comes from prompt, env:NAME, fd:NUMBER or file:PATH")]
pub struct PasswordSourceParseError;

impl FromStr for PasswordSource {
	type Err = PasswordSourceParseError;

	fn from_str(text: &str) -> Result<Self, Self::Err> {
		match text.split_once(':') {
			None if text == "prompt" => Ok(Self::Prompt),
			Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
				Ok(Self::Environment(name.to_owned()))
			}
			Some(("fd", number)) => number
				.parse()
				.map(Self::Descriptor)
				.map_err(|_| PasswordSourceParseError),
			Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
			_ => Err(PasswordSourceParseError),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::fs;

	fn no_prompt() -> io::Result<String> {
		panic!("this source does not ask")
	}

	#[test]
	fn reads_files_without_their_line_end() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("password");
		for (written, read) in [
			("pass", "pass"),
			("pass\n", "pass"),
			("pass\r\n", "pass"),
			("p \n\n", "p \n"),
			("", ""),
		] {
			fs::write(&path, written).unwrap();
			assert_eq!(
				PasswordSource::File(path.clone())
					.read(no_prompt)
					.unwrap()
					.as_str(),
				read
			);
		}
		fs::write(&path, [0xff]).unwrap();
		assert!(matches!(
			PasswordSource::File(path.clone()).read(no_prompt),
			Err(PasswordError::NotUtf8)
		));
		for size in [MAX_PASSWORD_BYTES + 1, 10_000_000] {
			fs::write(&path, "x".repeat(size)).unwrap();
			assert!(PasswordSource::File(path.clone()).read(no_prompt).is_err());
		}
		fs::remove_file(&path).unwrap();
		assert!(matches!(
			PasswordSource::File(path).read(no_prompt),
			Err(PasswordError::Read(_))
		));
	}

	#[cfg(unix)]
	#[test]
	fn reads_a_descriptor() {
		use std::{io::Write, os::fd::AsRawFd};
		let (reader, mut writer) = io::pipe().unwrap();
		writer.write_all("päss\n".as_bytes()).unwrap();
		drop(writer);
		let source = PasswordSource::Descriptor(reader.as_raw_fd() as u32);
		assert_eq!(source.read(no_prompt).unwrap().as_str(), "päss");
	}

	#[test]
	fn reads_the_environment() {
		let missing = "CAIRN_KEYSTORE_TEST_MISSING";
		let source = PasswordSource::Environment(missing.into());
		assert!(matches!(source.read(no_prompt), Err(PasswordError::NotSet(name)) if name == missing));
		// Cargo sets this one for tests.
		let source = PasswordSource::Environment("CARGO_PKG_NAME".into());
		assert_eq!(source.read(no_prompt).unwrap().as_str(), "cairn-keystore");
	}

	#[test]
	fn asks() {
		assert_eq!(
			PasswordSource::Prompt
				.read(|| Ok("typed".into()))
				.unwrap()
				.as_str(),
			"typed"
		);
		let failed = PasswordSource::Prompt.read(|| Err(io::ErrorKind::NotConnected.into()));
		assert!(matches!(failed, Err(PasswordError::Prompt(_))));
	}

	#[test]
	fn is_named_by_text() {
		let parse = |text: &str| text.parse::<PasswordSource>();
		assert_eq!(parse("prompt"), Ok(PasswordSource::Prompt));
		assert_eq!(parse("env:KEY"), Ok(PasswordSource::Environment("KEY".into())));
		assert_eq!(parse("fd:3"), Ok(PasswordSource::Descriptor(3)));
		assert_eq!(parse("file:/a:b"), Ok(PasswordSource::File("/a:b".into())));
		for text in [
			"", "hunter2", "env:", "env:A=B", "fd:", "fd:-1", "fd:x", "file:", "prompt:",
		] {
			assert_eq!(parse(text), Err(PasswordSourceParseError), "{text}");
		}
	}

	#[test]
	fn debug_shows_no_secret() {
		assert_eq!(
			format!("{:?}", Password::new("secret".into()).unwrap()),
			"Password(..)"
		);
	}
}
