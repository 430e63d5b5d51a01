//! `cairn block put`

use crate::{
	commands::dag::import::Hash,
	context::Context,
	error::{CliError, ErrorKind},
	provider::{http_client, ProviderClient, Token},
};
use cairn_dag::{validate, Block, Codec};
use indicatif::HumanBytes;
use serde::Serialize;
use std::{
	fs::File,
	io::{self, Read},
	num::NonZeroU64,
	path::{Path, PathBuf},
};
use url::Url;

/// Largest block: what nodes take, and peers exchange.
const MAX_BLOCK: u64 = 2 << 20;

/// Store one block in a node's own block store
///
/// The node serves the block to its peers until it expires or is deleted. It takes blocks from programs on its
/// own machine, or from whoever has its token. Prints the block's CID.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// File with the block's bytes, at most 2 MiB; `-` is standard input
	file: PathBuf,
	/// Codec of the CID, as the multicodec table names it: `raw`, `dag-pb`, `dag-cbor` and so on
	///
	/// The bytes must be well-formed for it.
	#[arg(long, value_name = "NAME", default_value = "raw", value_parser = parse_codec)]
	codec: Codec,
	/// Hash function of the CID
	#[arg(long, value_enum, default_value = "sha2-256")]
	hash: Hash,
	/// The node's server
	#[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7600")]
	provider_url: Url,
	/// File with the node's token
	#[arg(
		long,
		value_name = "FILE",
		env = "CAIRN_API_TOKEN_FILE",
		hide_env_values = true
	)]
	token_file: Option<PathBuf>,
	/// For how long to keep the block: seconds, or `never` to expire [default: as the node is configured]
	#[arg(long, value_name = "SECONDS|never", value_parser = parse_ttl)]
	ttl: Option<String>,
}

#[derive(Serialize)]
struct Report {
	cid: String,
	size: usize,
	codec: &'static str,
	/// Whether the node did not have it as a dataset of its own before.
	new: bool,
	/// Seconds since the Unix epoch; null if it does not expire.
	expires_at: Option<u64>,
	provider: Url,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let token = args.token_file.as_deref().map(Token::read).transpose()?;
	let file = args.file.clone();
	let bytes = tokio::task::spawn_blocking(move || read(&file)).await??;
	let block = Block::encode_with(args.codec, args.hash.into(), bytes);
	validate(&block).map_err(|error| {
		CliError::new(ErrorKind::Verification, error.to_string())
			.during(args.file.display())
			.hint("name the codec that the bytes are in with --codec, or store them as `raw`")
	})?;
	let node = ProviderClient::new(http_client()?, args.provider_url);
	let stored = node
		.put_block(&block, args.ttl.as_deref(), token.as_ref())
		.await?;
	let report = Report {
		cid: block.cid().to_string(),
		size: block.data().len(),
		codec: args.codec.name(),
		new: stored.is_new,
		expires_at: stored.expires_at,
		provider: node.url().clone(),
	};
	context
		.output
		.result_or_line("cairn.block-put/1", &report, &report.cid, |out| {
			writeln!(out, "{}", report.cid)?;
			let (size, node) = (HumanBytes(report.size as u64), &report.provider);
			match report.new {
				true => writeln!(out, "stored {size} at {node}"),
				false => writeln!(out, "its {size} were at {node} already"),
			}
		})
}

/// The bytes of a file or of standard input, if they are not too many for a block.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
	let mut bytes = Vec::new();
	let read = match path.as_os_str() == "-" {
		true => io::stdin().lock().take(MAX_BLOCK + 1).read_to_end(&mut bytes),
		false => File::open(path).and_then(|file| file.take(MAX_BLOCK + 1).read_to_end(&mut bytes)),
	};
	read.map_err(|error| CliError::from(error).during(path.display()))?;
	if bytes.len() as u64 > MAX_BLOCK {
		return Err(CliError::new(
			ErrorKind::Usage,
			format!("{} has more than the 2 MiB of a block", path.display()),
		)
		.hint("`cairn dag import` cuts larger files into blocks, and `cairn put` stores them"));
	}
	Ok(bytes)
}

fn parse_codec(name: &str) -> Result<Codec, String> {
	Codec::from_name(name).ok_or_else(|| {
		let names: Vec<_> = Codec::ALL.iter().map(|codec| codec.name()).collect();
		format!("known are {}", names.join(", "))
	})
}

fn parse_ttl(text: &str) -> Result<String, String> {
	match text == "never" || text.parse::<NonZeroU64>().is_ok() {
		true => Ok(text.to_owned()),
		false => Err("write a number of seconds, at least 1, or `never`".to_owned()),
	}
}
