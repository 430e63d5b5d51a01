//! A local network of real programs: a development node, providers and a client, all on loopback.
//!
//! `cargo xtask demo`, `devnet` and the end-to-end tests run on it. Every program is a process of its own
//! with its own folder and log; nothing here knows the chain but through the client's command line.

mod client;
mod node;
mod provider;

pub use client::{plancks, Client};
pub use node::Node;
pub use provider::{Offer, Provider, ProviderSpec};

use crate::{step, workspace::Workspace};
use anyhow::{ensure, Context, Result};
use std::{
	env,
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

	/// The programs that an earlier build left, or those in the folder that `CAIRN_PROGRAMS` names.
	///
	/// # Errors
	/// When one is missing.
	pub fn find(workspace: &Workspace) -> Result<Self> {
		let programs = match env::var_os("CAIRN_PROGRAMS").map(PathBuf::from) {
			Some(folder) => {
				let program = |name: &str| folder.join(name).with_extension(env::consts::EXE_EXTENSION);
				Self {
					node: program("cairn-node"),
					provider: program("cairn-provider"),
					client: program("cairn"),
				}
			}
			None => Self::built(workspace),
		};
		for program in [&programs.node, &programs.provider, &programs.client] {
			ensure!(
				program.is_file(),
				"{} is missing: build the programs first, as `cargo xtask test` does",
				program.display()
			);
		}
		Ok(programs)
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

/// A TCP port of the loopback interface that was free just now: `preferred` if it was.
///
/// # Errors
/// When the system has none.
pub fn free_port_near(preferred: u16) -> Result<u16> {
	match TcpListener::bind((Ipv4Addr::LOCALHOST, preferred)) {
		Ok(_) => Ok(preferred),
		Err(_) => free_port(),
	}
}

/// Runs a program to its end and returns what it printed on standard output.
fn output(command: &mut Command) -> Result<String> {
	step::output(command)
}
