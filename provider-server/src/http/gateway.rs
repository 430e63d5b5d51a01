//! `/ipfs/{cid}[/path]`: the IPFS [trustless gateway](https://specs.ipfs.tech/http-gateways/trustless-gateway/).
//!
//! Two forms: one raw block, or a CARv1 of the blocks that `dag-scope` and `entity-bytes` name,
//! depth first. The client verifies both by their CIDs.

use super::{body, problem::Failure, Api};
use crate::retrieval::PieceBlocks;
use axum::{
	body::Body,
	extract::{
		rejection::{PathRejection, QueryRejection},
		Path, Query, State,
	},
	http::{header, HeaderMap, HeaderValue, Method, StatusCode, Uri},
	response::Response,
};
use cairn_car::CarWriter;
use cairn_dag::{
	unixfs::{self, ResolveError},
	walk::{walk, EntityBytes, Scope, Walk, WalkError},
	Block, BlockSource, SourceError,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{io, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";
/// How long a request waits for a place among the retrievals.
const PLACE_PATIENCE: Duration = Duration::from_secs(10);
/// Content under a CID never changes.
const IMMUTABLE: &str = "public, max-age=29030400, immutable";

/// A form of response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
	/// One block.
	Raw,
	/// A CARv1.
	Car {
		/// Whether a block that occurs several times is sent each time.
		duplicates: bool,
	},
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
	/// The form of the response.
	pub format: Format,
	/// Which blocks of the DAG.
	pub scope: Scope,
	/// Which bytes of a file.
	pub range: Option<EntityBytes>,
}

type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(super) async fn root(
	State(api): State<Api>,
	method: Method,
	uri: Uri,
	path: Result<Path<String>, PathRejection>,
	parameters: Parameters,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let (Path(cid), Query(parameters)) = (path?, parameters?);
	serve(api, method, &uri, &cid, "", &parameters, &headers).await
}

pub(super) async fn below(
	State(api): State<Api>,
	method: Method,
	uri: Uri,
	path: Result<Path<(String, String)>, PathRejection>,
	parameters: Parameters,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let (Path((cid, path)), Query(parameters)) = (path?, parameters?);
	serve(api, method, &uri, &cid, &path, &parameters, &headers).await
}

fn malformed(message: impl Into<String>) -> Problem {
	Problem::new(ErrorKind::Malformed, message)
		.hint("paths and parameters are those of the IPFS trustless gateway specification")
}

/// Reads the form that is asked for, from the query or else from `Accept`.
///
/// # Errors
/// A form that is not offered, or a parameter that is not understood.
pub fn choose(parameters: &[(String, String)], headers: &HeaderMap) -> Result<Choice, Problem> {
	let parameter = |name: &str| {
		parameters
			.iter()
			.find(|(found, _)| found == name)
			.map(|(_, value)| value.as_str())
	};
	let accepted = headers
		.get_all(header::ACCEPT)
		.iter()
		.filter_map(|value| value.to_str().ok())
		.flat_map(|value| value.split(','))
		.map(str::trim)
		.find(|item| {
			let kind = item.split(';').next().unwrap_or_default().trim();
			kind == RAW || kind == CAR
		});
	// Of the media type, `format` names the kind only: parameters of a matching `Accept` count.
	let accept_parameter = |name: &str| {
		let (_, parameters) = accepted?.split_once(';')?;
		parameters.split(';').find_map(|parameter| {
			let (found, value) = parameter.split_once('=')?;
			(found.trim() == name).then(|| value.trim().trim_matches('"'))
		})
	};
	let is_car = match parameter("format") {
		Some("raw") => false,
		Some("car") => true,
		Some(other) => {
			return Err(Problem::new(
				ErrorKind::NotAcceptable,
				format!("the format `{other}` is not offered"),
			)
			.hint("use ?format=raw or ?format=car"))
		}
		None => match accepted {
			Some(item) => item.starts_with(CAR),
			None => {
				return Err(Problem::new(
					ErrorKind::NotAcceptable,
					"this gateway serves raw blocks and CARs, which the client verifies",
				)
				.hint("add ?format=raw or ?format=car, or use `cairn get`"))
			}
		},
	};
	if !is_car {
		return Ok(Choice {
			format: Format::Raw,
			scope: Scope::Block,
			range: None,
		});
	}
	if let Some(version) = parameter("car-version").or_else(|| accept_parameter("version")) {
		if version != "1" {
			return Err(malformed(format!("CAR version {version} is not offered")).hint("use version 1"));
		}
	}
	match parameter("car-order").or_else(|| accept_parameter("order")) {
		None | Some("dfs" | "unk") => {}
		Some(other) => return Err(malformed(format!("the block order `{other}` is not offered"))),
	}
	let duplicates = match parameter("car-dups").or_else(|| accept_parameter("dups")) {
		None | Some("n") => false,
		Some("y") => true,
		Some(other) => return Err(malformed(format!("dups must be y or n, not `{other}`"))),
	};
	let scope = match parameter("dag-scope") {
		None => Scope::All,
		Some(text) => text
			.parse()
			.map_err(|error| malformed(format!("dag-scope: {error}")))?,
	};
	let range = parameter("entity-bytes")
		.map(|text| {
			text.parse::<EntityBytes>()
				.map_err(|error| malformed(format!("entity-bytes: {error}")))
		})
		.transpose()?;
	Ok(Choice {
		format: Format::Car { duplicates },
		scope,
		range,
	})
}

/// Takes a place among the retrievals.
pub(super) async fn place(retrievals: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
	let busy =
		|| Problem::new(ErrorKind::Busy, "too many retrievals are running").hint("try again in a moment");
	match tokio::time::timeout(PLACE_PATIENCE, retrievals.clone().acquire_owned()).await {
		Ok(Ok(place)) => Ok(place),
		_ => Err(busy()),
	}
}

/// Whether the client has the object of `etag` already.
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
	let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
	headers
		.get_all(header::IF_NONE_MATCH)
		.iter()
		.filter_map(|value| value.to_str().ok())
		.flat_map(|value| value.split(','))
		.any(|tag| tag.trim() == "*" || weak(tag) == weak(etag))
}

