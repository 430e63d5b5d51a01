//! What the end-to-end tests share: a network of real programs per test, and what they ask it.
//!
//! Each test starts its own node, providers and clients on free loopback ports, in a folder of its own that
//! stays when the test fails. Nothing here knows the chain but through the programs' command lines, so that
//! the tests see what users see. The programs must have been built: `cargo xtask test` does it, or
//! `cargo build --workspace --bins`; `CAIRN_PROGRAMS` names another folder that has them.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod disk;
pub mod files;
pub mod http;
pub mod memory;
pub mod money;
mod network;
mod user;

pub use network::{on_network, Network};
pub use user::{Account, Deal, Put, Running, User, PATIENCE};
