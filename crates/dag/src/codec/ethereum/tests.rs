use super::*;

#[test]
fn what_stands_for_nothing() {
	let keccak = |bytes: &[u8]| HashFunction::Keccak256.digest(bytes);
	assert_eq!(keccak(b"\x80").digest(), EMPTY_TRIE);
	assert_eq!(keccak(b"\xc0").digest(), EMPTY_LIST);
	assert_eq!(keccak(b"").digest(), EMPTY_CODE);
}
