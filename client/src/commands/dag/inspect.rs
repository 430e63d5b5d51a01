//! `cairn dag inspect`

use super::{decode::decode, target::Target};
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	output::{table, write_table},
};
use cairn_dag::{
	source::load,
	unixfs::{Kind, Node},
	Block, Codec, HashFunction,
};
use serde::Serialize;
use serde_json::Value;

/// Show a block: its codec, size, links, and what it says
///
/// In an archive, or fetched from peers and providers, verified, as `cairn block stat` does. With --json, `decoded`
/// is the block as dag-json, where its codec has such a form.
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	target: Target,
}

/// What there is to say of a block.
#[derive(Serialize)]
pub struct Report {
	cid: String,
	codec: String,
	codec_code: u64,
	hash: String,
	hash_code: u64,
	digest: String,
	size: usize,
	unixfs: Option<Unixfs>,
	links: Vec<Link>,
	decoded: Option<Value>,
	/// Why there is no decoded form, or no list of links.
	note: Option<String>,
}

#[derive(Serialize)]
struct Unixfs {
	kind: String,
	/// Content bytes of a file, as its root claims.
	size: Option<u64>,
}

#[derive(Serialize)]
struct Link {
	path: String,
	cid: String,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let inspecting = args.target.read(context, |source, cid, _| {
		let block = load(source, &cid)?.ok_or_else(|| {
			CliError::new(ErrorKind::NotFound, format!("block {cid} is not in the archive"))
		})?;
		Ok(report(&block))
	});
	let report = inspecting.await?;
	print(context, "cairn.dag-inspected/1", &report)
}

/// Prints what there is to say of a block.
pub fn print(context: &Context, schema: &str, report: &Report) -> Result<(), CliError> {
	context.output.result(schema, report, |out| {
		writeln!(out, "cid     {}", report.cid)?;
		writeln!(out, "codec   {} ({:#x})", report.codec, report.codec_code)?;
		writeln!(out, "hash    {} ({:#x})", report.hash, report.hash_code)?;
		writeln!(out, "size    {}", report.size)?;
		if let Some(unixfs) = &report.unixfs {
			match unixfs.size {
				Some(size) => writeln!(out, "unixfs  {} of {size} bytes", unixfs.kind)?,
				None => writeln!(out, "unixfs  {}", unixfs.kind)?,
			}
		}
		if let Some(note) = &report.note {
			writeln!(out, "note    {note}")?;
		}
		if !report.links.is_empty() {
			writeln!(out)?;
			let rows = report
				.links
				.iter()
				.map(|link| [link.path.clone(), link.cid.clone()]);
			write_table(out, &table(["path", "link"], rows))?;
		}
		if let Some(decoded) = &report.decoded {
			writeln!(out, "\n{decoded:#}")?;
		}
		Ok(())
	})
}

/// Reads a block, whatever its codec.
pub fn report(block: &Block) -> Report {
	let cid = block.cid();
	let codec = Codec::from_code(cid.codec());
	let mut links = Vec::new();
	let scanned = codec.map(|codec| {
		codec.scan(block.data(), &mut |way, cid| {
			let way: Vec<String> = way.iter().map(ToString::to_string).collect();
			links.push(Link {
				path: way.join("/"),
				cid: cid.to_string(),
			});
		})
	});
	let (decoded, note) = match scanned {
		None => (
			None,
			Some("the codec is not known: its links cannot be told".to_owned()),
		),
		Some(Err(error)) => (None, Some(error.to_string())),
		Some(Ok(())) => match decode(block) {
			Ok(decoded) => (Some(decoded), None),
			Err(error) => (None, Some(error.to_string())),
		},
	};
	Report {
		cid: cid.to_string(),
		codec: codec.map_or("unknown", Codec::name).to_owned(),
		codec_code: cid.codec(),
		hash: hash_name(cid.hash().code()).to_owned(),
		hash_code: cid.hash().code(),
		digest: hex::encode(cid.hash().digest()),
		size: block.data().len(),
		unixfs: unixfs(block),
		links,
		decoded,
		note,
	}
}

fn unixfs(block: &Block) -> Option<Unixfs> {
	let node = Node::decode(block).ok()?;
	let size = match &node {
		Node::File(file) => Some(file.size),
		Node::Directory(_) | Node::ShardedDirectory | Node::Symlink(_) => None,
	};
	let kind = match (&node, node.kind()) {
		(Node::ShardedDirectory, _) => "sharded directory".to_owned(),
		(_, kind @ (Kind::File | Kind::Directory | Kind::Symlink)) => kind.to_string(),
	};
	Some(Unixfs { kind, size })
}

/// Name in the multicodec table.
fn hash_name(code: u64) -> &'static str {
	match HashFunction::from_code(code) {
		Some(HashFunction::Sha2_256) => "sha2-256",
		Some(HashFunction::Sha2_512) => "sha2-512",
		Some(HashFunction::Sha1) => "sha1",
		Some(HashFunction::Keccak256) => "keccak-256",
		Some(HashFunction::Blake3) => "blake3",
		Some(HashFunction::Blake2b256) => "blake2b-256",
		None if code == cairn_dag::hash::IDENTITY => "identity",
		_ => "unknown",
	}
}
