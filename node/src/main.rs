//! `cairn-node`: Cairn's collator and full node.
//!
//! It is polkadot-omni-node with Cairn's runtime and chain specs built in, so that `cairn-node --dev`
//! runs. Everything else, command line included, is the library's.
#![warn(missing_docs)]

mod chain_spec;

use color_eyre::eyre;
use polkadot_omni_node_lib::{
	extra_subcommand::NoExtraSubcommand, run_with_custom_cli, CliConfig as CliConfigT, RunConfig,
	NODE_VERSION,
};

struct CliConfig;

impl CliConfigT for CliConfig {
	fn impl_version() -> String {
		format!("{} (omni-node {NODE_VERSION})", env!("CARGO_PKG_VERSION"))
	}

	fn author() -> String {
		env!("CARGO_PKG_AUTHORS").into()
	}

	fn support_url() -> String {
		concat!(env!("CARGO_PKG_REPOSITORY"), "/issues").into()
	}

	fn copyright_start_year() -> u16 {
		2026
	}
}

fn main() -> eyre::Result<()> {
	color_eyre::install()?;
	let config = RunConfig::new(Box::new(chain_spec::Resolver), Box::new(chain_spec::Loader));
	Ok(run_with_custom_cli::<CliConfig, NoExtraSubcommand>(config)?)
}
