//! Providers that lose data: found out, not paid meanwhile, and paid again when they have it back.

use anyhow::{anyhow, ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal},
	on_network, Deal, Network, Put, User,
};
use std::{
	fs,
	path::{Path, PathBuf},
	thread,
};
use xtask::network::{plancks, Provider};

/// Long enough for loss, a period without payment, and recovery.
const DURATION: u32 = 200;
/// Blocks of a proving period of the development chain.
const PERIOD: u64 = 20;

/// Three stories on one network, because each of them is mostly waiting for blocks.
#[test]
fn data_that_is_not_there_is_not_paid_for_until_it_is_back() -> Result<()> {
	on_network("loss", |network| {
		let network = &*network;
		let stories: [(&str, fn(&Network) -> Result<()>); 3] = [
			("a hot provider loses and damages files", lost_and_damaged),
			("a replica is lost", lost_replica),
			("a provider is gone for a while", gone),
		];
		thread::scope(|scope| {
			let running = stories.map(|(name, story)| (name, scope.spawn(move || story(network))));
			let outcomes = running.map(|(name, story)| {
				let outcome = story.join().unwrap_or_else(|_| Err(anyhow!("panicked")));
				outcome.context(name)
			});
			outcomes.into_iter().collect()
		})
	})
}

fn lost_and_damaged(network: &Network) -> Result<()> {
	let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
	let user = network.user("bobs-user")?;
	let first = user.block()?;
	let stored = |name: &str, size, seed| -> Result<(PathBuf, Put)> {
		let file = files::write(network.folder().join(name), size, seed)?;
		let (put, _) = user.put_with(&provider, &file, "hot", DURATION)?;
		Ok((file, put))
	};
	let lost = stored("lost", 1_000_000, 1)?;
	let damaged = stored("damaged", 1_100_000, 2)?;
	let kept = stored("kept", 1_200_000, 3)?;
	let deals = [&lost.1.deals[0], &damaged.1.deals[0], &kept.1.deals[0]];
	for deal in deals {
		proven(&user, &provider, deal, 0)?;
	}

	let pieces = provider.folder().join("storage/pieces");
	let lost_file = piece_of(&pieces, &lost.1)?;
	let damaged_file = piece_of(&pieces, &damaged.1)?;
	let away = network.folder().join("away");
	fs::rename(&lost_file, &away)?;
	let whole = fs::read(&damaged_file)?;
	fs::write(&damaged_file, vec![0x5a; whole.len()])?;
	let since = user.block()?;
	for deal in [deals[0], deals[1]] {
		let event = user.wait_for("sector-faulty", &about(&provider, deal).each(), since)?;
		eprintln!("sector {}: {}", deal.sector, event["fields"]["reason"]);
	}

	let before = proven_blocks(&user, deals[0])?;
	let before_damaged = proven_blocks(&user, deals[1])?;
	let before_kept = proven_blocks(&user, deals[2])?;
	settle(&user, deals[0])?;
	network.pass(PERIOD + 10)?;
	ensure!(
		proven_blocks(&user, deals[0])? == before && proven_blocks(&user, deals[1])? == before_damaged,
		"a faulty sector earns"
	);
	ensure!(settle(&user, deals[0])? == 0, "a faulty sector is paid for");
	ensure!(
		proven_blocks(&user, deals[2])? > before_kept,
		"the sector that is there is not paid for"
	);
	let faults = user.events("sector-faulty", first, &about(&provider, deals[2]).each())?;
	ensure!(
		faults.is_empty(),
		"the sector that is there was found faulty: {faults:?}"
	);
	let (code, _) = user.failure(["get", lost.1.root.as_str(), "--output", "/dev/null"])?;
	ensure!(code != 0);

	let restored = user.block()?;
	fs::rename(&away, &lost_file)?;
	fs::write(&damaged_file, &whole)?;
	for deal in [deals[0], deals[1]] {
		user.wait_for("sector-recovered", &about(&provider, deal).each(), restored)?;
	}
	for (deal, before) in [(deals[0], before), (deals[1], before_damaged)] {
		proven(&user, &provider, deal, before)?;
		ensure!(settle(&user, deal)? > 0, "what is proven again is not paid");
	}
	for (index, (file, put)) in [&lost, &damaged, &kept].into_iter().enumerate() {
		let copy = network.folder().join(format!("copy-{index}"));
		user.get(&put.root, &copy)?;
		ensure_equal(file, &copy)?;
	}
	refunded(&user, deals[0], first)?;
	refunded(&user, deals[1], first)
}

