//! What polkadot.js sees and does: the scripts in `tests/polkadot-js`, against real programs.

use anyhow::Result;
use cairn_e2e::on_network;
use xtask::{network::Programs, scripts::Scripts, workspace::Workspace};

#[test]
fn a_client_proposes_a_deal_on_chain() -> Result<()> {
	on_network("polkadot-js", |network| {
		let scripts = Scripts::polkadot_js(&network.workspace)?;
		let node = network.node.url();
		scripts.run(&["propose-deal.mjs", "--node", &node], &[])
	})
}

#[test]
fn a_client_proposes_to_a_running_provider() -> Result<()> {
	on_network("polkadot-js-provider", |network| {
		let scripts = Scripts::polkadot_js(&network.workspace)?;
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let node = network.node.url();
		let arguments = [
			"propose-deal.mjs",
			"--node",
			&node,
			"--provider",
			provider.account(),
		];
		scripts.run(&arguments, &[])
	})
}

#[test]
fn key_files_go_both_ways() -> Result<()> {
	let workspace = Workspace::locate()?;
	let programs = Programs::find(&workspace)?;
	let scripts = Scripts::polkadot_js(&workspace)?;
	scripts.run(
		&["key-files.mjs", "round-trip"],
		&[("CAIRN_PROGRAM", &programs.client)],
	)
}

/// The reference follows from the client's copy of the metadata, which a test of the runtime compares with the
/// runtime. `cargo xtask metadata` brings both up to date.
#[test]
fn the_books_chain_reference_is_up_to_date() -> Result<()> {
	let workspace = Workspace::locate()?;
	Scripts::polkadot_js(&workspace)?.run(&["chain-reference.mjs", "--check"], &[])
}
