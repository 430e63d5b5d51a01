//! Reading whole sectors again, to find silent damage before a challenge does.

use super::{at, SectorStore, StoreError};
use crate::{
	durable,
	error::{DataFault, ProveError},
	manifest::SectorStage,
	opening::Leaves,
	rows::{Rows, RowsWriter},
	seal::replica::{self, ReplicaFile},
	sha256::{self, NODE},
};
use cairn_primitives::{Commitment, ProofSpec, SectorNumber};
use rayon::prelude::*;
use tempfile::NamedTempFile;

/// Sub-trees that are read and hashed in parallel at a time.
const STRIPE: u64 = 256;

impl SectorStore {
	/// Reads everything that the sector's windowed proofs depend on: the pieces of a hot sector, the
	/// replica of a sealed one. Writes stored rows of trees anew if they are gone or damaged.
	///
	/// # Errors
	/// [`StoreError::Piece`] with the fault of the first damaged piece, or with the replica's;
	/// [`StoreError::NotSealed`], [`StoreError::Busy`]; as [`Self::sector`].
	pub fn check_sector(&self, number: SectorNumber) -> Result<(), StoreError> {
		let _reservation = self.reserve(number)?;
		let manifest = self.sector(number)?;
		match manifest.stage {
			SectorStage::Hot => manifest
				.pieces
				.iter()
				.try_for_each(|piece| self.check_piece(piece)),
			SectorStage::Sealing => Err(StoreError::NotSealed(number)),
			SectorStage::Sealed { comm_r_last, .. } => {
				self.check_replica(number, &manifest.spec, &comm_r_last)
			}
		}
	}

	fn check_replica(
		&self,
		number: SectorNumber,
		spec: &ProofSpec,
		comm_r_last: &Commitment,
	) -> Result<(), StoreError> {
		let path = self.folder(number).join("replica");
		let rows_path = self.folder(number).join("replica.rows");
		let replica = ReplicaFile::open(&path, spec).map_err(StoreError::Piece)?;
		let fault = |fault| {
			StoreError::Piece(ProveError::Replica {
				path: path.clone(),
				fault,
			})
		};
		let (found, root) = self.hash_replica(spec, &replica).map_err(|error| match error {
			HashError::Data(data) => fault(data),
			HashError::Output(e) => at(self.incoming())(e),
		})?;
		let shape = replica::shape(spec);
		if root != *comm_r_last {
			let stored = Rows::open(&rows_path, shape);
			let hashed = Rows::open(found.path(), shape);
			let leaf = match (stored, hashed) {
				(Ok(stored), Ok(hashed)) => stored.first_difference(&hashed),
				_ => None,
			};
			return Err(fault(DataFault::Corrupt {
				leaf: leaf.unwrap_or(0),
			}));
		}
		durable::persist(found, &rows_path).map_err(at(rows_path))
	}

	fn hash_replica(
		&self,
		spec: &ProofSpec,
		replica: &ReplicaFile,
	) -> Result<(NamedTempFile, Commitment), HashError> {
		let shape = replica::shape(spec);
		let width = shape.subtree_leaves();
		let mut writer = RowsWriter::new(&self.incoming()).map_err(HashError::Output)?;
		let mut first = 0;
		while first < shape.base_nodes() {
			let end = (first + STRIPE).min(shape.base_nodes());
			let roots = (first..end)
				.into_par_iter()
				.map_init(
					|| vec![0u8; width * NODE],
					|leaves, subtree| {
						replica.read(subtree * width as u64, leaves)?;
						Ok(sha256::root_of(leaves))
					},
				)
				.collect::<Result<Vec<_>, DataFault>>()
				.map_err(HashError::Data)?;
			writer.push(roots.as_flattened()).map_err(HashError::Output)?;
			first = end;
		}
		writer.finish(shape, &[0; NODE]).map_err(HashError::Output)
	}
}

enum HashError {
	Data(DataFault),
	Output(std::io::Error),
}
