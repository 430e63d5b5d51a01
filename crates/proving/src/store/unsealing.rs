//! Unsealing: the key of a sealed sector, and reading its pieces with it.
//!
//! A leaf of the replica is a leaf of the data plus the label of the same node in the last layer. With that layer, the
//! *key*, any leaf is decoded by itself. Without it there is no short cut: a label depends on labels all over the layer
//! below, those on the layer below theirs, and within a layer on all before, so that the first leaf costs about as much
//! as all of them. So the key is computed as a whole, once, and kept in the sector's folder, as large as the sector
//! is, until its owner removes it. Reading decodes what is asked for and nothing else, and writes nothing.
//!
//! Until activation is finished the layers that sealing made are there, and the last of them is the key.

use super::{
	at as store_at,
	sealing::{replica_id, GRAPH_ENDS},
	SectorStore, StoreError,
};
use crate::{
	data::open_rows,
	error::{DataFault, ProveError},
	manifest::{SectorManifest, SectorStage},
	rows::Rows,
	seal::{
		key_space_needed,
		layers::{layer_progress, remove_folder, Layers},
		parents::ParentsFile,
		replica::{self, decode_leaves, ReplicaFile},
		ProgressFn, SealError, SealProgress, SealStage,
	},
	sector::SectorLayout,
	sha256::NODE,
};
use cairn_primitives::{
	fr32::{group_range, unpad, GROUP_PADDED, GROUP_PAYLOAD},
	PieceInfo, SectorNumber,
};
use std::{
	fs::{self, File},
	io::{self, Write},
	ops::Range,
	os::unix::fs::FileExt,
	path::{Path, PathBuf},
	sync::atomic::{AtomicU64, Ordering},
};

/// Folder of the key in the sector's.
const FOLDER: &str = "unsealing";
/// Payload bytes of a piece that are restored at a time.
const CHUNK: usize = 1 << 20;

impl SectorStore {
	/// Opens a sealed sector for reading, and computes its key before if it is not there, which takes about as long as
	/// sealing did. Resumes behind the last finished layer after a crash or a cancellation. A key that is there is read
	/// once, to see that it is sound.
	///
	/// Waits while something else is done to the sector, such as [`Self::finish_activation`]. The key stays until
	/// [`Self::remove_key`]. See [`Self::key_space`] for the disk it takes.
	///
	/// # Errors
	/// See [`SealError`].
	pub fn make_key(
		&self,
		number: SectorNumber,
		progress: &mut ProgressFn,
	) -> Result<KeyedSector, SealError> {
		let _reservation = self.reserve_when_free(number);
		if let Some(open) = self.open_unfinished(number)? {
			return Ok(open);
		}
		let manifest = self.sector(number)?;
		let spec = manifest.spec;
		if !matches!(manifest.stage, SectorStage::Sealed { .. }) {
			return Err(SealError::NotSealed(number));
		}
		let folder = self.folder(number).join(FOLDER);
		let mut layers = Layers::open(&folder, &self.incoming(), spec, replica_id(&manifest))?;
		if !layers.is_sound(spec.layers)? {
			let parents = self.parents(&spec, progress)?;
			let mut report = layer_progress(progress, &spec, GRAPH_ENDS, 1.0);
			layers.make_up_to(spec.layers, true, &parents, &mut report)?;
		}
		// Stopping now makes no difference.
		let _ = progress(SealProgress {
			stage: SealStage::Done,
			fraction: 1.0,
		});
		self.open_keyed(&manifest, &Layers::path(&folder, spec.layers))
	}

	/// Opens a sealed sector for reading by the layers that sealing made. `None` once they are given up
	/// ([`Self::finish_activation`]). Waits for nothing.
	///
	/// # Errors
	/// As [`Self::make_key`].
	pub fn open_unfinished(&self, number: SectorNumber) -> Result<Option<KeyedSector>, SealError> {
		let manifest = self.sector(number)?;
		match manifest.stage {
			SectorStage::Sealed {
				activation_finished: false,
				..
			} => {}
			SectorStage::Sealed { .. } => return Ok(None),
			SectorStage::Hot | SectorStage::Sealing => return Err(SealError::NotSealed(number)),
		}
		let key = Layers::path(&self.folder(number).join("layers"), manifest.spec.layers);
		match self.open_keyed(&manifest, &key) {
			Ok(open) => Ok(Some(open)),
			// They are being removed at this moment, or are lost.
			Err(SealError::Data(ProveError::Layer { .. })) => Ok(None),
			Err(error) => Err(error),
		}
	}

