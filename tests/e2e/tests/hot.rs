//! The hot tier from `put` to the last settlement.

use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal},
	http,
	money::Ledger,
	on_network, Network, User,
};
use serde_json::Value;
use std::{fs, path::Path};
use xtask::network::Provider;

/// Blocks that the deals last: three proving periods of the development chain.
const DURATION: u32 = 60;

#[test]
fn a_file_is_stored_proven_read_and_paid_for_until_its_end() -> Result<()> {
	on_network("hot-file", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		let file = files::write(network.folder().join("file"), 3_000_000, 1)?;
		let ledger = Ledger::open(&user, &provider)?;

		let put = user.put(&file, "hot", 1, DURATION)?;
		let deal = &put.deals[0];
		ensure!(deal.ends == deal.since + u64::from(DURATION));
		let held = user.account(&user.address)?.held_for("Market.DealPayment");
		ensure!(held == deal.price, "{held} is held for a deal of {}", deal.price);
		ensure!(
			user.account(provider.account())?
				.held_for("Market.DealCollateral")
				> 0
		);

		let copy = network.folder().join("copy");
		user.get(&put.root, &copy)?;
		ensure_equal(&file, &copy)?;
		ranges(network, &user, &provider, &file, &put.root, &put.piece)?;

		ledger.settle_in_the_middle(deal)?;
		ledger.until_the_end(deal)?;
		ledger.close(deal)?;
		// What the deal was about is over.
		let (code, _) = user.failure(["deal", "show", &deal.id.to_string()])?;
		ensure!(code == 10, "the deal is still there");
		Ok(())
	})
}

#[test]
fn a_folder_is_stored_with_two_providers_and_read_as_it_was() -> Result<()> {
	on_network("hot-folder", |network| {
		let first = network.provider("bob", "//Bob", "hot-8MiB")?;
		let mut second = network.provider("charlie", "//Charlie", "hot-8MiB")?;
		let user = network.user("user")?;
		let folder = network.folder().join("folder");
		for (index, (name, size)) in [
			("empty", 0),
			("one byte", 1),
			("sub/127", 127),
			("sub/128", 128),
			("sub/deeper/a block", 256 << 10),
			("sub/deeper/blocks", 700_001),
			("naïve name €", 10),
		]
		.into_iter()
		.enumerate()
		{
			files::write(folder.join(name), size, index as u64)?;
		}
		let put = user.put(&folder, "hot", 2, DURATION)?;
		ensure!(put.deals[0].id != put.deals[1].id);

		let copy = network.folder().join("copy");
		user.get(&put.root, &copy)?;
		ensure_equal(&folder, &copy)?;
		let part = network.folder().join("part");
		user.get(&format!("{}/sub/deeper/blocks", put.root), &part)?;
		ensure_equal(&folder.join("sub/deeper/blocks"), &part)?;

		// Storing it again costs nothing: it is stored.
		let fees = user.account(&user.address)?;
		let again = user.put(&folder, "hot", 2, DURATION)?;
		ensure!(again.deals == put.deals);
		ensure!(
			user.account(&user.address)? == fees,
			"a repeated put paid something"
		);

		// One provider is enough to read it, whoever knows nothing of where it is.
		second.kill();
		let stranger = network.poor_user("stranger")?;
		let copy = network.folder().join("copy of a stranger");
		let report = stranger.get(&put.root, &copy)?;
		ensure_equal(&folder, &copy)?;
		// Over block exchange or through the gateway, as it may be.
		let list = |field: &str| report[field].as_array().context("nobody delivered it");
		let (peers, urls) = (list("peers")?, list("providers")?);
		let own = first.peer_addresses()?;
		let is_own = |peer: &Value| {
			peer.as_str()
				.is_some_and(|id| own.iter().any(|own| own.ends_with(id)))
		};
		let is_own_url = |url: &Value| url.as_str().is_some_and(|url| url.starts_with(&first.url()));
		ensure!(
			peers.len() + urls.len() > 0 && peers.iter().all(is_own) && urls.iter().all(is_own_url),
			"not from the provider that is left: {peers:?} {urls:?}"
		);
		Ok(())
	})
}

/// Parts of a file, by the command line and as a browser asks.
fn ranges(
	network: &Network,
	user: &User,
	provider: &Provider,
	file: &Path,
	root: &str,
	piece: &str,
) -> Result<()> {
	let bytes = fs::read(file)?;
	for (from, to) in [
		(0, 0),
		(262_143, 262_144),
		(1_000_000, 1_999_999),
		(2_999_990, 2_999_999),
	] {
		let part = network.folder().join(format!("part-{from}"));
		let range = format!("{from}-{to}");
		let target = part.display().to_string();
		user.json(["get", root, "--output", &target, "--range", &range])?;
		ensure!(fs::read(&part)? == bytes[from..=to], "bytes {range} differ");
	}
	let url = format!("{}/piece/{piece}", provider.url());
	let whole = http::get(&url, &[])?;
	ensure!(whole.status == 200, "{} from {url}", whole.status);
	let part = http::get(&url, &[("range", "bytes=100-299")])?;
	ensure!(part.status == 206 && part.body == whole.body[100..300]);
	let behind = http::get(&url, &[("range", "bytes=99999999-")])?;
	ensure!(behind.status == 416 && behind.problem()? == "range_not_satisfiable");

	let block = http::get(&format!("{}/ipfs/{root}?format=raw", provider.url()), &[])?;
	ensure!(block.status == 200 && !block.body.is_empty());
	let tag = block.header("etag").context("no etag")?;
	let again = http::get(
		&format!("{}/ipfs/{root}?format=raw", provider.url()),
		&[("if-none-match", tag)],
	)?;
	ensure!(again.status == 304, "{} for an etag that matches", again.status);
	Ok(())
}
