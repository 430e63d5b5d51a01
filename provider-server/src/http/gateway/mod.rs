//! `/ipfs/{cid}[/path]`: an IPFS gateway, to the specifications of the
//! [trustless](https://specs.ipfs.tech/http-gateways/trustless-gateway/) and, where the configuration has it on, the
//! [path gateway](https://specs.ipfs.tech/http-gateways/path-gateway/).
//!
//! | form | what | where |
//! |---|---|---|
//! | `raw` | one block | here |
//! | `car` | the blocks that `dag-scope` and `entity-bytes` name, as CARv1 | [`car`] |
//! | none | files; folders as their `index.html` or a list | [`file`], [`directory`] |
//! | `tar` | files and folders | [`tar`] |
//! | `dag-json`, `dag-cbor`, `json`, `cbor` | a block's data | [`data`] |
//!
//! A request goes through [`negotiation`] (what form it wants), [`resolve`] (what its path names), and one of the
//! modules above, which makes a [`Representation`](representation::Representation); that becomes the response, or
//! the part of it that a range names, or 304.
//!
//! Blocks are those of stored pieces and of the node's own block store ([`NodeBlocks`]). The gateway is not recursive:
//! what is in neither is 404. IPNS is not resolved.
//!
//! # Documents of strangers
//!
//! One origin serves everybody's files. So that a document can neither read another's storage nor act in its name,
//! documents that can run scripts are sent with the policy `sandbox`, which gives each an origin of its own.
//! Scripts, forms and downloads work; cookies, storage and service workers do not. Lists of folders are pages of
//! the gateway's own and hold no script at all.

mod accept;
mod car;
mod content_type;
mod data;
mod directory;
mod escape;
mod file;
mod negotiation;
mod representation;
mod resolve;
mod tar;
mod value;
mod walk_memory;

pub use accept::media_ranges;
pub use content_type::by_content;
pub use escape::disposition;
pub(super) use walk_memory::WalkMemory;

pub use negotiation::{choose, content_location, parameter, Car, Choice, Format, Parameters};

use super::{place, problem::Failure, Api};
use crate::{
	provider::Provider,
	retrieval::{NodeBlocks, PayloadError, PieceBlocks},
};
use axum::{
	body::Body,
	extract::{
		rejection::{PathRejection, QueryRejection},
		Path, Query, State,
	},
	http::{header, HeaderMap, Method, StatusCode, Uri},
	response::{IntoResponse, Response},
	routing::get,
	Router,
};
use cairn_dag::{Codec, SourceError};
use cairn_provider_api::{cid_text, ErrorKind, Problem};
use cid::Cid;
use representation::{Content, Representation};
use resolve::{load, resolve, Target};
use std::{error::Error as _, sync::Arc};

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";
const TAR: &str = "application/x-tar";
const DAG_JSON: &str = "application/vnd.ipld.dag-json";
const DAG_CBOR: &str = "application/vnd.ipld.dag-cbor";
const JSON: &str = "application/json";
const CBOR: &str = "application/cbor";

/// Multicodec code of plain JSON, which has no links.
const JSON_CODEC: u64 = 0x0200;
/// Multicodec code of plain CBOR.
const CBOR_CODEC: u64 = 0x51;

type QueryParameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The routes.
pub(super) fn routes() -> Router<Api> {
	Router::new()
		.route("/ipfs/{cid}", get(root))
		.route("/ipfs/{cid}/", get(root))
		.route("/ipfs/{cid}/{*path}", get(below))
}

async fn root(
	State(api): State<Api>,
	method: Method,
	uri: Uri,
	path: Result<Path<String>, PathRejection>,
	parameters: QueryParameters,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let (Path(cid), Query(parameters)) = (path?, parameters?);
	let asked = Asked::new(&api, method, uri, &cid, String::new(), parameters, headers)?;
	serve(api, asked).await
}

async fn below(
	State(api): State<Api>,
	method: Method,
	uri: Uri,
	path: Result<Path<(String, String)>, PathRejection>,
	parameters: QueryParameters,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let (Path((cid, path)), Query(parameters)) = (path?, parameters?);
	let asked = Asked::new(&api, method, uri, &cid, path, parameters, headers)?;
	serve(api, asked).await
}

