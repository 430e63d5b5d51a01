//! Every error that can reach the user: its kind, its exit code, and what to do about it.
//!
//! With its submodules it is the one place where library errors are judged. Commands use `?`; where an error means
//! something special to a command, the command says so with [`CliError::new`].

mod archives;
mod chain;
mod local;
mod network;

use crate::{network::NetworkError, output::Printable};
use cairn_keystore::{DecryptError, EncryptError, SuriError};
use cairn_network::host::{FindError, HostStopped};
use cairn_units::{AmountError, BlockSpanError};
use serde::Serialize;
use std::{
	error::Error,
	fmt,
	io::{self, Write},
	process::ExitCode,
};

/// What went wrong, as scripts can tell it: by exit code, or by `kind` with `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
	/// Nothing below.
	Other,
	/// The command line makes no sense.
	Usage,
	/// The configuration or the local record cannot be used.
	Configuration,
	/// A key or password is missing or wrong.
	Key,
	/// A file or folder cannot be read or written.
	File,
	/// The node is not reached, or its chain does not fit this program.
	Node,
	/// The chain refused or failed a transaction.
	Rejected,
	/// The account's money does not suffice.
	Funds,
	/// A provider refused or failed, or none fits.
	Provider,
	/// What was asked for does not exist.
	NotFound,
	/// Data that does not match its commitment, CID or format.
	Verification,
	/// Something did not happen in time.
	Timeout,
	/// The user said no.
	Declined,
	/// Interrupted by a signal.
	Interrupted,
}

impl ErrorKind {
	/// The program's exit code.
	pub const fn exit_code(self) -> u8 {
		match self {
			ErrorKind::Other => 1,
			ErrorKind::Usage => 2,
			ErrorKind::Configuration => 3,
			ErrorKind::Key => 4,
			ErrorKind::File => 5,
			ErrorKind::Node => 6,
			ErrorKind::Rejected => 7,
			ErrorKind::Funds => 8,
			ErrorKind::Provider => 9,
			ErrorKind::NotFound => 10,
			ErrorKind::Verification => 11,
			ErrorKind::Timeout => 12,
			ErrorKind::Declined => 13,
			ErrorKind::Interrupted => 130,
		}
	}
}

/// The exit codes, for `cairn --help`.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  an error none of the following
    2  the command line makes no sense
    3  the configuration or the local record cannot be used
    4  a key or password is missing or wrong
    5  a file or folder cannot be read or written
    6  the node is not reached, or its chain does not fit this program
    7  the chain refused or failed a transaction
    8  the account's money does not suffice
    9  a provider refused or failed, or none fits
   10  what was asked for does not exist
   11  data does not match its commitment, CID or format
   12  something did not happen in time
   13  a question was answered with no, or there was nobody to answer it
  130  interrupted";

/// An error on its way to the user.
#[derive(Debug)]
pub struct CliError {
	kind: ErrorKind,
	message: String,
	source: Option<Box<dyn Error + Send + Sync>>,
	hint: Option<String>,
	is_broken_pipe: bool,
}

