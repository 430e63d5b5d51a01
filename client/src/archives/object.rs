//! Objects in archives, by CID and path.

use super::{is_standard, ArchiveInput};
use crate::error::{CliError, ErrorKind};
use cairn_car::CarFile;
use cairn_dag::{
	unixfs::{
		export::{file, file_to, tree, ExportError, ExportOptions, Exported, SymlinkPolicy},
		ByteRange,
	},
	walk::follow,
	Cid,
};
use std::{
	io::{self, BufWriter, Write},
	path::{Path, PathBuf},
};

/// An object in an archive, as the user names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
	/// Where the path begins; `None` is the archive's only root.
	pub root: Option<Cid>,
	/// Names, separated by `/`; empty is the root itself.
	pub path: String,
}

impl std::str::FromStr for Object {
	type Err = std::convert::Infallible;

	/// `CID`, `CID/path`, perhaps after `/ipfs/` or `ipfs://`, or a path below the only root. An entry whose name is
	/// a CID is named after a `/`.
	fn from_str(text: &str) -> Result<Self, Self::Err> {
		let text = without_scheme(text);
		let (first, rest) = text.split_once('/').unwrap_or((text, ""));
		Ok(match first.parse() {
			Ok(root) => Object {
				root: Some(root),
				path: rest.to_owned(),
			},
			Err(_) => Object {
				root: None,
				path: text.to_owned(),
			},
		})
	}
}

/// An object's name without what people copy along with it from elsewhere: `/ipfs/`, `ipfs://`.
pub fn without_scheme(text: &str) -> &str {
	let stripped = text
		.strip_prefix("ipfs://")
		.or_else(|| text.strip_prefix("/ipfs/"));
	stripped.unwrap_or(text)
}

/// Finds an object.
///
/// # Errors
/// If the archive has several roots and none is named, or if the path leads nowhere.
pub fn find(archive: &CarFile<ArchiveInput>, object: &Object) -> Result<Cid, CliError> {
	let root = match (object.root, archive.roots()) {
		(Some(root), _) => root,
		(None, [root]) => *root,
		(None, roots) => {
			let shown: Vec<String> = roots.iter().take(10).map(Cid::to_string).collect();
			let error = CliError::new(
				ErrorKind::Usage,
				format!("the archive has {} roots, not one", roots.len()),
			);
			return Err(match roots {
				[] => error.hint("name the CID of a block; `cairn car ls --blocks` lists them"),
				_ => error.hint(format!("name one: {}", shown.join(", "))),
			});
		}
	};
	Ok(follow(archive, &root, &object.path)?.cid)
}

/// What of an object is written, and where.
#[derive(Clone, Debug)]
pub struct Exporting {
	/// Where to; `-` is standard output, for a file.
	pub output: PathBuf,
	/// Bytes of a file.
	pub range: Option<ByteRange>,
	/// Whether a file may be replaced.
	pub force: bool,
	/// What to do with symbolic links.
	pub symlinks: SymlinkPolicy,
}

/// Writes a file or folder to disk, or a file to standard output.
///
/// # Errors
/// If it cannot be read or written; nothing is then at the output that was not there before.
pub fn export(
	archive: &CarFile<ArchiveInput>,
	target: &Cid,
	exporting: &Exporting,
) -> Result<Exported, CliError> {
	let Exporting {
		output,
		range,
		force,
		symlinks,
	} = exporting;
	let content = |bytes| Exported {
		files: 1,
		bytes,
		..Exported::default()
	};
	if is_standard(output) {
		let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
		let bytes = file(archive, target, &mut out, range.unwrap_or(ByteRange::ALL))?;
		out.flush()?;
		return Ok(content(bytes));
	}
	if let Some(range) = range {
		if !force && output.symlink_metadata().is_ok() {
			return Err(ExportError::Exists { path: output.clone() }.into());
		}
		return Ok(content(file_to(archive, target, output, *range, *force)?));
	}
	let options = ExportOptions {
		symlinks: *symlinks,
		overwrite: *force,
		..ExportOptions::default()
	};
	Ok(tree(archive, target, output, &options)?)
}

impl Object {
	/// Where to write the object if the user does not say: its own name, else the CID.
	pub fn default_output(&self, target: &Cid) -> PathBuf {
		match Path::new(&self.path).file_name() {
			Some(name) => PathBuf::from(name),
			None => PathBuf::from(target.to_string()),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn objects_are_named_by_cid_and_path() {
		let text = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
		let cid: Cid = text.parse().unwrap();
		let object = |root, path: &str| Object {
			root,
			path: path.to_owned(),
		};
		for (text, expected) in [
			("".to_owned(), object(None, "")),
			("a/b".to_owned(), object(None, "a/b")),
			(format!("/{text}"), object(None, &format!("/{text}"))),
			(text.to_owned(), object(Some(cid), "")),
			(format!("{text}/a/b"), object(Some(cid), "a/b")),
			(format!("/ipfs/{text}/a"), object(Some(cid), "a")),
		] {
			assert_eq!(text.parse(), Ok(expected), "{text}");
		}
		// No name of an entry leads out of the folder.
		assert_eq!(object(None, "a/..").default_output(&cid), PathBuf::from(text));
		assert_eq!(object(None, "/a/b/").default_output(&cid), PathBuf::from("b"));
	}
}
