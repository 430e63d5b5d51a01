//! `cairn completions`

use crate::error::CliError;
use clap_complete::Shell;
use std::io::Write;

/// Print completions for a shell
///
/// For bash: cairn completions bash > /etc/bash_completion.d/cairn
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The shell
	shell: Shell,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), CliError> {
	let mut script = Vec::new();
	clap_complete::generate(args.shell, &mut crate::cli::command(), "cairn", &mut script);
	std::io::stdout().lock().write_all(&script)?;
	Ok(())
}
