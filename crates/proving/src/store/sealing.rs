//! Sealing of the store's sectors.

use super::{SectorStore, StoreError};
use crate::{
	error::{DataFault, ProveError},
	manifest::{SectorManifest, SectorStage},
	prover::SectorProver,
	seal::{
		columns,
		layers::{layer_progress, Layers},
		parents::ParentsFile,
		replica::{self, ReplicaPaths},
		Part, ProgressFn, SealError, SealProgress, SealRequest, SealStage,
	},
	sealed::SealedSector,
	sector::SectorLayout,
};
use cairn_primitives::{hash::NativeSha256, sdr, ProofSpec, Tier};
use std::path::PathBuf;

/// Shares of the whole work, by experience: labels take nearly all of it.
pub(super) const GRAPH_ENDS: f64 = 0.05;
const LABELS_END: f64 = 0.92;
const COLUMNS_END: f64 = 0.97;

impl SectorStore {
	/// Seals a sector over pieces that are in the store. Resumes what a crash or a cancellation left;
	/// gives the sealed sector if it is finished.
	///
	/// Takes from milliseconds (2 KiB) to hours (32 GiB), one core for labels and now and then all of
	/// them. See [`crate::seal::space_needed`].
	///
	/// # Errors
	/// See [`SealError`]. [`StoreError::OtherSector`] if the number was used with other inputs.
	pub fn seal(&self, request: &SealRequest, progress: &mut ProgressFn) -> Result<SealedSector, SealError> {
		let SealRequest {
			sector,
			prover_id,
			spec,
			ticket,
			ref pieces,
		} = *request;
		if spec.tier != Tier::Sealed {
			return Err(SealError::WrongTier);
		}
		let _reservation = self.reserve(sector)?;
		let layout = SectorLayout::new(spec, pieces).map_err(StoreError::from)?;
		let comm_d = layout.comm_d();
		let manifest = self.record(SectorManifest {
			sector,
			prover_id,
			spec,
			ticket,
			pieces: pieces.clone(),
			comm_d,
			stage: SectorStage::Sealing,
		})?;
		if manifest.stage == SectorStage::Sealing {
			self.make_replica(manifest, layout, progress)?;
		}
		// Stopping now makes no difference.
		let _ = progress(SealProgress {
			stage: SealStage::Done,
			fraction: 1.0,
		});
		match self.prover(sector)? {
			SectorProver::Sealed(sealed) => Ok(sealed),
			SectorProver::Hot(_) => Err(SealError::WrongTier),
		}
	}

	fn make_replica(
		&self,
		mut manifest: SectorManifest,
		layout: SectorLayout,
		progress: &mut ProgressFn,
	) -> Result<(), SealError> {
		let spec = manifest.spec;
		let folder = self.folder(manifest.sector);
		let incoming = self.incoming();

		let parents = self.parents(&spec, progress)?;
		let mut layers = Layers::open(&folder.join("layers"), &incoming, spec, replica_id(&manifest))?;
		layers.make_up_to(
			spec.layers,
			false,
			&parents,
			&mut layer_progress(progress, &spec, GRAPH_ENDS, LABELS_END),
		)?;
		drop(parents);

		let maps = (1..=spec.layers)
			.map(|layer| layers.map(layer))
			.collect::<Result<Vec<_>, _>>()?;
		let mut part = Part {
			progress,
			stage: SealStage::Columns,
			from: LABELS_END,
			to: COLUMNS_END,
		};
		let comm_c = columns::commit(&spec, &maps, &incoming, &folder.join("columns.rows"), &mut part)?;

		let data = self.data(layout);
		let reader = data.reader()?;
		// A sealed type has at least one layer.
		let key = maps.last().ok_or(SealError::WrongTier)?;
		let mut part = Part {
			progress,
			stage: SealStage::Replica,
			from: COLUMNS_END,
			to: 1.0,
		};
		let paths = ReplicaPaths {
			replica: folder.join("replica"),
			rows: folder.join("replica.rows"),
		};
		let (comm_r_last, found_comm_d) = replica::encode(&spec, &reader, key, &incoming, &paths, &mut part)?;
		if found_comm_d != manifest.comm_d {
			return Err(self.changed_piece(&manifest));
		}
		manifest.stage = SectorStage::Sealed {
			comm_c,
			comm_r_last,
			activation_finished: false,
		};
		self.save(&manifest)?;
		Ok(())
	}

	/// Which piece is not what it was when the sector was recorded.
	fn changed_piece(&self, manifest: &SectorManifest) -> SealError {
		for piece in &manifest.pieces {
			if let Err(error) = self.check_piece(piece) {
				return error.into();
			}
		}
		// Sound now, so it changed under our hands or was misread.
		let fault = DataFault::Corrupt { leaf: 0 };
		SealError::Data(ProveError::Replica {
			path: self.folder(manifest.sector).join("replica"),
			fault,
		})
	}

	pub(super) fn parents(
		&self,
		spec: &ProofSpec,
		progress: &mut ProgressFn,
	) -> Result<ParentsFile, SealError> {
		let mut part = Part {
			progress,
			stage: SealStage::Graph,
			from: 0.0,
			to: GRAPH_ENDS,
		};
		ParentsFile::open_or_make(&self.graphs(), &self.incoming(), spec, &mut part)
	}

	/// Folder of the graphs' parents.
	pub(super) fn graphs(&self) -> PathBuf {
		self.inner.root.join("graphs")
	}
}

pub(super) fn replica_id(manifest: &SectorManifest) -> [u8; 32] {
	sdr::replica_id::<NativeSha256>(
		&manifest.prover_id,
		manifest.sector,
		&manifest.ticket,
		&manifest.comm_d,
		&manifest.spec.porep_id(),
	)
}
