//! The bodies of the fuzz targets.
//!
//! A target is a function of bytes. It hands them to a parser that reads what others send (an upload, a
//! request, a provider's or a node's answer, a file that a user brings along), and panics when something does
//! not hold: not only that the parser neither panics nor hangs, but that what it accepts has one encoding, that
//! two implementations of one thing agree, and that memory is bounded whatever lengths the bytes claim.
//!
//! The bodies run in two ways. On stable Rust, `tests/targets.rs` runs each with the inputs in `seeds/` and
//! with random changes of them, under an allocator that counts. With a nightly toolchain, libFuzzer runs them
//! under guidance by coverage: see `fuzz/README.md` at the top of the repository.
//!
//! Start reading at [`TARGETS`]. Each module is about one topic and ends with the seeds of its targets.
#![deny(missing_docs)]

mod input;

pub mod archive;
pub mod blocks;
pub mod chain;
pub mod codecs;
pub mod dag;
pub mod deal;
pub mod endpoint;
pub mod exchange;
pub mod http;
pub mod ingest;
pub mod keys;
pub mod piece;
pub mod proof;
pub mod provider_api;
pub mod repair;
pub mod retrieval;
pub mod sdr;
pub mod settings;
pub mod upload;

/// Most bytes of an input. More takes longer and finds nothing else: lengths that are only claimed are not
/// limited by it.
pub const MAX_INPUT: usize = 16 << 10;

/// An input to start from: its name and its bytes.
pub type Seed = (&'static str, Vec<u8>);

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
	/// Name of the target, of its folder in `seeds/`, and of its program in `fuzz/`.
	pub name: &'static str,
	/// Panics if what must hold of these bytes does not.
	pub run: fn(&[u8]),
	/// Valid encodings, and some that are almost valid.
	pub seeds: fn() -> Vec<Seed>,
	/// Most bytes that a run on at most [`MAX_INPUT`] bytes may have allocated at once.
	pub memory: usize,
	/// How many times as long as one of the quick ones a run takes.
	pub cost: u32,
}

/// Lists targets: module and function, function of the seeds, bound of memory, cost.
macro_rules! targets {
	($($module:ident::$name:ident, $seeds:ident, $memory:expr, $cost:literal;)*) => {
		/// All targets, by name.
		pub const TARGETS: &[Target] = &[
			$(Target {
				name: stringify!($name),
				run: $module::$name,
				seeds: $module::$seeds,
				memory: $memory,
				cost: $cost,
			}),*
		];
	};
}

targets! {
	keys::account_address, address_seeds, 4 << 10, 1;
	proof::activation_proof, activation_seeds, 128 << 10, 2;
	exchange::bitswap_message, bitswap_seeds, 1 << 20, 1;
	codecs::block_codec, codec_seeds, 2 << 20, 1;
	// Readers begin with a buffer of 64 KiB, and with 1 MiB for a section that claims as much.
	archive::car_archive, archive_seeds, 3 << 20, 4;
	archive::car_index, index_seeds, 512 << 10, 1;
	// Two windows of 256 KiB, the new archive, and what verifying it takes.
	repair::car_salvage, salvage_seeds, 4 << 20, 10;
	// At most 32 parts of 64 KiB, and the archive that they make.
	repair::car_split, split_seeds, 8 << 20, 10;
	chain::chain_events, event_seeds, 4 << 20, 1;
	chain::chain_metadata, metadata_seeds, 4 << 20, 50;
	chain::chain_views, view_seeds, 1 << 20, 1;
	blocks::cid, cid_seeds, 64 << 10, 1;
	codecs::codex_dataset, codex_seeds, 1 << 20, 1;
	dag::dag_export, export_seeds, 1 << 20, 100;
	// A link in memory is 17 times as long as the shortest one in a block.
	blocks::dag_pb, node_seeds, 2 << 20, 1;
	dag::dag_walk, walk_seeds, 4 << 20, 80;
	deal::deal_signature, signature_seeds, 128 << 10, 4;
	exchange::exchange_frame, exchange_seeds, 512 << 10, 1;
	// Hashing a piece takes a batch of 4 MiB and its padding.
	piece::fr32_padding, padding_seeds, 16 << 20, 4;
	proof::hot_proof, openings_seeds, 128 << 10, 1;
	keys::key_file, key_file_seeds, 1 << 20, 1;
	piece::piece_layout, layout_seeds, 64 << 10, 1;
	settings::provider_config, seeds, 2 << 20, 4;
	endpoint::provider_contact, seeds, 128 << 10, 1;
	http::request_head, seeds, 256 << 10, 1;
	retrieval::retrieved_car, seeds, 3 << 20, 10;
	provider_api::rpc_answers, answer_seeds, 1 << 20, 2;
	provider_api::rpc_parameters, parameter_seeds, 256 << 10, 1;
	deal::scale, scale_seeds, 256 << 10, 1;
	// A verifier allocates nothing.
	sdr::sdr, seeds, 0, 2;
	keys::secret_uri, uri_seeds, 256 << 10, 1;
	blocks::unixfs_node, node_seeds, 2 << 20, 1;
	upload::upload_requests, seeds, 16 << 20, 200;
	// Two buffers of 1 MiB, and the database's pages.
	ingest::uploaded_car, seeds, 4 << 20, 10;
	proof::window_proof, openings_seeds, 128 << 10, 1;
}