impl CliError {
	/// An error without a cause.
	pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
		CliError {
			kind,
			message: message.into(),
			source: None,
			hint: None,
			is_broken_pipe: false,
		}
	}

	/// A library's error. A full disk is recognised however deep below it lies.
	fn of(kind: ErrorKind, error: impl Error + Send + Sync + 'static) -> Self {
		CliError {
			kind,
			message: error.to_string(),
			hint: is_disk_full(&error).then(|| "the disk is full".to_owned()),
			source: wrapped_source(error),
			is_broken_pipe: false,
		}
	}

	/// Adds what to do about it. A hint that is there already is more specific and stays.
	#[must_use]
	pub fn hint(mut self, hint: impl Into<String>) -> Self {
		self.hint.get_or_insert_with(|| hint.into());
		self
	}

	/// Puts a circumstance into the hint, before what is there.
	#[must_use]
	pub fn but_first(mut self, circumstance: impl fmt::Display) -> Self {
		self.hint = Some(match self.hint {
			Some(hint) => format!("{circumstance}; {hint}"),
			None => circumstance.to_string(),
		});
		self
	}

	fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Self {
		if let Some(hint) = hint {
			self.hint = Some(hint.into());
		}
		self
	}

	/// Says what was being done.
	#[must_use]
	pub fn during(mut self, what: impl fmt::Display) -> Self {
		self.message = format!("{what}: {}", self.message);
		self
	}

	/// Whether the reader of standard output has gone.
	pub fn is_broken_pipe(&self) -> bool {
		self.is_broken_pipe
	}

	/// The kind.
	pub fn kind(&self) -> ErrorKind {
		self.kind
	}

	/// Causes, outermost first, each only if it says something new.
	fn causes(&self) -> Vec<String> {
		let mut causes = Vec::new();
		let mut last = self.message.clone();
		let mut next = self.source.as_deref().map(|source| source as &dyn Error);
		while let Some(cause) = next {
			let text = cause.to_string();
			if !last.contains(&text) {
				causes.push(text.clone());
				last = text;
			}
			next = cause.source();
		}
		causes
	}

	/// The error and its causes as one line.
	pub fn summary(&self) -> String {
		let mut all = vec![self.message.clone()];
		all.extend(self.causes());
		all.join(": ")
	}

	/// Prints the error to standard error: for people, or as one JSON line.
	pub fn report(&self, json: bool) {
		let mut err = io::stderr().lock();
		// Nobody can be told that standard error is closed.
		let _ = self.write(&mut err, json);
	}

	fn write(&self, out: &mut dyn io::Write, json: bool) -> io::Result<()> {
		if json {
			let value = serde_json::json!({
				"schema": "cairn.error/1",
				"kind": self.kind,
				"exit_code": self.kind.exit_code(),
				"message": self.message,
				"causes": self.causes(),
				"hint": self.hint,
			});
			return writeln!(out, "{value}");
		}
		let mut out = Printable(out);
		writeln!(out, "error: {}", self.message)?;
		for cause in self.causes() {
			writeln!(out, "  because: {cause}")?;
		}
		if let Some(hint) = &self.hint {
			writeln!(out, "  hint: {hint}")?;
		}
		Ok(())
	}

	/// What the program ends with.
	pub fn exit_code(&self) -> ExitCode {
		ExitCode::from(self.kind().exit_code())
	}
}

impl fmt::Display for CliError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(&self.message)
	}
}

impl Error for CliError {
	fn source(&self) -> Option<&(dyn Error + 'static)> {
		self.source.as_deref().map(|source| source as _)
	}
}

fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
	matches!(
		io_kind(error),
		Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
	)
}

/// What the operating system says, if it is the cause of an error.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
	let mut next = Some(error);
	while let Some(error) = next {
		if let Some(error) = error.downcast_ref::<io::Error>() {
			return Some(error.kind());
		}
		next = error.source();
	}
	None
}

/// Keeps an error's sources beyond its own message, which is in [`CliError::message`] already.
fn wrapped_source(error: impl Error + Send + Sync + 'static) -> Option<Box<dyn Error + Send + Sync>> {
	error.source()?;
	Some(Box::new(error))
}

impl From<io::Error> for CliError {
	fn from(error: io::Error) -> Self {
		let is_broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
		CliError {
			is_broken_pipe,
			..CliError::of(ErrorKind::File, error)
		}
	}
}

/// Errors that need no judging: always of one kind, and without a hint.
macro_rules! always {
	($($error:ty => $kind:ident),* $(,)?) => {$(
		impl From<$error> for CliError {
			fn from(error: $error) -> Self {
				CliError::of(ErrorKind::$kind, error)
			}
		}
	)*};
}

