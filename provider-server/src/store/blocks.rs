//! The index of blocks: in which pieces, and where, the block of a multihash is.

use super::{
	pieces,
	tables::{BLOCKS, PIECE_KEY},
	Store, StoreError,
};
use cairn_primitives::PieceInfo;
use codec::Decode;
use std::ops::Bound;

/// Blocks written in one transaction while a piece is indexed.
const BATCH: usize = 8192;
/// Entries looked at between two transactions while the whole index is gone through.
const SCAN: usize = 65_536;
/// Longest multihash in the index, in bytes: varint code and length, 64 bytes of digest.
const MAX_MULTIHASH: usize = 84;

/// Where a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockLocation {
	/// The piece.
	pub piece: PieceInfo,
	/// First byte of the block in the piece's payload.
	pub offset: u64,
	/// Bytes of the block.
	pub len: u32,
}

/// Adds a piece's blocks to the index, some thousand to a transaction. Blocks that a CAR repeats
/// are indexed once. What a kill leaves behind is overwritten by the next attempt.
pub struct IndexBatch<'a> {
	store: &'a Store,
	piece: PieceInfo,
	pending: Vec<(Vec<u8>, u64, u32)>,
}

fn key(multihash: &[u8], piece: &[u8; PIECE_KEY]) -> Vec<u8> {
	[multihash, piece].concat()
}

impl IndexBatch<'_> {
	/// Adds a block.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn add(&mut self, multihash: &[u8], offset: u64, len: u32) -> Result<(), StoreError> {
		if multihash.len() <= MAX_MULTIHASH {
			self.pending
				.push((key(multihash, &pieces::key(&self.piece)), offset, len));
		}
		if self.pending.len() >= BATCH {
			self.flush()?;
		}
		Ok(())
	}

	/// Writes what is left.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn finish(mut self) -> Result<(), StoreError> {
		self.flush()
	}

	fn flush(&mut self) -> Result<(), StoreError> {
		let write = self.store.write()?;
		{
			let mut table = write.open_table(BLOCKS)?;
			for (key, offset, len) in self.pending.drain(..) {
				table.insert(key.as_slice(), (offset, len))?;
			}
		}
		write.commit()?;
		Ok(())
	}
}

impl Store {
	/// Begins to index a piece.
	pub fn index_piece(&self, piece: PieceInfo) -> IndexBatch<'_> {
		IndexBatch {
			store: self,
			piece,
			pending: Vec::new(),
		}
	}

	/// Where the block of a multihash is, at most `limit` places.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn block_locations(&self, multihash: &[u8], limit: usize) -> Result<Vec<BlockLocation>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(BLOCKS)?;
		let (low, high) = (
			key(multihash, &[0; PIECE_KEY]),
			key(multihash, &[0xff; PIECE_KEY]),
		);
		let mut locations = Vec::new();
		for entry in table.range(low.as_slice()..=high.as_slice())?.take(limit) {
			let (found, location) = entry?;
			// A multihash carries its length, so none is a prefix of another.
			let Some(piece) = found.value().last_chunk::<PIECE_KEY>() else {
				continue;
			};
			let piece =
				PieceInfo::decode(&mut &piece[..]).map_err(|_| StoreError::Corrupt { table: "blocks" })?;
			let (offset, len) = location.value();
			locations.push(BlockLocation { piece, offset, len });
		}
		Ok(locations)
	}

	/// Removes blocks of a piece from the index, given their multihashes.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn unindex_blocks(
		&self,
		piece: &PieceInfo,
		multihashes: &mut dyn Iterator<Item = Vec<u8>>,
	) -> Result<(), StoreError> {
		loop {
			let write = self.write()?;
			let mut removed = 0;
			{
				let mut table = write.open_table(BLOCKS)?;
				for multihash in multihashes.take(BATCH) {
					table.remove(key(&multihash, &pieces::key(piece)).as_slice())?;
					removed += 1;
				}
			}
			write.commit()?;
			if removed < BATCH {
				return Ok(());
			}
		}
	}

	/// Removes every block of a piece from the index by going through all of it: for pieces whose
	/// file is gone. Writes as it goes, so that others, whose proofs have deadlines, can write in between.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn unindex_lost_piece(&self, piece: &PieceInfo) -> Result<(), StoreError> {
		let piece = pieces::key(piece);
		let mut place = Vec::new();
		loop {
			let mut doomed = Vec::new();
			let mut looked_at = 0;
			{
				let table = self.read()?.open_table(BLOCKS)?;
				let start = Bound::Excluded(place.as_slice());
				let mut last = Vec::new();
				for entry in table.range::<&[u8]>((start, Bound::Unbounded))?.take(SCAN) {
					let (key, _) = entry?;
					looked_at += 1;
					last.clear();
					last.extend_from_slice(key.value());
					if last.ends_with(&piece) {
						doomed.push(last.clone());
					}
				}
				place = last;
			}
			if !doomed.is_empty() {
				let write = self.write()?;
				{
					let mut table = write.open_table(BLOCKS)?;
					for key in &doomed {
						table.remove(key.as_slice())?;
					}
				}
				write.commit()?;
			}
			if looked_at < SCAN {
				return Ok(());
			}
		}
	}
}

