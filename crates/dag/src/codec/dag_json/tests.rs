use super::*;

fn refused(json: &[u8]) -> &'static str {
	match DagJson::validate(json) {
		Err(CodecError::Malformed {
			codec: "dag-json",
			reason,
		}) => reason,
		other => panic!("{other:?} for {}", String::from_utf8_lossy(json)),
	}
}

const CID: &str = "bafyreifepiu23okq5zuyvyhsoiazv2icw2van3s7ko6d3ixl5jx2yj2yhu";

#[test]
fn links_and_bytes_are_exactly_that() {
	let link = "a link or bytes with more in it";
	for (json, reason) in [
		(r#"{"/":"CID","a":1}"#, link),
		(r#"{"/":"CID","/":"CID"}"#, link),
		(r#"{"/":"no cid"}"#, "a link's CID is invalid"),
		(r#"{"/":""}"#, "a link's CID is invalid"),
		(r#"{"/":"/ipfs/CID"}"#, "a link's CID is invalid"),
		(r#"{"/":{"bytes":"AQID"},"a":1}"#, link),
		(r#"{"/":{"bytes":"AQID","a":1}}"#, link),
		(r#"{"/":{"bytes":"AQ=="}}"#, "bytes that are not base64"),
		(r#"{"/":{"bytes":"A"}}"#, "bytes that are not base64"),
		(r#"{"/":{"bytes":"-_"}}"#, "bytes that are not base64"),
		(r#"[{"a":{"/":"CID","b":{}}}]"#, link),
	] {
		assert_eq!(refused(json.replace("CID", CID).as_bytes()), reason, "{json}");
	}
	// What only resembles them is a map.
	for json in [
		r#"{"/":true}"#,
		r#"{"/":{}}"#,
		r#"{"/":{"bytes":1}}"#,
		r#"{"/":{"bytes":{"/":"CID"}}}"#,
		r#"{"/":{"a":"CID","bytes":"no base64"}}"#,
		r#"{"/":["CID"]}"#,
		r#"{"bytes":"no base64"}"#,
		r#"{"!":1,"/":"no cid"}"#,
	] {
		assert_eq!(
			DagJson::validate(json.replace("CID", CID).as_bytes()),
			Ok(()),
			"{json}"
		);
	}
}

#[test]
fn other_forms_are_read_but_no_repeated_keys() {
	// The repeated keys are a fixture of ipld/codec-fixtures.
	for json in [
		r#"{"foo":1,"bar":2,"foo":3}"#,
		r#"{"a":1,"a":2}"#,
		r#"{"a":1,"\u0061":2}"#,
		r#"{"bytes":"x","bytes":"y"}"#,
	] {
		assert_eq!(refused(json.as_bytes()), "a map has a key twice", "{json}");
	}
	let json = format!(" {{ \"b\" : [ 1e3, -0.0 ] ,\n\t\"\\u0061/\" : {{\"/\":\"{CID}\"}} }} ");
	let mut ways = Vec::new();
	DagJson::scan(json.as_bytes(), &mut |way, cid| {
		ways.push((way.to_vec(), cid.to_string()));
	})
	.unwrap();
	assert_eq!(ways, [(vec![Segment::Name("a/".into())], CID.to_owned())]);
}

#[test]
fn not_json() {
	for json in [&b"tru"[..], b"[1,", b"{\"a\"", b"\"abc"] {
		assert_eq!(refused(json), "cut off");
	}
	for json in [
		&b"[1,]"[..],
		b"{a:1}",
		b"{\"a\":1,}",
		b"NaN",
		b"01",
		b"[] []",
		b"\"\xff\"",
		b"\"\\ud800\"",
		b"{1:2}",
		b"'a'",
		b"/* */1",
	] {
		assert_eq!(refused(json), "not JSON, or nested too deeply");
	}
	assert_eq!(refused(b""), "cut off");
}
