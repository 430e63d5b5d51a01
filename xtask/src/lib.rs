//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! [`setup`] makes a machine ready to build, [`workspace`] says where builds go and runs cargo there, [`mod@test`]
//! is what CI runs, and [`process`] supervises the programs of a local network. [`step`] prints what is being
//! done and how long it takes. Start reading at `main.rs`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
pub mod block_budget;
pub mod demo;
pub mod devnet;
pub mod metadata;
pub mod network;
pub mod process;
mod scale;
pub mod scripts;
pub mod setup;
pub mod step;
pub mod test;
pub mod weights;
pub mod workspace;
