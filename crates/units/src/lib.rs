//! What people type and read: amounts (`1.5 CAIRN`), spans of the chain's time (`30d`, `500 blocks`) and
//! sizes (`512 MiB`).
//!
//! The programs' command lines and configuration files share these, so that a text means the same to each of
//! them. Every type parses what it displays. Nothing here knows a chain: [`BlockSpan`] is told the block time.
#![deny(missing_docs)]

pub mod amount;
pub mod block_span;
pub mod byte_size;

pub use amount::{Amount, AmountError};
pub use block_span::{human_blocks, human_time, BlockSpan, BlockSpanError};
pub use byte_size::{ByteSize, ByteSizeError};
