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
	/// A new password was typed in two ways.
	#[error("the passwords differ")]
	Differ,
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
	/// Reads the password. [`PasswordSource::Prompt`] asks `question` on the process's terminal, whatever its
	/// standard input is, and what is typed is not shown. One line end after a password from a file or descriptor
	/// is not part of it.
	///
	/// # Errors
	/// [`PasswordError`].
	pub fn read(&self, question: &str) -> Result<Password, PasswordError> {
		self.read_or_ask(question, ask)
	}

	/// Reads a password that is to protect something from now on: asks for it twice where it is typed.
	///
	/// # Errors
	/// [`PasswordError::Differ`]; as [`Self::read`].
	pub fn read_new(&self, question: &str) -> Result<Password, PasswordError> {
		self.read_new_or_ask(question, ask)
	}

	fn read_new_or_ask(
		&self,
		question: &str,
		ask: impl Fn(&str) -> io::Result<String>,
	) -> Result<Password, PasswordError> {
		let password = self.read_or_ask(question, &ask)?;
		if *self == Self::Prompt && self.read_or_ask("Once more: ", &ask)?.as_str() != password.as_str() {
			return Err(PasswordError::Differ);
		}
		Ok(password)
	}

	fn read_or_ask(
		&self,
		question: &str,
		ask: impl Fn(&str) -> io::Result<String>,
	) -> Result<Password, PasswordError> {
		match self {
			Self::Prompt => Password::new(ask(question).map_err(PasswordError::Prompt)?),
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

/// Asks on the process's terminal with its echo off.
fn ask(question: &str) -> io::Result<String> {
	rpassword::prompt_password(question)
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

	/// Reads from a source that must not ask.
	fn read(source: &PasswordSource) -> Result<Password, PasswordError> {
		source.read_new_or_ask("", |_| panic!("this source does not ask"))
	}

	#[test]
	fn reads_files_without_their_line_end() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("password");
		for (written, expected) in [
			("pass", "pass"),
			("pass\n", "pass"),
			("pass\r\n", "pass"),
			("p \n\n", "p \n"),
			("", ""),
		] {
			fs::write(&path, written).unwrap();
			let source = PasswordSource::File(path.clone());
			assert_eq!(read(&source).unwrap().as_str(), expected);
		}
		fs::write(&path, [0xff]).unwrap();
		assert!(matches!(
			read(&PasswordSource::File(path.clone())),
			Err(PasswordError::NotUtf8)
		));
		for size in [MAX_PASSWORD_BYTES + 1, 10_000_000] {
			fs::write(&path, "x".repeat(size)).unwrap();
			assert!(read(&PasswordSource::File(path.clone())).is_err());
		}
		fs::remove_file(&path).unwrap();
		assert!(matches!(
			read(&PasswordSource::File(path)),
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
		assert_eq!(read(&source).unwrap().as_str(), "päss");
	}

	#[test]
	fn reads_the_environment() {
		let missing = "CAIRN_KEYSTORE_TEST_MISSING";
		let source = PasswordSource::Environment(missing.into());
		assert!(matches!(read(&source), Err(PasswordError::NotSet(name)) if name == missing));
		// Cargo sets this one for tests.
		let source = PasswordSource::Environment("CARGO_PKG_NAME".into());
		assert_eq!(read(&source).unwrap().as_str(), "cairn-keystore");
	}

	#[test]
	fn asks() {
		let typed = |answers: &[&str], new: bool| {
			let answers = std::cell::RefCell::new(answers.iter());
			let ask = |_: &str| {
				answers
					.borrow_mut()
					.next()
					.map(|text| text.to_string())
					.ok_or(io::ErrorKind::NotConnected.into())
			};
			match new {
				true => PasswordSource::Prompt.read_new_or_ask("New password: ", ask),
				false => PasswordSource::Prompt.read_or_ask("Password: ", ask),
			}
		};
		assert_eq!(typed(&["typed"], false).unwrap().as_str(), "typed");
		assert!(matches!(typed(&[], false), Err(PasswordError::Prompt(_))));
		assert_eq!(typed(&["typed", "typed"], true).unwrap().as_str(), "typed");
		assert!(matches!(
			typed(&["typed", "tiped"], true),
			Err(PasswordError::Differ)
		));
		assert!(matches!(typed(&["typed"], true), Err(PasswordError::Prompt(_))));
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