/// A request that is understood.
struct Asked {
	method: Method,
	uri: Uri,
	headers: HeaderMap,
	root: Cid,
	/// What follows the root, decoded.
	path: String,
	parameters: Vec<(String, String)>,
	choice: Choice,
	/// Nothing that takes long: 412 instead.
	only_if_cached: bool,
}

impl Asked {
	fn new(
		api: &Api,
		method: Method,
		uri: Uri,
		cid: &str,
		path: String,
		parameters: Vec<(String, String)>,
		headers: HeaderMap,
	) -> Result<Asked, Problem> {
		// A service worker without a folder of its own would rule over every object.
		let is_worker = headers
			.get("service-worker")
			.is_some_and(|value| value == "script");
		if is_worker && path.is_empty() {
			return Err(malformed("a service worker cannot be registered here"));
		}
		let root = cid_text::parse(cid).map_err(|error| {
			malformed(format!("the path does not begin with a CID: {error}"))
				.hint("ask for /ipfs/{cid} or /ipfs/{cid}/{path}")
		})?;
		let choice = choose(&parameters, &headers, api.provider.config.gateway.deserialized)?;
		let only_if_cached = headers
			.get_all(header::CACHE_CONTROL)
			.iter()
			.filter_map(|value| value.to_str().ok())
			.flat_map(|value| value.split(','))
			.any(|directive| directive.trim().eq_ignore_ascii_case("only-if-cached"));
		Ok(Asked {
			method,
			uri,
			headers,
			root,
			path,
			parameters,
			choice,
			only_if_cached,
		})
	}

	/// The name that the client wants the object to have, if it is not empty.
	fn file_name(&self) -> Option<&str> {
		parameter(&self.parameters, "filename").filter(|name| !name.is_empty())
	}

	/// The last name on the path.
	fn last_name(&self) -> Option<&str> {
		self.path.rsplit('/').find(|name| !name.is_empty())
	}

	/// Whether the client is to save the object and not to show it.
	fn download(&self) -> Option<bool> {
		match parameter(&self.parameters, "download")? {
			"true" => Some(true),
			"false" => Some(false),
			_ => None,
		}
	}

	/// `Content-Disposition` of an object that has a name in any case.
	fn named(&self, attachment: bool, cid: &Cid, extension: &str) -> String {
		let default = format!("{cid}.{extension}");
		let attachment = self.download().unwrap_or(false) || attachment;
		disposition(attachment, Some(self.file_name().unwrap_or(&default)))
	}
}

fn malformed(message: impl Into<String>) -> Problem {
	Problem::new(ErrorKind::Malformed, message)
		.hint("paths and parameters are those of the IPFS gateway specifications")
}

fn missing(cid: &Cid) -> Problem {
	Problem::new(ErrorKind::NotFound, format!("block {cid} is not stored here"))
		.hint("other providers of the object may have it")
}

fn damaged(cid: &Cid, error: &SourceError) -> Problem {
	unreadable(error, format!("block {cid} cannot be read"))
}

/// A failure to read a block. That its sector has to be unsealed first is none.
fn unreadable(error: &SourceError, message: String) -> Problem {
	if let Some(PayloadError::Unseal(error)) = error.source().and_then(|source| source.downcast_ref()) {
		if error.is_transient() {
			return super::piece::unsealing(error);
		}
	}
	tracing::error!(%error, message);
	Problem::new(ErrorKind::Internal, message).hint("other providers of the object may have it")
}

async fn serve(api: Api, asked: Asked) -> Result<Response, Failure> {
	let place = place(&api.retrievals).await?;
	let asked = Arc::new(asked);
	let found = {
		let (api, asked) = (api.clone(), asked.clone());
		tokio::task::spawn_blocking(move || find(&api, &asked))
			.await
			.map_err(|error| {
				tracing::error!(%error, "retrieval failed");
				Problem::new(ErrorKind::Internal, "the server failed to read the data")
			})?
	};
	match found? {
		Found::Here(representation) => representation.respond(&api, &asked, place),
		Found::Elsewhere(location) => Ok(moved(location)),
		// As the specification has it: without a body.
		Found::NotAtHand => Ok(StatusCode::PRECONDITION_FAILED.into_response()),
	}
}

