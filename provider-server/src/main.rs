//! `cairn-provider`: see `cairn_provider_server::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
	cairn_provider_server::cli::main()
}
