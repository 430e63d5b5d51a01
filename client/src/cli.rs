//! The command line as a whole: its tree of subcommands, and how the program begins and ends.

use crate::{
	commands::{self, Command},
	context::{Context, Flags},
	error::{CliError, ErrorKind, EXIT_CODES},
	output::{Format, Output},
	settings::{Origin, SettingArgs, Settings},
};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use std::{io, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// Store files with providers that prove on chain that they keep them, read them back, and pay for it.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
	#[command(flatten)]
	settings: SettingArgs,
	#[command(flatten)]
	flags: Flags,
	#[command(subcommand)]
	command: Command,
}

/// The clap command, for completions.
pub fn command() -> clap::Command {
	Cli::command()
}

/// Parses the command line, runs the command, reports its error.
pub fn main() -> ExitCode {
	let parsed = command().try_get_matches().and_then(|matches| {
		let cli = Cli::from_arg_matches(&matches)?;
		Ok((cli, matches))
	});
	let (cli, matches) = match parsed {
		Ok(parsed) => parsed,
		// Whoever asked for JSON reads errors by machine, those of the command line too.
		Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
			let error = usage_error(&error);
			error.report(true);
			return error.exit_code();
		}
		Err(error) => error.exit(),
	};
	let json = cli.flags.json;
	match start(cli, &matches) {
		Ok(()) => ExitCode::SUCCESS,
		// Whoever read our output has read enough, as in `cairn ls | head`.
		Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
		Err(error) => {
			error.report(json);
			error.exit_code()
		}
	}
}

/// A mistake on the command line: what clap says first, and as a hint the rest.
fn usage_error(error: &clap::Error) -> CliError {
	let text = error.render().to_string();
	let text = text.trim_start_matches("error: ").trim();
	let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
	let error = CliError::new(ErrorKind::Usage, message.trim());
	match rest.trim() {
		"" => error,
		rest => error.hint(rest),
	}
}

fn start(cli: Cli, matches: &ArgMatches) -> Result<(), CliError> {
	if cli.flags.verbose {
		let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
		tracing_subscriber::fmt()
			.with_env_filter(filter)
			.with_writer(io::stderr)
			.init();
	}
	let format = if cli.flags.json {
		Format::Json
	} else {
		Format::Human
	};
	let output = Output::new(format, cli.flags.quiet);
	let settings = Settings::resolve(cli.settings, matches)?;
	// Where the account comes from elsewhere, the flag beats it.
	if cli.flags.dev.is_some() && settings.account.origin == Origin::Flag {
		return Err(CliError::new(
			ErrorKind::Usage,
			"--dev and --account name two accounts to sign as",
		));
	}
	let context = Context {
		settings,
		output,
		flags: cli.flags,
	};
	let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
	let result = runtime.block_on(async {
		tokio::select! {
			result = commands::run(&context, cli.command) => result,
			signal = interrupted() => match signal {
				Ok(()) => Err(CliError::new(ErrorKind::Interrupted, "interrupted")),
				Err(error) => Err(error.into()),
			},
		}
	});
	// Blocking work that was interrupted must not hold the program up.
	runtime.shutdown_background();
	result
}

/// Returns when the user or the system asks the program to end.
async fn interrupted() -> io::Result<()> {
	#[cfg(unix)]
	{
		use tokio::signal::unix::{signal, SignalKind};
		let mut terminate = signal(SignalKind::terminate())?;
		tokio::select! {
			signal = tokio::signal::ctrl_c() => signal,
			_ = terminate.recv() => Ok(()),
		}
	}
	#[cfg(not(unix))]
	tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn the_tree_is_consistent() {
		command().debug_assert();
	}

	/// Otherwise what is given for one would be taken for the other.
	#[test]
	fn arguments_of_commands_and_of_the_program_have_different_ids() {
		fn check(command: &clap::Command, globals: &[String]) {
			for sub in command.get_subcommands() {
				for argument in sub.get_arguments() {
					let id = argument.get_id().to_string();
					assert!(!globals.contains(&id), "{id} of {}", sub.get_name());
				}
				check(sub, globals);
			}
		}
		// Not built yet: globals have not been copied to the commands.
		let command = command();
		let globals: Vec<String> = command
			.get_arguments()
			.filter(|argument| argument.is_global_set())
			.map(|argument| argument.get_id().to_string())
			.collect();
		assert!(globals.len() > 5);
		check(&command, &globals);
	}

	/// The whole help as one text, compared with the file beside: changes of the command line are seen
	/// in review. `CAIRN_BLESS=1` rewrites the file.
	#[test]
	fn help_is_as_recorded() {
		fn collect(command: &mut clap::Command, path: &str, text: &mut String) {
			let help = command.render_long_help().to_string();
			// The same everywhere.
			let mut is_global = false;
			let own = help.lines().filter(|line| {
				is_global = match *line {
					"Global options:" => path != "cairn",
					line => is_global && (line.is_empty() || line.starts_with(' ')),
				};
				!is_global
			});
			text.push_str(&format!(
				"## {path}\n\n{}\n\n",
				own.collect::<Vec<_>>().join("\n").trim_end()
			));
			for sub in command.get_subcommands_mut() {
				if sub.get_name() != "help" {
					let path = format!("{path} {}", sub.get_name());
					collect(sub, &path, text);
				}
			}
		}
		let mut text = String::new();
		let mut command = command().term_width(100);
		command.build();
		collect(&mut command, "cairn", &mut text);
		// Lines end in spaces where clap pads.
		let text: String = text
			.lines()
			.map(|line| format!("{}\n", line.trim_end()))
			.collect();
		let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");
		if std::env::var_os("CAIRN_BLESS").is_some() {
			std::fs::write(path, &text).unwrap();
		}
		let recorded = std::fs::read_to_string(path).unwrap();
		assert!(
			recorded == text,
			"the help has changed; run with CAIRN_BLESS=1 and look at the difference"
		);
	}
}