/// A response with headers whose values are visible ASCII; others are left out.
pub(super) fn response(status: StatusCode, headers: &[(&'static str, String)], body: Body) -> Response {
	let mut response = Response::new(body);
	*response.status_mut() = status;
	for (name, value) in headers {
		if let Ok(value) = HeaderValue::from_str(value) {
			response.headers_mut().insert(*name, value);
		}
	}
	response
}

async fn serve(
	api: Api,
	method: Method,
	uri: &Uri,
	cid: &str,
	path: &str,
	parameters: &[(String, String)],
	headers: &HeaderMap,
) -> Result<Response, Failure> {
	let root: Cid = cid.parse().map_err(|_| {
		malformed("the path does not begin with a CID").hint("ask for /ipfs/{cid}?format=raw or ?format=car")
	})?;
	let choice = choose(parameters, headers)?;
	let place = place(&api.retrievals).await?;
	let blocks = Arc::new(PieceBlocks::new(api.provider.clone()));
	let target = {
		let (blocks, path) = (blocks.clone(), path.to_owned());
		tokio::task::spawn_blocking(move || resolve(&blocks, root, &path))
			.await
			.map_err(|error| internal(&error))??
	};
	let etag = etag(&target, path, &choice);
	let mut common = vec![
		("etag", etag.clone()),
		("cache-control", IMMUTABLE.to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
		("x-ipfs-path", uri.path().to_owned()),
		("access-control-allow-origin", "*".to_owned()),
		(
			"access-control-expose-headers",
			"etag, content-range, x-ipfs-path, x-request-id".to_owned(),
		),
		("vary", "accept".to_owned()),
	];
	if not_modified(headers, &etag) {
		return Ok(response(StatusCode::NOT_MODIFIED, &common, Body::empty()));
	}
	let (content_type, extension) = match choice.format {
		Format::Raw => (RAW.to_owned(), "bin"),
		Format::Car { duplicates } => {
			let dups = if duplicates { 'y' } else { 'n' };
			(format!("{CAR}; version=1; order=dfs; dups={dups}"), "car")
		}
	};
	common.push(("content-type", content_type));
	common.push((
		"content-disposition",
		format!("attachment; filename=\"{}.{extension}\"", target.cid()),
	));
	match choice.format {
		Format::Raw => {
			let data = target.block.bytes().clone();
			api.provider
				.metrics
				.bytes_served
				.with_label_values(&["ipfs"])
				.inc_by(data.len() as u64);
			common.push(("content-length", data.len().to_string()));
			let body = if method == Method::HEAD {
				Body::empty()
			} else {
				body::at_hand(data, place)
			};
			Ok(response(StatusCode::OK, &common, body))
		}
		Format::Car { duplicates } => {
			common.push(("accept-ranges", "none".to_owned()));
			if method == Method::HEAD {
				return Ok(response(StatusCode::OK, &common, Body::empty()));
			}
			let timeout = Duration::from_secs(api.provider.config.server.write_timeout_seconds);
			let served = api.provider.metrics.bytes_served.with_label_values(&["ipfs"]);
			let body = body::blocking(
				timeout,
				place,
				move |sent| served.inc_by(sent),
				move |out| write_car(&blocks, &target, &choice, duplicates, out),
			);
			Ok(response(StatusCode::OK, &common, body))
		}
	}
}

/// Where a path leads.
struct Target {
	/// The block at its end.
	block: Block,
	/// Folders on the way.
	way: Vec<Block>,
}

impl Target {
	fn cid(&self) -> &Cid {
		self.block.cid()
	}
}

fn resolve(blocks: &PieceBlocks, root: Cid, path: &str) -> Result<Target, Problem> {
	let (cid, way) = if path.split('/').all(str::is_empty) {
		(root, Vec::new())
	} else {
		let resolved = unixfs::resolve(blocks, &root, path).map_err(|error| match error {
			ResolveError::Read(unixfs::ReadError::Missing { cid }) => missing(&cid),
			error => Problem::new(ErrorKind::NotFound, error.to_string())
				.hint("ask for the root without a path to see what is below it"),
		})?;
		(resolved.cid, resolved.blocks)
	};
	let block = blocks
		.get(&cid)
		.map_err(|error| damaged(&cid, &error))?
		.ok_or_else(|| missing(&cid))?;
	Ok(Target { block, way })
}

fn missing(cid: &Cid) -> Problem {
	Problem::new(ErrorKind::NotFound, format!("block {cid} is not stored here"))
		.hint("other providers of the object may have it")
}

fn damaged(cid: &Cid, error: &SourceError) -> Problem {
	tracing::error!(%cid, %error, "a block cannot be read");
	Problem::new(ErrorKind::Internal, format!("block {cid} cannot be read"))
		.hint("other providers of the object may have it")
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
	tracing::error!(%error, "retrieval failed");
	Problem::new(ErrorKind::Internal, "the server failed to read the data")
}

/// Raw blocks are equal byte by byte (strong tag), CARs equivalent (weak tag).
fn etag(target: &Target, path: &str, choice: &Choice) -> String {
	match choice.format {
		Format::Raw => format!("\"{}.raw\"", target.cid()),
		Format::Car { duplicates } => {
			let what = format!("{path}\n{:?}\n{:?}\n{duplicates}", choice.scope, choice.range);
			let hash = cairn_primitives::draw::blake2_256(&[what.as_bytes()]);
			format!("W/\"{}.car.{}\"", target.cid(), hex::encode(&hash[..8]))
		}
	}
}

fn write_car(
	blocks: &Arc<PieceBlocks>,
	target: &Target,
	choice: &Choice,
	duplicates: bool,
	out: &mut body::BodyWriter,
) -> io::Result<()> {
	let mut car = CarWriter::new(out, &[*target.cid()])
		.map_err(io::Error::other)?
		.duplicates(duplicates);
	for block in &target.way {
		car.put(block).map_err(write_error)?;
	}
	let mut walking: Walk<Arc<PieceBlocks>> =
		walk(blocks.clone(), *target.cid(), choice.scope).duplicates(duplicates);
	if let Some(range) = choice.range {
		walking = walking.entity_bytes(range);
	}
	for block in walking {
		match block {
			Ok(block) => {
				car.put(&block).map_err(write_error)?;
			}
			// A codec that is not known here ends the walk below this block; the client sees the
			// same. Anything missing or damaged cuts the response.
			Err(WalkError::Codec { cid, error }) => {
				tracing::debug!(%cid, %error, "links of a block are not followed");
				return Err(io::Error::other(error));
			}
			Err(error) => return Err(io::Error::other(error)),
		}
	}
	car.finish().map_err(write_error)?;
	Ok(())
}

fn write_error(error: cairn_car::WriteError) -> io::Error {
	match error {
		cairn_car::WriteError::Io(error) => error,
		error => io::Error::other(error),
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn chosen(query: &[(&str, &str)], accept: Option<&str>) -> Result<Choice, ErrorKind> {
		let parameters: Vec<_> = query
			.iter()
			.map(|(name, value)| (name.to_string(), value.to_string()))
			.collect();
		let mut headers = HeaderMap::new();
		if let Some(accept) = accept {
			headers.insert(header::ACCEPT, accept.parse().unwrap());
		}
		choose(&parameters, &headers).map_err(|problem| problem.kind)
	}

	const CAR_FORMAT: Format = Format::Car { duplicates: false };

	#[test]
	fn formats() {
		assert_eq!(chosen(&[("format", "raw")], None).unwrap().format, Format::Raw);
		assert_eq!(
			chosen(&[("format", "car")], Some("text/html")).unwrap().format,
			CAR_FORMAT
		);
		assert_eq!(chosen(&[], Some(RAW)).unwrap().format, Format::Raw);
		assert_eq!(
			chosen(
				&[],
				Some("text/html, application/vnd.ipld.car; version=1; order=dfs; dups=y")
			)
			.unwrap()
			.format,
			Format::Car { duplicates: true }
		);
		// The query wins over the header.
		assert_eq!(
			chosen(&[("format", "raw")], Some(CAR)).unwrap().format,
			Format::Raw
		);
		assert_eq!(chosen(&[], None), Err(ErrorKind::NotAcceptable));
		assert_eq!(chosen(&[], Some("*/*")), Err(ErrorKind::NotAcceptable));
		assert_eq!(chosen(&[("format", "tar")], None), Err(ErrorKind::NotAcceptable));
	}

	#[test]
	fn car_parameters() {
		let car = |name: &str, value: &str| chosen(&[("format", "car"), (name, value)], None);
		assert_eq!(car("dag-scope", "entity").unwrap().scope, Scope::Entity);
		assert_eq!(chosen(&[("format", "car")], None).unwrap().scope, Scope::All);
		assert_eq!(
			car("entity-bytes", "-10:*").unwrap().range,
			Some(EntityBytes { from: -10, to: None })
		);
		assert_eq!(
			car("car-dups", "y").unwrap().format,
			Format::Car { duplicates: true }
		);
		for (name, value) in [
			("dag-scope", "everything"),
			("entity-bytes", "5"),
			("entity-bytes", "*:5"),
			("car-version", "2"),
			("car-order", "bfs"),
			("car-dups", "maybe"),
		] {
			assert_eq!(car(name, value), Err(ErrorKind::Malformed), "{name}={value}");
		}
	}

	#[test]
	fn conditional_requests() {
		let mut headers = HeaderMap::new();
		assert!(!not_modified(&headers, "\"a\""));
		headers.insert(header::IF_NONE_MATCH, "\"b\", W/\"a\"".parse().unwrap());
		assert!(not_modified(&headers, "\"a\""));
		assert!(not_modified(&headers, "W/\"b\""));
		assert!(!not_modified(&headers, "\"c\""));
		headers.insert(header::IF_NONE_MATCH, "*".parse().unwrap());
		assert!(not_modified(&headers, "\"c\""));
	}
}
