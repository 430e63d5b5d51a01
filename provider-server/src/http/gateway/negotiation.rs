//! In which form an object is asked for: `format` in the query, or else `Accept`.

use super::{
	accept::{media_ranges, MediaRange},
	malformed,
};
use axum::http::{HeaderMap, Uri};
use cairn_dag::walk::{EntityBytes, Scope};
use cairn_provider_api::{ErrorKind, Problem};
use std::cmp::Reverse;
use url::form_urlencoded;

/// Names and values of a query, in its order.
pub type Parameters = [(String, String)];

/// A form of response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
	/// What the object is to its reader: a file, a list of a folder, JSON.
	Deserialized,
	/// One block.
	Raw,
	/// A CARv1.
	Car(Car),
	/// Files and folders as a TAR.
	Tar,
	/// The block's data as dag-json.
	DagJson,
	/// The block's data as dag-cbor.
	DagCbor,
	/// As dag-json, under JSON's name; files stay as they are.
	Json,
	/// As dag-cbor, under CBOR's name; files stay as they are.
	Cbor,
}

/// What a CAR holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Car {
	/// Which blocks of the DAG.
	pub scope: Scope,
	/// Which bytes of a file.
	pub range: Option<EntityBytes>,
	/// Whether a block that occurs several times is sent each time.
	pub duplicates: bool,
}

/// What a request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
	/// The form of the response.
	pub format: Format,
	/// Whether `Accept` says `text/html`.
	pub html: bool,
	/// `format` and the parameters of a CAR that `Accept` names and the query does not, or names otherwise:
	/// with them the URL alone would have the same response.
	pub missing: Vec<(&'static str, String)>,
}

/// The forms with a name of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Name {
	Raw,
	Car,
	Tar,
	DagJson,
	DagCbor,
	Json,
	Cbor,
	IpnsRecord,
}

impl Name {
	const ALL: [Name; 8] = [
		Name::Raw,
		Name::Car,
		Name::Tar,
		Name::DagJson,
		Name::DagCbor,
		Name::Json,
		Name::Cbor,
		Name::IpnsRecord,
	];

	/// Value of `format`.
	const fn parameter(self) -> &'static str {
		match self {
			Name::Raw => "raw",
			Name::Car => "car",
			Name::Tar => "tar",
			Name::DagJson => "dag-json",
			Name::DagCbor => "dag-cbor",
			Name::Json => "json",
			Name::Cbor => "cbor",
			Name::IpnsRecord => "ipns-record",
		}
	}

	const fn media_type(self) -> &'static str {
		match self {
			Name::Raw => super::RAW,
			Name::Car => super::CAR,
			Name::Tar => super::TAR,
			Name::DagJson => super::DAG_JSON,
			Name::DagCbor => super::DAG_CBOR,
			Name::Json => super::JSON,
			Name::Cbor => super::CBOR,
			Name::IpnsRecord => "application/vnd.ipfs.ipns-record",
		}
	}

	fn of(range: &MediaRange) -> Option<Name> {
		Name::ALL.into_iter().find(|name| range.is(name.media_type()))
	}
}

/// The first value of a parameter.
pub fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
	parameters
		.iter()
		.find(|(found, _)| found == name)
		.map(|(_, value)| value.as_str())
}

/// Reads the form that is asked for, from the query or else from `Accept`. Without `deserialized`, raw blocks and
/// CARs are all there is.
///
/// # Errors
/// A form that is not offered, or a parameter that is not understood.
pub fn choose(parameters: &Parameters, headers: &HeaderMap, deserialized: bool) -> Result<Choice, Problem> {
	let ranges: Vec<MediaRange> = media_ranges(headers).collect();
	let html = ranges
		.iter()
		.any(|range| range.is("text/html") && range.quality > 0);
	let accepted = accepted(&ranges, deserialized);
	let query = match parameter(parameters, "format") {
		None => None,
		Some(text) => {
			let known = Name::ALL.into_iter().find(|name| name.parameter() == text);
			Some(
				known
					.ok_or_else(|| not_offered(format!("the format `{text}` is not known"), deserialized))?,
			)
		}
	};
	let name = query.or(accepted.map(|(name, _)| name));
	// Parameters of a media type count where it is the one that is sent.
	let variant = accepted.and_then(|(found, range)| (Some(found) == name).then_some(range));
	let format = match name {
		Some(Name::Raw) => Format::Raw,
		Some(Name::Car) => Format::Car(car(parameters, variant)?),
		Some(Name::IpnsRecord) => {
			return Err(malformed("an IPNS record is asked for, and this is no IPNS path")
				.hint("this gateway resolves /ipfs/{cid} alone"))
		}
		_ if !deserialized => {
			return Err(match (name, ranges.is_empty()) {
				(None, true) => malformed("the request names no form of response")
					.hint("add ?format=raw or ?format=car, or use `cairn get`"),
				_ => not_offered(
					"this gateway serves raw blocks and CARs, which the client verifies".into(),
					false,
				),
			})
		}
		None if !ranges.is_empty() && ranges.iter().all(|range| range.quality == 0) => {
			return Err(not_offered("`accept` refuses every form".into(), true))
		}
		None => Format::Deserialized,
		Some(Name::Tar) => Format::Tar,
		Some(Name::DagJson) => Format::DagJson,
		Some(Name::DagCbor) => Format::DagCbor,
		Some(Name::Json) => Format::Json,
		Some(Name::Cbor) => Format::Cbor,
	};
	let named_elsewhere = accepted.is_some_and(|(found, _)| Some(found) != query);
	let mut missing = Vec::new();
	if let (Some(name), true) = (name, named_elsewhere) {
		missing.push(("format", name.parameter().to_owned()));
	}
	if let (Format::Car(_), Some(range)) = (format, variant) {
		for (name, of_type) in CAR_PARAMETERS {
			if let (Some(value), None) = (range.parameter(of_type), parameter(parameters, name)) {
				missing.push((name, value.to_owned()));
			}
		}
	}
	Ok(Choice {
		format,
		html,
		missing,
	})
}

