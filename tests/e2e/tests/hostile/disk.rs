//! Disks that are full: while data comes in, while sectors are packed and sealed, and under the database. Then
//! there is room again, and the same process goes on where it was.

use crate::{
	offer::Customer,
	target::{Target, DURATION},
};
use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	disk::{where_mounting_works, Disk},
	files::{self, ensure_equal},
	http, on_network, Put, User,
};
use serde_json::{json, Value};
use std::{collections::BTreeSet, fs, time::Duration};

/// Bytes of a disk with room for everything.
const ROOM: u64 = 256 << 20;
/// Most proposals until a database without room must have failed.
const PROPOSALS: u64 = 3000;
/// How long a sector may take to be tried.
const PATIENCE: Duration = Duration::from_secs(100);

#[test]
fn full_while_data_comes_in() -> Result<()> {
	where_mounting_works("disk::full_while_data_comes_in", || {
		on_network("hostile-disk-uploads", |network| {
			let disk = Disk::mount(network.folder().join("bob"), ROOM)?;
			let target = Target::start(network, "[storage]\nkeep_free = 0")?;
			let customer = Customer::new(network)?;
			let offer = customer.offer(&target, "file", 3_000_000)?;
			let other = customer.offer(&target, "other", 2_000_000)?;
			target.propose(&offer)?;
			let (payload, url) = (offer.payload()?, target.upload_url(&offer));

			// Full before the first byte: neither the data nor further deals are taken.
			disk.leave(1 << 20)?;
			http::put(&url, &[], &payload)?.is_problem(507, "storage_full")?;
			target.knows_nothing_of(&offer)?;
			target.keeps_no_data()?;
			target.refuses(&other, "storage_full")?;
			target.is_prompt()?;

			// Full in the middle of it. Room for the data is reserved at its beginning; what is made of it,
			// hashes and the index, may find none.
			disk.resize(ROOM)?;
			let half = payload.len() / 2;
			let begun = http::put(&url, &[("upload-offset", "0")], &payload[..half])?;
			ensure!(begun.status == 202, "{} for the first half", begun.status);
			disk.leave(0)?;
			let ended = http::put(&url, &[("upload-offset", &half.to_string())], &payload[half..])?;
			eprintln!("the second half on a full disk: {}", ended.status);
			if ended.status != 201 {
				ended.is_problem(507, "storage_full")?;
				let held = target.held(&offer)?;
				ensure!([0, payload.len() as u64].contains(&held), "{held} bytes are held");
			}
			target.is_prompt()?;

			disk.resize(ROOM)?;
			let again = http::put(&url, &[], &payload)?;
			ensure!(again.status == 201, "{} when there is room", again.status);
			target.wait_for_state(&offer, "active")?;
			let copy = network.folder().join("copy");
			target.user.get(&offer.root, &copy)?;
			ensure_equal(&offer.file, &copy)?;
			target.propose(&other)?;
			target.survives()
		})
	})
}

