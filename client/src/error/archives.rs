//! Errors of objects, and of the archives and folders they lie in.

use super::{io_kind, CliError, ErrorKind};
use crate::retrieval::missing::ObjectError;
use cairn_car::{PackError, SalvageError, SplitError};
use cairn_dag::{
	unixfs::{export::ExportError, import::ImportError},
	walk::{PathError, WalkError},
	SourceError,
};
use std::{error::Error, io};

/// Errors of reading archives: the disk's fault, or that of what is on it.
macro_rules! of_archives {
	($($error:ty),* $(,)?) => {$(
		impl From<$error> for CliError {
			fn from(error: $error) -> Self {
				CliError::of(kind_of_read(&error), error)
			}
		}
	)*};
}

of_archives! {
	cairn_car::OpenError,
	cairn_car::VerifyError,
	cairn_car::ReadError,
	cairn_car::IndexError,
}

/// The kind of what a library reads through several layers: the disk's fault, or that of what is on it.
fn kind_of_read(error: &(dyn Error + 'static)) -> ErrorKind {
	match io_kind(error) {
		None | Some(io::ErrorKind::UnexpectedEof) => ErrorKind::Verification,
		Some(_) => ErrorKind::File,
	}
}

impl From<ImportError> for CliError {
	fn from(error: ImportError) -> Self {
		let kind = match &error {
			ImportError::InvalidOptions { .. } => ErrorKind::Usage,
			_ => ErrorKind::File,
		};
		CliError::of(kind, error)
	}
}

impl From<PackError> for CliError {
	fn from(error: PackError) -> Self {
		match error {
			PackError::Import(error) => error.into(),
			error => CliError::of(ErrorKind::File, error),
		}
	}
}

impl From<SplitError> for CliError {
	fn from(error: SplitError) -> Self {
		let (kind, hint) = match &error {
			SplitError::Read(error) => (kind_of_read(error), None),
			SplitError::Missing { .. } | SplitError::Codec { .. } => (
				ErrorKind::Verification,
				Some("--strategy simple splits any archive"),
			),
			SplitError::Budget { .. } => (ErrorKind::Other, Some("--strategy simple splits any archive")),
			SplitError::TooLarge { .. } | SplitError::Header { .. } | SplitError::TooMany { .. } => {
				(ErrorKind::Usage, Some("choose a larger --size"))
			}
			_ => (ErrorKind::File, None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

impl From<SalvageError> for CliError {
	fn from(error: SalvageError) -> Self {
		CliError::of(ErrorKind::File, error)
	}
}

impl From<SourceError> for CliError {
	/// What a command's own source says is told as it is.
	fn from(error: SourceError) -> Self {
		match error.into_inner().downcast::<CliError>() {
			Ok(error) => *error,
			Err(error) => {
				let error = SourceError::new(error);
				CliError::of(kind_of_read(&error), error)
			}
		}
	}
}

impl From<WalkError> for CliError {
	fn from(error: WalkError) -> Self {
		let error = match error {
			WalkError::Source(error) => return error.into(),
			error => error,
		};
		let (kind, hint) = match &error {
			WalkError::Missing { .. } => (ErrorKind::NotFound, None),
			WalkError::Budget { .. } => (ErrorKind::Other, Some("the limits of the walk can be raised")),
			error => (kind_of_read(error), None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

impl From<PathError> for CliError {
	fn from(error: PathError) -> Self {
		let error = match error {
			PathError::Source(error) => return error.into(),
			error => error,
		};
		let kind = match &error {
			PathError::Missing { .. } | PathError::NotFound { .. } => ErrorKind::NotFound,
			error => kind_of_read(error),
		};
		CliError::of(kind, error)
	}
}

impl From<ObjectError> for CliError {
	fn from(error: ObjectError) -> Self {
		let kind = match &error {
			ObjectError::Path(_) => ErrorKind::NotFound,
			ObjectError::Source(_) => ErrorKind::File,
			_ => ErrorKind::Verification,
		};
		CliError::of(kind, error)
	}
}

impl From<ExportError> for CliError {
	fn from(error: ExportError) -> Self {
		let (kind, hint) = match &error {
			ExportError::Read(_) | ExportError::UnsafeName { .. } => (ErrorKind::Verification, None),
			ExportError::Exists { .. } => (
				ErrorKind::File,
				Some("choose another place with --output, or --force for a file"),
			),
			ExportError::UnsafeSymlink { .. } => (
				ErrorKind::Verification,
				Some("--symlinks skip leaves symbolic links out"),
			),
			_ => (ErrorKind::File, None),
		};
		let is_broken_pipe = matches!(
			&error,
			ExportError::Output(output) if output.kind() == io::ErrorKind::BrokenPipe
		);
		CliError {
			is_broken_pipe,
			..CliError::of(kind, error)
		}
		.maybe_hint(hint)
	}
}
