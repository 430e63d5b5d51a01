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
	/// Show a block: the latest finalized one, or one by number
	Block(block::Args),
	/// Print events of finalized blocks, past or as they come
	Events(events::Args),
	/// Wait for one event and print it
	WaitFor(events::WaitArgs),
	/// List providers with their asks
	Providers(providers::ListArgs),
	/// Show one provider
	Provider(providers::ShowArgs),
	/// List a provider's sectors
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
