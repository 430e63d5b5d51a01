//! Making deals: choosing providers, funding the escrow, proposing, uploading, following a deal until
//! its sector is proven.

mod archive;
pub mod escrow;
pub mod follow;
pub mod offers;
pub mod packing;
pub mod placement;
pub mod proposing;
pub mod storing;
pub mod terms;
