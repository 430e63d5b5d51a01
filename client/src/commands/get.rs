//! `cairn get`

use crate::{
	context::Context,
	deals::offers,
	error::{CliError, ErrorKind},
	new_file::folder_of,
	progress::Progress,
	provider::http_client,
	record::{DealState, ObjectRecord},
	retrieval::{
		blocks::BlockStore,
		candidates::{urls, Candidate, Candidates, Reason},
		fetch::{retrieve, FetchError, Observer, Retrieved},
		missing::Wanted,
	},
};
use cairn_dag::{
	unixfs::{
		export::{file, file_to, tree, ExportError, ExportOptions, Exported, SymlinkPolicy},
		stat, ByteRange, Kind, ReadError,
	},
	Cid,
};
use futures::FutureExt;
use indicatif::{HumanBytes, ProgressBar};
use serde::Serialize;
use std::{
	io::{self, BufWriter, Write},
	path::{Path, PathBuf},
	sync::Mutex,
};
use url::Url;

/// Times that damaged blocks on this machine are fetched anew.
const MAX_REPAIRS: u32 = 3;

/// Read an object back, verified, from whichever provider answers
///
/// Every block is checked against the CID, so it does not matter who delivers it. Asked are, in this order:
/// the providers named, those of the local record, those with a deal for the object on chain, other
/// providers. When one fails in the middle, the next goes on where it stopped; so does the same command
/// after an interruption.
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
	/// Ask this provider first; may be given several times
	#[arg(long, short, value_name = "ACCOUNT")]
	provider: Vec<String>,
	/// Ask this server first; may be given several times
	#[arg(long, value_name = "URL")]
	provider_url: Vec<Url>,
	/// Ask nobody but those named
	#[arg(long)]
	only: bool,
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
	providers: Vec<Url>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (root, path) = parse_object(&args.object)?;
	let records = records(context);
	let wanted = Wanted {
		root,
		path,
		range: args.range,
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

	let http = http_client()?;
	let mut candidates = candidates(context, &records, &args, &root).await?;
	let file = context
		.settings
		.cache_dir
		.value
		.join("get")
		.join(format!("{root}.car"));
	let blocks = {
		let root = wanted.root;
		tokio::task::spawn_blocking(move || BlockStore::open(&file, &root)).await??
	};
	let watcher = Watcher::new(context);
	let mut repairs = 0;
	let (retrieved, exported) = loop {
		let retrieved = match retrieve(&http, &wanted, &blocks, &mut candidates, &watcher).await {
			Ok(retrieved) => retrieved,
			Err(error) => {
				watcher.bar.finish_and_clear();
				let unreachable = candidates.chain_error.take();
				let error = CliError::from(error);
				return Err(match unreachable {
					Some(chain) => {
						error.but_first(format!("the chain could not be asked who has it ({chain})"))
					}
					None => error,
				});
			}
		};
		watcher.bar.set_message("writing");
		match export(&blocks, &retrieved, &wanted, destination.clone(), &args).await {
			Ok(exported) => break (retrieved, exported),
			// A block was damaged on this disk after it had been verified: it is gone now, fetch it again.
			Err(Export::Failed(ExportError::Read(ReadError::Missing { .. })))
				if repairs < MAX_REPAIRS && destination.is_some() =>
			{
				repairs += 1;
				candidates = self::candidates(context, &records, &args, &root).await?;
			}
			Err(Export::Failed(error)) => return Err(error.into()),
			Err(Export::Panicked(error)) => return Err(error.into()),
		}
	};
	watcher.bar.finish_and_clear();
	// What is left over costs space only.
	let _ = blocks.remove();

	let report = Report {
		root: root.to_string(),
		path: wanted.path.clone(),
		cid: retrieved.target.to_string(),
		output: destination.as_ref().map(|path| path.display().to_string()),
		files: exported.files,
		directories: exported.directories,
		symlinks: exported.symlinks,
		bytes: exported.bytes,
		fetched_bytes: retrieved.bytes,
		providers: retrieved.from,
	};
	if destination.is_none() {
		// Standard output is taken by the content.
		return Ok(());
	}
	let essential = report.output.clone().unwrap_or_default();
	context
		.output
		.result_or_line("cairn.get/1", &report, &essential, |out| {
			let from: Vec<&str> = report.providers.iter().map(Url::as_str).collect();
			writeln!(
				out,
				"{essential}: {} in {} {}, verified{}",
				HumanBytes(report.bytes),
				report.files,
				if report.files == 1 { "file" } else { "files" },
				if from.is_empty() {
					String::new()
				} else {
					format!(", from {}", from.join(" and "))
				},
			)
		})
}

