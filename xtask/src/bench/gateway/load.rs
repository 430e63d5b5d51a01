//! Readers that fetch as fast as they can, and an operator who asks for the provider's health meanwhile.
//!
//! Each reader is a thread with one connection, which costs less than anything cleverer while the kernel does most of
//! the work; the processor time of all is printed beside the provider's.

use super::objects::{agent, Object, Objects};
use crate::{
	bench::{usage, MEGABYTE},
	network::Provider,
};
use anyhow::{ensure, Context, Result};
use std::{
	io::Read,
	sync::Barrier,
	thread::{self, ScopedJoinHandle},
	time::{Duration, Instant},
};
use ureq::Agent;

/// Readers at the same time.
pub(super) const READERS: usize = 100;

/// How long they read.
pub(super) const DURATION: Duration = Duration::from_secs(30);

/// How often `/healthz` is asked.
pub(super) const HEALTH_INTERVAL: Duration = Duration::from_millis(20);

/// How often the provider's memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);

/// One reader in so many fetches the whole file again and again. If all did so now and then, all would soon be doing so:
/// a hundredth of the speed takes as long for a file as the readers read.
const WHOLE: usize = 4;

/// Bytes that a reader takes at once.
const BUFFER: usize = 256 << 10;

/// What came of one run.
#[derive(Debug)]
pub(super) struct Measured {
	/// Of bodies, those included that were not read to their end when time was up.
	pub megabytes_per_second: f64,
	/// Of responses that were read to their end and had the right length.
	pub requests_per_second: f64,
	/// Peak of the provider's resident memory since its start, which was just before, in MB.
	pub peak: f64,
	/// Mean of the provider's resident memory in MB.
	pub resident: f64,
	pub health: Latencies,
	/// Seconds of processor time.
	pub provider_time: f64,
	/// Those of all threads here.
	pub readers_time: f64,
}

/// How long requests took, in milliseconds, shortest first.
#[derive(Debug)]
pub(super) struct Latencies(Vec<f64>);

impl Latencies {
	fn new(mut milliseconds: Vec<f64>) -> Self {
		milliseconds.sort_by(f64::total_cmp);
		Self(milliseconds)
	}

	/// Within how many milliseconds this part of the requests was answered, such as 0.99: the nearest rank.
	pub fn at(&self, part: f64) -> f64 {
		let rank = (part * self.0.len() as f64).ceil() as usize;
		self.0.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
	}
}

/// What a reader has read.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
	bytes: u64,
	responses: u64,
}

/// Lets the readers read from a provider.
///
/// # Errors
/// When any request fails: what is measured is a provider that serves all of them.
pub(super) fn run(provider: &Provider, objects: &Objects) -> Result<Measured> {
	let process = provider.process().context("the provider does not run")?;
	let url = &provider.url();
	let times = || -> Result<_> {
		Ok((
			usage::processor_time(process.id())?,
			usage::processor_time(std::process::id())?,
		))
	};
	// All readers, the one who asks for health, and this thread.
	let start = &Barrier::new(READERS + 2);
	thread::scope(|scope| {
		let readers: Vec<_> = (0..READERS)
			.map(|reader| scope.spawn(move || read(reader, url, objects, start)))
			.collect();
		let health = scope.spawn(move || ask_for_health(url, start));
		start.wait();
		let (provider_before, readers_before) = times()?;
		let (began, mut resident) = (Instant::now(), Vec::new());
		while began.elapsed() < DURATION {
			resident.push(usage::resident(process)?);
			thread::sleep(MEMORY_INTERVAL);
		}
		let mut total = Progress::default();
		for reader in readers {
			let read = joined(reader)?;
			total.bytes += read.bytes;
			total.responses += read.responses;
		}
		let seconds = DURATION.as_secs_f64();
		let (provider_after, readers_after) = times()?;
		Ok(Measured {
			megabytes_per_second: total.bytes as f64 / MEGABYTE / seconds,
			requests_per_second: total.responses as f64 / seconds,
			peak: usage::peak(process)?,
			resident: resident.iter().sum::<f64>() / resident.len() as f64,
			health: joined(health)?,
			provider_time: provider_after - provider_before,
			readers_time: readers_after - readers_before,
		})
	})
}

