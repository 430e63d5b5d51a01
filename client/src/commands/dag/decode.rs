//! Blocks as dag-json, for people and scripts to read.
//!
//! Written as `serde_json` values: of a crate for dag-json, one value and its two special forms would be used,
//! and its features of `serde_json` would hold for the whole workspace.

mod bencode;
mod git;

use base64::{engine::general_purpose::STANDARD_NO_PAD, Engine};
use cairn_dag::{codec::dag_pb::PbNode, Block, Cid, Codec};
use ipld_core::ipld::Ipld;
use serde_json::{json, Map, Value};

/// Largest block that is decoded, in bytes: a value takes up to a hundred times its block in memory.
const MAX_BLOCK: usize = 2 << 20;

/// Why a block has no decoded form.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
	/// Its codec has none here.
	#[error("there is no dag-json form of {codec} here")]
	NoForm {
		/// Name of the codec.
		codec: &'static str,
	},
	/// It is larger than 2 MiB.
	#[error("the block is too large to be shown")]
	TooLarge,
	/// Something in it has no form in dag-json, or nests too deeply.
	#[error("the block has no dag-json form: {reason}")]
	Inexpressible {
		/// What.
		reason: String,
	},
}

/// The dag-json form of a block that is well-formed.
pub fn decode(block: &Block) -> Result<Value, DecodeError> {
	if block.data().len() > MAX_BLOCK {
		return Err(DecodeError::TooLarge);
	}
	let inexpressible = |reason: &dyn std::fmt::Display| DecodeError::Inexpressible {
		reason: reason.to_string(),
	};
	match Codec::from_code(block.cid().codec()) {
		Some(Codec::Raw) => Ok(bytes(block.data())),
		Some(Codec::DagPb) => {
			let node = PbNode::decode(block.bytes()).map_err(|error| inexpressible(&error))?;
			Ok(dag_pb(&node))
		}
		Some(Codec::DagCbor) => {
			let value: Ipld =
				serde_ipld_dagcbor::from_slice(block.data()).map_err(|error| inexpressible(&error))?;
			data_model(&value)
		}
		Some(Codec::DagJson) => serde_json::from_slice(block.data()).map_err(|error| inexpressible(&error)),
		Some(Codec::GitRaw) => git::decode(block.data()).map_err(|error| inexpressible(&error)),
		Some(Codec::TorrentInfo | Codec::TorrentFile) => bencode::decode(block.data())
			.ok_or_else(|| inexpressible(&"a key or number that JSON cannot hold")),
		Some(codec) => Err(DecodeError::NoForm { codec: codec.name() }),
		None => Err(DecodeError::NoForm { codec: "it" }),
	}
}

/// A node in the data model's form of the dag-pb specification: absent fields stay absent.
fn dag_pb(node: &PbNode) -> Value {
	let links = node.links.iter().map(|link| {
		let mut fields = Map::new();
		fields.insert("Hash".into(), self::link(&link.cid));
		if let Some(name) = &link.name {
			fields.insert("Name".into(), name.clone().into());
		}
		if let Some(tsize) = link.tsize {
			fields.insert("Tsize".into(), tsize.into());
		}
		Value::Object(fields)
	});
	let mut fields = Map::new();
	if let Some(data) = &node.data {
		fields.insert("Data".into(), bytes(data));
	}
	fields.insert("Links".into(), links.collect());
	Value::Object(fields)
}

fn link(cid: &Cid) -> Value {
	json!({ "/": cid.to_string() })
}

fn bytes(bytes: &[u8]) -> Value {
	json!({ "/": { "bytes": STANDARD_NO_PAD.encode(bytes) } })
}

