//! Blocks of the IPLD data model as JSON and CBOR: as they are, or converted.

use super::{
	directory::{write_page_head, Size, POLICY},
	escape::Html,
	representation::{Content, Representation},
	resolve::Target,
	Asked, CBOR_CODEC, JSON_CODEC,
};
use crate::http::Api;
use bytes::Bytes;
use cairn_dag::{codec::dag_pb::PbNode, Block, Codec, CodecError};
use cairn_provider_api::{ErrorKind, Problem};
use ipld_core::ipld::Ipld;
use std::{collections::BTreeMap, io, io::Write, sync::PoisonError};

/// Largest block that is converted. As a tree in memory a block takes up to a hundred times its size.
const MAX_CONVERTED: usize = 1 << 20;

/// How serde_json hands over numbers that are no 64-bit integers where some crate of the same build turns on its feature
/// `arbitrary_precision`: as a map of one text under this key.
const NUMBER: &str = "$serde_json::private::Number";

/// Part of the pages' tags: to be counted up when they change.
const VERSION: u32 = 1;

/// A form of the data model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
	/// The strict encoding that it is, or that it is sent in.
	encoding: Encoding,
	/// Whether links and bytes have their form in it.
	is_dag: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
	Json,
	Cbor,
}

impl Form {
	pub const DAG_JSON: Form = Form {
		encoding: Encoding::Json,
		is_dag: true,
	};
	pub const DAG_CBOR: Form = Form {
		encoding: Encoding::Cbor,
		is_dag: true,
	};
	pub const JSON: Form = Form {
		encoding: Encoding::Json,
		is_dag: false,
	};
	pub const CBOR: Form = Form {
		encoding: Encoding::Cbor,
		is_dag: false,
	};

	pub fn is_dag(self) -> bool {
		self.is_dag
	}

	fn media_type(self) -> &'static str {
		match (self.is_dag, self.encoding) {
			(true, Encoding::Json) => super::DAG_JSON,
			(true, Encoding::Cbor) => super::DAG_CBOR,
			(false, Encoding::Json) => super::JSON,
			(false, Encoding::Cbor) => super::CBOR,
		}
	}

	fn extension(self) -> &'static str {
		match self.encoding {
			Encoding::Json => "json",
			Encoding::Cbor => "cbor",
		}
	}

	/// The multicodec code of blocks that are of this very form.
	fn codec(self) -> u64 {
		match (self.is_dag, self.encoding) {
			(false, Encoding::Json) => JSON_CODEC,
			(false, Encoding::Cbor) => CBOR_CODEC,
			(true, encoding) => encoding.codec().code(),
		}
	}
}

impl Encoding {
	/// The codec that checks it.
	fn codec(self) -> Codec {
		match self {
			Encoding::Json => Codec::DagJson,
			Encoding::Cbor => Codec::DagCbor,
		}
	}
}

/// The block's data in `form`.
///
/// # Errors
/// `Internal` if the block is not of its codec, `NotAcceptable` if it has no such form.
pub(super) fn represent(
	api: &Api,
	asked: &Asked,
	target: Target,
	form: Form,
) -> Result<Representation, Problem> {
	let cid = *target.cid();
	let data = encode(api, &target.block, form)?;
	let dag = if form.is_dag { "dag-" } else { "" };
	let extension = form.extension();
	Ok(Representation {
		disposition: Some(asked.named(form.encoding == Encoding::Cbor, &cid, extension)),
		..Representation::new(
			format!("\"{cid}.{dag}{extension}\""),
			form.media_type(),
			Content::Bytes(data),
		)
	})
}

fn encode(api: &Api, block: &Block, form: Form) -> Result<Bytes, Problem> {
	let code = block.cid().codec();
	if code == form.codec() && !form.is_dag {
		return Ok(block.bytes().clone());
	}
	// Plain JSON and CBOR are read as what they can be with links.
	let encoding = match code {
		JSON_CODEC => Some(Encoding::Json),
		CBOR_CODEC => Some(Encoding::Cbor),
		code if code == Codec::DagJson.code() => Some(Encoding::Json),
		code if code == Codec::DagCbor.code() => Some(Encoding::Cbor),
		_ => None,
	};
	if let Some(encoding) = encoding {
		encoding
			.codec()
			.validate(block.data())
			.map_err(|error| invalid(block, &error))?;
		if encoding == form.encoding {
			return Ok(block.bytes().clone());
		}
	}
	if block.data().len() > MAX_CONVERTED {
		return Err(refused(block, "is too large to be converted"));
	}
	// One at a time, because of the memory; it takes milliseconds.
	let _one = api.conversions.lock().unwrap_or_else(PoisonError::into_inner);
	let value = match encoding {
		Some(Encoding::Json) => {
			let value = serde_ipld_dagjson::from_slice(block.data());
			value.map_err(|error| error.to_string()).and_then(with_numbers)
		}
		Some(Encoding::Cbor) => {
			serde_ipld_dagcbor::from_slice(block.data()).map_err(|error| error.to_string())
		}
		None => logical(block)?,
	};
	let encoded = value.and_then(|value| match form.encoding {
		Encoding::Json => serde_ipld_dagjson::to_vec(&value).map_err(|error| error.to_string()),
		Encoding::Cbor => serde_ipld_dagcbor::to_vec(&value).map_err(|error| error.to_string()),
	});
	encoded.map(Bytes::from).map_err(|error| {
		tracing::debug!(cid = %block.cid(), error, "a block is not converted");
		refused(block, "has values that the other encoding has no form for")
	})
}

