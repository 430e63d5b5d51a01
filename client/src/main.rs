//! `cairn`: see `cairn_client::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
	cairn_client::cli::main()
}
