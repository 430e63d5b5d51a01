//! Finding and reading what is stored: pieces by commitment, blocks by CID.
//!
//! A piece is served from its payload file; where only the sealed copy is left, it is unsealed
//! first. Blocks are read out of the payloads by the index, hashed before they leave, and looked for
//! in another piece if one is damaged.

mod blocks;
mod payload;

pub use blocks::PieceBlocks;
pub use payload::{open_payload, PayloadError};
