//! `cairn car create`

use crate::{
	archives::{create, Sources},
	context::Context,
	error::CliError,
	progress::Progress,
};
use cairn_car::{PackOptions, Packed};
use cairn_dag::unixfs::import::ImportOptions;
use indicatif::HumanBytes;
use serde::Serialize;
use std::path::PathBuf;

/// Pack files and folders into a CARv2 archive, as `put` does
///
/// `cairn dag import` does the same with a choice of chunks, layout and CIDs.
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	packing: Packing,
	/// How files become blocks: decides the CIDs
	#[arg(long, value_enum, default_value = "ipfs")]
	profile: Profile,
}

/// What is packed, and where to.
#[derive(Debug, clap::Args)]
pub struct Packing {
	/// Files and folders; several become one folder; `-` is standard input
	#[arg(required = true, value_name = "PATH")]
	paths: Vec<PathBuf>,
	/// The archive; `-` is standard output [default: the first path's name and .car]
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
}

impl Packing {
	/// Packs, and reports it.
	///
	/// # Errors
	/// As [`create`], and if the name of the archive cannot be told.
	pub async fn run(self, context: &Context, mut options: PackOptions) -> Result<(), CliError> {
		let sources = Sources::parse(self.paths)?;
		let output = match self.output {
			Some(output) => output,
			None => sources.archive_name()?,
		};
		options.wrap = self.wrap;
		options.import.hidden = !self.no_hidden;
		let progress = Progress::new(&context.output);
		let (packed, archive) = create(sources, &output, self.force, options, &progress).await?;
		Report::print(context, &packed, archive)
	}
}

/// How files become blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
	/// As `ipfs add --cid-version=1 --raw-leaves`: 256 KiB, 174 links
	Ipfs,
	/// As IPIP-499's unixfs-v1-2025: 1 MiB, 1024 links
	#[value(name = "unixfs-v1-2025")]
	UnixfsV1,
	/// As IPIP-499's unixfs-v0-2015, IPFS's oldest: CIDv0, 256 KiB, 174 links
	#[value(name = "unixfs-v0-2015")]
	UnixfsV0,
}

impl From<Profile> for ImportOptions {
	fn from(profile: Profile) -> Self {
		match profile {
			Profile::Ipfs => Self::default(),
			Profile::UnixfsV1 => Self::unixfs_v1_2025(),
			Profile::UnixfsV0 => Self::unixfs_v0_2015(),
		}
	}
}

/// What was created.
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

impl Report {
	/// Prints what was packed, unless the archive took standard output.
	fn print(context: &Context, packed: &Packed, archive: Option<PathBuf>) -> Result<(), CliError> {
		let Some(archive) = archive else {
			return Ok(());
		};
		let report = Report {
			root: packed.root.to_string(),
			archive: archive.display().to_string(),
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
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let options = PackOptions {
		import: args.profile.into(),
		..PackOptions::default()
	};
	args.packing.run(context, options).await
}
