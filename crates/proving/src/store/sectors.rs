//! Sectors of the store.

use super::{at, SectorStore, StoreError};
use crate::{
	data::SectorData,
	durable,
	hot::HotSector,
	manifest::{SectorManifest, SectorStage},
	prover::SectorProver,
	seal::{layers::remove_folder, replica::ReplicaFile},
	sealed::SealedSector,
	sector::SectorLayout,
};
use cairn_primitives::{PieceInfo, ProofSpec, SectorNumber, Tier};
use std::{fs, io, path::PathBuf};

/// A hot sector to record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotRequest {
	/// Number of the sector, never used before.
	pub sector: SectorNumber,
	/// The provider: [`cairn_primitives::challenge::prover_id`].
	pub prover_id: [u8; 32],
	/// Proof type.
	pub spec: ProofSpec,
	/// Pieces in the order of their offsets. At least one.
	pub pieces: Vec<PieceInfo>,
}

impl SectorStore {
	/// Records a hot sector over pieces that are in the store. Costs no pass over the data. Doing it
	/// again with the same contents is fine.
	///
	/// # Errors
	/// [`StoreError::WrongTier`], [`StoreError::Pack`], [`StoreError::Piece`] if a piece is missing,
	/// [`StoreError::OtherSector`], [`StoreError::Io`].
	pub fn commit_hot(&self, request: &HotRequest) -> Result<HotSector, StoreError> {
		if request.spec.tier != Tier::Hot {
			return Err(StoreError::WrongTier);
		}
		let _reservation = self.reserve(request.sector)?;
		let layout = SectorLayout::new(request.spec, &request.pieces)?;
		let manifest = SectorManifest {
			sector: request.sector,
			prover_id: request.prover_id,
			spec: request.spec,
			ticket: [0; 32],
			pieces: request.pieces.clone(),
			comm_d: layout.comm_d(),
			stage: SectorStage::Hot,
		};
		self.record(manifest)?;
		Ok(HotSector {
			sector: request.sector,
			prover_id: request.prover_id,
			data: self.data(layout),
		})
	}

	/// Numbers of the sectors in the store, rising.
	///
	/// # Errors
	/// [`StoreError::Io`].
	pub fn sectors(&self) -> Result<Vec<SectorNumber>, StoreError> {
		let folder = self.inner.root.join("sectors");
		let mut numbers = Vec::new();
		for entry in fs::read_dir(&folder).map_err(at(&folder))? {
			let name = entry.map_err(at(&folder))?.file_name();
			let number = name.to_str().and_then(|name| name.parse().ok());
			numbers.extend(number.filter(|number| self.manifest_path(*number).exists()));
		}
		numbers.sort_unstable();
		Ok(numbers)
	}

