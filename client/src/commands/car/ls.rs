//! `cairn car ls`

use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	output::{table, write_table},
};
use cairn_car::{CarFile, CarReader, ReadOptions};
use cairn_dag::{
	unixfs::{list, stat, Kind, ReadError},
	Cid,
};
use serde::Serialize;
use std::{
	fs::File,
	path::{Path, PathBuf},
};

/// Most entries listed.
const MAX_ENTRIES: usize = 1_000_000;
/// Deepest folder listed.
const MAX_DEPTH: usize = 128;

/// List what is in an archive
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive
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
pub fn run(context: &Context, args: Args) -> Result<(), CliError> {
	match args.blocks {
		true => blocks(context, &args.archive),
		false => files(context, &args.archive),
	}
}

/// One result per block: archives have millions.
fn blocks(context: &Context, archive: &Path) -> Result<(), CliError> {
	let file = File::open(archive).map_err(|error| CliError::from(error).during(archive.display()))?;
	let mut reader = CarReader::new(file)?;
	while let Some(section) = reader.next_section()? {
		let block = Block {
			cid: section.block.cid().to_string(),
			offset: section.offset,
			size: section.block.data().len(),
		};
		context.output.result("cairn.car-block/1", &block, |out| {
			writeln!(out, "{:>12} {:>9} {}", block.offset, block.size, block.cid)
		})?;
	}
	Ok(())
}

fn files(context: &Context, path: &Path) -> Result<(), CliError> {
	let archive = CarFile::open(path, ReadOptions::default())?;
	let mut entries = Vec::new();
	for root in archive.roots() {
		let name = root.to_string();
		walk(&archive, root, name, 0, &mut entries)?;
	}
	let files = Files {
		roots: archive.roots().iter().map(Cid::to_string).collect(),
		entries,
	};
	context.output.result("cairn.car-files/1", &files, |out| {
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

fn walk(
	archive: &CarFile<File>,
	cid: &Cid,
	path: String,
	depth: usize,
	entries: &mut Vec<Entry>,
) -> Result<(), CliError> {
	if entries.len() >= MAX_ENTRIES || depth > MAX_DEPTH {
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
	entries.push(Entry {
		path: path.clone(),
		kind: name,
		size,
		cid: cid.to_string(),
	});
	if kind == Some(Kind::Directory) {
		let children =
			list(archive, cid).map_err(|error| CliError::new(ErrorKind::Verification, error.to_string()))?;
		for child in children {
			// Names are shown, never used: control characters must not reach the terminal.
			let name: String = child
				.name
				.chars()
				.map(|c| if c.is_control() { '?' } else { c })
				.collect();
			walk(archive, &child.cid, format!("{path}/{name}"), depth + 1, entries)?;
		}
	}
	Ok(())
}
