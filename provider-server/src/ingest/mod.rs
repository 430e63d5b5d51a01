//! Receiving data: uploads, their verification, and the disk they take.
//!
//! Bytes are streamed to a file named after the proposal, whose blocks are reserved beforehand; its
//! length is the offset to resume from, also after a restart. When the last byte is there, the
//! commitment and every block of the CAR are checked on blocking threads; only then does the piece
//! enter the store, the block index and the deal's state. Data that fails is discarded.

mod car;
mod disk;
mod upload;

pub use car::{blocks_of, check_car, index_car, CarFault};
pub use disk::Disk;
pub use upload::{Limits, Progress, Start, Uploads};
