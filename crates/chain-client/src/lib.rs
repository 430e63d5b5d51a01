//! Typed client of Cairn's chain.
//!
//! Connects to a node over JSON-RPC and offers reads ([`Query`]), streams of finalized blocks and
//! their events ([`FinalizedBlocks`], [`ChainEvent`]), and the submission of calls exactly once
//! ([`Submitter`]). It knows nothing of files, deals' bytes or keys: signatures come from a
//! [`Signer`]. It is the only crate off the chain that knows of subxt, none of whose types it shows.
//!
//! Types that the chain and its users share come from `cairn_primitives`; those of the pallets' own
//! calls and views are mirrored here and compared with the runtime's metadata, in the tests against
//! `metadata.scale` and at each connection against the node's (`interface.rs`).
//!
//! Start with [`ChainClient::connect`], then [`Submitter::submit`] and `submit.rs`.
#![deny(missing_docs)]

mod account;
mod block;
mod blocks;
pub mod calls;
mod client;
mod compatibility;
mod config;
mod deal;
mod error;
mod event_types;
mod events;
#[cfg(test)]
mod fake_node;
#[doc(hidden)]
pub mod fuzzing;
mod interface;
mod pool;
mod provider;
mod query;
mod rpc;
mod runtime;
mod shape;
mod submit;
mod transaction;

pub use account::{AccountId, MultiSignature, Signer};
pub use block::{BlockRef, Hash};
pub use blocks::FinalizedBlocks;
pub use calls::Call;
pub use client::{ChainClient, ChainInfo, ConnectOptions};
pub use compatibility::{Incompatible, Upgrade};
pub use deal::{Deal, DealState, DealView, Proposal, SignedProposal, SkipReason};
pub use error::{ChainError, ConnectError, DispatchFailure, SubmitError};
pub use events::{ChainEvent, EventRecord, FaucetEvent, MarketEvent, ProofsEvent, StorageProviderEvent};
pub use provider::{
	Ask, FaultReason, ProviderContact, ProviderView, RegisteredProofType, Ticket, MAX_ADDRESSES,
	MAX_ADDRESS_LEN, MAX_PEER_ID_LEN,
};
pub use query::{AccountBalance, Hold, Query};
pub use submit::{Included, SubmitOptions, Submitter};