/// `CID`, `CID/path`, and what people copy from elsewhere: `/ipfs/CID/path`, `ipfs://CID/path`.
fn parse_object(text: &str) -> Result<(Cid, String), CliError> {
	let text = text
		.strip_prefix("ipfs://")
		.or_else(|| text.strip_prefix("/ipfs/"))
		.unwrap_or(text);
	let (root, path) = text.split_once('/').unwrap_or((text, ""));
	let root = root.parse().map_err(|_| {
		CliError::new(ErrorKind::Usage, format!("{root} is not a CID"))
			.hint("`cairn ls` lists the CIDs of what was stored from here")
	})?;
	Ok((root, path.trim_matches('/').to_owned()))
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

async fn candidates<'a>(
	context: &'a Context,
	records: &[ObjectRecord],
	args: &Args,
	root: &Cid,
) -> Result<Candidates<'a>, CliError> {
	let mut known: Vec<Candidate> = args
		.provider_url
		.iter()
		.map(|url| Candidate {
			url: url.clone(),
			reason: Reason::Named,
		})
		.collect();
	if !args.provider.is_empty() {
		let chain = context.connect().await?;
		for text in &args.provider {
			let provider = offers::provider(&chain, &context.parse_account(text)?).await?;
			known.extend(urls(&provider).into_iter().map(|url| Candidate {
				url,
				reason: Reason::Named,
			}));
		}
	}
	if args.only {
		return Ok(Candidates::new(known));
	}
	known.extend(recorded(records, root));
	let mut candidates = Candidates::new(known);
	// Retrieval works without the chain as long as somebody else knows who has the object.
	candidates.search_chain(context.connect().boxed(), root.to_bytes());
	Ok(candidates)
}

/// The local record. One that cannot be used must not keep anybody from their data.
fn records(context: &Context) -> Vec<ObjectRecord> {
	context.records().all().unwrap_or_else(|error| {
		context
			.output
			.warn(format!("going on without the local record: {error}"));
		Vec::new()
	})
}

/// Providers that the local record knows to have the object.
fn recorded(records: &[ObjectRecord], root: &Cid) -> Vec<Candidate> {
	let root = root.to_string();
	let deals = records
		.iter()
		.filter(|record| {
			record
				.content
				.as_ref()
				.is_some_and(|content| content.root == root)
		})
		.flat_map(|record| &record.deals)
		.filter(|deal| {
			matches!(
				deal.state,
				DealState::Uploaded | DealState::Published { .. } | DealState::Active { .. }
			)
		});
	deals
		.filter_map(|deal| {
			Some(Candidate {
				url: deal.endpoint.parse().ok()?,
				reason: Reason::Recorded,
			})
		})
		.collect()
}

enum Export {
	Failed(ExportError),
	Panicked(tokio::task::JoinError),
}

/// Writes the object out, off the executor.
async fn export(
	blocks: &BlockStore,
	retrieved: &Retrieved,
	wanted: &Wanted,
	destination: Option<PathBuf>,
	args: &Args,
) -> Result<Exported, Export> {
	let (blocks, target, range) = (blocks.clone(), retrieved.target, wanted.range);
	let options = ExportOptions {
		symlinks: args.symlinks.into(),
		overwrite: args.force,
		..ExportOptions::default()
	};
	tokio::task::spawn_blocking(move || write_out(&blocks, &target, range, destination, &options))
		.await
		.map_err(Export::Panicked)?
		.map_err(Export::Failed)
}

fn write_out(
	blocks: &BlockStore,
	target: &Cid,
	range: Option<ByteRange>,
	destination: Option<PathBuf>,
	options: &ExportOptions,
) -> Result<Exported, ExportError> {
	let one_file = |bytes| {
		let mut exported = Exported::default();
		(exported.files, exported.bytes) = (1, bytes);
		exported
	};
	let range_or_all = range.unwrap_or(ByteRange::ALL);
	match (destination, range) {
		(None, _) => {
			let mut out = BufWriter::new(io::stdout().lock());
			let bytes = file(blocks, target, &mut out, range_or_all)?;
			out.flush().map_err(ExportError::Output)?;
			Ok(one_file(bytes))
		}
		(Some(destination), None) => tree(blocks, target, &destination, options),
		(Some(destination), Some(_)) => {
			if stat(blocks, target)?.kind != Kind::File {
				// The reader says it better.
				file(blocks, target, &mut io::sink(), range_or_all)?;
			}
			let bytes = file_to(blocks, target, &destination, range_or_all, options.overwrite)?;
			Ok(one_file(bytes))
		}
	}
}

/// Shows what happens.
struct Watcher<'a> {
	context: &'a Context,
	bar: ProgressBar,
	asked: Mutex<Option<Url>>,
}

impl<'a> Watcher<'a> {
	fn new(context: &'a Context) -> Self {
		let bar = Progress::new(&context.output).counted_bytes("fetching");
		Watcher {
			context,
			bar,
			asked: Mutex::new(None),
		}
	}
}

impl Observer for Watcher<'_> {
	fn asking(&self, candidate: &Candidate) {
		// Poisoned only by a panic, which ends the program anyway.
		let mut asked = self.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
		if asked.as_ref() != Some(&candidate.url) {
			*asked = Some(candidate.url.clone());
			self.bar
				.set_message(format!("from {} ({})", candidate.url, candidate.reason));
		}
	}

	fn received(&self, bytes: u64) {
		self.bar.set_position(bytes);
	}

	fn failed(&self, candidate: &Candidate, error: &FetchError) {
		let text = error.to_string();
		let text = match text.contains(candidate.url.as_str()) {
			true => text,
			false => format!("{}: {text}", candidate.url),
		};
		self.bar.suspend(|| self.context.output.note(text));
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