	/// What a sector is made of.
	///
	/// # Errors
	/// [`StoreError::NoSuchSector`], [`StoreError::Manifest`], [`StoreError::Io`].
	pub fn sector(&self, number: SectorNumber) -> Result<SectorManifest, StoreError> {
		let path = self.manifest_path(number);
		match fs::read(&path) {
			Ok(bytes) => {
				SectorManifest::from_json(&bytes).map_err(|source| StoreError::Manifest { path, source })
			}
			Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StoreError::NoSuchSector(number)),
			Err(e) => Err(at(path)(e)),
		}
	}

	/// The replicas that hold a piece and are complete, each as its sector and the piece's index among the sector's
	/// pieces, as [`Self::unseal_piece`] takes them. Reads every sector's manifest.
	///
	/// # Errors
	/// [`StoreError::Io`].
	pub fn replicas_of(&self, piece: &PieceInfo) -> Result<Vec<(SectorNumber, usize)>, StoreError> {
		let mut replicas = Vec::new();
		for number in self.sectors()? {
			// A sector that is being removed or is damaged holds nothing that could be read.
			let Ok(manifest) = self.sector(number) else {
				continue;
			};
			let is_sealed = matches!(manifest.stage, SectorStage::Sealed { .. });
			let index = manifest.pieces.iter().position(|held| held == piece);
			if let Some(index) = index.filter(|_| is_sealed) {
				if ReplicaFile::open(&self.folder(number).join("replica"), &manifest.spec).is_ok() {
					replicas.push((number, index));
				}
			}
		}
		Ok(replicas)
	}

	/// The prover of a sector.
	///
	/// # Errors
	/// As [`Self::sector`]; [`StoreError::NotSealed`] while it is being sealed.
	pub fn prover(&self, number: SectorNumber) -> Result<SectorProver, StoreError> {
		let manifest = self.sector(number)?;
		let data = self.data(SectorLayout::new(manifest.spec, &manifest.pieces)?);
		match manifest.stage {
			SectorStage::Hot => Ok(SectorProver::Hot(HotSector {
				sector: number,
				prover_id: manifest.prover_id,
				data,
			})),
			SectorStage::Sealing => Err(StoreError::NotSealed(number)),
			SectorStage::Sealed {
				comm_c,
				comm_r_last,
				activation_finished,
			} => Ok(SectorProver::Sealed(SealedSector {
				sector: number,
				prover_id: manifest.prover_id,
				ticket: manifest.ticket,
				comm_c,
				comm_r_last,
				activation_finished,
				folder: self.folder(number),
				data,
			})),
		}
	}

	/// Removes a sector with its replica. Pieces stay. An absent one is fine.
	///
	/// # Errors
	/// [`StoreError::Busy`], [`StoreError::Io`].
	pub fn remove_sector(&self, number: SectorNumber) -> Result<(), StoreError> {
		let _reservation = self.reserve(number)?;
		let folder = self.folder(number);
		let doomed = self.incoming().join(format!("removed-{number}"));
		remove_folder(&doomed).map_err(at(&doomed))?;
		// First out of sight as a whole, then freed.
		match fs::rename(&folder, &doomed) {
			Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
			other => other.map_err(at(&folder))?,
		}
		durable::sync_parent(&folder).map_err(at(&folder))?;
		remove_folder(&doomed).map_err(at(doomed))
	}

	/// Says that the sector's activation is proven: layers and column tree go. Does nothing for a hot
	/// sector and the second time. If it fails or is killed, doing it again completes it.
	///
	/// # Errors
	/// As [`Self::prover`]; [`StoreError::Busy`].
	pub fn finish_activation(&self, number: SectorNumber) -> Result<(), StoreError> {
		let _reservation = self.reserve(number)?;
		let mut manifest = self.sector(number)?;
		match &mut manifest.stage {
			SectorStage::Hot => return Ok(()),
			SectorStage::Sealing => return Err(StoreError::NotSealed(number)),
			SectorStage::Sealed {
				activation_finished, ..
			} => *activation_finished = true,
		}
		// Recorded first: a crash in between must not leave a sector that promises what is gone.
		self.save(&manifest)?;
		let layers = self.folder(number).join("layers");
		remove_folder(&layers).map_err(at(layers))?;
		let columns = self.folder(number).join("columns.rows");
		durable::remove(&columns).map_err(at(columns))
	}

	/// Records a sector, or finds it recorded with the same contents. Returns what is recorded.
	pub(super) fn record(&self, manifest: SectorManifest) -> Result<SectorManifest, StoreError> {
		let number = manifest.sector;
		match self.sector(number) {
			Ok(found) if found.same_sector(&manifest) => return Ok(found),
			Ok(_) => return Err(StoreError::OtherSector(number)),
			Err(StoreError::NoSuchSector(_)) => {}
			Err(other) => return Err(other),
		}
		for piece in &manifest.pieces {
			if !self.has_piece(piece) {
				// Mends missing rows, or says what is wrong.
				self.check_piece(piece)?;
			}
		}
		let folder = self.folder(number);
		durable::create_dir(&folder).map_err(at(folder))?;
		self.save(&manifest)?;
		Ok(manifest)
	}

	pub(super) fn save(&self, manifest: &SectorManifest) -> Result<(), StoreError> {
		let path = self.manifest_path(manifest.sector);
		let json = manifest.to_json().map_err(|source| StoreError::Manifest {
			path: path.clone(),
			source,
		})?;
		durable::write(&self.incoming(), &path, &json).map_err(at(path))
	}

	pub(super) fn data(&self, layout: SectorLayout) -> SectorData {
		SectorData {
			layout,
			pieces: self.inner.pieces.clone(),
		}
	}

	/// A sector's folder.
	pub(super) fn folder(&self, number: SectorNumber) -> PathBuf {
		self.inner.root.join("sectors").join(format!("{number:010}"))
	}

	fn manifest_path(&self, number: SectorNumber) -> PathBuf {
		self.folder(number).join("sector.json")
	}
}
