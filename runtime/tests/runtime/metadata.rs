//! What is written from the runtime's metadata must follow it.

use crate::chain::test;
use cairn_runtime::Runtime;

/// Version of the metadata's format that the client reads.
const VERSION: u32 = 16;
/// The client's copy. `cargo xtask metadata` writes it from what the runtime's Wasm answers in a node; the native
/// runtime gives the same bytes, and needs no node to be asked.
const COPY: &str = concat!(
	env!("CARGO_MANIFEST_DIR"),
	"/../crates/chain-client/metadata.scale"
);

#[test]
fn the_clients_copy_is_up_to_date() {
	// On a chain: the parachain's id is a constant of the metadata that is read from storage.
	test(|| {
		let metadata = Runtime::metadata_at_version(VERSION).expect("FRAME writes this version");
		let copy = std::fs::read(COPY).expect("readable");
		// Without assert_eq: it would print both in full.
		assert!(
			*metadata == copy,
			"crates/chain-client/metadata.scale is not the runtime's metadata: run `cargo xtask metadata` and \
			 commit what it writes"
		);
	});
}
