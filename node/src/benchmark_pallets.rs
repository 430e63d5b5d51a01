//! `cairn-benchmark-pallets`: runs the pallets' benchmarks in a runtime's Wasm and writes weights.
//!
//! Its options are those of `frame-omni-bencher v1 benchmark pallet`; `cargo xtask weights` gives them.
#![warn(missing_docs)]

use clap::Parser;
use cumulus_client_service::ParachainHostFunctions;
use frame_benchmarking_cli::PalletCmd;
use sp_runtime::traits::BlakeTwo256;

fn main() -> sc_cli::Result<()> {
	sc_cli::LoggerBuilder::new("warn,frame=info").init()?;
	PalletCmd::parse().run_with_spec::<BlakeTwo256, ParachainHostFunctions>(None)
}
