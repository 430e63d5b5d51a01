//! Providers and nodes that die in the middle of everything.

use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal, Random},
	on_network, Network, Put, Running, User,
};
use cairn_provider_server::fault_injection::POINTS;
use serde_json::Value;
use std::{
	collections::BTreeSet,
	path::{Path, PathBuf},
	thread,
	time::Duration,
};
use xtask::network::Provider;

/// Long enough that no deal ends while a test runs.
const DURATION: u32 = 2000;
/// How long the pipeline may take to the next crash point.
const CRASH_TIMEOUT: Duration = Duration::from_secs(300);
/// Size of a file for the hot tier; one for a sealed sector of 2 KiB.
const HOT_FILE: usize = 600_000;
const SEALED_FILE: usize = 1000;

/// A file on its way into the network.
struct Stored {
	file: PathBuf,
	tier: &'static str,
	put: Put,
}

#[test]
fn a_provider_that_crashes_at_any_point_of_the_pipeline_goes_on() -> Result<()> {
	on_network("restart-points", |network| {
		let (mut provider, user) = provider_of_both_tiers(network)?;
		let first = user.block()?;
		let mut stored = Vec::new();
		for (index, point) in POINTS.into_iter().enumerate() {
			let tier = match point {
				"sector:ticket" | "seal:layer" | "finish:due" => "sealed",
				_ => "hot",
			};
			eprintln!("== {point}");
			provider.kill();
			provider.run_with(&network.supervisor, &[("CAIRN_PROVIDER_CRASH_AT", point)])?;
			let file = file(network, tier, index)?;
			let running = start_put(&user, &file, tier, index)?;

			let process = provider.process().context("the provider runs")?;
			process
				.wait(CRASH_TIMEOUT)
				.with_context(|| format!("the provider did not reach {point}"))?;
			ensure!(
				process.log().last_lines(5).contains(point),
				"the provider died of something else than {point}"
			);
			provider.run(&network.supervisor)?;
			let put = finish_put(&user, running, &file, tier)?;
			stored.push(Stored { file, tier, put });
		}
		nothing_lost_nothing_twice(network, &provider, &user, &stored, first)
	})
}

#[test]
fn a_provider_that_is_killed_at_random_moments_goes_on() -> Result<()> {
	on_network("restart-random", |network| {
		let mut random = Random::seeded();
		let (mut provider, user) = provider_of_both_tiers(network)?;
		let first = user.block()?;
		let mut stored = Vec::new();
		for index in 0..5 {
			let tier = if index % 2 == 0 { "hot" } else { "sealed" };
			let file = file(network, tier, index)?;
			let running = start_put(&user, &file, tier, index)?;
			// The moments are random; what is waited for comes below.
			for _ in 0..2 {
				let moment = random.below(6000);
				eprintln!("killing the provider after {moment} ms");
				thread::sleep(Duration::from_millis(moment));
				provider.kill();
				provider.run(&network.supervisor)?;
			}
			let put = finish_put(&user, running, &file, tier)?;
			stored.push(Stored { file, tier, put });
		}
		nothing_lost_nothing_twice(network, &provider, &user, &stored, first)
	})
}

#[test]
fn a_node_that_restarts_in_the_middle_stops_nothing() -> Result<()> {
	on_network("restart-node", |network| {
		let (provider, user) = provider_of_both_tiers(network)?;
		let first = user.block()?;
		let mut stored = Vec::new();
		for (index, event) in ["deal-published", "sector-pre-committed", "sector-activated"]
			.into_iter()
			.enumerate()
		{
			let file = file(network, "hot", index)?;
			let from = user.block()? + 1;
			let running = start_put(&user, &file, "hot", index)?;
			user.wait_for(event, &["--provider", provider.account()], from)?;
			eprintln!("== restarting the node after {event}");
			let supervisor = network.supervisor.clone();
			let before = network.node.best_block()?;
			network.node.restart(&supervisor)?;
			network.node.wait_for_block(before + 1)?;
			let put = finish_put(&user, running, &file, "hot")?;
			stored.push(Stored {
				file,
				tier: "hot",
				put,
			});
		}
		let now = user.block()?;
		user.wait_for("window-proof-accepted", &["--provider", provider.account()], now)?;
		ensure!(
			provider
				.process()
				.is_some_and(|process| process.exit_status().is_none()),
			"the provider ended with the node"
		);
		nothing_lost_nothing_twice(network, &provider, &user, &stored, first)
	})
}

