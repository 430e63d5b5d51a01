//! Bitswap, so that stock IPFS nodes fetch blocks from a Cairn node and it from them.
//!
//! [`wire`] is the messages, [`ledger`] the serving side. The requesting side is the [scheduler] that both
//! protocols share, and [`exchange::service`](crate::exchange::service) drives them all on the host's
//! streams.
//!
//! Written here because none of the crates that speak Bitswap links with libp2p 0.57: beetswap 0.5.0 needs
//! libp2p-swarm 0.47, iroh-bitswap and libp2p-bitswap are of 2022 and 2023.
//!
//! [scheduler]: crate::exchange::scheduler

pub mod ledger;
pub mod wire;