/// Puts numbers where serde_json put texts in their place ([`NUMBER`]).
fn with_numbers(value: Ipld) -> Result<Ipld, String> {
	Ok(match value {
		Ipld::List(list) => Ipld::List(list.into_iter().map(with_numbers).collect::<Result<_, _>>()?),
		Ipld::Map(map) => match map.get(NUMBER) {
			Some(Ipld::String(text)) if map.len() == 1 => number(text)?,
			_ => Ipld::Map(
				map.into_iter()
					.map(|(key, value)| Ok((key, with_numbers(value)?)))
					.collect::<Result<_, String>>()?,
			),
		},
		other => other,
	})
}

fn number(text: &str) -> Result<Ipld, String> {
	let float = || {
		text.parse()
			.ok()
			.filter(|float: &f64| float.is_finite())
			.map(Ipld::Float)
	};
	let number = match text.parse() {
		Ok(integer) => Some(Ipld::Integer(integer)),
		Err(_) => float(),
	};
	number.ok_or_else(|| format!("the number {text} is too large"))
}

/// The data model of blocks that are of another encoding.
fn logical(block: &Block) -> Result<Result<Ipld, String>, Problem> {
	match Codec::of(block.cid()) {
		Ok(Codec::Raw) => Ok(Ok(Ipld::Bytes(block.data().to_vec()))),
		Ok(Codec::DagPb) => match PbNode::decode(block.bytes()) {
			Ok(node) => Ok(Ok(logical_pb(node))),
			Err(error) => Err(invalid(block, &error)),
		},
		_ => Err(refused(block, "is of a codec that is not converted")),
	}
}

/// The [logical format](https://ipld.io/specs/codecs/dag-pb/spec/#logical-format) of dag-pb.
fn logical_pb(node: PbNode) -> Ipld {
	let links = node.links.into_iter().map(|link| {
		let mut map = BTreeMap::from([("Hash".to_owned(), Ipld::Link(link.cid))]);
		if let Some(name) = link.name {
			map.insert("Name".to_owned(), Ipld::String(name));
		}
		if let Some(size) = link.tsize {
			map.insert("Tsize".to_owned(), Ipld::Integer(size.into()));
		}
		Ipld::Map(map)
	});
	let mut map = BTreeMap::from([("Links".to_owned(), Ipld::List(links.collect()))]);
	if let Some(data) = node.data {
		map.insert("Data".to_owned(), Ipld::Bytes(data.to_vec()));
	}
	Ipld::Map(map)
}

fn refused(block: &Block, why: &str) -> Problem {
	Problem::new(ErrorKind::NotAcceptable, format!("block {} {why}", block.cid()))
		.hint("add ?format=raw or ?format=car")
}

fn invalid(block: &Block, error: &CodecError) -> Problem {
	// Plain JSON need not be dag-json; what calls itself dag-json must.
	if matches!(block.cid().codec(), JSON_CODEC | CBOR_CODEC) {
		return refused(block, &format!("has no such form: {error}"));
	}
	tracing::warn!(cid = %block.cid(), %error, "a stored block is not of its codec");
	Problem::new(ErrorKind::Internal, format!("block {}: {error}", block.cid()))
		.hint("add ?format=raw to see its bytes")
}

/// A page about a block for people, who get to choose a form.
pub(super) fn page(asked: &Asked, target: &Target) -> Representation {
	let cid = *target.cid();
	let mut html = Vec::new();
	// A vector takes everything.
	let _ = write_page(asked, &target.block, &mut html);
	Representation {
		// It shares its URL with the data, and some caches do not look at `vary`.
		cache_control: None,
		policy: Some(POLICY),
		..Representation::new(
			format!("\"DagIndex-{VERSION}_CID-{cid}\""),
			"text/html; charset=utf-8",
			Content::Bytes(html.into()),
		)
	}
}

fn write_page(asked: &Asked, block: &Block, out: &mut impl Write) -> io::Result<()> {
	let cid = block.cid();
	let codec = Codec::of(cid).map_or("unknown", Codec::name);
	write_page_head(&cid.to_string(), out)?;
	writeln!(
		out,
		"<h1>{codec} block</h1>\n<p>{}</p>",
		Html(&format!("/ipfs/{}/{}", asked.root, asked.path))
	)?;
	writeln!(
		out,
		"<p class=\"ipfs-hash\" translate=\"no\">{cid}</p>\n<p>{}</p>\n<ul>",
		Size(block.data().len() as u64)
	)?;
	for (format, label) in [
		("dag-json", "as DAG-JSON"),
		("dag-cbor", "as DAG-CBOR"),
		("raw", "the block's bytes"),
		("car", "with everything that it links to, as CAR"),
	] {
		writeln!(out, "<li><a href=\"?format={format}\">{label}</a></li>")?;
	}
	writeln!(out, "</ul>\n</body>\n</html>")
}

#[cfg(test)]
mod tests {
	use super::*;
	use ipld_core::ipld;

	#[test]
	fn numbers_as_texts_are_numbers_again() {
		let text = |text: &str| ipld!({ NUMBER: text });
		let read = |value| with_numbers(value).unwrap();
		assert_eq!(
			read(ipld!({"a": [text("1.5"), text("18446744073709551616"), 7]})),
			ipld!({"a": [1.5, 18_446_744_073_709_551_616_i128, 7]})
		);
		assert_eq!(read(text("-1e3")), Ipld::Float(-1000.0));
		assert!(with_numbers(text("1e999")).is_err());
		assert!(with_numbers(ipld!([text("NaN")])).is_err());
		// Not what serde_json makes.
		for other in [ipld!({NUMBER: 1}), ipld!({NUMBER: "1", "b": 2})] {
			assert_eq!(read(other.clone()), other);
		}
	}
}
