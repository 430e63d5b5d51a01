//! Blocks out of the pieces.

use super::{open_payload, payload::open_at_hand, turns, Payload, PayloadError};
use crate::provider::Provider;
use cairn_dag::{Block, BlockSource, SourceError};
use cairn_primitives::PieceInfo;
use cid::Cid;
use std::sync::{
	atomic::{AtomicBool, Ordering},
	Arc, Mutex, PoisonError,
};
use tokio::sync::Semaphore;

/// Multihash code of CIDs that carry their block.
const IDENTITY: u64 = 0;
/// Reads at a time of those that any peer can ask for that may wait for a sector to be unsealed: the others go on
/// serving what is at hand.
const MAX_WAITING: usize = 2;
/// Pieces in which a block is looked for.
const MAX_PLACES: usize = 8;

/// The blocks of every stored piece. Keeps the last piece open: a DAG's blocks mostly lie in one.
pub struct PieceBlocks {
	provider: Arc<Provider>,
	sealed: Sealed,
	/// Whether a sector was not unsealed, and a block of it was wanted.
	passed_over: AtomicBool,
	/// The piece that was opened last; none if no piece is to be kept open.
	last: Option<Mutex<Option<(PieceInfo, Arc<Payload>)>>>,
}

/// What to do about a sector whose pieces are only left in its replica.
enum Sealed {
	/// Wait until it is unsealed.
	Unseal,
	/// The same, for as many readers at a time as there are places; for others its blocks are absent.
	UnsealForSome(Semaphore),
	/// Its blocks are absent.
	PassOver,
}

impl PieceBlocks {
	/// Blocks of this provider, for one request.
	pub fn new(provider: Arc<Provider>) -> Self {
		PieceBlocks {
			provider,
			sealed: Sealed::Unseal,
			passed_over: AtomicBool::new(false),
			last: Some(Mutex::default()),
		}
	}

	/// Blocks for as long as the provider runs, for any number of readers. Keeps nothing open: the disk of what is
	/// removed is free at once. While some wait for sectors to be unsealed, others that would have to find their
	/// blocks absent.
	pub fn lasting(provider: Arc<Provider>) -> Self {
		PieceBlocks {
			sealed: Sealed::UnsealForSome(Semaphore::new(MAX_WAITING)),
			last: None,
			..Self::new(provider)
		}
	}

	/// Bytes of a block, by the index alone: nothing is unsealed or verified.
	///
	/// # Errors
	/// When the index cannot be read.
	pub fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		if cid.hash().code() == IDENTITY {
			return Ok(Some(cid.hash().digest().len() as u64));
		}
		let places = self.provider.store.block_locations(&cid.hash().to_bytes(), 1);
		let places = places.map_err(SourceError::new)?;
		Ok(places.first().map(|place| place.len.into()))
	}

	/// Only what can be read at once: blocks of sectors that would have to be unsealed count as absent.
	pub fn at_hand(mut self) -> Self {
		self.sealed = Sealed::PassOver;
		self
	}

	/// Whether a block was called absent that could have been had by unsealing.
	pub fn passed_over(&self) -> bool {
		self.passed_over.load(Ordering::Relaxed)
	}

	fn open(&self, piece: &PieceInfo) -> Result<Option<Arc<Payload>>, PayloadError> {
		let Some(last) = &self.last else {
			return Ok(self.open_anew(piece)?.map(Arc::new));
		};
		let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
		if let Some((open, payload)) = &*last {
			if open == piece {
				return Ok(Some(payload.clone()));
			}
		}
		let payload = self.open_anew(piece)?.map(Arc::new);
		if let Some(payload) = &payload {
			*last = Some((*piece, payload.clone()));
		}
		Ok(payload)
	}

	fn open_anew(&self, piece: &PieceInfo) -> Result<Option<Payload>, PayloadError> {
		let unsealed = || open_payload(&self.provider, piece).map(Some);
		if matches!(self.sealed, Sealed::Unseal) {
			return unsealed();
		}
		if let Some(at_hand) = open_at_hand(&self.provider, piece)? {
			return Ok(Some(at_hand));
		}
		if let Sealed::UnsealForSome(places) = &self.sealed {
			if let Ok(_place) = places.try_acquire() {
				return unsealed();
			}
		}
		self.passed_over.store(true, Ordering::Relaxed);
		Ok(None)
	}
}

impl BlockSource for PieceBlocks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		if cid.hash().code() == IDENTITY {
			let data = cid.hash().digest().to_vec();
			return Block::new(*cid, data).map(Some).map_err(SourceError::new);
		}
		let multihash = cid.hash().to_bytes();
		let places = self
			.provider
			.store
			.block_locations(&multihash, MAX_PLACES)
			.map_err(SourceError::new)?;
		let mut failure = None;
		for place in places {
			let payload = match self.open(&place.piece) {
				Ok(Some(payload)) => payload,
				Ok(None) => continue,
				Err(error) => {
					failure = Some(SourceError::new(error));
					continue;
				}
			};
			let _turn = turns::take();
			let mut data = vec![0; place.len as usize];
			if let Err(error) = payload.read_exact_at(&mut data, place.offset) {
				failure = Some(SourceError::new(error));
				continue;
			}
			match Block::new(*cid, data) {
				Ok(block) => return Ok(Some(block)),
				Err(error) => {
					tracing::error!(
						%cid,
						piece = %cairn_provider_api::piece_cid::v1(&place.piece.commitment),
						"a stored block does not match its CID any more"
					);
					failure = Some(SourceError::new(error));
				}
			}
		}
		match failure {
			Some(failure) => Err(failure),
			None => Ok(None),
		}
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		if cid.hash().code() == IDENTITY {
			return Ok(true);
		}
		let places = self
			.provider
			.store
			.block_locations(&cid.hash().to_bytes(), 1)
			.map_err(SourceError::new)?;
		Ok(!places.is_empty())
	}
}