/// The best of the named forms that `Accept` offers and this gateway has. Whatever else `Accept` offers is taken as
/// the deserialised form, which loses against a named one of the same weight.
fn accepted<'r, 'a>(ranges: &'r [MediaRange<'a>], deserialized: bool) -> Option<(Name, &'r MediaRange<'a>)> {
	let named = ranges
		.iter()
		.filter_map(|range| Some((Name::of(range)?, range)))
		.filter(|(name, _)| deserialized || matches!(name, Name::Raw | Name::Car | Name::IpnsRecord))
		.filter(|(_, range)| range.quality > 0);
	// Among equals the first; of CARs those first that can be had.
	let best = named.min_by_key(|(name, range)| {
		let unavailable = *name == Name::Car && car(&[], Some(*range)).is_err();
		(unavailable, Reverse(range.quality))
	})?;
	let others = ranges.iter().filter(|range| Name::of(range).is_none());
	let other = others.map(|range| range.quality).max().unwrap_or(0);
	(!deserialized || best.1.quality >= other).then_some(best)
}

/// Parameters of a CAR: in the query, and of its media type.
const CAR_PARAMETERS: [(&str, &str); 3] = [
	("car-version", "version"),
	("car-order", "order"),
	("car-dups", "dups"),
];

fn car(parameters: &Parameters, accepted: Option<&MediaRange>) -> Result<Car, Problem> {
	// What the query says is wrong is an error of the request, what `Accept` says is not on offer.
	let refuse = |name: &str, message: String| match parameter(parameters, name) {
		Some(_) => malformed(message),
		None => Problem::new(ErrorKind::NotAcceptable, message),
	};
	let [version, order, dups] = CAR_PARAMETERS.map(|(name, of_type)| {
		parameter(parameters, name).or_else(|| accepted.and_then(|range| range.parameter(of_type)))
	});
	match version {
		None | Some("1") => {}
		Some(other) => {
			return Err(
				refuse("car-version", format!("CAR version {other} is not offered")).hint("use version 1"),
			)
		}
	}
	match order {
		None | Some("dfs" | "unk") => {}
		Some(other) => {
			return Err(
				refuse("car-order", format!("the block order `{other}` is not offered"))
					.hint("use dfs or unk"),
			)
		}
	}
	let duplicates = match dups {
		None | Some("n") => false,
		Some("y") => true,
		Some(other) => return Err(refuse("car-dups", format!("dups must be y or n, not `{other}`"))),
	};
	let scope = match parameter(parameters, "dag-scope") {
		None => Scope::All,
		Some(text) => text
			.parse()
			.map_err(|error| malformed(format!("dag-scope: {error}")))?,
	};
	let range = parameter(parameters, "entity-bytes")
		.map(|text| {
			text.parse::<EntityBytes>()
				.map_err(|error| malformed(format!("entity-bytes: {error}")))
		})
		.transpose()?;
	Ok(Car {
		scope,
		range,
		duplicates,
	})
}

fn not_offered(message: String, deserialized: bool) -> Problem {
	Problem::new(ErrorKind::NotAcceptable, message).hint(if deserialized {
		"the formats are raw, car, tar, dag-json, dag-cbor, json and cbor"
	} else {
		"use ?format=raw or ?format=car"
	})
}

/// The URL that has the same response without an `Accept` header, if it is another than `uri`.
pub fn content_location(uri: &Uri, parameters: &Parameters, choice: &Choice) -> Option<String> {
	if choice.missing.is_empty() {
		return None;
	}
	let replaced = |name: &str| choice.missing.iter().any(|(missing, _)| *missing == name);
	let kept = parameters
		.iter()
		.map(|(name, value)| (name.as_str(), value.as_str()))
		.filter(|(name, _)| !replaced(name));
	let added = choice.missing.iter().map(|(name, value)| (*name, value.as_str()));
	let query = form_urlencoded::Serializer::new(String::new())
		.extend_pairs(kept.chain(added))
		.finish();
	Some(format!("{}?{query}", super::escape::uri_path(uri)))
}

#[cfg(test)]
mod tests;
