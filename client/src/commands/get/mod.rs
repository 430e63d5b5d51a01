//! `cairn get`

mod write;

use super::fetching::{parse_cid, records, Fetching, SourceArgs, Watcher};
use crate::{
	archives::without_scheme,
	context::Context,
	error::{CliError, ErrorKind},
	new_file::folder_of,
	record::ObjectRecord,
	retrieval::{
		blocks::BlockStore,
		missing::{Part, Wanted},
	},
};
use cairn_dag::{
	unixfs::{
		export::{ExportError, SymlinkPolicy},
		ByteRange, ReadError,
	},
	Cid,
};
use indicatif::HumanBytes;
use serde::Serialize;
use std::{
	collections::BTreeMap,
	path::{Path, PathBuf},
};
use url::Url;
use write::{write, WriteError};

/// Times that damaged blocks on this machine are fetched anew.
const MAX_REPAIRS: u32 = 3;

/// Read an object back, verified, from whichever provider answers
///
/// Every block is checked against the CID, so it does not matter who delivers it. Over block exchange, several
/// peers are asked at once: those named, and if they do not do, the peers of the providers on chain. Gateways
/// share the work too, each as much as it is fast: the providers named, those of the local record, those with a
/// deal for the object on chain; one after the other, other providers. When one fails in the middle, others go
/// on where it stopped; so does the same command after an interruption.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// CID of the object, perhaps with a path inside it: CID/folder/file
	#[arg(value_name = "CID[/PATH]")]
	object: String,
	/// Where to write; a folder that exists takes it under its name; `-` is standard output
	#[arg(long, short, value_name = "PATH")]
	output: Option<PathBuf>,
	/// Replace a file that exists; folders are never replaced
	#[arg(long, short)]
	force: bool,
	/// Only these bytes of a file: FROM-TO, both included; FROM- goes to the end
	#[arg(long, value_name = "FROM-TO", value_parser = parse_range)]
	range: Option<ByteRange>,
	#[command(flatten)]
	sources: SourceArgs,
	/// What to do with symbolic links
	#[arg(long, value_enum, default_value = "within")]
	symlinks: Symlinks,
}

/// What to do with symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Symlinks {
	/// Make those that stay within the object, refuse objects with others
	Within,
	/// Leave them out
	Skip,
	/// Make all of them
	All,
}

impl From<Symlinks> for SymlinkPolicy {
	fn from(symlinks: Symlinks) -> Self {
		match symlinks {
			Symlinks::Within => SymlinkPolicy::Inside,
			Symlinks::Skip => SymlinkPolicy::Skip,
			Symlinks::All => SymlinkPolicy::Keep,
		}
	}
}

#[derive(Serialize)]
struct Report {
	root: String,
	path: String,
	cid: String,
	output: Option<String>,
	files: u64,
	directories: u64,
	symlinks: u64,
	bytes: u64,
	fetched_bytes: u64,
	/// Gateways that delivered.
	providers: Vec<Url>,
	/// How much each of them delivered.
	provider_bytes: BTreeMap<Url, u64>,
	/// Ids of the peers that delivered over block exchange.
	peers: Vec<String>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (root, path) = parse_object(&args.object)?;
	let records = records(context);
	let wanted = Wanted {
		root,
		path,
		part: args.range.map_or(Part::Whole, Part::Bytes),
	};
	let destination = match &args.output {
		Some(output) if output.as_os_str() == "-" => None,
		output => Some(destination(&records, output.as_deref(), &wanted)?),
	};
	if let Some(destination) = destination
		.as_ref()
		.filter(|path| path.symlink_metadata().is_ok())
	{
		if !args.force || destination.is_dir() {
			return Err(CliError::from(ExportError::Exists {
				path: destination.clone(),
			}));
		}
	}

	if let Some(folder) = destination.as_deref().map(folder_of) {
		// Before everything is fetched.
		if !folder.is_dir() {
			return Err(
				CliError::new(ErrorKind::File, format!("{} is not a folder", folder.display()))
					.hint("make it first, or choose another place with --output"),
			);
		}
	}

	let file = context
		.settings
		.cache_dir
		.value
		.join("get")
		.join(format!("{root}.car"));
	let blocks = tokio::task::spawn_blocking(move || BlockStore::open(&file, &root)).await??;
	let mut fetching = Fetching::new(context, &args.sources, root, &records, blocks.clone()).await?;
	let watcher = Watcher::new(context);
	let mut repairs = 0;
	let (fetched, exported) = loop {
		let fetched = match fetching.fetch(&wanted, &watcher).await {
			Ok(fetched) => fetched,
			Err(error) => {
				watcher.finish();
				return Err(error);
			}
		};
		watcher.doing("writing");
		match write(&blocks, &fetched.target, args.range, destination.clone(), &args).await {
			Ok(exported) => break (fetched, exported),
			// A block was damaged on this disk after it had been verified: it is gone now, fetch it again.
			Err(WriteError::Export(ExportError::Read(ReadError::Missing { .. })))
				if repairs < MAX_REPAIRS && destination.is_some() =>
			{
				repairs += 1;
			}
			Err(WriteError::Export(error)) => return Err(error.into()),
			Err(WriteError::Panicked(error)) => return Err(error.into()),
		}
	};
	watcher.finish();
	fetching.finish().await;
	// What is left over costs space only.
	let _ = blocks.remove();