/// What a thread returned. A panic of its goes on in this one.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
	thread
		.join()
		.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads objects one after the other until time is up.
fn read(reader: usize, url: &str, objects: &Objects, start: &Barrier) -> Result<Progress> {
	let (agent, mut buffer) = (agent(), vec![0; BUFFER]);
	let mut progress = Progress::default();
	// Each from another place on, so that they do not all ask for the same at once.
	let mut next = reader * objects.parts.len() / READERS;
	start.wait();
	let end = Instant::now() + DURATION;
	while Instant::now() < end {
		let object = if reader.is_multiple_of(WHOLE) {
			&objects.whole
		} else {
			next = (next + 1) % objects.parts.len();
			&objects.parts[next]
		};
		fetch(&agent, url, object, end, &mut buffer, &mut progress)?;
	}
	Ok(progress)
}

/// Fetches an object, or what comes of it before `end`.
fn fetch(
	agent: &Agent,
	url: &str,
	object: &Object,
	end: Instant,
	buffer: &mut [u8],
	progress: &mut Progress,
) -> Result<()> {
	let mut body = object.request(agent, url)?.into_body().into_reader();
	let mut length = 0;
	while Instant::now() < end {
		let count = body.read(buffer)?;
		if count == 0 {
			ensure!(
				length == object.length,
				"{object:?}: the response had {length} bytes"
			);
			progress.responses += 1;
			return Ok(());
		}
		length += count as u64;
		progress.bytes += count as u64;
	}
	Ok(())
}

/// Asks for the provider's health again and again; how many milliseconds each answer took.
fn ask_for_health(url: &str, start: &Barrier) -> Result<Latencies> {
	let (agent, url) = (agent(), format!("{url}/healthz"));
	let mut milliseconds = Vec::new();
	start.wait();
	let end = Instant::now() + DURATION;
	while Instant::now() < end {
		let sent = Instant::now();
		let mut response = agent.get(&url).call().context("no health")?;
		ensure!(response.status() == 200, "/healthz: status {}", response.status());
		response.body_mut().read_to_string()?;
		let took = sent.elapsed();
		add_latency(took, &mut milliseconds);
		let due = took.as_nanos() / HEALTH_INTERVAL.as_nanos() + 1;
		// Not more than the time limit of a response.
		let due = sent + HEALTH_INTERVAL * u32::try_from(due).unwrap_or(u32::MAX);
		thread::sleep(due.saturating_duration_since(Instant::now()));
	}
	Ok(Latencies::new(milliseconds))
}

/// Adds how long an answer took, and how long it would have taken to the requests that were not sent because this one
/// waited: else one long wait would count as little as one short one.
fn add_latency(took: Duration, milliseconds: &mut Vec<f64>) {
	let mut left = took;
	loop {
		milliseconds.push(left.as_secs_f64() * 1e3);
		match left.checked_sub(HEALTH_INTERVAL) {
			Some(rest) if !rest.is_zero() => left = rest,
			_ => break,
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn parts_of_latencies() {
		let latencies = Latencies::new((1..=200).rev().map(f64::from).collect());
		assert_eq!(latencies.at(0.5), 100.0);
		assert_eq!(latencies.at(0.99), 198.0);
		assert_eq!(latencies.at(1.0), 200.0);
		assert_eq!(Latencies::new(vec![7.0]).at(0.01), 7.0);
		assert!(Latencies::new(Vec::new()).at(0.5).is_nan());
	}

	#[test]
	fn a_long_wait_counts_as_the_requests_it_held_up() {
		let mut milliseconds = Vec::new();
		for took in [5, 20, 50] {
			add_latency(Duration::from_millis(took), &mut milliseconds);
		}
		assert_eq!(milliseconds, [5.0, 20.0, 50.0, 30.0, 10.0]);
	}
}
