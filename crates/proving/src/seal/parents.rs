//! The graph's parents on disk.
//!
//! Computing a node's parents costs more than hashing its label, they are the same in every layer
//! and for every sector of a proof type, and reading them is sequential. So they are computed once,
//! on all cores, into a file: 14 little-endian u32 per node, then the file's checksum keyed by the
//! porep_id. The file can be deleted at any time.

use super::{at, checksum, Part, SealError};
use crate::durable;
use cairn_primitives::{
	hash::NativeSha256,
	sdr::{Graph, DEGREE},
	ProofSpec,
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{
	fs::File,
	io::{self, Write},
	os::unix::fs::FileExt,
	path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Bytes of a node's parents.
pub(crate) const ENTRY: usize = DEGREE * 4;
/// Nodes that are computed in parallel at a time.
const STRIPE: u64 = 1 << 16;
/// Nodes per task.
const TASK: usize = 1 << 10;

/// The file of a proof type's parents, checked.
pub(crate) struct ParentsFile {
	file: File,
	pub path: PathBuf,
}

impl ParentsFile {
	/// Where the file of a proof type is.
	pub fn path(folder: &Path, spec: &ProofSpec) -> PathBuf {
		folder.join(format!("{}.parents", hex::encode(spec.porep_id())))
	}

	/// Opens the file in `folder` or makes it.
	pub fn open_or_make(
		folder: &Path,
		incoming: &Path,
		spec: &ProofSpec,
		part: &mut Part,
	) -> Result<Self, SealError> {
		let path = Self::path(folder, spec);
		part.report(0, 1)?;
		if let Some(found) = Self::open(&path, spec).map_err(at(&path))? {
			part.report(1, 1)?;
			return Ok(found);
		}
		Self::make(&path, incoming, spec, part)?;
		Self::open(&path, spec).map_err(at(&path))?.ok_or_else(|| {
			let differs = io::Error::other("the parents read back differ from those written");
			SealError::Io {
				path,
				source: differs,
			}
		})
	}

	/// Opens the file if it is there and intact.
	fn open(path: &Path, spec: &ProofSpec) -> io::Result<Option<Self>> {
		let file = match File::open(path) {
			Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
			other => other?,
		};
		let nodes = spec.leaves();
		let len = nodes * ENTRY as u64;
		if file.metadata()?.len() != len + 32 {
			return Ok(None);
		}
		let mut stored = [0u8; 32];
		file.read_exact_at(&mut stored, len)?;
		if stored != seal_of(spec, &checksum::checksum_of_file(&file, len)?) {
			return Ok(None);
		}
		Ok(Some(ParentsFile {
			file,
			path: path.to_owned(),
		}))
	}

	fn make(path: &Path, incoming: &Path, spec: &ProofSpec, part: &mut Part) -> Result<(), SealError> {
		let nodes = spec.leaves();
		// The specification bounds a sector to 2^31 leaves, within a graph's limits.
		let graph = Graph::new::<NativeSha256>(nodes, &spec.porep_id()).map_err(|_| SealError::WrongTier)?;
		let mut temp = NamedTempFile::new_in(incoming).map_err(at(path))?;
		let mut stripe = vec![0u8; STRIPE.min(nodes) as usize * ENTRY];
		let mut digests: Vec<[u8; 32]> = Vec::new();
		// Bytes of an incomplete checksum chunk.
		let mut pending: Vec<u8> = Vec::new();
		for first in (0..nodes).step_by(STRIPE as usize) {
			part.report(first, nodes)?;
			let count = STRIPE.min(nodes - first) as usize;
			let stripe = &mut stripe[..count * ENTRY];
			stripe
				.par_chunks_mut(TASK * ENTRY)
				.enumerate()
				.for_each(|(task, entries)| {
					let mut parents = [0u32; DEGREE];
					let start = first + (task * TASK) as u64;
					for (node, entry) in (start..).zip(entries.chunks_exact_mut(ENTRY)) {
						// Below 2^31.
						graph.parents(node as u32, &mut parents);
						for (bytes, parent) in entry.chunks_exact_mut(4).zip(parents) {
							bytes.copy_from_slice(&parent.to_le_bytes());
						}
					}
				});
			temp.write_all(stripe).map_err(at(path))?;
			pending.extend_from_slice(stripe);
			let whole = pending.len() - pending.len() % checksum::CHUNK;
			digests.extend(
				pending[..whole]
					.chunks(checksum::CHUNK)
					.map(|c| <[u8; 32]>::from(Sha256::digest(c))),
			);
			pending.drain(..whole);
		}
		if !pending.is_empty() {
			digests.push(Sha256::digest(&pending).into());
		}
		let sum = Sha256::digest(digests.as_flattened()).into();
		temp.write_all(&seal_of(spec, &sum)).map_err(at(path))?;
		durable::persist(temp, path).map_err(at(path))?;
		part.report(nodes, nodes)
	}

	/// Reads the parents of nodes from `first` on.
	pub fn read(&self, first: u64, entries: &mut [u8]) -> io::Result<()> {
		self.file.read_exact_at(entries, first * ENTRY as u64)
	}
}

/// Binds a checksum to the graph.
fn seal_of(spec: &ProofSpec, checksum: &[u8; 32]) -> [u8; 32] {
	Sha256::new()
		.chain_update(spec.porep_id())
		.chain_update(checksum)
		.finalize()
		.into()
}

/// The parents in an entry.
#[inline]
pub(crate) fn parents_of(entry: &[u8; ENTRY]) -> [u32; DEGREE] {
	let mut parents = [0u32; DEGREE];
	for (parent, bytes) in parents.iter_mut().zip(entry.as_chunks::<4>().0) {
		*parent = u32::from_le_bytes(*bytes);
	}
	parents
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::seal::SealStage;
	use cairn_primitives::Tier;
	use std::ops::ControlFlow;

	#[test]
	fn the_file_holds_the_graph_and_notices_damage() {
		let dir = tempfile::tempdir().unwrap();
		let mut calls = 0;
		for sector_size_log2 in [11, 22] {
			let spec = ProofSpec {
				tier: Tier::Sealed,
				version: 1,
				sector_size_log2,
				layers: 2,
				activation_challenges: 2,
			};
			let open = |calls: &mut u32| {
				let mut progress = |_| {
					*calls += 1;
					ControlFlow::Continue(())
				};
				let mut part = Part {
					progress: &mut progress,
					stage: SealStage::Graph,
					from: 0.0,
					to: 1.0,
				};
				ParentsFile::open_or_make(dir.path(), dir.path(), &spec, &mut part).unwrap()
			};
			let file = open(&mut calls);
			let graph = Graph::new::<NativeSha256>(spec.leaves(), &spec.porep_id()).unwrap();
			let mut check = |node: u64| {
				let mut entry = [0; ENTRY];
				file.read(node, &mut entry).unwrap();
				let mut expected = [0; DEGREE];
				graph.parents(node as u32, &mut expected);
				assert_eq!(parents_of(&entry), expected, "{node}");
			};
			(0..64)
				.chain([spec.leaves() - 1, spec.leaves() / 2 + 7])
				.for_each(&mut check);

			let mut bytes = std::fs::read(&file.path).unwrap();
			bytes[100] ^= 1;
			std::fs::write(&file.path, &bytes).unwrap();
			assert!(ParentsFile::open(&file.path, &spec).unwrap().is_none());
			let mended = open(&mut calls);
			bytes[100] ^= 1;
			assert_eq!(std::fs::read(&mended.path).unwrap(), bytes);
		}
		assert!(calls > 0);
	}
}
