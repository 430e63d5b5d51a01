//! Objects that a command reads, wherever they are.

use crate::{
	archives::{find, open, Object},
	commands::fetching::{read_blocks, SourceArgs},
	context::Context,
	error::{CliError, ErrorKind},
	progress::Progress,
};
use cairn_dag::{walk::follow, BlockSource, Cid};
use clap::builder::{OsStringValueParser, TypedValueParser};
use indicatif::ProgressBar;
use std::{ffi::OsString, path::PathBuf};

/// An object in an archive, or in the network.
#[derive(Debug, clap::Args)]
pub struct Target {
	/// CID of an object in the network, perhaps with a path inside it; or an archive, `-` being standard input
	///
	/// A path leads through any codec: names of folders' entries, keys and list positions of dag-cbor and
	/// dag-json, `tree` and `parents/0` of a git commit. An archive whose name reads as a CID is named with its
	/// folder: `./NAME`.
	#[arg(value_name = "CID[/PATH]|ARCHIVE", value_parser = OsStringValueParser::new().map(Place::from))]
	place: Place,
	/// In an archive: CID, CID/PATH, or a path below its only root [default: that root]
	///
	/// An entry whose name is a CID is named after a `/`.
	object: Option<Object>,
	#[command(flatten)]
	sources: SourceArgs,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
	Network { root: Cid, path: String },
	Archive(PathBuf),
}

impl From<OsString> for Place {
	fn from(text: OsString) -> Self {
		let object = text.to_str().map(|text| {
			let Ok(object) = text.parse::<Object>();
			object
		});
		match object {
			Some(Object {
				root: Some(root),
				path,
			}) => Place::Network { root, path },
			_ => Place::Archive(text.into()),
		}
	}
}

impl Target {
	/// Runs `read`, on a blocking thread, on the blocks and the object's CID. The bar is to be suspended while
	/// something is printed.
	///
	/// # Errors
	/// Those of `read`; if there is no such object; if the arguments contradict each other.
	pub async fn read<T: Send + 'static>(
		self,
		context: &Context,
		read: impl FnOnce(&dyn BlockSource, Cid, &ProgressBar) -> Result<T, CliError> + Send + 'static,
	) -> Result<T, CliError> {
		let usage = |message| Err(CliError::new(ErrorKind::Usage, message));
		match (self.place, self.object) {
			(Place::Network { .. }, Some(_)) => {
				usage("OBJECT names what is in an archive; one in the network is CID/PATH, in one word")
			}
			(Place::Archive(_), _) if self.sources.is_any_given() => {
				usage("nobody is asked for what is in an archive: name a CID, or leave out whom to ask")
			}
			(Place::Network { root, path }, None) => {
				read_blocks(context, &self.sources, root, move |source, bar| {
					let cid = follow(source, &root, &path)?.cid;
					read(source, cid, bar)
				})
				.await
			}
			(Place::Archive(archive), object) => {
				let bar = Progress::new(&context.output).counted_bytes("reading");
				let reading = tokio::task::spawn_blocking(move || {
					let archive = open(&archive, &bar)?;
					let cid = find(&archive, &object.unwrap_or_default())?;
					bar.finish_and_clear();
					read(&archive, cid, &ProgressBar::hidden())
				});
				reading.await?
			}
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::os::unix::ffi::OsStringExt;

	#[test]
	fn what_reads_as_a_cid_is_in_the_network() {
		let text = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
		let root: Cid = text.parse().unwrap();
		let network = |path: &str| Place::Network {
			root,
			path: path.to_owned(),
		};
		let archive = |path: &str| Place::Archive(path.into());
		for (text, place) in [
			(text.to_owned(), network("")),
			(format!("{text}/a/b"), network("a/b")),
			(format!("/ipfs/{text}/a"), network("a")),
			(format!("ipfs://{text}"), network("")),
			(format!("./{text}"), archive(&format!("./{text}"))),
			(format!("{text}.car"), archive(&format!("{text}.car"))),
			("-".to_owned(), archive("-")),
			("photos.car".to_owned(), archive("photos.car")),
		] {
			assert_eq!(Place::from(OsString::from(&text)), place, "{text}");
		}
		// A file's name is whatever it is.
		let latin1 = OsString::from_vec(b"caf\xe9.car".to_vec());
		assert_eq!(Place::from(latin1.clone()), Place::Archive(latin1.into()));
	}
}
