//! Pieces of work: looking up what one peer wants.

use crate::{
	bitswap::wire::{block_len, WantKind, MAX_BLOCK},
	blocks::BlockStore,
};
use cairn_dag::{Block, Cid, SourceError};
use libp2p::PeerId;

/// Wants of one peer to look up.
#[derive(Debug)]
pub struct Job {
	/// Whose.
	pub peer: PeerId,
	pub(super) wants: Vec<(Cid, WantKind, u64)>,
	pub(super) refused: Vec<Cid>,
	pub(super) message_data: usize,
	pub(super) have_becomes_block: usize,
}

/// What a job found.
#[derive(Debug)]
pub struct Found {
	pub(super) peer: PeerId,
	pub(super) blocks: Vec<(Block, u64)>,
	pub(super) haves: Vec<(Cid, u64)>,
	pub(super) absent: Vec<(Cid, u64)>,
	/// Not looked up, because the message was full.
	pub(super) left: Vec<(Cid, u64)>,
	pub(super) refused: Vec<Cid>,
	/// Bytes of blocks that were read and are too large to be sent.
	pub(super) in_vain: usize,
	/// Why the store could not answer, of those that it could not.
	pub(super) errors: Vec<SourceError>,
}

impl Job {
	/// Looks the wants up. Blocks the thread.
	pub fn run(self, store: &dyn BlockStore) -> Found {
		let mut found = Found {
			peer: self.peer,
			blocks: Vec::new(),
			haves: Vec::new(),
			absent: Vec::new(),
			left: Vec::new(),
			refused: self.refused,
			in_vain: 0,
			errors: Vec::new(),
		};
		let mut data = 0;
		for (cid, kind, order) in self.wants {
			if data + found.in_vain >= self.message_data {
				found.left.push((cid, order));
				continue;
			}
			let answer = match kind {
				WantKind::Block => store.get(&cid),
				// Whether it is small shows only when it is read, and small blocks are read fast.
				WantKind::Have => match store.size(&cid) {
					Ok(Some(size)) if size <= self.have_becomes_block as u64 => store.get(&cid),
					Ok(Some(size)) if size <= MAX_BLOCK as u64 => {
						found.haves.push((cid, order));
						continue;
					}
					Ok(_) => Ok(None),
					Err(error) => Err(error),
				},
			};
			match answer {
				Ok(Some(block)) if block.data().len() <= MAX_BLOCK => {
					data += block_len(block.data().len());
					found.blocks.push((block, order));
				}
				Ok(Some(too_large)) => {
					found.in_vain += too_large.data().len();
					found.absent.push((cid, order));
				}
				Ok(None) => found.absent.push((cid, order)),
				Err(error) => {
					found.absent.push((cid, order));
					found.errors.push(error);
				}
			}
		}
		found
	}
}

impl Found {
	/// Whose wants were looked up.
	pub fn peer(&self) -> PeerId {
		self.peer
	}
}