always! {
	AmountError => Usage,
	BlockSpanError => Usage,
	DecryptError => Key,
	EncryptError => Key,
	SuriError => Key,
	cairn_car::WriteError => File,
	cairn_proving::CommPError => File,
	reqwest::Error => Other,
	FindError => Other,
	HostStopped => Other,
	NetworkError => Other,
	tokio::task::JoinError => Other,
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{provider::ProviderError, record::RecordError};
	use cairn_chain_client::ConnectError;
	use cairn_dag::unixfs::export::ExportError;
	use cairn_keystore::PasswordError;
	use cairn_provider_api::ErrorKind as ProblemKind;

	fn all_kinds() -> [ErrorKind; 14] {
		use ErrorKind::*;
		[
			Other,
			Usage,
			Configuration,
			Key,
			File,
			Node,
			Rejected,
			Funds,
			Provider,
			NotFound,
			Verification,
			Timeout,
			Declined,
			Interrupted,
		]
	}

	#[test]
	fn exit_codes_are_distinct_and_documented() {
		let codes: std::collections::BTreeSet<u8> = all_kinds().iter().map(|kind| kind.exit_code()).collect();
		assert_eq!(codes.len(), all_kinds().len());
		for code in codes {
			assert!(
				EXIT_CODES
					.lines()
					.any(|line| line.trim().starts_with(&format!("{code} "))),
				"{code}"
			);
		}
	}

	#[test]
	fn reports_carry_causes_and_hint() {
		let cause = io::Error::other("no such device");
		let path = "/x".into();
		let error: CliError = RecordError::Io { path, source: cause }.into();
		let mut out = Vec::new();
		error.hint("plug it in").write(&mut out, false).unwrap();
		assert_eq!(
			String::from_utf8(out).unwrap(),
			"error: cannot use the local record at /x\n  because: no such device\n  hint: plug it in\n"
		);
	}

	#[test]
	fn an_interrupted_prompt_is_no_wrong_password() {
		let prompt = |kind| CliError::from(PasswordError::Prompt(io::Error::from(kind)));
		let interrupted = prompt(io::ErrorKind::Interrupted);
		assert_eq!(
			(interrupted.kind(), interrupted.hint),
			(ErrorKind::Interrupted, None)
		);
		let no_terminal = prompt(io::ErrorKind::NotFound);
		assert_eq!(no_terminal.kind(), ErrorKind::Key);
		assert!(no_terminal.hint.is_some());
	}

	/// As in `cairn get CID -o - | head`.
	#[test]
	fn a_reader_that_has_enough_is_no_error() {
		let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
		assert!(CliError::from(gone()).is_broken_pipe());
		assert!(CliError::from(ExportError::Output(gone())).is_broken_pipe());
		assert!(!CliError::from(ExportError::Output(io::Error::other("no"))).is_broken_pipe());
	}

	#[test]
	fn a_full_disk_is_named() {
		let full = || io::Error::from(io::ErrorKind::StorageFull);
		let path = || "/x".into();
		for error in [
			CliError::from(full()),
			RecordError::Io {
				path: path(),
				source: full(),
			}
			.into(),
			ExportError::Write {
				path: path(),
				error: full(),
			}
			.into(),
			cairn_car::PackError::Destination {
				path: path(),
				error: full(),
			}
			.into(),
		] {
			assert_eq!(
				(error.kind(), error.hint.as_deref()),
				(ErrorKind::File, Some("the disk is full"))
			);
		}
	}

	#[test]
	fn json_reports_are_one_line() {
		let error: CliError = ConnectError::InvalidUrl { url: "x".into() }.into();
		let mut out = Vec::new();
		error.write(&mut out, true).unwrap();
		let text = String::from_utf8(out).unwrap();
		assert_eq!(text.lines().count(), 1);
		let value: serde_json::Value = serde_json::from_str(&text).unwrap();
		assert_eq!(value["schema"], "cairn.error/1");
		assert_eq!(value["kind"], "node");
		assert_eq!(value["exit_code"], 6);
		assert!(value["hint"].as_str().unwrap().contains("ws://"));
	}

	#[test]
	fn refusals_of_providers_keep_their_hint() {
		let problem =
			cairn_provider_api::Problem::new(ProblemKind::ClientFunds, "too little").hint("add more");
		let url = "http://p".parse().unwrap();
		let error: CliError = ProviderError::Refused {
			url,
			problem: Box::new(problem),
		}
		.into();
		assert_eq!(
			(error.kind(), error.hint.as_deref()),
			(ErrorKind::Funds, Some("add more"))
		);
	}
}
