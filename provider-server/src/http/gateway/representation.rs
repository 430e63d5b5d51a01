//! What a request has found, on its way into a response.

use super::{
	super::{
		body::{self, BodyWriter},
		conditional::{not_modified, select, Selected},
		places::Place,
		problem::Failure,
		response, Api,
	},
	escape, file, negotiation, served,
	walk_memory::Metered,
	Asked,
};
use crate::retrieval::NodeBlocks;
use axum::{
	body::Body,
	http::{Method, StatusCode},
	response::Response,
};
use bytes::Bytes;
use cairn_provider_api::Problem;
use cid::Cid;
use std::{fmt::Write, io, sync::Arc, time::Duration};

/// Content under a CID never changes.
pub(super) const IMMUTABLE: &str = "public, max-age=29030400, immutable";
/// A page of the gateway's own changes with the program.
pub(super) const PAGE: &str = "public, max-age=604800, stale-while-revalidate=2678400";

/// Most CIDs in `x-ipfs-roots`: clients refuse heads that are too long.
const MAX_ROOTS: usize = 64;

/// An object in the form that is asked for.
pub(super) struct Representation {
	/// With quotation marks; weak if it begins with `W/`.
	pub etag: String,
	pub content_type: String,
	pub cache_control: Option<&'static str>,
	pub disposition: Option<String>,
	/// `Content-Security-Policy`.
	pub policy: Option<&'static str>,
	/// What the segments of the path lead to.
	pub roots: Vec<Cid>,
	pub content: Content,
}

/// Where the bytes come from.
pub(super) enum Content {
	/// They are at hand.
	Bytes(Bytes),
	/// A UnixFS file.
	File {
		blocks: Metered<Arc<NodeBlocks>>,
		cid: Cid,
		size: u64,
	},
	/// They are made as they are sent. Their number is not known before, and there are no ranges.
	Stream(Box<dyn FnOnce(&mut BodyWriter) -> io::Result<()> + Send>),
}

impl Representation {
	pub fn new(etag: String, content_type: impl Into<String>, content: Content) -> Self {
		Representation {
			etag,
			content_type: content_type.into(),
			cache_control: Some(IMMUTABLE),
			disposition: None,
			policy: None,
			roots: Vec::new(),
			content,
		}
	}

	/// The response to `asked`: all of it, the part that a range names, its head, or 304.
	pub fn respond(self, api: &Api, asked: &Asked, place: Place) -> Result<Response, Failure> {
		let mut headers = self.headers(asked);
		if not_modified(&asked.headers, &self.etag) {
			return Ok(response(StatusCode::NOT_MODIFIED, &headers, Body::empty()));
		}
		headers.push(("content-type", self.content_type));
		headers.push(("x-content-type-options", "nosniff".to_owned()));
		headers.extend(self.disposition.map(|value| ("content-disposition", value)));
		headers.extend(
			self.policy
				.map(|value| ("content-security-policy", value.to_owned())),
		);
		let size = match &self.content {
			Content::Bytes(bytes) => Some(bytes.len() as u64),
			Content::File { size, .. } => Some(*size),
			Content::Stream(_) => None,
		};
		let (status, wanted) = match size {
			Some(size) => {
				let selected = select(&asked.method, &asked.headers, &self.etag, size)?;
				let Selected {
					status,
					bytes,
					headers: of_range,
				} = selected;
				headers.extend(of_range);
				(status, bytes)
			}
			None => {
				headers.push(("accept-ranges", "none".to_owned()));
				(StatusCode::OK, 0..u64::MAX)
			}
		};
		if asked.method == Method::HEAD {
			return Ok(response(status, &headers, Body::empty()));
		}
		let served = served(&api.provider);
		let timeout = Duration::from_secs(api.provider.config.server.write_timeout_seconds);
		let done = move |sent| served.inc_by(sent);
		let body = match self.content {
			Content::Bytes(bytes) => {
				// Within the bytes, whose number is a usize.
				let part = bytes.slice(wanted.start as usize..wanted.end as usize);
				// All of the block stays in memory, also for a part of it.
				let memory = api.walks.hold_block(bytes.len()).map_err(Problem::from)?;
				done(part.len() as u64);
				body::at_hand(part, (place, memory))
			}
			Content::File { blocks, cid, size } => body::blocking(timeout, place, done, move |out| {
				file::write(&blocks, cid, wanted, size, out)
			}),
			Content::Stream(produce) => body::blocking(timeout, place, done, produce),
		};
		Ok(response(status, &headers, body))
	}

	/// The headers that 200, 206 and 304 have in common.
	fn headers(&self, asked: &Asked) -> Vec<(&'static str, String)> {
		let mut headers = vec![
			("etag", self.etag.clone()),
			("vary", "accept".to_owned()),
			("x-ipfs-path", escape::uri_path(&asked.uri)),
		];
		headers.extend(
			self.cache_control
				.map(|value| ("cache-control", value.to_owned())),
		);
		if self.roots.len() <= MAX_ROOTS {
			let mut roots = String::new();
			for root in &self.roots {
				let comma = if roots.is_empty() { "" } else { "," };
				// Writing to a string does not fail.
				let _ = write!(roots, "{comma}{root}");
			}
			headers.push(("x-ipfs-roots", roots));
		}
		let location = negotiation::content_location(&asked.uri, &asked.parameters, &asked.choice);
		headers.extend(location.map(|location| ("content-location", location)));
		headers
	}
}