	let report = Report {
		root: root.to_string(),
		path: wanted.path.clone(),
		cid: fetched.target.to_string(),
		output: destination.as_ref().map(|path| path.display().to_string()),
		files: exported.files,
		directories: exported.directories,
		symlinks: exported.symlinks,
		bytes: exported.bytes,
		fetched_bytes: fetched.bytes,
		peers: fetched.peers.iter().map(ToString::to_string).collect(),
		providers: fetched.providers.iter().map(|from| from.url.clone()).collect(),
		provider_bytes: fetched
			.providers
			.iter()
			.map(|from| (from.url.clone(), from.bytes))
			.collect(),
	};
	if destination.is_none() {
		// Standard output is taken by the content.
		return Ok(());
	}
	let essential = report.output.clone().unwrap_or_default();
	context
		.output
		.result_or_line("cairn.get/1", &report, &essential, |out| {
			writeln!(
				out,
				"{essential}: {} in {} {}, verified{}",
				HumanBytes(report.bytes),
				report.files,
				if report.files == 1 { "file" } else { "files" },
				fetched.from(),
			)
		})
}

/// `CID`, `CID/path`, and what people copy from elsewhere: `/ipfs/CID/path`, `ipfs://CID/path`.
fn parse_object(text: &str) -> Result<(Cid, String), CliError> {
	let text = without_scheme(text);
	let (root, path) = text.split_once('/').unwrap_or((text, ""));
	Ok((parse_cid(root)?, path.trim_matches('/').to_owned()))
}

/// Reads `FROM-TO`, both included, or `FROM-`.
pub fn parse_range(text: &str) -> Result<ByteRange, String> {
	let malformed = || "a range is FROM-TO or FROM-, in bytes from 0, both included".to_owned();
	let (from, to) = text.split_once('-').ok_or_else(malformed)?;
	let start: u64 = from.parse().map_err(|_| malformed())?;
	let end = match to {
		"" => None,
		to => {
			let last: u64 = to.parse().map_err(|_| malformed())?;
			if last < start {
				return Err("the range ends before it starts".to_owned());
			}
			Some(last.saturating_add(1))
		}
	};
	Ok(ByteRange { start, end })
}

/// Where the object goes. Its name is the last part of the path inside it, else that of the local record,
/// else the CID.
fn destination(
	records: &[ObjectRecord],
	output: Option<&Path>,
	wanted: &Wanted,
) -> Result<PathBuf, CliError> {
	let name = || -> Result<String, CliError> {
		if let Some(last) = wanted.path.rsplit('/').next().filter(|last| !last.is_empty()) {
			// The name is the user's own, but must not lead out of the folder.
			return match last {
				"." | ".." => Err(CliError::new(ErrorKind::Usage, "name the output with --output")),
				last => Ok(last.to_owned()),
			};
		}
		let root = wanted.root.to_string();
		let known = records.iter().find(|record| {
			record.sources.len() == 1
				&& record
					.content
					.as_ref()
					.is_some_and(|content| content.root == root)
		});
		Ok(known.map_or(root, |record| record.name()))
	};
	match output {
		None => Ok(PathBuf::from(name()?)),
		Some(folder) if folder.is_dir() => Ok(folder.join(name()?)),
		Some(path) => Ok(path.to_owned()),
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const CID: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

	#[test]
	fn objects() {
		for prefix in ["", "ipfs://", "/ipfs/"] {
			let (root, path) = parse_object(&format!("{prefix}{CID}")).unwrap();
			assert_eq!((root.to_string().as_str(), path.as_str()), (CID, ""));
			let (_, path) = parse_object(&format!("{prefix}{CID}/a/b.txt/")).unwrap();
			assert_eq!(path, "a/b.txt");
		}
		assert_eq!(parse_object("hello").unwrap_err().kind(), ErrorKind::Usage);
	}

	#[test]
	fn ranges() {
		assert_eq!(
			parse_range("0-9"),
			Ok(ByteRange {
				start: 0,
				end: Some(10)
			})
		);
		assert_eq!(
			parse_range("5-5"),
			Ok(ByteRange {
				start: 5,
				end: Some(6)
			})
		);
		assert_eq!(parse_range("5-"), Ok(ByteRange { start: 5, end: None }));
		for bad in ["", "-", "-5", "9-3", "a-b", "5", "1-2-3"] {
			assert!(parse_range(bad).is_err(), "{bad}");
		}
	}
}
