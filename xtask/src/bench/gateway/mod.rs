//! A provider's gateway under many readers at once, and how it answers others meanwhile.

mod load;
mod objects;

use super::{
	files::write_random,
	heading,
	release::{on_network, Network},
	Samples,
};
use crate::{process::Supervisor, step::step, workspace::Workspace};
use anyhow::Result;
use load::{Measured, DURATION, HEALTH_INTERVAL, READERS};
use objects::Objects;
use std::fs;

const RUNS: usize = 3;

/// Bytes of the file, unless the command line says otherwise.
const SIZE: u64 = 256 << 20;

/// Serves all readers at a time, where the default is 64 and those that wait for longer than ten seconds are refused. No
/// limit of requests per client is in the way; by default there is none for the provider's own machine.
const SETTINGS: &str = "[server]
max_retrievals = 200
requests_per_second = 1000000
request_burst = 1000000
";

/// Readers fetch a deal's file in every form while `/healthz` is asked.
pub(super) fn run(workspace: &Workspace, supervisor: &Supervisor, size: Option<u64>) -> Result<()> {
	let size = size.unwrap_or(SIZE);
	let runs = on_network(workspace, supervisor, SETTINGS, |network| measure(network, size))?;
	let samples = |value: fn(&Measured) -> f64| Samples::new(runs.iter().map(value));
	heading(&format!(
		"Gateway: {READERS} readers of a file of {size} bytes over loopback for {} s, release build",
		DURATION.as_secs()
	));
	println!(
		"  the provider's configuration has: {}",
		SETTINGS.lines().collect::<Vec<_>>().join(" ")
	);
	println!(
		"  a quarter of the readers fetch the whole file, the others raw blocks, CARs and ranges of 4 MiB"
	);
	samples(|run| run.megabytes_per_second).print("all readers together", "MB/s", "");
	samples(|run| run.requests_per_second).print("responses that were read to their end", "1/s", "");
	samples(|run| run.peak).print("provider's peak of resident memory", "MB", "under 400");
	samples(|run| run.resident).print("provider's resident memory, mean", "MB", "");
	let every = HEALTH_INTERVAL.as_millis();
	for (what, part, goal) in [
		("half of them", 0.5, ""),
		("99 of 100", 0.99, "at most 100"),
		("all", 1.0, ""),
	] {
		Samples::new(runs.iter().map(|run| run.health.at(part))).print(
			&format!("/healthz every {every} ms: {what} answered within"),
			"ms",
			goal,
		);
	}
	samples(|run| run.provider_time).print("processor time of the provider", "s", "");
	samples(|run| run.readers_time).print("processor time of the readers", "s", "");
	Ok(())
}

fn measure(network: &mut Network<'_>, size: u64) -> Result<Vec<Measured>> {
	let objects = step("Storing a file in a deal", "a minute", || {
		let file = network.folder.join("file");
		write_random(&file, size)?;
		let root = network.put(&file)?;
		// Also what the responses are compared with; the load is not, or comparing would be a part of it.
		Objects::checked(network, &root, &fs::read(&file)?)
	})?;
	step("Measuring", "two minutes", || {
		(0..RUNS)
			.map(|_| {
				network.restart_provider()?;
				load::run(&network.provider, &objects)
			})
			.collect()
	})
}
