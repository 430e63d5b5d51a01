//! A local network of real programs: a development node, providers and a client, all on loopback.
//!
//! `cargo xtask demo`, `devnet` and the end-to-end tests run on it. Every program is a process of its own
//! with its own folder and log; nothing here knows the chain but through the client's command line.

mod client;
mod node;
mod provider;

pub use client::Client;
pub use node::Node;
pub use provider::{Offer, Provider};

use crate::{step, workspace::Workspace};
use anyhow::{Context, Result};
use std::{
	net::{Ipv4Addr, TcpListener},
	path::PathBuf,
	process::Command,
};

/// The programs of a network.
#[derive(Clone, Debug)]
pub struct Programs {
	/// `cairn-node`.
	pub node: PathBuf,
	/// `cairn-provider`.
	pub provider: PathBuf,
	/// `cairn`.
	pub client: PathBuf,
}

impl Programs {
	/// Builds the programs.
	///
	/// # Errors
	/// When the build fails.
	pub fn build(workspace: &Workspace) -> Result<Self> {
		workspace.build_programs()?;
		Ok(Self::built(workspace))
	}

	/// The programs that an earlier build left.
	pub fn built(workspace: &Workspace) -> Self {
		Self {
			node: workspace.debug_program("cairn-node"),
			provider: workspace.debug_program("cairn-provider"),
			client: workspace.debug_program("cairn"),
		}
	}
}

/// A TCP port of the loopback interface that was free just now.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
	let listener =
		TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback interface")?;
	Ok(listener.local_addr()?.port())
}

/// Runs a program to its end and returns what it printed on standard output.
fn output(command: &mut Command) -> Result<String> {
	step::output(command)
}
