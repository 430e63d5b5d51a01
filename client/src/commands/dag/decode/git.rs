//! Git objects in the data model's form of [go-ipld-git](https://github.com/ipfs/go-ipld-git).
//!
//! Text that is not UTF-8 is shown with replacements.

use super::{bytes, link};
use cairn_dag::{
	codec::git::{split, ObjectKind},
	Cid, Codec, CodecError, HashFunction,
};
use serde_json::{json, Map, Value};

/// The form of an object that is well-formed. A blob's is the whole block.
pub(super) fn decode(data: &[u8]) -> Result<Value, CodecError> {
	let (kind, content) = split(data)?;
	Ok(match kind {
		ObjectKind::Blob => bytes(data),
		ObjectKind::Tree => tree(content),
		ObjectKind::Commit => commit(content),
		ObjectKind::Tag => tag(content),
	})
}

/// Entries by name. Of a name that is there twice, as `fsck` would complain, the last one.
fn tree(mut rest: &[u8]) -> Value {
	let mut entries = Map::new();
	while let Some((mode, after)) = cut(rest, b' ') {
		let Some((name, after)) = cut(after, 0) else { break };
		let Some((id, after)) = after.split_at_checked(20) else {
			break;
		};
		entries.insert(text(name), json!({ "mode": text(mode), "hash": object(id) }));
		rest = after;
	}
	Value::Object(entries)
}

fn commit(content: &[u8]) -> Value {
	let mut fields = Map::new();
	let (mut parents, mut mergetags, mut other) = (Vec::new(), Vec::new(), Vec::new());
	let (headers, message) = headers(content);
	for (key, value) in headers {
		match key.as_slice() {
			b"tree" => drop(fields.insert("tree".into(), object_of_text(&value))),
			b"parent" => parents.push(object_of_text(&value)),
			b"author" => drop(fields.insert("author".into(), person(&value))),
			b"committer" => drop(fields.insert("committer".into(), person(&value))),
			b"encoding" => drop(fields.insert("encoding".into(), text(&value).into())),
			b"gpgsig" => drop(fields.insert("signature".into(), text(&value).into())),
			b"mergetag" => mergetags.push(tag(&value)),
			_ => other.push(Value::from(text(&[&key[..], b" ", &value].concat()))),
		}
	}
	fields.insert("parents".into(), parents.into());
	fields.insert("message".into(), text(message).into());
	for (name, list) in [("mergetag", mergetags), ("other", other)] {
		if !list.is_empty() {
			fields.insert(name.into(), list.into());
		}
	}
	Value::Object(fields)
}

fn tag(content: &[u8]) -> Value {
	let mut fields = Map::new();
	let (headers, message) = headers(content);
	for (key, value) in headers {
		let value = match key.as_slice() {
			b"object" => object_of_text(&value),
			b"tagger" => person(&value),
			_ => text(&value).into(),
		};
		fields.insert(text(&key), value);
	}
	fields.insert("message".into(), text(message).into());
	Value::Object(fields)
}

/// Keys and values up to the first empty line, and what follows it. A line that begins with a space goes on
/// where the one before ended.
fn headers(mut rest: &[u8]) -> (Vec<(Vec<u8>, Vec<u8>)>, &[u8]) {
	let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
	while let Some((line, after)) = cut(rest, b'\n') {
		rest = after;
		match (line, headers.last_mut()) {
			([], _) => break,
			([b' ', more @ ..], Some((_, value))) => {
				value.push(b'\n');
				value.extend_from_slice(more);
			}
			(line, _) => {
				let (key, value) = cut(line, b' ').unwrap_or((line, &[]));
				headers.push((key.to_vec(), value.to_vec()));
			}
		}
	}
	(headers, rest)
}

/// `Name <email> date timezone`; what is not written so is all name.
fn person(line: &[u8]) -> Value {
	let line = text(line);
	let parts = line.rsplit_once('>').and_then(|(who, when)| {
		let (name, email) = who.split_once('<')?;
		let (date, timezone) = when.trim_start().split_once(' ')?;
		Some(json!({ "name": name.trim_end(), "email": email, "date": date, "timezone": timezone }))
	});
	parts.unwrap_or_else(|| json!({ "name": line, "email": "", "date": "", "timezone": "" }))
}

/// A link to the object with an id in hexadecimal; what is none is shown as it is.
fn object_of_text(id: &[u8]) -> Value {
	hex::decode(id).map_or_else(|_| text(id).into(), |id| object(&id))
}

fn object(id: &[u8]) -> Value {
	match HashFunction::Sha1.wrap(id) {
		Some(hash) => link(&Cid::new_v1(Codec::GitRaw.code(), hash)),
		None => hex::encode(id).into(),
	}
}

fn text(bytes: &[u8]) -> String {
	String::from_utf8_lossy(bytes).into_owned()
}

/// What stands before and after the first `byte`.
fn cut(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
	let at = bytes.iter().position(|found| *found == byte)?;
	Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
	use super::*;

	fn form(kind: &str, content: &[u8]) -> Value {
		let object = [format!("{kind} {}\0", content.len()).as_bytes(), content].concat();
		decode(&object).unwrap()
	}

	const ID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

	fn linked() -> Value {
		let id = hex::decode(ID).unwrap();
		let cid = Cid::new_v1(0x78, HashFunction::Sha1.wrap(&id).unwrap());
		json!({ "/": cid.to_string() })
	}

	#[test]
	fn objects_have_their_form() {
		assert_eq!(
			form("blob", b"hello\n"),
			json!({ "/": { "bytes": "YmxvYiA2AGhlbGxvCg" } })
		);
		let entry = [&b"100644 hello.txt\0"[..], &hex::decode(ID).unwrap()].concat();
		assert_eq!(
			form("tree", &entry),
			json!({ "hello.txt": { "mode": "100644", "hash": linked() } })
		);
		let commit = format!(
			"tree {ID}\nparent {ID}\nauthor A B <a@b> 1503667703 +0200\ncommitter nobody\ngpgsig -----BEGIN\n \n end\nHG:extra x\n\nSubject\n\nBody\n"
		);
		assert_eq!(
			form("commit", commit.as_bytes()),
			json!({
				"tree": linked(),
				"parents": [linked()],
				"author": { "name": "A B", "email": "a@b", "date": "1503667703", "timezone": "+0200" },
				"committer": { "name": "nobody", "email": "", "date": "", "timezone": "" },
				"signature": "-----BEGIN\n\nend",
				"other": ["HG:extra x"],
				"message": "Subject\n\nBody\n",
			})
		);
		let tag = format!("object {ID}\ntype blob\ntag v1\ntagger A <a@b> 1 +0000\n\nm\u{e9}ssage\n");
		assert_eq!(
			form("tag", tag.as_bytes()),
			json!({
				"object": linked(),
				"type": "blob",
				"tag": "v1",
				"tagger": { "name": "A", "email": "a@b", "date": "1", "timezone": "+0000" },
				"message": "m\u{e9}ssage\n",
			})
		);
	}
}
