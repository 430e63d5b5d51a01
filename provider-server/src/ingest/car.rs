//! Checking and indexing the CAR in a piece.

use crate::store::{Store, StoreError};
use cairn_car::{CarReader, ReadError, ReadOptions, Version};
use cairn_primitives::PieceInfo;
use cid::Cid;
use std::{
	fs::File,
	io::{self, Read},
	os::unix::fs::FileExt,
};

/// Read-ahead in bytes.
const BUFFER: usize = 1 << 20;
/// Multihash code of CIDs that carry their block.
const IDENTITY: u64 = 0;
/// Where a CARv2 says at which byte its CARv1 payload begins: behind the pragma (11 bytes) and the
/// characteristics (16).
const V2_DATA_OFFSET_AT: u64 = 27;

/// Why a payload is not the CAR that its deal describes.
#[derive(Debug, thiserror::Error)]
pub enum CarFault {
	/// Not a CAR, or a block that does not match its CID.
	#[error("the payload is not a valid CAR: {0}")]
	Invalid(#[source] ReadError),
	/// The header does not list the deal's root.
	#[error("the CAR's header does not list the deal's root {0}")]
	RootNotListed(Cid),
	/// The root's block is not in the CAR.
	#[error("the CAR does not contain the block of the deal's root {0}")]
	RootMissing(Cid),
	/// The file cannot be read.
	#[error("the payload cannot be read: {0}")]
	Io(#[from] io::Error),
	/// The index cannot be written.
	#[error(transparent)]
	Store(#[from] StoreError),
}

/// A file read from its start, whatever its cursor says: several threads may read one file.
struct Positioned<'a> {
	file: &'a File,
	position: u64,
}

impl Read for Positioned<'_> {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		let read = self.file.read_at(buffer, self.position)?;
		self.position += read as u64;
		Ok(read)
	}
}

fn reader(file: &File, verify: bool) -> Result<CarReader<impl Read + '_>, CarFault> {
	let buffered = io::BufReader::with_capacity(BUFFER, Positioned { file, position: 0 });
	CarReader::with_options(
		buffered,
		ReadOptions {
			verify,
			..ReadOptions::default()
		},
	)
	.map_err(CarFault::from_read)
}

impl CarFault {
	fn from_read(error: ReadError) -> Self {
		match error {
			ReadError::Io(error) => CarFault::Io(error),
			error => CarFault::Invalid(error),
		}
	}
}

/// Checks that the file is a CAR whose every block matches its CID, and which lists and holds
/// `root`. Gives the number of blocks.
///
/// # Errors
/// See [`CarFault`].
pub fn check_car(file: &File, root: &Cid) -> Result<u64, CarFault> {
	let mut car = reader(file, true)?;
	if !car.roots().contains(root) {
		return Err(CarFault::RootNotListed(*root));
	}
	let mut root_seen = root.hash().code() == IDENTITY;
	let mut blocks = 0;
	while let Some(block) = car.next_block().map_err(CarFault::from_read)? {
		root_seen |= block.cid() == root;
		blocks += 1;
	}
	if root_seen {
		Ok(blocks)
	} else {
		Err(CarFault::RootMissing(*root))
	}
}

/// Adds the blocks of a checked CAR to the index.
///
/// # Errors
/// See [`CarFault`].
pub fn index_car(store: &Store, file: &File, piece: &PieceInfo) -> Result<(), CarFault> {
	let mut car = reader(file, false)?;
	let start = payload_start(file, car.version())?;
	let mut batch = store.index_piece(*piece);
	while let Some(section) = car.next_section().map_err(CarFault::from_read)? {
		let cid = section.block.cid();
		if cid.hash().code() == IDENTITY {
			continue;
		}
		let len = section.block.data().len();
		// The block is the section's end.
		let offset = start + section.offset + section.len - len as u64;
		// Sections are limited to far less than 4 GiB.
		batch.add(&cid.hash().to_bytes(), offset, len as u32)?;
	}
	batch.finish()?;
	Ok(())
}