	fn open_keyed(&self, manifest: &SectorManifest, key: &Path) -> Result<KeyedSector, SealError> {
		let spec = manifest.spec;
		let folder = self.folder(manifest.sector);
		let replica_path = folder.join("replica");
		let key_file = DataFault::open(key, spec.sector_size()).map_err(|fault| ProveError::Layer {
			path: key.to_owned(),
			fault,
		})?;
		Ok(KeyedSector {
			sector: manifest.sector,
			layout: SectorLayout::new(spec, &manifest.pieces).map_err(StoreError::from)?,
			key: key_file,
			key_path: key.to_owned(),
			replica: ReplicaFile::open(&replica_path, &spec)?,
			replica_path,
			rows: open_rows(&folder.join("replica.rows"), replica::shape(&spec))?,
			decoded: AtomicU64::new(0),
		})
	}

	/// Bytes of disk that [`Self::make_key`] still needs at its peak.
	///
	/// # Errors
	/// As [`Self::sector`].
	pub fn key_space(&self, number: SectorNumber) -> Result<u64, StoreError> {
		let manifest = self.sector(number)?;
		let spec = manifest.spec;
		let finished = matches!(
			manifest.stage,
			SectorStage::Sealed {
				activation_finished: true,
				..
			}
		);
		if !finished {
			return Ok(0);
		}
		let folder = self.folder(number).join(FOLDER);
		let layers = key_space_needed(&spec).saturating_sub(bytes_in(&folder).map_err(store_at(folder))?);
		let parents = ParentsFile::path(&self.graphs(), &spec);
		Ok(match parents.exists() {
			true => layers,
			false => layers + spec.sector_size() / 4 * 7,
		})
	}

	/// Sectors that have a key, or layers on the way to one, and the bytes that these take.
	///
	/// # Errors
	/// [`StoreError::Io`].
	pub fn keys(&self) -> Result<Vec<(SectorNumber, u64)>, StoreError> {
		let mut keys = Vec::new();
		for number in self.sectors()? {
			let folder = self.folder(number).join(FOLDER);
			if folder.exists() {
				let bytes = bytes_in(&folder).map_err(store_at(folder))?;
				keys.push((number, bytes));
			}
		}
		Ok(keys)
	}

	/// Removes a sector's key, and layers on the way to it. An absent one is fine. Whoever has the sector open can read
	/// on; the disk is free when they are done.
	///
	/// # Errors
	/// [`StoreError::Busy`], [`StoreError::Io`].
	pub fn remove_key(&self, number: SectorNumber) -> Result<(), StoreError> {
		let _reservation = self.reserve(number)?;
		let folder = self.folder(number).join(FOLDER);
		remove_folder(&folder).map_err(store_at(folder))
	}

	/// Brings the payload of a piece, by its place among the sector's, back into the store. All of it is decoded and
	/// compared with its commitment. Returns the payload, open at its start: it can be read even if it is removed from
	/// the store at once.
	///
	/// # Errors
	/// See [`SealError`]; [`SealError::Range`] if there is no such piece.
	pub fn restore_piece(&self, sector: &KeyedSector, index: usize) -> Result<File, SealError> {
		let info = *sector.piece(index).ok_or(SealError::Range)?;
		let mut writer = self.begin_piece()?;
		let mut chunk = vec![0; CHUNK];
		let mut offset = 0;
		while offset < info.payload_size {
			let len = (info.payload_size - offset).min(CHUNK as u64);
			// At most `CHUNK`.
			let part = &mut chunk[..len as usize];
			sector.read_payload_at(index, part, offset)?;
			writer.write_all(part).map_err(store_at(self.incoming()))?;
			offset += len;
		}
		let (_, file) = writer.finish_open(Some(&info))?;
		Ok(file)
	}
}

