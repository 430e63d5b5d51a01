use super::*;

fn refused(hex: &str) -> &'static str {
	let bytes = hex::decode(hex.replace(' ', "")).unwrap();
	match DagCbor::validate(&bytes) {
		Err(CodecError::Malformed {
			codec: "dag-cbor",
			reason,
		}) => reason,
		other => panic!("{other:?} for {hex}"),
	}
}

/// Each rule of the specification's section on strictness, and each way to lie about a length.
#[test]
fn strictness() {
	for (hex, reason) in [
		("", "cut off"),
		// Numbers and lengths in more bytes than they need.
		("1817", "a number is not in its shortest form"),
		("1900ff", "a number is not in its shortest form"),
		("1a0000ffff", "a number is not in its shortest form"),
		("1b00000000ffffffff", "a number is not in its shortest form"),
		("3817", "a number is not in its shortest form"),
		("5800", "a number is not in its shortest form"),
		("980101", "a number is not in its shortest form"),
		("b80161 61 01", "a number is not in its shortest form"),
		("d9002a 450001550000", "a number is not in its shortest form"),
		// Indefinite lengths.
		("5fff", "an indefinite length"),
		("7fff", "an indefinite length"),
		("9fff", "an indefinite length"),
		("bfff", "an indefinite length"),
		("1f", "an indefinite length"),
		("df", "an indefinite length"),
		("ff", "a break without an indefinite length"),
		("1c", "a reserved initial byte"),
		("5d", "a reserved initial byte"),
		("9e", "a reserved initial byte"),
		// Floats.
		("f93c00", "a float of less than 64 bits"),
		("fa3f800000", "a float of less than 64 bits"),
		("f97e00", "a float of less than 64 bits"),
		("fb7ff8000000000000", "a float that is not a number, or infinite"),
		("fbfff8000000000001", "a float that is not a number, or infinite"),
		("fb7ff0000000000000", "a float that is not a number, or infinite"),
		("fbfff0000000000000", "a float that is not a number, or infinite"),
		("fb7ff00000", "cut off"),
		// Simple values.
		("f7", "a simple value other than false, true and null"),
		("e0", "a simple value other than false, true and null"),
		("f818", "a simple value other than false, true and null"),
		// Maps. The repeated key is a fixture of ipld/codec-fixtures.
		("a3636261720363666f6f0163666f6f02", "a map has a key twice"),
		("a2616201616102", "a map's keys are not sorted"),
		("a262616101616202", "a map's keys are not sorted"),
		("a10101", "a map's key is not a text"),
		("a1416101", "a map's key is not a text"),
		("a18001", "a map's key is not a text"),
		("a16161", "cut off"),
		// Texts.
		("61ff", "a text is not UTF-8"),
		("63eda080", "a text is not UTF-8"),
		("a161ff01", "a text is not UTF-8"),
		// Tags.
		("c001", "a tag other than 42"),
		("d82b 450001550000", "a tag other than 42"),
		("d9d9f7 01", "a tag other than 42"),
		("d82a 01", "a link that is not a byte string"),
		("d82a 650001550000", "a link that is not a byte string"),
		("d82a 40", "a link without its prefix"),
		("d82a 4401550000", "a link without its prefix"),
		("d82a 450101550000", "a link without its prefix"),
		("d82a 4100", "a link's CID is invalid"),
		("d82a 440001ffff", "a link's CID is invalid"),
		("d82a 4a00ffffffffffffffffff", "a link's CID is invalid"),
		("d82a 46000155000000", "bytes after a link's CID"),
		("d82a", "cut off"),
		// Lengths beyond the block.
		("41", "a string reaches beyond the block"),
		("5bffffffffffffffff", "a string reaches beyond the block"),
		("7b7fffffffffffffff61", "a string reaches beyond the block"),
		("81", "a list or map reaches beyond the block"),
		("9bffffffffffffffff", "a list or map reaches beyond the block"),
		("a1", "a list or map reaches beyond the block"),
		("a16161", "cut off"),
		(
			"bbffffffffffffffff6161f6",
			"a list or map reaches beyond the block",
		),
		(
			"bb8000000000000001 6161f6",
			"a list or map reaches beyond the block",
		),
		// More than one value.
		("f6f6", "bytes after the value"),
		("8000", "bytes after the value"),
	] {
		assert_eq!(refused(hex), reason, "{hex}");
	}
}

#[test]
fn well_formed() {
	for hex in [
		"00",
		"1b ffffffffffffffff",
		"3b ffffffffffffffff",
		"f4",
		"f5",
		"f6",
		"fb 0000000000000000",
		"fb 8000000000000000",
		"fb 7fefffffffffffff",
		"80",
		"a0",
		"60",
		"40",
		"a3 60 01 6162 02 626161 03",
		"d82a 450001550000",
		"82 d82a 450001550000 d82a 450001550000",
	] {
		let bytes = hex::decode(hex.replace(' ', "")).unwrap();
		assert_eq!(DagCbor::validate(&bytes), Ok(()), "{hex}");
	}
}

#[test]
fn ways_to_links() {
	// [[], {"a": [link], "b": {}}, link]
	let link = "d82a450001550000";
	let bytes = hex::decode(format!("83 80 a2 6161 81{link} 6162a0 {link}").replace(' ', "")).unwrap();
	let mut ways = Vec::new();
	DagCbor::scan(&bytes, &mut |way, _| {
		ways.push(way.iter().map(ToString::to_string).collect::<Vec<_>>().join("/"));
	})
	.unwrap();
	assert_eq!(ways, ["1/a/0", "2"]);
}