/// A value of the data model. Nesting is bounded by the decoder of dag-cbor.
fn data_model(value: &Ipld) -> Result<Value, DecodeError> {
	let inexpressible = |reason: &str| DecodeError::Inexpressible {
		reason: reason.to_owned(),
	};
	Ok(match value {
		Ipld::Null => Value::Null,
		Ipld::Bool(value) => (*value).into(),
		Ipld::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
			(Ok(value), _) => value.into(),
			(_, Ok(value)) => value.into(),
			_ => return Err(inexpressible("an integer beyond 64 bits")),
		},
		Ipld::Float(value) => Value::from(
			serde_json::Number::from_f64(*value).ok_or_else(|| inexpressible("a float that is no number"))?,
		),
		Ipld::String(text) => text.clone().into(),
		Ipld::Bytes(value) => bytes(value),
		Ipld::List(list) => list.iter().map(data_model).collect::<Result<_, _>>()?,
		Ipld::Map(map) => {
			// The key of links and bytes.
			if map.contains_key("/") {
				return Err(inexpressible("a map with the key `/`"));
			}
			let entries = map
				.iter()
				.map(|(key, value)| Ok((key.clone(), data_model(value)?)));
			Value::Object(entries.collect::<Result<_, DecodeError>>()?)
		}
		Ipld::Link(cid) => link(cid),
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	fn form(codec: Codec, data: &[u8]) -> Result<String, DecodeError> {
		decode(&Block::encode(codec, data.to_vec())).map(|value| value.to_string())
	}

	/// Forms as the specifications of the codecs have them.
	#[test]
	fn known_codecs_have_their_form() {
		assert_eq!(
			form(Codec::Raw, b"hello").unwrap(),
			r#"{"/":{"bytes":"aGVsbG8"}}"#
		);
		let cbor = hex::decode(concat!(
			"a66161f5616220616381f661640361650063616263",
			"d82a5825000155122061be55a8e2f6b4e172338bddf184d6dbee29c98853e0a0485ecee7f27b9af0b4"
		));
		// {"a": true, "b": -1, "c": [null], "d": 3, "e": 0, "abc": link}
		assert_eq!(
			form(Codec::DagCbor, &cbor.unwrap()).unwrap(),
			r#"{"a":true,"abc":{"/":"bafkreidbxzk2ryxwwtqxem4l3xyyjvw35yu4tcct4cqeqxwo47zhxgxqwq"},"b":-1,"c":[null],"d":3,"e":0}"#
		);
		assert_eq!(
			form(Codec::DagJson, br#" {"b":1,"a":{"/":{"bytes":""}}} "#).unwrap(),
			r#"{"a":{"/":{"bytes":""}},"b":1}"#
		);
		let cat = hex::decode("0a2401551220b474a99a2705e23cf905a484ec6d14ef58b56bbe62e9292783466ec363b5072d120a666973686d6f6e6765721804").unwrap();
		let node = [&[0x12, 0x34][..], &cat].concat();
		assert_eq!(
			form(Codec::DagPb, &node).unwrap(),
			r#"{"Links":[{"Hash":{"/":"bafkreifuosuzujyf4i6psbneqtwg2fhplc2wxptc5euspa2gn3bwhnihfu"},"Name":"fishmonger","Tsize":4}]}"#
		);
		assert_eq!(form(Codec::DagPb, b"").unwrap(), r#"{"Links":[]}"#);
	}

	#[test]
	fn what_has_no_form_is_said() {
		// {"/": 1}
		let reserved = form(Codec::DagCbor, b"\xa1\x61/\x01");
		assert!(matches!(reserved, Err(DecodeError::Inexpressible { .. })));
		// 1,000 lists in each other.
		let deep = [&[0x81; 1000][..], &[0xf6]].concat();
		assert!(matches!(
			form(Codec::DagCbor, &deep),
			Err(DecodeError::Inexpressible { .. })
		));
		assert!(matches!(
			form(Codec::Raw, &vec![0; MAX_BLOCK + 1]),
			Err(DecodeError::TooLarge)
		));
		let state = form(Codec::EthAccount, b"");
		assert!(matches!(
			state,
			Err(DecodeError::NoForm {
				codec: "eth-account-snapshot"
			})
		));
	}
}
