//! Failures of the repository as a client sees them. What only the operator can act on goes to the log.

use super::{cid_text, PutBlockError};
use cairn_blockstore::{
	repo::{DatasetError, ReadError, UploadError},
	ChunkError,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::io;

fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
	tracing::error!(error, "the block store failed");
	Problem::new(ErrorKind::Internal, "the block store failed").hint("the server's log has the cause")
}

fn full(message: String) -> Problem {
	Problem::new(ErrorKind::StorageFull, message).hint("delete datasets, or raise the quota")
}

/// A failure to read a block.
pub(super) fn read_problem(cid: &Cid, error: &ReadError) -> Problem {
	match error {
		ReadError::Damaged { .. } => Problem::new(
			ErrorKind::Internal,
			format!("block {} is damaged on the disk", cid_text(cid)),
		)
		.hint("upload the data again: that mends it"),
		error => internal(error),
	}
}

/// A failure of an upload.
pub fn upload_problem(error: &UploadError) -> Problem {
	match error {
		UploadError::Quota(error) => full(error.to_string()),
		// Paths are the operator's business.
		UploadError::DiskFull { .. } | UploadError::Chunks(ChunkError::Full { .. }) => {
			tracing::warn!(error = error as &dyn std::error::Error, "the disk is full");
			full("the disk is full".into())
		}
		UploadError::Chunks(ChunkError::TooLarge { .. }) => {
			Problem::new(ErrorKind::TooLarge, error.to_string()).hint("cut the data into smaller blocks")
		}
		UploadError::Chunks(ChunkError::UnsupportedHash { .. } | ChunkError::WeakHash { .. }) => {
			Problem::new(ErrorKind::Unprocessable, error.to_string())
				.hint("use sha2-256, sha2-512, keccak-256, blake2b-256 or blake3")
		}
		error => internal(error),
	}
}

/// A failure to store a single block.
pub fn put_problem(error: PutBlockError) -> Problem {
	match error {
		PutBlockError::Upload(error) => upload_problem(&error),
		PutBlockError::Dataset(error) => repo_problem(error),
	}
}

/// A failure to look up, change or delete a dataset, or of the metadata database.
pub fn repo_problem(error: impl Into<DatasetError>) -> Problem {
	match error.into() {
		DatasetError::NotFound { root } => Problem::new(
			ErrorKind::NotFound,
			format!("there is no dataset {}", cid_text(&root)),
		)
		.hint("GET /data lists the datasets"),
		DatasetError::Pinned { root, pins } => Problem::new(
			ErrorKind::WrongState,
			format!("dataset {} is needed by {pins} live deals", cid_text(&root)),
		)
		.hint("it can be deleted when they have ended"),
		DatasetError::PartOfDataset { cid, .. } => Problem::new(
			ErrorKind::WrongState,
			format!("block {} is part of a dataset", cid_text(&cid)),
		)
		.hint("delete the dataset"),
		error => internal(&error),
	}
}

/// A failure to keep an upload or a fetch in a file.
pub(super) fn disk_problem(error: &io::Error, what: &'static str) -> Problem {
	// Paths are the operator's business.
	if matches!(
		error.kind(),
		io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
	) {
		tracing::warn!(%error, "the disk is full");
		return Problem::new(ErrorKind::StorageFull, "the disk is full").hint("delete datasets");
	}
	tracing::error!(%error, what, "cannot be kept on the disk");
	Problem::new(ErrorKind::Internal, format!("the {what} cannot be kept"))
		.hint("the server's log has the cause")
}
