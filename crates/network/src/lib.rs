//! The network of Cairn: a libp2p host, discovery of providers, and block exchange.
//!
//! Start with [`host`]: one task owns the libp2p swarm, and [`host::Host`] is its handle. [`discovery`] finds the
//! providers of a CID (by a DHT whose records outlive restarts, by a registry, by a list) and connects to
//! them. [`exchange`] and [`bitswap`] get blocks from peers and serve them, on the host's [`streams`]. All of
//! them report to [`peers`], which bans those who cheat, and count in [`metrics`].
//!
//! Every peer is taken for hostile: what it may send, open, ask for and have remembered of it is bounded, and each
//! bound is documented where it is set. The book's chapters on the network and on block exchange hold protocol
//! ids, wire formats, limits and defaults in one place.
//!
//! This crate knows no chain, no files but its database of provider records, and no HTTP. The chain's registry of
//! providers comes in as a [`discovery::Registry`], blocks as a [`blocks`] store.
#![deny(missing_docs)]

pub mod address;
pub mod bitswap;
pub mod blocks;
pub mod clock;
pub mod discovery;
pub mod exchange;
pub mod host;
pub mod identity;
mod ip_network;
pub mod metrics;
pub mod peers;
pub mod streams;

pub use libp2p::{multiaddr::Protocol, Multiaddr, PeerId};
