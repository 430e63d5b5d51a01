//! Sealing and unsealing of the store's sectors.

use super::{SectorStore, StoreError};
use crate::{
	data::open_rows,
	error::{DataFault, ProveError},
	manifest::{SectorManifest, SectorStage},
	prover::SectorProver,
	seal::{
		at, columns,
		layers::{layer_progress, map, remove_folder, Layers, TransientLayer},
		parents::ParentsFile,
		replica::{self, decode_leaves, ReplicaFile, ReplicaPaths},
		Part, ProgressFn, SealError, SealProgress, SealRequest, SealStage,
	},
	sealed::SealedSector,
	sector::SectorLayout,
	sha256::NODE,
	unseal::PayloadWriter,
};
use cairn_primitives::{fr32::GROUP_PADDED, hash::NativeSha256, sdr, ProofSpec, SectorNumber, Tier};
use std::{fs::File, io::Write, ops::Range};

/// Shares of the whole work, by experience: labels take nearly all of it.
const GRAPH_ENDS: f64 = 0.05;
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

	fn parents(&self, spec: &ProofSpec, progress: &mut ProgressFn) -> Result<ParentsFile, SealError> {
		let mut part = Part {
			progress,
			stage: SealStage::Graph,
			from: 0.0,
			to: GRAPH_ENDS,
		};
		ParentsFile::open_or_make(&self.inner.root.join("graphs"), &self.incoming(), spec, &mut part)
	}

	/// Writes the padded data in `range` (bytes of the sector, whole 128-byte groups) to `out`.
	///
	/// Reads only that range of the replica, but has to compute the key again, which takes as long as
	/// sealing did: up to the range's end in the last layer and everything below it. Resumes at layer
	/// granularity like sealing; before [`Self::finish_activation`] it is immediate.
	///
	/// # Errors
	/// See [`SealError`]; [`SealError::Range`], [`SealError::Output`].
	pub fn unseal(
		&self,
		number: SectorNumber,
		range: Range<u64>,
		out: &mut dyn Write,
		progress: &mut ProgressFn,
	) -> Result<(), SealError> {
		let _reservation = self.reserve(number)?;
		self.unseal_reserved(number, range, out, progress)
	}

	fn unseal_reserved(
		&self,
		number: SectorNumber,
		range: Range<u64>,
		out: &mut dyn Write,
		progress: &mut ProgressFn,
	) -> Result<(), SealError> {
		let manifest = self.sector(number)?;
		let spec = manifest.spec;
		let group = GROUP_PADDED as u64;
		if range.start > range.end
			|| range.end > spec.sector_size()
			|| !range.start.is_multiple_of(group)
			|| !range.end.is_multiple_of(group)
		{
			return Err(SealError::Range);
		}
		let SectorStage::Sealed {
			activation_finished, ..
		} = manifest.stage
		else {
			return Err(SealError::NotSealed(number));
		};
		let folder = self.folder(number);
		if !activation_finished {
			let path = Layers::path(&folder.join("layers"), spec.layers);
			let key = map(&path, spec.sector_size()).map_err(at(path))?;
			self.decode(&manifest, range, &key, out, progress)?;
		} else {
			let incoming = self.incoming();
			let scratch = folder.join("unsealing");
			let parents = self.parents(&spec, progress)?;
			let mut layers = Layers::open(&scratch, &incoming, spec, replica_id(&manifest))?;
			let mut report = layer_progress(progress, &spec, GRAPH_ENDS, COLUMNS_END);
			layers.make_up_to(spec.layers - 1, true, &parents, &mut report)?;
			let mut key = TransientLayer::new(&incoming, range.end / NODE as u64).map_err(at(&incoming))?;
			layers.compute(spec.layers, &parents, key.bytes(), &mut |node| {
				report(spec.layers, node)
			})?;
			drop(report);
			self.decode(&manifest, range, key.bytes(), out, progress)?;
			remove_folder(&scratch).map_err(at(scratch))?;
		}
		let _ = progress(SealProgress {
			stage: SealStage::Done,
			fraction: 1.0,
		});
		Ok(())
	}

	/// Decodes a range under the key, whose labels reach at least to the range's end.
	fn decode(
		&self,
		manifest: &SectorManifest,
		range: Range<u64>,
		key: &[u8],
		out: &mut dyn Write,
		progress: &mut ProgressFn,
	) -> Result<(), SealError> {
		let spec = manifest.spec;
		let folder = self.folder(manifest.sector);
		let path = folder.join("replica");
		let shape = replica::shape(&spec);
		let file = ReplicaFile::open(&path, &spec)?;
		let rows = open_rows(&folder.join("replica.rows"), shape)?;
		let mut part = Part {
			progress,
			stage: SealStage::Replica,
			from: COLUMNS_END,
			to: 1.0,
		};
		let width = (shape.subtree_leaves() * NODE) as u64;
		let mut bytes = vec![0u8; width as usize];
		let corrupt = |fault| ProveError::Replica {
			path: path.clone(),
			fault,
		};
		for subtree in range.start / width..range.end.div_ceil(width) {
			let start = subtree * width;
			part.report(start.saturating_sub(range.start), range.end - range.start)?;
			file.read_checked(subtree, &rows, shape, &mut bytes)
				.map_err(corrupt)?;
			let from = range.start.max(start);
			let to = range.end.min(start + width);
			let wanted = &mut bytes[(from - start) as usize..(to - start) as usize];
			decode_leaves(wanted, &key[from as usize..to as usize]).map_err(|i| {
				corrupt(DataFault::Corrupt {
					leaf: from / NODE as u64 + i as u64,
				})
			})?;
			out.write_all(wanted).map_err(SealError::Output)?;
		}
		Ok(())
	}

	/// Restores a piece's payload in the store from the replica. `index` counts the sector's pieces. Returns the
	/// payload, open at its start: it can be read even if it is removed from the store at once.
	///
	/// Waits while something else is done to the sector, such as [`Self::finish_activation`].
	///
	/// # Errors
	/// As [`Self::unseal`]; [`SealError::Range`] if there is no such piece.
	pub fn unseal_piece(
		&self,
		number: SectorNumber,
		index: usize,
		progress: &mut ProgressFn,
	) -> Result<File, SealError> {
		let _reservation = self.reserve_when_free(number);
		let manifest = self.sector(number)?;
		let layout = SectorLayout::new(manifest.spec, &manifest.pieces).map_err(StoreError::from)?;
		let piece = layout.pieces().get(index).ok_or(SealError::Range)?;
		let info = piece.info;
		let start = piece.first_leaf * NODE as u64;
		let payload_end = info.payload_size.div_ceil(127) * GROUP_PADDED as u64;
		let mut payload = PayloadWriter::new(self.begin_piece()?, info.payload_size);
		self.unseal_reserved(number, start..start + payload_end, &mut payload, progress)?;
		let (_, file) = payload.into_inner().finish_open(Some(&info))?;
		Ok(file)
	}
}

fn replica_id(manifest: &SectorManifest) -> [u8; 32] {
	sdr::replica_id::<NativeSha256>(
		&manifest.prover_id,
		manifest.sector,
		&manifest.ticket,
		&manifest.comm_d,
		&manifest.spec.porep_id(),
	)
}
