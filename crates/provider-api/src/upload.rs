//! Uploading a deal's data over HTTP.
//!
//! - `PUT /upload/{proposal hash}`, body: the payload. Without [`OFFSET_HEADER`] (or
//!   `Content-Range`) it starts from byte 0 and discards what a broken upload left. With it, it goes
//!   on from there; the offset must be the one the server holds, else 409 with the right one in
//!   [`OFFSET_HEADER`]. `PATCH` does the same but demands an offset.
//! - `HEAD` gives [`OFFSET_HEADER`] (bytes held) and [`LENGTH_HEADER`] (bytes expected).
//! - `DELETE` discards what was uploaded.
//!
//! A request that brings the last byte is answered when size, CommP and the CAR's blocks are
//! verified: 201 and [`UploadReport`] with `complete`. One that ends early is answered 202 with
//! `complete: false`. Data that fails verification is discarded (422) and the deal awaits it anew.

use crate::Hash32;
use serde::{Deserialize, Serialize};

/// `schema` of [`UploadReport`].
pub const SCHEMA: &str = "cairn.provider.upload/1";

/// Header with the offset of the body's first byte, or of the next byte that the server expects.
pub const OFFSET_HEADER: &str = "upload-offset";
/// Header with the payload's size.
pub const LENGTH_HEADER: &str = "upload-length";

/// Path of a deal's upload.
pub fn path(proposal_hash: &Hash32) -> String {
	format!("/upload/{proposal_hash}")
}

/// Body of a successful upload's response.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct UploadReport {
	/// [`SCHEMA`].
	pub schema: String,
	/// The deal.
	pub proposal_hash: Hash32,
	/// Bytes held.
	pub received: u64,
	/// Bytes expected.
	pub of: u64,
	/// Everything is here and verified.
	pub complete: bool,
}
