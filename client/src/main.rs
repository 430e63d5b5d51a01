//! `cairn`: stores files with providers that prove it, reads them back, and pays for it.
//!
//! [`cli`] is the command line, [`commands`] has one file per subcommand and knows nothing but what to
//! call and print. Below it, [`deals`] makes deals, [`retrieval`] reads objects back from providers
//! that are not trusted, [`provider`] speaks to their servers, [`record`] remembers what was stored.
//! [`error`] judges every error: its kind, exit code and hint.
//!
//! Start reading at [`commands::put`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod account;
mod amount;
mod block_span;
mod block_time;
mod cli;
mod commands;
mod context;
mod deals;
mod error;
mod event_view;
mod output;
mod progress;
mod provider;
mod record;
mod retrieval;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
	cli::main()
}
