//! Pieces in the database: what is stored, and whether its blocks are indexed.

use super::{
	decode,
	tables::{PIECES, PIECE_KEY},
	Store, StoreError,
};
use cairn_primitives::{deal::PayloadKind, Commitment, PieceInfo};
use codec::{Decode, Encode};
use redb::ReadableTable;

/// A stored piece.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct PieceRecord {
	/// Commitment and sizes.
	pub info: PieceInfo,
	/// What it holds.
	pub kind: PayloadKind,
}

impl PieceRecord {
	/// Whether its blocks may be in the index.
	pub fn has_blocks(&self) -> bool {
		self.kind == PayloadKind::Public
	}
}

/// The piece's key: SCALE of its commitment and sizes.
pub(super) fn key(piece: &PieceInfo) -> [u8; PIECE_KEY] {
	let mut key = [0; PIECE_KEY];
	key[..32].copy_from_slice(&piece.commitment);
	key[32] = piece.size_log2;
	key[33..].copy_from_slice(&piece.payload_size.to_le_bytes());
	key
}

impl Store {
	/// Notes that a piece is stored. Idempotent. One that is public to one deal stays so when another deal takes the
	/// same bytes for a protected payload: its blocks are in the index.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn insert_piece(&self, piece: &PieceRecord) -> Result<(), StoreError> {
		let write = self.write()?;
		{
			let mut table = write.open_table(PIECES)?;
			let known = match table.get(&key(&piece.info))? {
				Some(bytes) => decode::<PieceRecord>("pieces", bytes.value())?.has_blocks(),
				None => false,
			};
			if !known {
				table.insert(&key(&piece.info), piece.encode().as_slice())?;
			}
		}
		write.commit()?;
		Ok(())
	}

	/// A stored piece.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn piece(&self, piece: &PieceInfo) -> Result<Option<PieceRecord>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(PIECES)?;
		let found = table.get(&key(piece))?;
		found.map(|bytes| decode("pieces", bytes.value())).transpose()
	}

	/// The stored pieces of a commitment: mostly none or one.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn pieces_of(&self, commitment: &Commitment) -> Result<Vec<PieceRecord>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(PIECES)?;
		let (mut low, mut high) = ([0; PIECE_KEY], [0xff; PIECE_KEY]);
		low[..32].copy_from_slice(commitment);
		high[..32].copy_from_slice(commitment);
		let mut pieces = Vec::new();
		for entry in table.range::<&[u8; PIECE_KEY]>(&low..=&high)? {
			pieces.push(decode("pieces", entry?.1.value())?);
		}
		Ok(pieces)
	}

	/// Every stored piece.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn pieces(&self) -> Result<Vec<PieceRecord>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(PIECES)?;
		let mut pieces = Vec::new();
		for entry in table.iter()? {
			pieces.push(decode("pieces", entry?.1.value())?);
		}
		Ok(pieces)
	}

	/// Forgets a piece. Its blocks must have left the index. Idempotent.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn remove_piece(&self, piece: &PieceInfo) -> Result<(), StoreError> {
		let write = self.write()?;
		write.open_table(PIECES)?.remove(&key(piece))?;
		write.commit()?;
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::{super::tests::store, *};

	#[test]
	fn pieces_come_and_go() {
		let (store, _dir) = store();
		let info = PieceInfo {
			commitment: [7; 32],
			size_log2: 11,
			payload_size: 2000,
		};
		let piece = PieceRecord {
			info,
			kind: PayloadKind::Public,
		};
		store.insert_piece(&piece).unwrap();
		store.insert_piece(&piece).unwrap();
		assert_eq!(store.pieces().unwrap(), std::slice::from_ref(&piece));
		assert_eq!(store.piece(&info).unwrap(), Some(piece.clone()));
		let longer = PieceInfo {
			payload_size: 2001,
			..info
		};
		store
			.insert_piece(&PieceRecord {
				info: longer,
				kind: PayloadKind::Public,
			})
			.unwrap();
		assert_eq!(store.pieces_of(&[7; 32]).unwrap().len(), 2);
		assert!(store.pieces_of(&[8; 32]).unwrap().is_empty());
		store
			.insert_piece(&PieceRecord {
				info,
				kind: PayloadKind::Protected,
			})
			.unwrap();
		assert!(store.piece(&info).unwrap().unwrap().has_blocks());
		store.remove_piece(&info).unwrap();
		store.remove_piece(&info).unwrap();
		assert_eq!(store.piece(&info).unwrap(), None);
		assert_eq!(store.pieces_of(&[7; 32]).unwrap()[0].info, longer);
	}
}