/// What a request has led to.
enum Found {
	Here(Representation),
	/// A path of this server.
	Elsewhere(String),
	/// It would have to be fetched or unsealed, and the client does not want to wait.
	NotAtHand,
}

/// Reads what it takes to answer a request, up to the first bytes of large objects. Blocks.
fn find(api: &Api, asked: &Asked) -> Result<Found, Problem> {
	let mut pieces = PieceBlocks::new(api.provider.clone());
	if asked.only_if_cached {
		pieces = pieces.at_hand();
	}
	let blocks = Arc::new(NodeBlocks::new(pieces, api.provider.data.clone()));
	let target = match resolve(&blocks, asked.root, &asked.path) {
		Ok(target) => target,
		Err(problem) => {
			let is_absent = || load(&blocks, &asked.root).is_err_and(|root| root.kind == ErrorKind::NotFound);
			return if asked.only_if_cached && (blocks.passed_over() || is_absent()) {
				Ok(Found::NotAtHand)
			} else {
				Err(problem)
			};
		}
	};
	let roots = target.roots.clone();
	let mut found = match asked.choice.format {
		Format::Raw => Found::Here(raw(asked, target)),
		Format::Car(car) => Found::Here(car::represent(blocks, asked, target, car, &api.walks)?),
		Format::Tar => Found::Here(tar::represent(blocks, asked, target, &api.walks)?),
		Format::DagJson => Found::Here(data::represent(api, asked, target, data::Form::DAG_JSON)?),
		Format::DagCbor => Found::Here(data::represent(api, asked, target, data::Form::DAG_CBOR)?),
		Format::Json if !is_unixfs(&target) => {
			Found::Here(data::represent(api, asked, target, data::Form::JSON)?)
		}
		Format::Cbor if !is_unixfs(&target) => {
			Found::Here(data::represent(api, asked, target, data::Form::CBOR)?)
		}
		Format::Deserialized | Format::Json | Format::Cbor => deserialized(api, blocks, asked, target)?,
	};
	if let Found::Here(representation) = &mut found {
		representation.roots = roots;
	}
	Ok(found)
}

fn is_unixfs(target: &Target) -> bool {
	matches!(Codec::of(target.cid()), Ok(Codec::Raw | Codec::DagPb))
}

/// What an object is to its reader, by its codec.
fn deserialized(api: &Api, blocks: Arc<NodeBlocks>, asked: &Asked, target: Target) -> Result<Found, Problem> {
	let form = match (target.cid().codec(), Codec::of(target.cid())) {
		(_, Ok(Codec::Raw | Codec::DagPb)) => return file::represent(blocks, asked, target, &api.walks),
		(JSON_CODEC, _) => data::Form::JSON,
		(CBOR_CODEC, _) => data::Form::CBOR,
		(_, Ok(Codec::DagJson)) => data::Form::DAG_JSON,
		(_, Ok(Codec::DagCbor)) => data::Form::DAG_CBOR,
		(code, known) => {
			let name = known.map_or_else(|_| format!("{code:#x}"), |codec| codec.name().to_owned());
			return Err(Problem::new(
				ErrorKind::NotAcceptable,
				format!("blocks of codec {name} have no form but their bytes"),
			)
			.hint("add ?format=raw or ?format=car"));
		}
	};
	let found = if asked.choice.html && form.is_dag() {
		data::page(asked, &target)
	} else {
		data::represent(api, asked, target, form)?
	};
	Ok(Found::Here(found))
}

/// One block.
fn raw(asked: &Asked, target: Target) -> Representation {
	let cid = *target.cid();
	Representation {
		disposition: Some(asked.named(true, &cid, "bin")),
		..Representation::new(
			format!("\"{cid}.raw\""),
			RAW,
			Content::Bytes(target.block.into_parts().1),
		)
	}
}

fn moved(location: String) -> Response {
	let headers = [
		("location", location),
		("cache-control", representation::IMMUTABLE.to_owned()),
	];
	super::response(StatusCode::MOVED_PERMANENTLY, &headers, Body::empty())
}

/// Counts bytes sent to readers.
fn served(provider: &Provider) -> prometheus::IntCounter {
	provider.metrics.bytes_served.with_label_values(&["ipfs"])
}
