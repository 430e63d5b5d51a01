//! Blocks of the network for code that reads block by block.

use super::{records, Fetching, SourceArgs, Watcher};
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	retrieval::blocks::BlockStore,
};
use cairn_dag::{Block, BlockSource, Cid, SourceError};
use indicatif::ProgressBar;
use std::{
	collections::HashSet,
	sync::{Mutex, PoisonError},
};
use tokio::sync::{mpsc, oneshot};

/// Most blocks that are asked for at once.
const MAX_BLOCKS: usize = 32;
/// Most blocks that are looked at for some that are not there yet.
const MAX_LOOKED_AT: usize = 1024;

/// What peers and providers have, fetched as it is asked for: a block that is missing, and with it the next ones that
/// are, as far as the caller knows them. For a blocking thread.
///
/// An error is a [`CliError`] inside a [`SourceError`].
#[derive(Debug)]
struct NetworkBlocks {
	blocks: BlockStore,
	requests: mpsc::Sender<Request>,
	/// Blocks that were fetched ahead in vain: each time takes as long as patience lasts.
	missing: Mutex<HashSet<Cid>>,
}

#[derive(Debug)]
struct Request {
	cids: Vec<Cid>,
	answer: oneshot::Sender<Result<(), CliError>>,
}

/// Runs `read`, on a blocking thread, on the blocks of the network; `root` is what they belong to. The bar that
/// counts what comes is to be suspended while something is printed.
///
/// # Errors
/// Those of `read`; those of [`Fetching::new`].
pub async fn read_blocks<T: Send + 'static>(
	context: &Context,
	sources: &SourceArgs,
	root: Cid,
	read: impl FnOnce(&dyn BlockSource, &ProgressBar) -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
	let blocks = BlockStore::temporary(&root)?;
	let mut fetching = Fetching::new(context, sources, root, &records(context), blocks.clone()).await?;
	let watcher = Watcher::new(context);
	let (requests, mut asked) = mpsc::channel::<Request>(1);
	let source = NetworkBlocks {
		blocks,
		requests,
		missing: Mutex::default(),
	};
	let bar = watcher.bar();
	let reading = tokio::task::spawn_blocking(move || read(&source, &bar));
	// The reader drops its end when it is done.
	while let Some(request) = asked.recv().await {
		let fetched = fetching.fetch_blocks(request.cids, &watcher).await;
		// Who asked may have been interrupted.
		let _ = request.answer.send(fetched);
	}
	watcher.finish();
	fetching.finish().await;
	reading.await?
}

impl NetworkBlocks {
	/// Has blocks fetched. `None` if nobody listens any more.
	fn fetch(&self, cids: Vec<Cid>) -> Option<Result<(), CliError>> {
		let (answer, answered) = oneshot::channel();
		self.requests.blocking_send(Request { cids, answer }).ok()?;
		answered.blocking_recv().ok()
	}
}

impl BlockSource for NetworkBlocks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.get_ahead(cid, &mut std::iter::empty())
	}

	fn get_ahead(
		&self,
		cid: &Cid,
		next: &mut dyn Iterator<Item = Cid>,
	) -> Result<Option<Block>, SourceError> {
		if let Some(block) = self.blocks.get(cid)? {
			return Ok(Some(block));
		}
		let mut cids = vec![*cid];
		// Those that were asked for in vain are asked for again in their turn.
		let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
		let mut chosen = HashSet::from([*cid]);
		for cid in next.take(MAX_LOOKED_AT) {
			if cids.len() == MAX_BLOCKS {
				break;
			}
			if self.blocks.size(&cid).is_none() && !missing.contains(&cid) && chosen.insert(cid) {
				cids.push(cid);
			}
		}
		let fetched = self.fetch(cids.clone());
		if matches!(fetched, Some(Err(_))) {
			let ahead = cids.iter().skip(1);
			missing.extend(ahead.filter(|cid| self.blocks.size(cid).is_none()));
		}
		// When only another one is missing, that is told when it is asked for.
		if let Some(block) = self.blocks.get(cid)? {
			return Ok(Some(block));
		}
		Err(SourceError::new(match fetched {
			Some(Err(error)) => error,
			Some(Ok(())) => CliError::new(ErrorKind::File, "the block was lost on this machine's disk"),
			None => CliError::new(ErrorKind::Interrupted, "the transfer was interrupted"),
		}))
	}
}
