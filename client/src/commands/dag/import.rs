//! `cairn dag import`

use crate::{
	archives::parse_size,
	commands::car::{
		create::{Packing, Profile},
		index::Format,
	},
	context::Context,
	error::CliError,
};
use cairn_car::PackOptions;
use cairn_dag::{
	unixfs::import::{ImportOptions, Layout},
	CidVersion, HashFunction,
};

/// Make an archive of files and folders, with a choice of how they become blocks
///
/// The profile sets everything; what else is given overrides it. The same options give the same CIDs as IPFS.
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	packing: Packing,
	/// How files become blocks
	#[arg(long, value_enum, default_value = "ipfs")]
	profile: Profile,
	/// Bytes of a chunk, at most 2MiB
	#[arg(long, value_name = "SIZE", value_parser = parse_size)]
	chunk_size: Option<u64>,
	/// Most links of a file's inner block, at least 2
	#[arg(long, value_name = "N")]
	max_links: Option<usize>,
	/// How the blocks of a file hang together
	#[arg(long, value_enum)]
	layout: Option<TreeLayout>,
	/// Whether chunks are raw blocks or dag-pb
	#[arg(long, value_name = "BOOL")]
	raw_leaves: Option<bool>,
	/// Version of the CIDs of all but raw blocks
	#[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
	cid_version: Option<u8>,
	/// Hash function of the CIDs
	#[arg(long, value_enum)]
	hash: Option<Hash>,
	/// Format of the index
	#[arg(long, value_enum, default_value = "multihash-sorted")]
	index: Format,
}

/// How the blocks of a file hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TreeLayout {
	/// All chunks at one depth
	Balanced,
	/// The first chunks near the root: for reading from the start
	Trickle,
}

/// Hash functions that CIDs are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Hash {
	/// SHA-256, as IPFS and Cairn use it
	#[value(name = "sha2-256")]
	Sha2_256,
	/// SHA-512
	#[value(name = "sha2-512")]
	Sha2_512,
	/// BLAKE3
	#[value(name = "blake3")]
	Blake3,
	/// BLAKE2b with 32 bytes
	#[value(name = "blake2b-256")]
	Blake2b256,
	/// Keccak-256, as Ethereum uses it
	#[value(name = "keccak-256")]
	Keccak256,
}

impl From<Hash> for HashFunction {
	fn from(hash: Hash) -> Self {
		match hash {
			Hash::Sha2_256 => Self::Sha2_256,
			Hash::Sha2_512 => Self::Sha2_512,
			Hash::Blake3 => Self::Blake3,
			Hash::Blake2b256 => Self::Blake2b256,
			Hash::Keccak256 => Self::Keccak256,
		}
	}
}

impl Args {
	fn import_options(&self) -> ImportOptions {
		let mut options = ImportOptions::from(self.profile);
		if let Some(size) = self.chunk_size {
			// What does not fit is too large as well.
			options.chunk_size = usize::try_from(size).unwrap_or(usize::MAX);
		}
		if let Some(links) = self.max_links {
			options.max_links = links;
		}
		match self.layout {
			Some(TreeLayout::Balanced) => options.layout = Layout::Balanced,
			Some(TreeLayout::Trickle) => options.layout = Layout::Trickle,
			None => {}
		}
		if let Some(raw) = self.raw_leaves {
			options.raw_leaves = raw;
		}
		match self.cid_version {
			Some(0) => options.cid_version = CidVersion::V0,
			Some(_) => options.cid_version = CidVersion::V1,
			None => {}
		}
		if let Some(hash) = self.hash {
			options.hash = hash.into();
		}
		options
	}
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let options = PackOptions {
		import: args.import_options(),
		index: args.index.into(),
		..PackOptions::default()
	};
	args.packing.run(context, options).await
}
