//! `cairn chain`

mod block;
mod events;
mod params;
mod providers;
mod sectors;

use crate::{context::Context, error::CliError};

/// Read the chain, for scripts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Block(block::Args),
	Events(events::Args),
	WaitFor(events::WaitArgs),
	Providers(providers::ListArgs),
	Provider(providers::ShowArgs),
	Sectors(sectors::Args),
	/// Show the protocol's parameters and proof types
	Params,
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Block(args) => block::run(context, args).await,
		Command::Events(args) => events::run(context, args).await,
		Command::WaitFor(args) => events::wait_for(context, args).await,
		Command::Providers(args) => providers::list(context, args).await,
		Command::Provider(args) => providers::show(context, args).await,
		Command::Sectors(args) => sectors::run(context, args).await,
		Command::Params => params::run(context).await,
	}
}