/// First byte of the sections that offsets count from.
fn payload_start(file: &File, version: Version) -> io::Result<u64> {
	match version {
		Version::V2 => {
			let mut offset = [0; 8];
			file.read_exact_at(&mut offset, V2_DATA_OFFSET_AT)?;
			Ok(u64::from_le_bytes(offset))
		}
		_ => Ok(0),
	}
}

/// Multihashes of the blocks in a CAR, up to its end or to where it cannot be read.
///
/// # Errors
/// [`CarFault::Invalid`] and [`CarFault::Io`]; also as an item.
pub fn blocks_of(file: &File) -> Result<impl Iterator<Item = Result<Vec<u8>, CarFault>> + '_, CarFault> {
	let mut car = reader(file, false)?;
	Ok(std::iter::from_fn(move || {
		let block = car.next_block().transpose()?;
		Some(
			block
				.map(|block| block.cid().hash().to_bytes())
				.map_err(CarFault::from_read),
		)
	}))
}

#[cfg(test)]
pub(crate) mod tests {
	use super::*;
	use cairn_car::CarWriter;
	use cairn_dag::{Block, Codec};
	use std::io::Write;

	/// A CAR of raw blocks; the first is the root.
	pub fn car(contents: &[&[u8]]) -> (Vec<u8>, Vec<Cid>) {
		let blocks: Vec<_> = contents
			.iter()
			.map(|data| Block::encode(Codec::Raw, data.to_vec()))
			.collect();
		let cids: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
		let mut writer = CarWriter::new(Vec::new(), &cids[..1]).unwrap();
		for block in &blocks {
			writer.put(block).unwrap();
		}
		(writer.finish().unwrap().0, cids)
	}

	fn file(bytes: &[u8]) -> File {
		let mut file = tempfile::tempfile().unwrap();
		file.write_all(bytes).unwrap();
		file
	}

	#[test]
	fn good_cars_pass_and_are_indexed_in_place() {
		let (bytes, cids) = car(&[b"root", b"second block", b""]);
		let file = file(&bytes);
		assert_eq!(check_car(&file, &cids[0]).unwrap(), 3);
		let (store, _dir) = crate::store::tests::store();
		let piece = PieceInfo {
			commitment: [1; 32],
			size_log2: 11,
			payload_size: bytes.len() as u64,
		};
		index_car(&store, &file, &piece).unwrap();
		for (cid, data) in cids.iter().zip([&b"root"[..], b"second block", b""]) {
			let place = store.block_locations(&cid.hash().to_bytes(), 1).unwrap()[0];
			assert_eq!(&bytes[place.offset as usize..][..place.len as usize], data);
		}
		store
			.unindex_blocks(&piece, &mut blocks_of(&file).unwrap().map(Result::unwrap))
			.unwrap();
		assert!(store
			.block_locations(&cids[1].hash().to_bytes(), 1)
			.unwrap()
			.is_empty());
	}

	#[test]
	fn roots_must_be_listed_and_present() {
		let (bytes, cids) = car(&[b"root", b"second"]);
		assert!(matches!(
			check_car(&file(&bytes), &cids[1]),
			Err(CarFault::RootNotListed(_))
		));
		let writer = CarWriter::new(Vec::new(), &cids[..1]).unwrap();
		let (empty, _) = writer.finish().unwrap();
		assert!(matches!(
			check_car(&file(&empty), &cids[0]),
			Err(CarFault::RootMissing(_))
		));
	}

	#[test]
	fn garbage_is_no_car() {
		let (bytes, cids) = car(&[b"root", b"second block"]);
		let mut flipped = bytes.clone();
		*flipped.last_mut().unwrap() ^= 1;
		for bad in [
			&flipped[..],
			&bytes[..bytes.len() - 1],
			&[],
			&[0xff; 100],
			b"hello, world",
		] {
			assert!(
				matches!(check_car(&file(bad), &cids[0]), Err(CarFault::Invalid(_))),
				"{bad:?}"
			);
		}
	}
}
