//! `cairn peer`

mod find;
mod id;
mod ping;

use crate::{
	account::display,
	context::Context,
	deals::offers,
	error::{CliError, ErrorKind},
	retrieval::candidates,
};
use cairn_network::{address::PeerAddress, host::Host};
use std::time::Duration;

/// Peers of the network: who they are, whether they answer, what they provide.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Id(id::Args),
	Ping(ping::Args),
	Find(find::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Id(args) => id::run(context, args).await,
		Command::Ping(args) => ping::run(context, args).await,
		Command::Find(args) => find::run(context, args).await,
	}
}

/// A peer, as the user names it.
#[derive(Debug, clap::Args)]
struct Target {
	/// Address of the peer, ending with /p2p/ and its id
	#[arg(
		value_name = "MULTIADDR",
		required_unless_present = "provider",
		conflicts_with = "provider"
	)]
	address: Option<PeerAddress>,
	/// The peer that this provider registered on chain
	#[arg(long, short, value_name = "ACCOUNT")]
	provider: Option<String>,
	/// Seconds to wait for an answer
	#[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
	timeout: u64,
}

impl Target {
	/// Who that is, and where.
	async fn resolve(&self, context: &Context) -> Result<PeerAddress, CliError> {
		if let Some(address) = &self.address {
			return Ok(address.clone());
		}
		// clap demands one of the two.
		let account = context.parse_account(self.provider.as_deref().unwrap_or_default())?;
		let provider = offers::provider(&context.connect().await?, &account).await?;
		candidates::peer(&provider).ok_or_else(|| {
			CliError::new(
				ErrorKind::NotFound,
				format!("{} registered no peer of the network", display(&account)),
			)
			.hint("its server may answer: `cairn chain provider` shows it")
		})
	}

	fn timeout(&self) -> Duration {
		Duration::from_secs(self.timeout)
	}

	/// Connects.
	async fn connect(&self, host: &Host, peer: &PeerAddress) -> Result<(), CliError> {
		match tokio::time::timeout(self.timeout(), host.connect(peer.clone())).await {
			Ok(connected) => Ok(connected.map_err(|error| CliError::from(error).during(peer))?),
			Err(_) => Err(self.late(peer, "connect")),
		}
	}

	fn late(&self, peer: &PeerAddress, what: &str) -> CliError {
		CliError::new(
			ErrorKind::Timeout,
			format!("{peer} did not {what} within {} s", self.timeout),
		)
	}
}
