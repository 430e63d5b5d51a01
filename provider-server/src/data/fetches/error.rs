//! Why a dataset was not fetched, and how clients are told.

use crate::data::{
	cid_text,
	error::{disk_problem, read_problem},
	upload_problem,
};
use cairn_blockstore::repo::{ReadError, UploadError};
use cairn_dag::CodecError;
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{io, time::Duration};

/// Why a dataset was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
	/// The node takes no part in the network.
	#[error("this node is not a peer of the network")]
	NoNetwork,
	/// As many fetches run as may.
	#[error("too many datasets are being fetched")]
	Busy,
	/// Nobody was found who may have it.
	#[error("nobody was found in the network who has {}", cid_text(cid))]
	NotFound {
		/// What was looked for.
		cid: Cid,
	},
	/// Peers were found, and send nothing, or too little.
	#[error("{peers} peers were asked for {}, and sent nothing or too little of it within {} s", cid_text(cid), waited.as_secs())]
	Silent {
		/// What is fetched.
		cid: Cid,
		/// How many were asked.
		peers: usize,
		/// For how long they were waited for.
		waited: Duration,
	},
	/// A block's links cannot be read.
	#[error("block {}: {error}", cid_text(cid))]
	Codec {
		/// The block.
		cid: Cid,
		/// What is wrong with it.
		error: CodecError,
	},
	/// A block of a dataset is not as long as its manifest says that all are.
	#[error("block {} does not fit the dataset's manifest", cid_text(cid))]
	Contradiction {
		/// The block.
		cid: Cid,
	},
	/// The DAG is larger than what is fetched.
	#[error("the data has too many {limit}")]
	TooLarge {
		/// Of what.
		limit: &'static str,
	},
	/// It could not be stored.
	#[error(transparent)]
	Upload(#[from] UploadError),
	/// It could not be recorded, so that a restart would end it.
	#[error("the fetch cannot be recorded")]
	Record(#[source] io::Error),
	/// What was stored of it could not be read again.
	#[error("a fetched block cannot be read: {error}")]
	Read {
		/// The block.
		cid: Cid,
		/// Why.
		error: ReadError,
	},
	/// Nobody wants it any more.
	#[error("the fetch was given up")]
	GivenUp,
	/// The node leaves the network.
	#[error("the node is stopping")]
	Stopped,
	/// A thread was interrupted.
	#[error("the fetch was interrupted")]
	Interrupted(#[from] tokio::task::JoinError),
}

impl FetchError {
	/// Whether nothing is wrong with the fetch but that the node, or the runtime that it runs on, ends.
	pub(super) fn is_the_nodes_end(&self) -> bool {
		match self {
			FetchError::Stopped => true,
			FetchError::Interrupted(error) => error.is_cancelled(),
			_ => false,
		}
	}
}

impl From<FetchError> for Problem {
	fn from(error: FetchError) -> Problem {
		let problem = |kind| Problem::new(kind, error.to_string());
		match &error {
			FetchError::NoNetwork => problem(ErrorKind::NotFound)
				.hint("upload the data here, or set `[network] enabled` in the server's configuration"),
			FetchError::Busy => problem(ErrorKind::Busy).hint("try again when one of GET /fetches has ended"),
			FetchError::NotFound { .. } => {
				problem(ErrorKind::NotFound).hint("whoever has the data must be reachable and announce it")
			}
			FetchError::Silent { .. } => {
				problem(ErrorKind::PeerTimeout).hint("try again: other peers may be found then")
			}
			FetchError::Codec {
				error: CodecError::Unsupported { .. },
				..
			} => problem(ErrorKind::NotImplemented)
				.hint("without the codec it is not known which other blocks belong to the data"),
			FetchError::Codec { .. } | FetchError::Contradiction { .. } | FetchError::TooLarge { .. } => {
				problem(ErrorKind::Unprocessable)
			}
			FetchError::Upload(error) => upload_problem(error),
			FetchError::Record(error) => disk_problem(error, "fetch"),
			FetchError::Read { cid, error } => read_problem(cid, error),
			FetchError::GivenUp => problem(ErrorKind::WrongState).hint("begin another"),
			FetchError::Stopped => problem(ErrorKind::Busy).hint("try again in a moment"),
			FetchError::Interrupted(_) => {
				tracing::error!(%error, "a fetch failed");
				problem(ErrorKind::Internal).hint("the server's log has the cause")
			}
		}
	}
}
