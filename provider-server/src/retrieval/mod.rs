//! Finding and reading what is stored: pieces by commitment, blocks by CID.
//!
//! A piece is served from its payload file; where only the sealed copy is left, it is unsealed
//! first. Blocks are read out of the payloads by the index, hashed before they leave, and looked for
//! in another piece if one is damaged. [`NodeBlocks`] goes on to the node's own block store.

mod blocks;
mod node;
mod payload;

pub use blocks::PieceBlocks;
pub use node::NodeBlocks;
pub use payload::{open_payload, PayloadError};
