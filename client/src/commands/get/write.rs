//! Writing an object out once its blocks are there.

use super::Args;
use crate::retrieval::blocks::BlockStore;
use cairn_dag::{
	unixfs::{
		export::{file, file_to, tree, ExportError, ExportOptions, Exported},
		stat, ByteRange, Kind,
	},
	Cid,
};
use std::{
	io::{self, BufWriter, Write},
	path::PathBuf,
};

/// Why an object was not written.
pub enum WriteError {
	/// It is not what it was taken for, or its place does not take it.
	Export(ExportError),
	/// The thread that wrote panicked.
	Panicked(tokio::task::JoinError),
}

/// Writes the object out, off the executor; without a destination to standard output.
pub async fn write(
	blocks: &BlockStore,
	target: &Cid,
	range: Option<ByteRange>,
	destination: Option<PathBuf>,
	args: &Args,
) -> Result<Exported, WriteError> {
	let (blocks, target) = (blocks.clone(), *target);
	let options = ExportOptions {
		symlinks: args.symlinks.into(),
		overwrite: args.force,
		..ExportOptions::default()
	};
	tokio::task::spawn_blocking(move || write_out(&blocks, &target, range, destination, &options))
		.await
		.map_err(WriteError::Panicked)?
		.map_err(WriteError::Export)
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
