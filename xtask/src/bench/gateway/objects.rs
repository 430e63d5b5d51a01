//! What the readers ask for, and how long each answer must be.

use crate::{bench::release::Network, network::Client};
use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::{fs, io::Read, ops::Range, path::Path, time::Duration};
use ureq::{http::Response, Agent, Body};

/// Bytes of a range, and of the part of the file that a CAR is of.
const PART: u64 = 4 << 20;

/// A response that brings nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request of the gateway.
#[derive(Clone, Debug)]
pub(super) struct Object {
	/// Path and query.
	target: String,
	range: Option<String>,
	/// Bytes of the response's body.
	pub length: u64,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Objects {
	/// All of the file.
	pub whole: Object,
	/// Parts of it: raw blocks, CARs and ranges in turn.
	pub parts: Vec<Object>,
}

impl Objects {
	/// The objects of a stored file whose content is `content`: each is fetched once, and compared with it.
	///
	/// # Errors
	/// When the gateway does not serve one of them, or something else.
	pub fn checked(network: &Network<'_>, root: &str, content: &[u8]) -> Result<Self> {
		let agent = agent();
		let url = network.provider.url();
		let whole = Object {
			target: format!("/ipfs/{root}"),
			range: None,
			length: content.len() as u64,
		};
		whole.check(&agent, &url, content)?;

		let mut blocks = Vec::new();
		let mut offset = 0;
		for (cid, length) in leaves(&agent, &url, root)? {
			let object = Object {
				target: format!("/ipfs/{cid}?format=raw"),
				range: None,
				length,
			};
			let end = offset + length as usize;
			object.check(
				&agent,
				&url,
				content
					.get(offset..end)
					.context("the blocks are longer than the file")?,
			)?;
			offset = end;
			blocks.push(object);
		}
		ensure!(offset == content.len(), "the blocks are shorter than the file");

		let archive = network.folder.join("part.car");
		let mut parts = Vec::new();
		for from in (0..content.len() as u64).step_by(PART as usize) {
			let to = (from + PART).min(content.len() as u64);
			let range = Object {
				target: whole.target.clone(),
				range: Some(format!("bytes={from}-{}", to - 1)),
				length: to - from,
			};
			range.check(&agent, &url, &content[from as usize..to as usize])?;
			let car = car(&agent, &url, root, from..to, &network.client, &archive)?;
			let block = blocks[from as usize * blocks.len() / content.len()].clone();
			parts.extend([block, car, range]);
		}
		Ok(Self { whole, parts })
	}
}

impl Object {
	/// Asks for it; an answer with the right status and, where it is told, the right length.
	///
	/// # Errors
	/// When there is another answer, or none.
	pub fn request(&self, agent: &Agent, url: &str) -> Result<Response<Body>> {
		let mut request = agent.get(format!("{url}{}", self.target));
		if let Some(range) = &self.range {
			request = request.header("range", range);
		}
		let response = request.call().with_context(|| self.target.clone())?;
		let (status, expected) = (
			response.status().as_u16(),
			if self.range.is_some() { 206 } else { 200 },
		);
		ensure!(status == expected, "{}: status {status}", self.target);
		let announced = response.body().content_length();
		ensure!(
			announced.is_none_or(|announced| announced == self.length),
			"{}: {announced:?} bytes instead of {}",
			self.target,
			self.length
		);
		Ok(response)
	}

	/// Fetches it and compares it with what it should be.
	fn check(&self, agent: &Agent, url: &str, expected: &[u8]) -> Result<()> {
		let mut body = Vec::new();
		let response = self.request(agent, url)?;
		response.into_body().into_reader().read_to_end(&mut body)?;
		ensure!(
			body == expected,
			"{} {:?}: not what was stored",
			self.target,
			self.range
		);
		Ok(())
	}
}

/// What asks for them, with a connection of its own.
pub(super) fn agent() -> Agent {
	Agent::config_builder()
		.http_status_as_error(false)
		.proxy(None)
		.max_idle_connections(1)
		.timeout_per_read(Some(PATIENCE))
		.build()
		.into()
}

/// The CAR of a part of a file: fetched once, and verified by the client. Its length is that of every time: the order
/// of its blocks is given.
fn car(
	agent: &Agent,
	url: &str,
	root: &str,
	bytes: Range<u64>,
	client: &Client,
	archive: &Path,
) -> Result<Object> {
	let target = format!(
		"/ipfs/{root}?format=car&dag-scope=entity&entity-bytes={}:{}",
		bytes.start,
		bytes.end - 1
	);
	let mut response = agent.get(format!("{url}{target}")).call()?;
	ensure!(response.status() == 200, "{target}: status {}", response.status());
	let mut car = Vec::new();
	response.body_mut().as_reader().read_to_end(&mut car)?;
	fs::write(archive, &car)?;
	let verified = client.json(["car", "verify", "--partial", &archive.display().to_string()])?;
	let length = car.len() as u64;
	ensure!(
		verified["roots"][0] == root
			&& verified["payload_size"] == length
			&& length >= bytes.end - bytes.start,
		"{target}: {length} bytes, of which the client says {verified}"
	);
	Ok(Object {
		target,
		range: None,
		length,
	})
}

/// CIDs and sizes of a file's raw leaves, in order.
fn leaves(agent: &Agent, url: &str, root: &str) -> Result<Vec<(String, u64)>> {
	let target = format!("{url}/ipfs/{root}?format=dag-json");
	let mut response = agent.get(target).call()?;
	ensure!(response.status() == 200, "{root}: status {}", response.status());
	let node: Value = response.body_mut().read_json()?;
	let mut found = Vec::new();
	for link in node["Links"].as_array().context("the root has no links")? {
		let cid = link["Hash"]["/"].as_str().context("a link has no CID")?;
		// The codec comes first in a CID's text: `raw` and SHA-256 are always these letters.
		if cid.starts_with("bafkrei") {
			found.push((
				cid.to_owned(),
				link["Tsize"].as_u64().context("a link has no size")?,
			));
		} else {
			found.extend(leaves(agent, url, cid)?);
		}
	}
	Ok(found)
}
