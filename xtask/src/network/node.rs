//! The development node.

use super::{free_port, Programs};
use crate::process::{json_rpc, Process, Spec, Supervisor};
use anyhow::{Context, Result};
use serde_json::{json, Value};
use std::{
	path::{Path, PathBuf},
	process::Command,
	time::Duration,
};

/// How long a node may take to its first block on a slow and busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// A running development node.
pub struct Node {
	process: Process,
	programs: Programs,
	folder: PathBuf,
	port: u16,
	block_time: Duration,
}

impl Node {
	/// Starts a node whose data is in `folder/node`, and waits for its first block.
	///
	/// # Errors
	/// When it cannot be started or ends before its first block.
	pub fn start(
		supervisor: &Supervisor,
		programs: &Programs,
		folder: &Path,
		block_time: Duration,
	) -> Result<Self> {
		Self::start_on(free_port()?, supervisor, programs, folder, block_time)
	}

	/// [`Node::start`] on a given port.
	///
	/// # Errors
	/// As [`Node::start`].
	pub fn start_on(
		port: u16,
		supervisor: &Supervisor,
		programs: &Programs,
		folder: &Path,
		block_time: Duration,
	) -> Result<Self> {
		let process = launch(supervisor, programs, folder, port, block_time)?;
		let node = Self {
			process,
			programs: programs.clone(),
			folder: folder.to_owned(),
			port,
			block_time,
		};
		node.wait_for_block(1)?;
		Ok(node)
	}

	/// Kills the node and starts it again with the same data and port.
	///
	/// # Errors
	/// As [`Node::start`].
	pub fn restart(&mut self, supervisor: &Supervisor) -> Result<()> {
		self.process.kill();
		self.process = launch(
			supervisor,
			&self.programs,
			&self.folder,
			self.port,
			self.block_time,
		)?;
		self.wait_for_block(1)
	}

	/// Waits until the chain has a block of this number or above.
	///
	/// # Errors
	/// When the node ends or takes too long.
	pub fn wait_for_block(&self, number: u64) -> Result<()> {
		self.process.wait_until("block production", START_TIMEOUT, || {
			self.best_block().ok().filter(|best| *best >= number)
		})?;
		Ok(())
	}

	/// Number of the best block.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn best_block(&self) -> Result<u64> {
		let header = self.rpc("chain_getHeader", json!([]))?;
		let number = header["number"]
			.as_str()
			.context("the node's header has no number")?;
		Ok(u64::from_str_radix(number.trim_start_matches("0x"), 16)?)
	}

	/// Calls a method of the node's JSON-RPC.
	///
	/// # Errors
	/// When the node does not answer or answers with an error.
	pub fn rpc(&self, method: &str, params: Value) -> Result<Value> {
		json_rpc(&format!("http://127.0.0.1:{}", self.port), method, params)
	}

	/// Websocket address of the node's JSON-RPC.
	pub fn url(&self) -> String {
		format!("ws://127.0.0.1:{}", self.port)
	}

	/// The running program.
	pub fn process(&self) -> &Process {
		&self.process
	}
}

fn launch(
	supervisor: &Supervisor,
	programs: &Programs,
	folder: &Path,
	port: u16,
	block_time: Duration,
) -> Result<Process> {
	let mut command = Command::new(&programs.node);
	command
		.arg("--dev")
		.arg("--base-path")
		.arg(folder.join("node"))
		.args(["--state-pruning", "archive"])
		.args(["--listen-addr", "/ip4/127.0.0.1/tcp/0"])
		.args(["--no-telemetry", "--no-prometheus"])
		.args(["--rpc-port", &port.to_string()])
		.args(["--dev-block-time", &block_time.as_millis().to_string()]);
	supervisor.start(Spec::new("node", command, folder.join("node.log")))
}
