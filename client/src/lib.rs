//! `cairn`: stores files with providers that prove it, reads them back, and pays for it.
//!
//! [`cli`] is the command line, `commands` has one file per subcommand and knows nothing but what to
//! call and print. Below it, `archives` reads and writes archives, `deals` makes deals, [`retrieval`] reads
//! objects back from providers that are not trusted, `provider` speaks to their servers, `network` makes this
//! program a peer of the network, `record` remembers what was stored. `error` judges every error: its kind, exit code and hint.
//!
//! A program, and a library only for its own `main.rs` and for fuzzing what providers send. Start reading at
//! `commands::put`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod account;
mod archives;
mod block_time;
pub mod cli;
mod commands;
mod context;
mod deals;
mod error;
mod event_view;
#[cfg(test)]
mod example_deal;
mod network;
mod new_file;
mod output;
mod progress;
mod provider;
mod record;
pub mod retrieval;
mod settings;