#[test]
fn full_while_sectors_are_made() -> Result<()> {
	where_mounting_works("disk::full_while_sectors_are_made", || {
		on_network("hostile-disk-sealing", |network| {
			let disk = Disk::mount(network.folder().join("bob"), ROOM)?;
			// Time between a deal's publication and its sector.
			let settings = "[storage]\nkeep_free = 0\n[deals]\nbatch_wait_blocks = 6";
			let target = Target::selling(network, settings, "sealed-8MiB")?;
			target.json(["ask", "set", "hot-8MiB", "--price", "1 CAIRN"])?;
			let first = target.user.block()?;
			let own = ["--provider", target.account()];
			let mut puts = Vec::new();
			for (tier, size) in [("sealed", 5_000_000), ("hot", 6_000_000)] {
				let file = files::write(network.folder().join(tier), size, 1)?;
				let arguments = User::put_arguments(&file, tier, 1, 4 * DURATION);
				let from = target.user.block()?;
				let running = target.user.start(&format!("put-{tier}"), arguments)?;
				target.user.wait_for("deal-published", &own, from)?;
				puts.push((file, running));
			}

			// Their data is there, the sectors are not.
			disk.leave(512 << 10)?;
			let process = target.process().context("the provider runs")?;
			process.wait_for_line("a commitment that fails", PATIENCE, |line| {
				line.contains("the sector's commitment could not be made")
					.then_some(())
			})?;
			let sectors = sectors(&target)?;
			eprintln!("on a full disk: {sectors:?}");
			let delayed = sectors.iter().find(|sector| sector["delayed_by"].is_string());
			let why = delayed.context("no sector is delayed")?["delayed_by"].to_string();
			ensure!(why.contains("No space left on device"), "{why}");
			target.is_prompt()?;
			ensure!(
				puts.iter().all(|(_, put)| put.is_running()),
				"a client was let down by a full disk"
			);

			disk.resize(ROOM)?;
			let mut files_and_roots = Vec::new();
			for (file, put) in puts {
				let report = put.finish()?.context("put failed")?;
				files_and_roots.push((file, Put::from_report(&report)?.root));
			}
			for (index, (file, root)) in files_and_roots.iter().enumerate() {
				let copy = network.folder().join(format!("copy-{index}"));
				target.user.get(root, &copy)?;
				ensure_equal(file, &copy)?;
			}
			nothing_lost_nothing_twice(&target, 2, first)?;
			target.survives()
		})
	})
}

#[test]
fn full_under_the_database() -> Result<()> {
	where_mounting_works("disk::full_under_the_database", || {
		on_network("hostile-disk-database", |network| {
			let disk = Disk::mount(network.folder().join("bob"), ROOM)?;
			// The data is elsewhere, where there is room: only the database finds none.
			let storage = network.folder().join("storage of bob");
			fs::create_dir_all(&storage)?;
			let settings = format!(
				"[storage]\nkeep_free = 0\npath = {:?}",
				storage.display().to_string()
			);
			let mut target = Target::start(network, &settings)?;
			let customer = Customer::new(network)?;
			let first = target.user.block()?;
			let file = files::write(network.folder().join("file"), 1_000_000, 1)?;
			let (put, deal) = target.user.put_with(&target, &file, "hot", 4 * DURATION)?;
			let offer = customer.offer(&target, "offer", 2_000_000)?;
			target.propose(&offer)?;

			// Deals are taken as long as they can be noted, and then refused for what it is.
			disk.leave(0)?;
			let mut accepted = 1;
			let mut refused = 0;
			for nonce in 0..PROPOSALS {
				let other = offer.with(|proposal| {
					proposal.nonce = nonce;
					proposal.piece.commitment[..8].copy_from_slice(&nonce.to_le_bytes());
				});
				let answer = target.send(&other)?;
				if answer["result"]["progress"]["state"] == "accepted" {
					accepted += 1;
					continue;
				}
				crate::target::refused(&answer, "storage_full")?;
				refused += 1;
				// The next one meets a database that has failed before.
				if refused == 3 {
					break;
				}
			}
			eprintln!("{accepted} deals were taken on a full disk");
			ensure!(refused == 3, "the database never ran out of room");
			let is_accepted = |states: &[String]| states.iter().filter(|state| *state == "accepted").count();
			ensure!(is_accepted(&target.deals()?) == accepted, "{:?}", target.deals()?);
			target.is_prompt()?;
			let copy = network.folder().join("copy on a full disk");
			target.user.get(&put.root, &copy)?;
			ensure_equal(&file, &copy)?;

			// A period later the sector is still proven, and everything is still there.
			let since = target.user.block()?;
			let own = ["--provider", target.account()];
			target.user.wait_for("window-proof-accepted", &own, since)?;
			let faults = target.user.events("sector-faulty", first, &own)?;
			ensure!(faults.is_empty(), "a full disk made a sector faulty: {faults:?}");
			target.is_unharmed()?;

			// Killed on a full disk, it starts again, or says why it does not.
			target.kill();
			match target.run(&network.supervisor) {
				Ok(()) => eprintln!("the provider starts on a full disk"),
				Err(error) => {
					let said = format!("{error:#}");
					ensure!(said.contains("No space left on device"), "{said}");
					eprintln!("the provider does not start on a full disk");
				}
			}

			disk.resize(ROOM)?;
			target.kill();
			target.run(&network.supervisor)?;
			target.adopt_process()?;
			ensure!(is_accepted(&target.deals()?) == accepted, "{:?}", target.deals()?);
			let answer = http::put(&target.upload_url(&offer), &[], &offer.payload()?)?;
			ensure!(answer.status == 201, "{} when there is room", answer.status);
			target.wait_for_state(&offer, "active")?;
			let copy = network.folder().join("copy");
			target.user.get(&offer.root, &copy)?;
			ensure_equal(&offer.file, &copy)?;
			let deal = target.user.deal(deal.id)?;
			ensure!(deal["state"] == "active", "{deal}");
			nothing_lost_nothing_twice(&target, 2, first)?;
			target.survives()
		})
	})
}

