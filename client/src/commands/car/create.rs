//! `cairn car create`

use crate::{
	context::Context,
	deals::packing,
	error::{CliError, ErrorKind},
	new_file::refuse_existing,
	progress::Progress,
};
use cairn_car::PackOptions;
use cairn_dag::unixfs::import::ImportOptions;
use indicatif::HumanBytes;
use serde::Serialize;
use std::path::PathBuf;

/// Pack files and folders into a CARv2 archive, as `put` does
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Files and folders; several become one folder
	#[arg(required = true, value_name = "PATH")]
	paths: Vec<PathBuf>,
	/// The archive [default: the first path's name and .car]
	#[arg(long, short, value_name = "FILE")]
	output: Option<PathBuf>,
	/// Replace an archive that exists
	#[arg(long, short)]
	force: bool,
	/// Put a single file into a folder, so that its name is kept
	#[arg(long)]
	wrap: bool,
	/// Leave out entries of folders whose names start with a dot
	#[arg(long)]
	no_hidden: bool,
	/// How files become blocks: decides the CIDs
	#[arg(long, value_enum, default_value = "ipfs")]
	profile: Profile,
}

/// How files become blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
	/// As `ipfs add --cid-version=1 --raw-leaves`: 256 KiB, 174 links
	Ipfs,
	/// As IPIP-499's unixfs-v1-2025: 1 MiB, 1024 links
	#[value(name = "unixfs-v1-2025")]
	UnixfsV1,
}

#[derive(Serialize)]
struct Report {
	root: String,
	archive: String,
	archive_size: u64,
	content_size: u64,
	blocks: u64,
	duplicates: u64,
	files: u64,
	directories: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let output = match args.output {
		Some(output) => output,
		None => {
			let name = args.paths.first().and_then(|path| path.file_name());
			let name =
				name.ok_or_else(|| CliError::new(ErrorKind::Usage, "name the archive with --output"))?;
			let mut name = name.to_owned();
			name.push(".car");
			PathBuf::from(name)
		}
	};
	if !args.force {
		refuse_existing(&output)?;
	}
	let mut options = PackOptions {
		wrap: args.wrap,
		..PackOptions::default()
	};
	if args.profile == Profile::UnixfsV1 {
		options.import = ImportOptions::unixfs_v1_2025();
	}
	options.import.hidden = !args.no_hidden;
	let packed = packing::pack(&args.paths, &output, options, &Progress::new(&context.output)).await?;
	let report = Report {
		root: packed.root.to_string(),
		archive: output.display().to_string(),
		archive_size: packed.car_size,
		content_size: packed.content_size,
		blocks: packed.blocks,
		duplicates: packed.duplicates,
		files: packed.files,
		directories: packed.directories,
	};
	context
		.output
		.result_or_line("cairn.car-created/1", &report, &report.root.clone(), |out| {
			writeln!(out, "{}", report.root)?;
			writeln!(
				out,
				"{}: {} in {} files, {} blocks, {} as archive",
				report.archive,
				HumanBytes(report.content_size),
				report.files,
				report.blocks,
				HumanBytes(report.archive_size)
			)
		})
}
