//! The tables. Values are SCALE.

use redb::{TableDefinition, WriteTransaction};

/// Single values: `format`, `identity`, `next_sector`, `seal_rate`, `window_sent`, `finalized`.
pub const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Deals that something can still happen to, by proposal hash.
pub const DEALS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("deals");
/// Deals in a final state, by proposal hash.
pub const CLOSED_DEALS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("closed_deals");
/// Sectors that something can still happen to, by number.
pub const SECTORS: TableDefinition<u32, &[u8]> = TableDefinition::new("sectors");
/// Sectors in a final state, by number.
pub const CLOSED_SECTORS: TableDefinition<u32, &[u8]> = TableDefinition::new("closed_sectors");
/// Stored pieces, by SCALE of their `PieceInfo`: payloads that differ in trailing zeros share a
/// commitment.
pub const PIECES: TableDefinition<&[u8; PIECE_KEY], &[u8]> = TableDefinition::new("pieces");
/// Bytes of a piece's key: commitment, padded size, payload size.
pub const PIECE_KEY: usize = 41;
/// Where blocks are: key = multihash bytes ‖ the piece's key, value = (offset in the payload, length).
pub const BLOCKS: TableDefinition<&[u8], (u64, u32)> = TableDefinition::new("blocks");

/// Creates every table, so that reads need not ask whether one exists.
pub fn create_all(write: &WriteTransaction) -> Result<(), redb::TableError> {
	write.open_table(META)?;
	write.open_table(DEALS)?;
	write.open_table(CLOSED_DEALS)?;
	write.open_table(SECTORS)?;
	write.open_table(CLOSED_SECTORS)?;
	write.open_table(PIECES)?;
	write.open_table(BLOCKS)?;
	Ok(())
}
