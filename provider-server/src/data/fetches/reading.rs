//! Reading a dataset while it comes in.

use super::{Arriving, Fetch, Fetches};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Somebody who reads a dataset while it comes in. When the last one is dropped, the fetch is given up unless the
/// dataset is to be kept.
pub struct Reading {
	fetches: Arc<Fetches>,
	fetch: Arc<Fetch>,
	gone: CancellationToken,
}

impl Reading {
	/// Of a fetch in whose entry this reader is counted.
	pub(super) fn new(fetches: Arc<Fetches>, fetch: Arc<Fetch>) -> Self {
		Reading {
			fetches,
			fetch,
			gone: CancellationToken::new(),
		}
	}

	/// The fetch.
	pub fn fetch(&self) -> &Fetch {
		&self.fetch
	}

	/// The dataset's blocks, as they come, for a blocking thread. They end when this is dropped.
	pub fn blocks(&self) -> Arriving {
		Arriving {
			fetch: self.fetch.clone(),
			repo: self.fetches.repo.clone(),
			runtime: Handle::current(),
			gone: self.gone.clone(),
		}
	}
}

impl Drop for Reading {
	fn drop(&mut self) {
		self.gone.cancel();
		self.fetches.leave(&self.fetch, |entry| {
			entry.readers = entry.readers.saturating_sub(1)
		});
	}
}