fn provider_of_both_tiers(network: &Network) -> Result<(Provider, User)> {
	let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
	provider.json(["ask", "set", "sealed-2KiB", "--price", "1 CAIRN"])?;
	Ok((provider, network.user("user")?))
}

fn file(network: &Network, tier: &str, index: usize) -> Result<PathBuf> {
	let size = if tier == "hot" { HOT_FILE } else { SEALED_FILE };
	files::write(network.folder().join(format!("file-{index}")), size, index as u64)
}

fn start_put(user: &User, file: &Path, tier: &str, index: usize) -> Result<Running> {
	user.start(
		&format!("put-{index}"),
		User::put_arguments(file, tier, 1, DURATION),
	)
}

/// A command that broke off with the provider or the node is repeated, as a user would.
fn finish_put(user: &User, running: Running, file: &Path, tier: &str) -> Result<Put> {
	if let Some(report) = running.finish()? {
		return Put::from_report(&report);
	}
	eprintln!("put broke off and is repeated");
	user.put(file, tier, 1, DURATION)
}

/// Every deal is active, in one sector each; no number was used twice; nothing was sent that the chain had
/// to refuse; and every file can be read.
fn nothing_lost_nothing_twice(
	network: &Network,
	provider: &Provider,
	user: &User,
	stored: &[Stored],
	first: u64,
) -> Result<()> {
	let own = ["--provider", provider.account()];
	let deals = user.json(["deal", "ls", provider.account()])?;
	let deals = deals["deals"].as_array().context("no deals")?;
	ensure!(
		deals.len() == stored.len() && deals.iter().all(|deal| deal["state"] == "active"),
		"{} files were stored, the deals are {deals:?}",
		stored.len()
	);
	let wanted: BTreeSet<u64> = stored.iter().map(|stored| stored.put.deals[0].id).collect();
	ensure!(wanted.len() == stored.len(), "two files have one deal");

	let sectors = user.json(["chain", "sectors", provider.account()])?;
	let sectors = sectors["sectors"].as_array().context("no sectors")?;
	let in_sectors: Vec<u64> = sectors
		.iter()
		.flat_map(|sector| sector["deals"].as_array().into_iter().flatten())
		.filter_map(Value::as_u64)
		.collect();
	ensure!(
		in_sectors.len() == stored.len(),
		"deals in sectors: {in_sectors:?}"
	);
	ensure!(in_sectors.into_iter().collect::<BTreeSet<_>>() == wanted);

	let published = user.events("deal-published", first, &own)?.len();
	ensure!(
		published == stored.len(),
		"{published} deals were published for {} files",
		stored.len()
	);
	for event in ["sector-pre-committed", "sector-activated"] {
		let events = user.events(event, first, &own)?;
		let numbers: BTreeSet<u64> = events
			.iter()
			.filter_map(|event| event["fields"]["sector"].as_u64())
			.collect();
		ensure!(
			events.len() == sectors.len() && numbers.len() == sectors.len(),
			"{} of {event} for {} sectors: {numbers:?}",
			events.len(),
			sectors.len()
		);
	}
	for event in ["pre-commit-expired", "deal-not-started", "deal-terminated"] {
		ensure!(user.events(event, first, &[])?.is_empty(), "there is {event}");
	}
	let refused = user.events("extrinsic-failed", first, &[])?;
	ensure!(
		refused.is_empty(),
		"transactions were sent that the chain refused: {refused:?}"
	);

	for (index, stored) in stored.iter().enumerate() {
		let copy = network.folder().join(format!("copy-{index}"));
		user.get(&stored.put.root, &copy)
			.with_context(|| format!("{} of tier {}", stored.file.display(), stored.tier))?;
		ensure_equal(&stored.file, &copy)?;
	}
	Ok(())
}
