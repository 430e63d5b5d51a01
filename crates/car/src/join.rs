//! Parts of a split archive to one.

use crate::{
	index::IndexFormat,
	reader::{CarReader, ReadError, ReadOptions},
	split::empty_root,
	writer::{CarV2Writer, WriteError, Written},
};
use cid::Cid;
use std::io::{self, Read, Seek, Write};

/// How parts are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinOptions {
	/// Limits of each part.
	pub read: ReadOptions,
	/// Format of the index.
	pub index: IndexFormat,
}

/// What was joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
	/// The roots of all parts.
	pub roots: Vec<Cid>,
	/// Parts read.
	pub parts: u64,
	/// The archive written.
	pub written: Written,
}

/// Joins the parts of one archive, by either strategy of [`split`](crate::split), to a CARv2 with an index.
///
/// Each block is written once, in the order of the parts. Whether a part is missing only the DAG tells:
/// [`verify`](crate::verify) with [`dag`](crate::VerifyOptions::dag). Parts are opened one after the other.
///
/// # Errors
/// [`JoinError`]; what was written until then is not an archive.
pub fn join<P: Read, W: Write + Seek>(
	parts: impl IntoIterator<Item = io::Result<P>>,
	out: W,
	options: &JoinOptions,
) -> Result<Joined, JoinError> {
	let in_part = |part| move |error| JoinError::Read { part, error };
	let mut parts = parts.into_iter().zip(0..).map(|(part, number)| {
		let part = part.map_err(ReadError::Io).map_err(in_part(number))?;
		let reader = CarReader::with_options(part, options.read).map_err(in_part(number))?;
		Ok::<_, JoinError>((reader, number))
	});
	let (first, number) = parts.next().ok_or(JoinError::NoParts)??;
	let roots = first.roots().to_vec();
	if roots == [empty_root()] {
		return Err(JoinError::NotTheFirst);
	}
	let mut writer = CarV2Writer::for_roots(out, options.index, &roots)?;
	let mut count = 0;
	for part in std::iter::once(Ok((first, number))).chain(parts) {
		let (mut reader, number) = part?;
		if reader.roots() != roots && reader.roots() != [empty_root()] {
			return Err(JoinError::OtherRoots { part: number });
		}
		while let Some(block) = reader.next_block().map_err(in_part(number))? {
			writer.put(&block)?;
		}
		count += 1;
	}
	let (_, written) = writer.finish(&roots)?;
	Ok(Joined {
		roots,
		parts: count,
		written,
	})
}

/// Why parts cannot be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
	/// None was given.
	#[error("there are no parts")]
	NoParts,
	/// A part cannot be read.
	#[error("part {part}: {error}")]
	Read {
		/// Which, counted from 0 in the order given.
		part: u64,
		/// Why.
		#[source]
		error: ReadError,
	},
	/// The part given first has the empty root of parts that are not the first.
	#[error("the part given first is not the first of its archive")]
	NotTheFirst,
	/// A part belongs to another archive.
	#[error("part {part} has other roots than the first")]
	OtherRoots {
		/// Which, counted from 0 in the order given.
		part: u64,
	},
	/// The archive cannot be written.
	#[error(transparent)]
	Write(#[from] WriteError),
}
