//! The storage provider's daemon.
//!
//! It takes deals over JSON-RPC or from the chain, receives their data over HTTP, puts it into
//! sectors, proves the sectors when they begin and once in every proving period, and serves the data
//! to whoever asks by CID, over HTTP and as a peer of the network. What it promised is in one database; what it did is on chain; after a kill
//! at any point it compares the two and goes on.
//!
//! It knows no wallet but its worker's key and decides no consensus.
//!
//! Beside the data of deals it keeps a block store of its own ([`data`]), for its operator's programs.
//!
//! Start reading at [`provider`] (what everything shares), then [`pipeline`] (what happens to a deal),
//! [`deal::state`] and [`sector::state`] (the states), [`http`] (the outside).
#![deny(missing_docs)]

pub mod access;
pub mod backoff;
pub mod chain;
pub mod cli;
pub mod config;
pub mod contact;
pub mod data;
pub mod deal;
pub mod fault_injection;
pub mod http;
pub mod ingest;
pub mod metrics;
pub mod network;
pub mod pipeline;
pub mod provider;
pub mod retrieval;
pub mod sector;
pub mod store;

#[cfg(test)]
mod book;
#[cfg(test)]
mod simulation;
