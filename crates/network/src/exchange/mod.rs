//! Block exchange: blocks from peers, and blocks for them, in two protocols.
//!
//! The native protocol ([`wire`]) is for Cairn nodes; [Bitswap](crate::bitswap) is so that stock IPFS nodes
//! take part. `docs/src/exchange.md` specifies both.
//!
//! Engines do no I/O and are tested without any:
//! - [`scheduler`] decides what this node asks of whom, for both protocols;
//! - [`server`] and [`bitswap::ledger`](crate::bitswap::ledger) keep what peers want, and take turns between
//!   them ([`fair`]);
//! - [`walk`] is the order of the blocks of a range.
//!
//! [`service`] runs them on the streams of a host ([`crate::streams`]), and [`fetch`] is what callers want:
//! a block, a DAG or a range in the local store.
//!
//! A host and an exchange are put together so:
//!
//! ```no_run
//! # use cairn_network::{blocks::MemoryStore, exchange::service::{Config, Exchange}, host::*};
//! # async fn run(config: HostConfig, parts: HostParts) -> Result<(), StartError> {
//! let store = std::sync::Arc::new(MemoryStore::new());
//! let (host, exchange) = Exchange::with_host(config, parts, store, Config::default()).await?;
//! # Ok(())
//! # }
//! ```

pub mod fair;
pub mod fetch;
pub mod framing;
pub mod scheduler;
pub mod server;
pub mod service;
pub mod walk;
pub mod wire;
