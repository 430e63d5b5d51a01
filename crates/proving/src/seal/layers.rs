//! Layers on disk, and what is needed to trust one after a crash.
//!
//! A folder holds the layers of one replica and `layers.json`, which names the replica and the
//! checksum of each finished layer. A layer is taken over only if the replica is the same and its
//! bytes have that checksum.
#![allow(unsafe_code)]

use super::{
	at, checksum,
	labels::{label_layer, LayerInputs},
	parents::ParentsFile,
	Part, SealError,
};
use crate::{
	durable,
	manifest::{Hex32, SpecRecord},
};
use cairn_primitives::ProofSpec;
use memmap2::{Mmap, MmapMut};
use rustix::fs::{fallocate, FallocateFlags};
use serde::{Deserialize, Serialize};
use std::{
	collections::BTreeMap,
	fs::{self, File},
	io::{self, Write},
	path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Largest layer that is computed in ordinary memory. Larger ones are memory-mapped files, which the
/// kernel writes back as it sees fit.
const MAX_IN_MEMORY: u64 = 1 << 30;

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
struct Record {
	spec: SpecRecord,
	replica_id: Hex32,
	/// Checksums of finished layers.
	checksums: BTreeMap<u8, Hex32>,
}

/// The layers of one replica.
pub(crate) struct Layers {
	folder: PathBuf,
	incoming: PathBuf,
	spec: ProofSpec,
	record: Record,
}

impl Layers {
	/// Opens the folder, empties it if it belongs to another replica, or creates it.
	pub fn open(
		folder: &Path,
		incoming: &Path,
		spec: ProofSpec,
		replica_id: [u8; 32],
	) -> Result<Self, SealError> {
		let path = folder.join("layers.json");
		let empty = Record {
			spec: spec.into(),
			replica_id: Hex32(replica_id),
			checksums: BTreeMap::new(),
		};
		let found = match fs::read(&path) {
			Ok(bytes) => serde_json::from_slice::<Record>(&bytes)
				.ok()
				.filter(|found| found.spec == empty.spec && found.replica_id == empty.replica_id),
			Err(e) if e.kind() == io::ErrorKind::NotFound => None,
			Err(e) => return Err(at(path)(e)),
		};
		let record = match found {
			Some(record) => record,
			None => {
				remove_folder(folder).map_err(at(folder))?;
				durable::create_dir(folder).map_err(at(folder))?;
				empty
			}
		};
		Ok(Layers {
			folder: folder.to_owned(),
			incoming: incoming.to_owned(),
			spec,
			record,
		})
	}

	/// The file of a layer.
	pub fn path(folder: &Path, layer: u8) -> PathBuf {
		folder.join(format!("layer-{layer:02}"))
	}

	/// Computes what is missing of layers 1 to `last`, resuming behind what is there. With
	/// `only_last`, a layer is removed once the one above it is finished.
	pub fn make_up_to(
		&mut self,
		last: u8,
		only_last: bool,
		parents: &ParentsFile,
		progress: &mut dyn FnMut(u8, u64) -> Result<(), SealError>,
	) -> Result<(), SealError> {
		let mut next = 1;
		if only_last {
			// The highest sound layer replaces all below it.
			for layer in (1..=last).rev() {
				if self.is_sound(layer)? {
					next = layer + 1;
					// A kill may have left some of them.
					(1..layer).try_for_each(|below| self.remove(below))?;
					break;
				}
			}
		}
		for layer in next..=last {
			progress(layer, 0)?;
			if only_last || !self.is_sound(layer)? {
				self.make(layer, parents, &mut |node| progress(layer, node))?;
			}
			if only_last && layer > 1 {
				self.remove(layer - 1)?;
			}
		}
		Ok(())
	}

	/// Whether a layer is finished and its file intact. Reads all of it.
	pub fn is_sound(&self, layer: u8) -> Result<bool, SealError> {
		let Some(expected) = self.record.checksums.get(&layer) else {
			return Ok(false);
		};
		let path = Self::path(&self.folder, layer);
		let len = self.spec.sector_size();
		let file = match File::open(&path) {
			Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
			other => other.map_err(at(&path))?,
		};
		if file.metadata().map_err(at(&path))?.len() != len {
			return Ok(false);
		}
		Ok(checksum::checksum_of_file(&file, len).map_err(at(&path))? == expected.0)
	}

	fn make(
		&mut self,
		layer: u8,
		parents: &ParentsFile,
		report: &mut dyn FnMut(u64) -> Result<(), SealError>,
	) -> Result<(), SealError> {
		let path = Self::path(&self.folder, layer);
		let mut buffer = LayerBuffer::new(&self.incoming, self.spec.sector_size()).map_err(at(&path))?;
		self.compute(layer, parents, buffer.bytes(), report)?;
		let sum = checksum::checksum(buffer.bytes());
		buffer.persist(&self.incoming, &path).map_err(at(&path))?;
		self.record.checksums.insert(layer, Hex32(sum));
		self.save()
	}

	/// Computes the first labels of `layer` into `labels`. The layer below must be finished.
	pub fn compute(
		&self,
		layer: u8,
		parents: &ParentsFile,
		labels: &mut [u8],
		report: &mut dyn FnMut(u64) -> Result<(), SealError>,
	) -> Result<(), SealError> {
		let below = if layer > 1 {
			Some(self.map(layer - 1)?)
		} else {
			None
		};
		let inputs = LayerInputs {
			parents,
			replica_id: self.record.replica_id.0,
			layer: layer.into(),
			below: below.as_deref().unwrap_or_default(),
		};
		label_layer(&inputs, labels, report)
	}

	/// A finished layer, mapped for reading.
	pub fn map(&self, layer: u8) -> Result<Mmap, SealError> {
		let path = Self::path(&self.folder, layer);
		map(&path, self.spec.sector_size()).map_err(at(&path))
	}

	fn remove(&mut self, layer: u8) -> Result<(), SealError> {
		if self.record.checksums.remove(&layer).is_some() {
			self.save()?;
		}
		let path = Self::path(&self.folder, layer);
		durable::remove(&path).map_err(at(&path))
	}

	fn save(&self) -> Result<(), SealError> {
		let path = self.folder.join("layers.json");
		let bytes = serde_json::to_vec_pretty(&self.record).map_err(|e| at(&path)(e.into()))?;
		durable::write(&self.incoming, &path, &bytes).map_err(at(&path))
	}
}

/// Maps a file of `len` bytes.
pub(crate) fn map(path: &Path, len: u64) -> io::Result<Mmap> {
	let file = File::open(path)?;
	if file.metadata()?.len() != len {
		return Err(io::Error::new(
			io::ErrorKind::UnexpectedEof,
			"the file has another length",
		));
	}
	// SAFETY: the store holds a lock against other processes, files are complete before they get
	// their name, and a sector that is being worked on is not removed.
	unsafe { Mmap::map(&file) }
}

/// Removes a folder and what is in it; an absent one is fine.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
	match fs::remove_dir_all(folder) {
		Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
		other => other,
	}
}

