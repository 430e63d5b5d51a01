//! Blocks out of the pieces.

use super::{open_payload, payload::open_at_hand, PayloadError};
use crate::provider::Provider;
use cairn_dag::{Block, BlockSource, SourceError};
use cairn_primitives::PieceInfo;
use cid::Cid;
use std::{
	fs::File,
	os::unix::fs::FileExt,
	sync::{Arc, Mutex, PoisonError},
};

/// Multihash code of CIDs that carry their block.
const IDENTITY: u64 = 0;
/// Pieces in which a block is looked for.
const MAX_PLACES: usize = 8;

/// The blocks of every stored piece. Keeps the file of the last piece open: a DAG's blocks mostly
/// lie in one.
pub struct PieceBlocks {
	provider: Arc<Provider>,
	/// Whether pieces are unsealed that are only left in replicas.
	unseal: bool,
	last: Mutex<Option<(PieceInfo, Arc<File>)>>,
}

impl PieceBlocks {
	/// Blocks of this provider.
	pub fn new(provider: Arc<Provider>) -> Self {
		PieceBlocks {
			provider,
			unseal: true,
			last: Mutex::default(),
		}
	}

	/// Only what can be read at once: blocks of pieces that would have to be unsealed count as absent.
	pub fn at_hand(mut self) -> Self {
		self.unseal = false;
		self
	}

	fn open(&self, piece: &PieceInfo) -> Result<Option<Arc<File>>, PayloadError> {
		let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
		if let Some((open, file)) = &*last {
			if open == piece {
				return Ok(Some(file.clone()));
			}
		}
		let file = if self.unseal {
			open_payload(&self.provider, piece)?
		} else {
			match open_at_hand(&self.provider, piece)? {
				Some(file) => file,
				None => return Ok(None),
			}
		};
		let file = Arc::new(file);
		*last = Some((*piece, file.clone()));
		Ok(Some(file))
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
			let file = match self.open(&place.piece) {
				Ok(Some(file)) => file,
				Ok(None) => continue,
				Err(error) => {
					failure = Some(SourceError::new(error));
					continue;
				}
			};
			let mut data = vec![0; place.len as usize];
			if let Err(error) = file.read_exact_at(&mut data, place.offset) {
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
