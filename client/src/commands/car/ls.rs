//! `cairn car ls`

use crate::{
	archives::{open, read_options, stream, ArchiveInput},
	context::Context,
	error::{CliError, ErrorKind},
	output::{printable, table, write_table, Output},
	progress::Progress,
};
use cairn_car::{CarFile, CarReader};
use cairn_dag::{
	unixfs::{list, stat, Kind, ReadError},
	Cid,
};
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Most entries listed.
const MAX_ENTRIES: usize = 1_000_000;
/// Most bytes of their paths: a name may be megabytes long, and be part of thousands of paths.
const MAX_PATH_BYTES: usize = 256 << 20;
/// Deepest folder listed.
const MAX_DEPTH: usize = 128;

/// List what is in an archive
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive; `-` is standard input
	archive: PathBuf,
	/// List blocks instead of files
	#[arg(long)]
	blocks: bool,
}

#[derive(Serialize)]
struct Files {
	roots: Vec<String>,
	entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
	path: String,
	kind: &'static str,
	size: u64,
	cid: String,
}

#[derive(Serialize)]
struct Block {
	cid: String,
	offset: u64,
	size: usize,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let output = context.output;
	let progress = Progress::new(&output);
	tokio::task::spawn_blocking(move || match args.blocks {
		// No bar: the list is progress.
		true => blocks(output, &args.archive),
		false => files(output, &args.archive, &progress.counted_bytes("reading")),
	})
	.await?
}

/// One result per block: archives have millions.
fn blocks(output: Output, archive: &Path) -> Result<(), CliError> {
	let mut reader = CarReader::with_options(stream(archive, &ProgressBar::hidden())?, read_options())?;
	while let Some(section) = reader.next_section()? {
		let block = Block {
			cid: section.block.cid().to_string(),
			offset: section.offset,
			size: section.block.data().len(),
		};
		output.result("cairn.car-block/1", &block, |out| {
			writeln!(out, "{:>12} {:>9} {}", block.offset, block.size, block.cid)
		})?;
	}
	Ok(())
}

fn files(output: Output, path: &Path, bar: &ProgressBar) -> Result<(), CliError> {
	let archive = open(path, bar)?;
	let mut listing = Listing::default();
	for root in archive.roots() {
		walk(&archive, root, root.to_string(), 0, &mut listing)?;
	}
	let files = Files {
		roots: archive.roots().iter().map(Cid::to_string).collect(),
		entries: listing.entries,
	};
	bar.finish_and_clear();
	output.result("cairn.car-files/1", &files, |out| {
		let rows = files.entries.iter().map(|entry| {
			[
				entry.kind.to_owned(),
				entry.size.to_string(),
				entry.path.clone(),
				entry.cid.clone(),
			]
		});
		write_table(out, &table(["kind", "size ", "path", "cid"], rows))
	})
}

#[derive(Default)]
struct Listing {
	entries: Vec<Entry>,
	path_bytes: usize,
}

fn walk(
	archive: &CarFile<ArchiveInput>,
	cid: &Cid,
	path: String,
	depth: usize,
	listing: &mut Listing,
) -> Result<(), CliError> {
	listing.path_bytes = listing.path_bytes.saturating_add(path.len());
	if listing.entries.len() >= MAX_ENTRIES || listing.path_bytes > MAX_PATH_BYTES || depth > MAX_DEPTH {
		return Err(CliError::new(
			ErrorKind::Verification,
			"the archive has too many or too deep folders to list",
		));
	}
	let (kind, size) = match stat(archive, cid) {
		Ok(stat) => (Some(stat.kind), stat.size),
		Err(ReadError::Missing { .. }) => (None, 0),
		Err(error) => return Err(CliError::new(ErrorKind::Verification, error.to_string())),
	};
	let name = match kind {
		Some(Kind::File) => "file",
		Some(Kind::Directory) => "folder",
		Some(Kind::Symlink) => "link",
		None => "missing",
	};
	listing.entries.push(Entry {
		path: path.clone(),
		kind: name,
		size,
		cid: cid.to_string(),
	});
	if kind == Some(Kind::Directory) {
		let children =
			list(archive, cid).map_err(|error| CliError::new(ErrorKind::Verification, error.to_string()))?;
		for child in children {
			// Names are shown, never used.
			let path = format!("{path}/{}", printable(&child.name));
			walk(archive, &child.cid, path, depth + 1, listing)?;
		}
	}
	Ok(())
}
