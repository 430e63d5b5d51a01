//! What a provider server and its clients say to each other.
//!
//! A deal is proposed over JSON-RPC 2.0 ([`rpc`], [`deal`]), its data uploaded over HTTP ([`upload`])
//! and read back over HTTP (the IPFS trustless gateway and [`piece_cid`]; [`cid_text`] reads what paths name). Errors carry a stable kind
//! and a hint ([`error`]). The chain says where a server is ([`endpoint`]). This crate holds types and names
//! only: no server, no client, no chain.
//!
//! Every object that a tool may store or print carries `schema`, a name with a version; fields are
//! only ever added under the same version, so readers ignore what they do not know.
#![deny(missing_docs)]

pub mod cid_text;
pub mod deal;
pub mod endpoint;
pub mod error;
pub mod info;
pub mod piece_cid;
pub mod rpc;
pub mod scalar;
pub mod sector;
pub mod upload;

pub use cairn_units::Amount;
pub use deal::{DealList, DealProgress, DealStatus, ProposeDeal, ProposedDeal};
pub use error::{ErrorKind, Problem};
pub use info::Info;
pub use scalar::{Hash32, HexBytes};