fn lost_replica(network: &Network) -> Result<()> {
	let provider = network.provider("dave", "//Dave", "sealed-2KiB")?;
	let user = network.user("daves-user")?;
	let first = user.block()?;
	let file = files::write(network.folder().join("file of dave"), 1000, 1)?;
	let (_, deal) = &user.put_with(&provider, &file, "sealed", DURATION)?;
	proven(&user, &provider, deal, 0)?;

	let replica = provider
		.folder()
		.join(format!("storage/sectors/{:010}/replica", deal.sector));
	let away = network.folder().join("replica");
	fs::rename(&replica, &away).with_context(|| format!("no {}", replica.display()))?;
	let since = user.block()?;
	user.wait_for("sector-faulty", &about(&provider, deal).each(), since)?;
	let before = proven_blocks(&user, deal)?;
	network.pass(PERIOD + 10)?;
	ensure!(proven_blocks(&user, deal)? == before, "a faulty sector earns");

	let restored = user.block()?;
	fs::rename(&away, &replica)?;
	user.wait_for("sector-recovered", &about(&provider, deal).each(), restored)?;
	proven(&user, &provider, deal, before)?;
	ensure!(settle(&user, deal)? > 0, "what is proven again is not paid");
	refunded(&user, deal, first)
}

fn gone(network: &Network) -> Result<()> {
	let mut provider = network.provider("charlie", "//Charlie", "hot-8MiB")?;
	let user = network.user("charlies-user")?;
	let first = user.block()?;
	let file = files::write(network.folder().join("file of charlie"), 100_000, 1)?;
	let (_, deal) = &user.put_with(&provider, &file, "hot", DURATION)?;
	proven(&user, &provider, deal, 0)?;

	provider.kill();
	let since = user.block()?;
	let event = user.wait_for("sector-faulty", &about(&provider, deal).each(), since)?;
	ensure!(event["fields"]["reason"] == "missed", "{event}");
	let before = proven_blocks(&user, deal)?;
	network.pass(PERIOD + 10)?;
	ensure!(
		proven_blocks(&user, deal)? == before,
		"a provider that is gone earns"
	);

	let back = user.block()?;
	provider.run(&network.supervisor)?;
	user.wait_for("sector-recovered", &about(&provider, deal).each(), back)?;
	proven(&user, &provider, deal, before)?;
	refunded(&user, deal, first)
}

/// Filters of the events about a deal's sector.
struct About([String; 4]);

impl About {
	fn each(&self) -> [&str; 4] {
		self.0.each_ref().map(String::as_str)
	}
}

fn about(provider: &Provider, deal: &Deal) -> About {
	let sector = deal.sector.to_string();
	About([
		"--provider".into(),
		provider.account().into(),
		"--sector".into(),
		sector,
	])
}

fn proven_blocks(user: &User, deal: &Deal) -> Result<u64> {
	user.deal(deal.id)?["proven_blocks"]
		.as_u64()
		.context("no proven_blocks")
}

/// Waits until more than `before` blocks of a deal are proven.
fn proven(user: &User, provider: &Provider, deal: &Deal, before: u64) -> Result<()> {
	let mut from = user.block()?;
	for _ in 0..4 {
		if proven_blocks(user, deal)? > before {
			return Ok(());
		}
		let event = user.wait_for("window-proof-accepted", &["--provider", provider.account()], from)?;
		from = event["block"].as_u64().context("no block")? + 1;
	}
	ensure!(
		proven_blocks(user, deal)? > before,
		"deal {} is not proven",
		deal.id
	);
	Ok(())
}

/// Settles a deal and returns what was paid.
fn settle(user: &User, deal: &Deal) -> Result<u128> {
	plancks(&user.json(["settle", &deal.id.to_string()])?["paid"])
}

/// Waits for a deal's end: what was not proven goes back to the client, to the planck.
fn refunded(user: &User, deal: &Deal, first: u64) -> Result<()> {
	let id = deal.id.to_string();
	// The end may be further off than anything else that is waited for.
	let ended = user.client.wait_for(
		"deal-ended",
		&["--deal", &id],
		first,
		DURATION + cairn_e2e::PATIENCE,
	)?;
	let blocks = ended["fields"]["paid_blocks"]
		.as_u64()
		.context("no paid_blocks")?;
	ensure!(
		blocks > 0 && blocks + PERIOD <= u64::from(DURATION),
		"{blocks} of {DURATION} blocks are paid after more than a period without proofs"
	);
	let refund = plancks(&ended["fields"]["refund"])?;
	let paid = user.sum("payment-settled", "amount", first, &["--deal", &id])?;
	let per_block = deal.price / u128::from(DURATION);
	ensure!(
		paid == per_block * u128::from(blocks) && paid + refund == deal.price,
		"{paid} paid and {refund} returned of {} for {blocks} blocks",
		deal.price
	);
	Ok(())
}

/// The file that holds the payload of an object's archive.
fn piece_of(pieces: &Path, put: &Put) -> Result<PathBuf> {
	let end = format!("-{}.car", put.archive_size);
	for entry in fs::read_dir(pieces)? {
		let path = entry?.path();
		if path.to_string_lossy().ends_with(&end) {
			return Ok(path);
		}
	}
	anyhow::bail!("no {end} in {}", pieces.display())
}