#[cfg(test)]
mod tests {
	use super::{super::tests::store, *};

	fn piece(n: u8) -> PieceInfo {
		PieceInfo {
			commitment: [n; 32],
			size_log2: 20,
			payload_size: 1 << 19,
		}
	}

	fn multihash(n: u32) -> Vec<u8> {
		let mut bytes = vec![0x12, 0x20];
		bytes.extend_from_slice(&[0; 28]);
		bytes.extend_from_slice(&n.to_be_bytes());
		bytes
	}

	#[test]
	fn blocks_are_found_in_every_piece_that_has_them() {
		let (store, _dir) = store();
		for id in [0, 5, 0xff] {
			let mut batch = store.index_piece(piece(id));
			for n in 0..3u32 {
				batch
					.add(&multihash(n), u64::from(n) * 100 + u64::from(id), 50)
					.unwrap();
			}
			batch.finish().unwrap();
		}
		let places = store.block_locations(&multihash(1), 10).unwrap();
		assert_eq!(places.len(), 3);
		assert_eq!(
			places[1],
			BlockLocation {
				piece: piece(5),
				offset: 105,
				len: 50
			}
		);
		assert_eq!(store.block_locations(&multihash(1), 2).unwrap().len(), 2);
		assert!(store.block_locations(&multihash(7), 10).unwrap().is_empty());

		store
			.unindex_blocks(&piece(5), &mut (0..3).map(multihash))
			.unwrap();
		assert_eq!(store.block_locations(&multihash(1), 10).unwrap().len(), 2);
		store.unindex_lost_piece(&piece(0xff)).unwrap();
		let left = store.block_locations(&multihash(1), 10).unwrap();
		assert_eq!(
			left,
			[BlockLocation {
				piece: piece(0),
				offset: 100,
				len: 50
			}]
		);
	}

	#[test]
	fn indexing_again_changes_nothing_and_large_pieces_take_several_transactions() {
		let (store, _dir) = store();
		for _ in 0..2 {
			let mut batch = store.index_piece(piece(1));
			for n in 0..BATCH as u32 + 10 {
				batch.add(&multihash(n), n.into(), 1).unwrap();
			}
			batch.finish().unwrap();
		}
		assert_eq!(
			store
				.block_locations(&multihash(BATCH as u32 + 9), 10)
				.unwrap()
				.len(),
			1
		);
		store
			.unindex_blocks(&piece(1), &mut (0..BATCH as u32 + 10).map(multihash))
			.unwrap();
		assert!(store.block_locations(&multihash(3), 10).unwrap().is_empty());
	}
}
