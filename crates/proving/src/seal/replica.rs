//! The replica: data plus the last layer, and the tree over it (CommRLast).

use super::{at, Part, SealError};
use crate::{
	commp::BASE_HEIGHT,
	data::SectorReader,
	durable,
	error::{DataFault, ProveError},
	opening::Leaves,
	rows::{RowShape, Rows, RowsWriter},
	sha256::{self, Node, NODE},
};
use cairn_primitives::{sdr, Commitment, ProofSpec};
use rayon::prelude::*;
use std::{
	fs::File,
	io::Write,
	os::unix::fs::FileExt,
	path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Leaves that are encoded in parallel at a time: 4 MiB.
const STRIPE: u64 = 1 << 17;

/// Which rows of the replica's tree are stored.
pub(crate) const fn shape(spec: &ProofSpec) -> RowShape {
	RowShape::new(BASE_HEIGHT, spec.depth())
}

/// Where the replica and its rows go.
pub(crate) struct ReplicaPaths {
	pub replica: PathBuf,
	pub rows: PathBuf,
}

/// Encodes the sector's data under `key` (the last layer). Returns CommRLast and the root over the
/// data that was read, which the caller compares with CommD.
pub(crate) fn encode(
	spec: &ProofSpec,
	data: &SectorReader,
	key: &[u8],
	incoming: &Path,
	paths: &ReplicaPaths,
	part: &mut Part,
) -> Result<(Commitment, Commitment), SealError> {
	let shape = shape(spec);
	let width = shape.subtree_leaves();
	let mut temp = NamedTempFile::new_in(incoming).map_err(at(&paths.replica))?;
	let mut rows = RowsWriter::new(incoming).map_err(at(&paths.rows))?;
	let mut data_row: Vec<u8> = Vec::with_capacity(shape.base_nodes() as usize * NODE);
	let stripe = STRIPE.min(spec.leaves());
	let mut replica = vec![0u8; stripe as usize * NODE];
	for first in (0..spec.leaves()).step_by(stripe as usize) {
		part.report(first, spec.leaves())?;
		let roots = replica
			.par_chunks_mut(width * NODE)
			.enumerate()
			.with_min_len(4)
			.map_init(
				|| vec![0u8; width * NODE],
				|scratch, (i, replica)| {
					let leaf = first + (i * width) as u64;
					data.read(leaf, scratch)?;
					let from = leaf as usize * NODE;
					encode_leaves(scratch, &key[from..from + replica.len()], replica)
						.map_err(|i| not_canonical(leaf + i as u64))?;
					let data_root = sha256::root_of(scratch);
					scratch.copy_from_slice(replica);
					Ok((data_root, sha256::root_of(scratch)))
				},
			)
			.collect::<Result<Vec<(Node, Node)>, SealError>>()?;
		for (data_root, replica_root) in roots {
			data_row.extend_from_slice(&data_root);
			rows.push(&replica_root).map_err(at(&paths.rows))?;
		}
		temp.write_all(&replica).map_err(at(&paths.replica))?;
	}
	let (rows, comm_r_last) = rows.finish(shape, &[0; NODE]).map_err(at(&paths.rows))?;
	durable::persist(rows, &paths.rows).map_err(at(&paths.rows))?;
	durable::persist(temp, &paths.replica).map_err(at(&paths.replica))?;
	part.report(1, 1)?;
	Ok((comm_r_last, sha256::root_of(&mut data_row)))
}

/// Padded data is always canonical and so are labels: a defect if it happens.
fn not_canonical(leaf: u64) -> SealError {
	SealError::Data(ProveError::Layer {
		path: PathBuf::new(),
		fault: DataFault::Corrupt { leaf },
	})
}

/// Encodes leaf by leaf; the index of a leaf that is not canonical otherwise.
fn encode_leaves(data: &[u8], key: &[u8], replica: &mut [u8]) -> Result<(), usize> {
	let leaves = data.as_chunks::<NODE>().0.iter().zip(key.as_chunks::<NODE>().0);
	for (i, ((data, key), replica)) in leaves.zip(replica.as_chunks_mut::<NODE>().0).enumerate() {
		*replica = sdr::encode(data, key).map_err(|_| i)?;
	}
	Ok(())
}

/// Decodes leaf by leaf, in place; the index of a leaf that is not canonical otherwise.
pub(crate) fn decode_leaves(replica: &mut [u8], key: &[u8]) -> Result<(), usize> {
	let leaves = replica
		.as_chunks_mut::<NODE>()
		.0
		.iter_mut()
		.zip(key.as_chunks::<NODE>().0);
	for (i, (leaf, key)) in leaves.enumerate() {
		*leaf = sdr::decode(leaf, key).map_err(|_| i)?;
	}
	Ok(())
}

/// The replica file, open for reading.
#[derive(Debug)]
pub(crate) struct ReplicaFile {
	pub file: File,
}

impl ReplicaFile {
	/// Opens a replica of the right length.
	pub fn open(path: &Path, spec: &ProofSpec) -> Result<Self, ProveError> {
		DataFault::open(path, spec.sector_size())
			.map(|file| ReplicaFile { file })
			.map_err(|fault| ProveError::Replica {
				path: path.to_owned(),
				fault,
			})
	}

	/// Reads the sub-tree of leaves at `index` and compares it with its stored root.
	pub fn read_checked(
		&self,
		index: u64,
		rows: &Rows,
		shape: RowShape,
		out: &mut [u8],
	) -> Result<(), DataFault> {
		let first = index * shape.subtree_leaves() as u64;
		self.read(first, out)?;
		let stored = rows.node(shape.base, index).map_err(DataFault::from_io)?;
		if sha256::root_of(&mut out.to_vec()) != stored {
			return Err(DataFault::Corrupt { leaf: first });
		}
		Ok(())
	}
}

impl Leaves for ReplicaFile {
	fn read(&self, first: u64, out: &mut [u8]) -> Result<(), DataFault> {
		self.file
			.read_exact_at(out, first * NODE as u64)
			.map_err(DataFault::from_io)
	}
}
