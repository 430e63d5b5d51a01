//! Commands of the client that are killed in the middle: nothing is paid twice, nothing half-written is left.

use anyhow::{ensure, Context, Result};
use cairn_e2e::{
	files::{self, ensure_equal, Random},
	on_network, Put, User,
};
use std::{
	ffi::OsStr,
	fs,
	path::Path,
	process::{Child, Stdio},
	thread,
	time::Duration,
};

/// Blocks that the deals last.
const DURATION: u32 = 400;

/// Starts a command that is to be killed.
fn start<A: AsRef<OsStr>>(user: &User, arguments: impl IntoIterator<Item = A>) -> Result<Child> {
	let mut command = user.client.command();
	command
		.args(["--json", "--yes"])
		.args(arguments)
		.stdout(Stdio::null())
		.stderr(Stdio::null());
	Ok(command.spawn()?)
}

/// Kills a command (SIGKILL) after a random time below `bound` milliseconds. Gives whether it was too late.
fn kill(mut child: Child, random: &mut Random, bound: u64) -> Result<bool> {
	// The moment is random; what must hold afterwards does not depend on it.
	let moment = random.below(bound);
	thread::sleep(Duration::from_millis(moment));
	child.kill()?;
	let finished = child.wait()?.success();
	eprintln!(
		"killed after {moment} ms{}",
		if finished { ", too late" } else { "" }
	);
	Ok(finished)
}

#[test]
fn a_put_that_is_killed_again_and_again_is_paid_once() -> Result<()> {
	on_network("interrupted-put", |network| {
		let mut random = Random::seeded();
		let _bob = network.provider("bob", "//Bob", "hot-8MiB")?;
		let _charlie = network.provider("charlie", "//Charlie", "hot-8MiB")?;
		let user = network.user("user")?;
		let first = user.block()?;
		let mut price = 0;
		let files = 4;
		for index in 0..files {
			let path = network.folder().join(format!("file-{index}"));
			let file = files::write(path, 2_000_000 + index as usize, index)?;
			let arguments = User::put_arguments(&file, "hot", 2, DURATION);
			for _ in 0..4 {
				kill(start(&user, &arguments)?, &mut random, 4000)?;
			}
			// Two at the same time are one.
			let mut other = start(&user, &arguments)?;
			let report = user.json(&arguments);
			let other = other.wait()?;
			let put = match report {
				Ok(report) => Put::from_report(&report)?,
				Err(error) => {
					ensure!(format!("{error:#}").contains("another process"), "{error:#}");
					ensure!(other.success(), "both failed");
					user.put(&file, "hot", 2, DURATION)?
				}
			};
			ensure!(put.deals.len() == 2, "{:?}", put.deals);
			price += put.deals.iter().map(|deal| deal.price).sum::<u128>();
			let copy = network.folder().join(format!("copy-{index}"));
			user.get(&put.root, &copy)?;
			ensure_equal(&file, &copy)?;
		}
		let about = ["--about", user.address.as_str()];
		let published = user.events("deal-published", first, &about)?.len();
		ensure!(
			published == 2 * files as usize,
			"{published} deals were published"
		);
		let account = user.account(&user.address)?;
		let held = account.held_for("Market.DealPayment");
		ensure!(held == price, "{held} is held for deals of {price}");
		let escrow = account.held_for("Market.Escrow");
		ensure!(escrow == 0, "{escrow} too much went into the escrow");
		let cache = network.folder().join("user/client/cache/put");
		ensure!(
			fs::read_dir(&cache)?.count() == 0,
			"{} is not empty",
			cache.display()
		);
		Ok(())
	})
}

#[test]
fn a_get_that_is_killed_leaves_nothing_half_written() -> Result<()> {
	on_network("interrupted-get", |network| {
		let mut random = Random::seeded();
		let _bob = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		let folder = network.folder().join("folder");
		for index in 0..40 {
			files::write(folder.join(format!("{}/{index}", index % 4)), 150_000, index)?;
		}
		let put = user.put(&folder, "hot", 1, DURATION)?;
		for index in 0..6 {
			let place = network.folder().join(format!("place-{index}"));
			fs::create_dir(&place)?;
			let target = place.join("copy");
			let arguments = [
				OsStr::new("get"),
				put.root.as_ref(),
				"--output".as_ref(),
				target.as_ref(),
			];
			for _ in 0..4 {
				if kill(start(&user, arguments)?, &mut random, 250)? {
					break;
				}
				complete_or_absent(&folder, &target)?;
			}
			if !target.exists() {
				user.json(arguments)?;
			}
			ensure_equal(&folder, &target)?;
		}
		let cache = network.folder().join("user/client/cache/get");
		let kept = fs::read_dir(&cache).context("no cache")?.count();
		ensure!(kept == 0, "{kept} retrievals are left in {}", cache.display());
		Ok(())
	})
}

fn complete_or_absent(folder: &Path, target: &Path) -> Result<()> {
	if target.symlink_metadata().is_ok() {
		ensure_equal(folder, target)?;
		fs::remove_dir_all(target)?;
	}
	Ok(())
}