#[test]
fn full_under_the_index_of_a_large_archive() -> Result<()> {
	where_mounting_works("disk::full_under_the_index_of_a_large_archive", || {
		on_network("hostile-disk-index", |network| {
			let disk = Disk::mount(network.folder().join("bob"), ROOM)?;
			let storage = network.folder().join("storage of bob");
			fs::create_dir_all(&storage)?;
			let settings = format!(
				"[storage]\nkeep_free = 0\npath = {:?}",
				storage.display().to_string()
			);
			let target = Target::start(network, &settings)?;
			let customer = Customer::new(network)?;
			// Blocks enough that their index is megabytes, in several transactions.
			let offer = customer.offer_files(&target, "many", 20_000, 100)?;
			target.propose(&offer)?;
			let (payload, url) = (offer.payload()?, target.upload_url(&offer));
			disk.leave(256 << 10)?;
			for _ in 0..2 {
				http::put(&url, &[], &payload)?.is_problem(507, "storage_full")?;
				let status = target.status(&offer)?;
				ensure!(status["progress"]["state"] == "accepted", "{status}");
			}
			target.is_prompt()?;
			target.is_unharmed()?;

			disk.resize(ROOM)?;
			let answer = http::put(&url, &[], &payload)?;
			ensure!(answer.status == 201, "{} when there is room", answer.status);
			target.wait_for_state(&offer, "active")?;
			let copy = network.folder().join("copy");
			target.user.get(&offer.root, &copy)?;
			ensure_equal(&offer.file, &copy)?;
			target.survives()
		})
	})
}

fn sectors(target: &Target) -> Result<Vec<Value>> {
	let list = target.ask("cairn_v1_listSectors", &json!([]))?;
	Ok(list["sectors"].as_array().context("no sectors")?.clone())
}

/// Every deal that was published is active, in one sector each, and no number was used twice.
fn nothing_lost_nothing_twice(target: &Target, deals: usize, first: u64) -> Result<()> {
	let own = ["--provider", target.account()];
	let published = target.user.events("deal-published", first, &own)?;
	ensure!(published.len() == deals, "{published:?}");
	for event in ["sector-pre-committed", "sector-activated"] {
		let events = target.user.events(event, first, &own)?;
		let numbers: BTreeSet<u64> = events
			.iter()
			.filter_map(|event| event["fields"]["sector"].as_u64())
			.collect();
		ensure!(
			events.len() == deals && numbers.len() == deals,
			"{event}: {events:?}"
		);
	}
	for event in [
		"deal-not-started",
		"deal-terminated",
		"pre-commit-expired",
		"extrinsic-failed",
	] {
		let events = target.user.events(event, first, &[])?;
		ensure!(events.is_empty(), "{event}: {events:?}");
	}
	Ok(())
}
