//! A provider's memory while a large dataset goes through its data API.

use super::{
	files::{settle_disk, speed},
	heading,
	release::{on_network, Network},
	usage, Samples,
};
use crate::{process::Supervisor, step::step, workspace::Workspace};
use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::{
	fs::File,
	io::{self, Read},
	time::{Duration, Instant},
};
use ureq::{Agent, SendBody};

/// Bytes of the data, unless the command line says otherwise.
const SIZE: u64 = 5 << 30;

/// What the data API cuts data into.
const BLOCK: usize = 64 << 10;

/// Bytes that are received at once.
const BUFFER: usize = 256 << 10;

/// Enough for any size that a disk holds; a provider that takes nothing gives up long before.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What came of it.
struct Measured {
	upload: f64,
	upload_peak: f64,
	download: f64,
	download_peak: f64,
}

/// Uploads data that is made as it is sent, and downloads it again.
pub(super) fn run(workspace: &Workspace, supervisor: &Supervisor, size: Option<u64>) -> Result<()> {
	let size = size.unwrap_or(SIZE);
	// The default quota is 20 GiB.
	let settings = format!("[repo]\nquota = {}\n", size.saturating_mul(2));
	let measured = on_network(workspace, supervisor, &settings, |network| measure(network, size))?;
	heading(&format!(
		"Dataset of {size} bytes through the data API over loopback, release build"
	));
	let print = |value, what: &str, unit: &str, goal: &str| Samples::new([value]).print(what, unit, goal);
	print(measured.upload, "upload until the answer", "MB/s", "");
	print(
		measured.upload_peak,
		"provider's peak of resident memory, upload",
		"MB",
		"under 300",
	);
	print(measured.download, "download", "MB/s", "");
	print(
		measured.download_peak,
		"provider's peak of resident memory, download",
		"MB",
		"under 300",
	);
	println!(
		"  seconds: upload {:.1}, download {:.1}",
		size as f64 / super::MEGABYTE / measured.upload,
		size as f64 / super::MEGABYTE / measured.download
	);
	Ok(())
}

fn measure(network: &mut Network<'_>, size: u64) -> Result<Measured> {
	let agent: Agent = Agent::config_builder()
		.proxy(None)
		.timeout_global(Some(PATIENCE))
		.build()
		.into();
	step("Measuring", "a minute", || {
		network.restart_provider()?;
		let url = format!("{}/api/cairn/v1/data", network.provider.url());
		let content = Content::new(size)?;
		settle_disk()?;
		let start = Instant::now();
		let mut answer = agent
			.post(&url)
			.header("content-length", size.to_string())
			.send(SendBody::from_owned_reader(content.clone()))
			.context("the upload failed")?;
		let upload = speed(size, start);
		let upload_peak = peak(network)?;
		let item: Value = answer.body_mut().read_json()?;
		let cid = item["cid"].as_str().context("the dataset has no CID")?;

		network.restart_provider()?;
		let start = Instant::now();
		let answer = agent.get(format!("{url}/{cid}")).call().context("no download")?;
		compare(answer.into_body().into_reader(), content)?;
		Ok(Measured {
			upload,
			upload_peak,
			download: speed(size, start),
			download_peak: peak(network)?,
		})
	})
}

fn peak(network: &Network<'_>) -> Result<f64> {
	usage::peak(network.provider.process().context("the provider does not run")?)
}

/// Reads all of `came`, which must be `expected`.
fn compare(mut came: impl Read, mut expected: impl Read) -> Result<()> {
	let (mut received, mut made) = (vec![0; BUFFER], vec![0; BUFFER]);
	let mut length = 0;
	loop {
		let count = came.read(&mut received)?;
		if count == 0 {
			break;
		}
		expected
			.read_exact(&mut made[..count])
			.context("more came than was sent")?;
		ensure!(
			received[..count] == made[..count],
			"other bytes after {length} than were sent"
		);
		length += count as u64;
	}
	ensure!(
		expected.read(&mut made)? == 0,
		"only {length} bytes came of what was sent"
	);
	Ok(())
}

/// Bytes of which no block of the data API's equals another, and that cost almost nothing to make: the same random block
/// again and again, with its number at its start.
#[derive(Clone)]
struct Content {
	/// The block of the position.
	block: Vec<u8>,
	position: u64,
	size: u64,
}

impl Content {
	fn new(size: u64) -> Result<Self> {
		let mut block = vec![0; BLOCK];
		File::open("/dev/urandom")?.read_exact(&mut block)?;
		Ok(Self {
			block,
			position: 0,
			size,
		})
	}
}

impl Read for Content {
	fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
		let number = (self.position / BLOCK as u64).to_le_bytes();
		self.block[..number.len()].copy_from_slice(&number);
		// Less than a block.
		let from = (self.position % BLOCK as u64) as usize;
		let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
		let count = out.len().min(BLOCK - from).min(left);
		out[..count].copy_from_slice(&self.block[from..from + count]);
		self.position += count as u64;
		Ok(count)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn content_does_not_depend_on_how_it_is_read() {
		let content = Content::new(3 * BLOCK as u64 + 5).unwrap();
		let mut whole = Vec::new();
		content.clone().read_to_end(&mut whole).unwrap();
		assert_eq!(whole.len(), 3 * BLOCK + 5);
		assert_ne!(whole[..BLOCK], whole[BLOCK..2 * BLOCK]);
		let mut parts = Vec::new();
		let (mut reader, mut buffer) = (content.clone(), [0; 1000]);
		loop {
			let count = reader.read(&mut buffer).unwrap();
			if count == 0 {
				break;
			}
			parts.extend_from_slice(&buffer[..count]);
		}
		assert_eq!(parts, whole);
	}

	#[test]
	fn differences_are_found() {
		let content = Content::new(2 * BUFFER as u64 + 1).unwrap();
		let mut whole = Vec::new();
		content.clone().read_to_end(&mut whole).unwrap();
		compare(&whole[..], content.clone()).unwrap();
		compare(&whole[..whole.len() - 1], content.clone()).unwrap_err();
		compare(&[&whole[..], b"x"].concat()[..], content.clone()).unwrap_err();
		whole[BUFFER] ^= 1;
		compare(&whole[..], content).unwrap_err();
	}
}
