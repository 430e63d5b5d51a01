//! Finding and reading what is stored: pieces by commitment, blocks by CID.
//!
//! A piece is served from its payload file. Where only the sealed copy is left, what is asked for is decoded from the
//! replica, range by range, by the sector's key ([`unsealing`]); nothing of it is written. Blocks are read out of the
//! pieces by the index, hashed before they leave, and looked for in another piece if one is damaged. [`NodeBlocks`]
//! goes on to the node's own block store.

mod blocks;
mod node;
mod payload;
mod turns;
pub mod unsealing;

pub use blocks::PieceBlocks;
pub use node::NodeBlocks;
pub use payload::{open_payload, restore_payload, Payload, PayloadError};