/// Bytes of the files in a folder; 0 if there is none.
fn bytes_in(folder: &Path) -> io::Result<u64> {
	let entries = match fs::read_dir(folder) {
		Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
		other => other?,
	};
	let mut bytes = 0;
	for entry in entries {
		match entry?.metadata() {
			Ok(metadata) => bytes += metadata.len(),
			// Removed since.
			Err(error) if error.kind() == io::ErrorKind::NotFound => {}
			Err(error) => return Err(error),
		}
	}
	Ok(bytes)
}

/// A sealed sector with its key, open for reading. What happens to the names of its files does not matter to it.
///
/// What is read of the replica is compared with the rows of its tree; the key was compared with its checksum when the
/// sector was opened by [`SectorStore::make_key`].
#[derive(Debug)]
pub struct KeyedSector {
	sector: SectorNumber,
	layout: SectorLayout,
	key: File,
	key_path: PathBuf,
	replica: ReplicaFile,
	replica_path: PathBuf,
	rows: Rows,
	decoded: AtomicU64,
}

impl KeyedSector {
	/// The sector's number.
	pub fn sector(&self) -> SectorNumber {
		self.sector
	}

	/// A piece, by its place among the sector's.
	pub fn piece(&self, index: usize) -> Option<&PieceInfo> {
		self.layout.pieces().get(index).map(|piece| &piece.info)
	}

	/// The place of a piece among the sector's.
	pub fn index_of(&self, piece: &PieceInfo) -> Option<usize> {
		self.layout.pieces().iter().position(|held| held.info == *piece)
	}

	/// Bytes of padded data that were decoded so far.
	pub fn decoded(&self) -> u64 {
		self.decoded.load(Ordering::Relaxed)
	}

	/// Reads bytes of a piece's payload from `offset` on, all that `out` has room for. Decodes the groups of 127 bytes
	/// in which they lie.
	///
	/// # Errors
	/// [`SealError::Range`] if the piece has no such bytes; [`SealError::Data`].
	pub fn read_payload_at(&self, index: usize, out: &mut [u8], offset: u64) -> Result<(), SealError> {
		let piece = self.layout.pieces().get(index).ok_or(SealError::Range)?;
		let end = offset.checked_add(out.len() as u64).ok_or(SealError::Range)?;
		if end > piece.info.payload_size {
			return Err(SealError::Range);
		}
		if out.is_empty() {
			return Ok(());
		}
		let start = piece.first_leaf * NODE as u64;
		let (groups, mut skip) = group_range(offset..end);
		let mut written = 0;
		self.decode(start + groups.start..start + groups.end, &mut |padded| {
			let mut payload = vec![0; padded.len() / GROUP_PADDED * GROUP_PAYLOAD];
			// As many groups there as here.
			let _ = unpad(padded, &mut payload);
			let wanted = &payload[skip..];
			let taken = wanted.len().min(out.len() - written);
			out[written..written + taken].copy_from_slice(&wanted[..taken]);
			(written, skip) = (written + taken, 0);
		})
	}

	/// Decodes a range of the sector, whole leaves, and hands it over in parts of whole groups.
	fn decode(&self, range: Range<u64>, take: &mut dyn FnMut(&[u8])) -> Result<(), SealError> {
		let shape = replica::shape(&self.layout.spec());
		let width = (shape.subtree_leaves() * NODE) as u64;
		let mut replica = vec![0u8; width as usize];
		let corrupt = |fault| ProveError::Replica {
			path: self.replica_path.clone(),
			fault,
		};
		for subtree in range.start / width..range.end.div_ceil(width) {
			let first = subtree * width;
			self.replica
				.read_checked(subtree, &self.rows, shape, &mut replica)
				.map_err(corrupt)?;
			let (from, to) = (range.start.max(first), range.end.min(first + width));
			let wanted = &mut replica[(from - first) as usize..(to - first) as usize];
			let mut key = vec![0u8; wanted.len()];
			self.key
				.read_exact_at(&mut key, from)
				.map_err(|error| ProveError::Layer {
					path: self.key_path.clone(),
					fault: DataFault::from_io(error),
				})?;
			decode_leaves(wanted, &key).map_err(|leaf| {
				corrupt(DataFault::Corrupt {
					leaf: from / NODE as u64 + leaf as u64,
				})
			})?;
			self.decoded.fetch_add(wanted.len() as u64, Ordering::Relaxed);
			take(wanted);
		}
		Ok(())
	}
}