/// A layer being computed.
enum LayerBuffer {
	Memory(Vec<u8>),
	Mapped { temp: NamedTempFile, map: MmapMut },
}

impl LayerBuffer {
	fn new(incoming: &Path, len: u64) -> io::Result<Self> {
		if len <= MAX_IN_MEMORY {
			return Ok(LayerBuffer::Memory(vec![0; len as usize]));
		}
		Self::mapped(incoming, len)
	}

	fn mapped(incoming: &Path, len: u64) -> io::Result<Self> {
		let temp = NamedTempFile::new_in(incoming)?;
		// Reserves the blocks: a write into a mapped hole on a full disk would kill the process.
		match fallocate(temp.as_file(), FallocateFlags::empty(), 0, len) {
			Err(rustix::io::Errno::OPNOTSUPP) => temp.as_file().set_len(len)?,
			other => other?,
		}
		// SAFETY: the file is new and nobody else knows its name.
		let map = unsafe { MmapMut::map_mut(temp.as_file())? };
		Ok(LayerBuffer::Mapped { temp, map })
	}

	fn bytes(&mut self) -> &mut [u8] {
		match self {
			LayerBuffer::Memory(bytes) => bytes,
			LayerBuffer::Mapped { map, .. } => map,
		}
	}

	fn persist(self, incoming: &Path, target: &Path) -> io::Result<()> {
		match self {
			LayerBuffer::Memory(bytes) => {
				let mut temp = NamedTempFile::new_in(incoming)?;
				for chunk in bytes.chunks(8 << 20) {
					temp.write_all(chunk)?;
				}
				durable::persist(temp, target)
			}
			LayerBuffer::Mapped { temp, map } => {
				map.flush()?;
				drop(map);
				durable::persist(temp, target)
			}
		}
	}
}

/// Progress of layers as that of one part.
pub(crate) fn layer_progress<'p, 'f>(
	progress: &'p mut super::ProgressFn<'f>,
	spec: &ProofSpec,
	from: f64,
	to: f64,
) -> impl FnMut(u8, u64) -> Result<(), SealError> + use<'p, 'f> {
	let (layers, nodes) = (spec.layers, spec.leaves());
	move |layer, node| {
		let boundary = |layers_done: u8| from + (to - from) / f64::from(layers) * f64::from(layers_done);
		let stage = super::SealStage::Labels { layer, layers };
		Part {
			progress,
			stage,
			from: boundary(layer - 1),
			to: boundary(layer),
		}
		.report(node, nodes)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// Both ways of holding a layer give the same file.
	#[test]
	fn memory_and_mapping_persist_alike() {
		let dir = tempfile::tempdir().unwrap();
		for (name, mut buffer) in [
			("memory", LayerBuffer::new(dir.path(), 4096).unwrap()),
			("mapped", LayerBuffer::mapped(dir.path(), 4096).unwrap()),
		] {
			for (i, byte) in buffer.bytes().iter_mut().enumerate() {
				*byte = i as u8;
			}
			let target = dir.path().join(name);
			buffer.persist(dir.path(), &target).unwrap();
			assert_eq!(
				fs::read(target).unwrap(),
				(0..4096).map(|i| i as u8).collect::<Vec<_>>()
			);
		}
	}
}
