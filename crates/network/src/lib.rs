//! The network of Cairn: a libp2p host, discovery of providers, and block exchange.
#![deny(missing_docs)]

pub mod address;
pub mod bitswap;
pub mod blocks;
pub mod clock;
pub mod discovery;
pub mod exchange;
pub mod host;
pub mod identity;
pub mod metrics;
pub mod peers;
pub mod streams;

pub use libp2p::{Multiaddr, PeerId};
