//! Archives that are taken apart: salvaged, split and joined.

use crate::{archive, input::Input, Seed};
use cairn_car::{
	join, salvage,
	split::{Part, PartSink},
	verify, CarFile, CarReader, IndexCheck, IndexFormat, JoinOptions, ReadOptions, SalvageOptions,
	SplitOptions, SplitStrategy, VerifyOptions,
};
use cairn_dag::{hash::IDENTITY, Block};
use std::{
	collections::HashSet,
	io::{self, Cursor},
};

/// Salvages an archive: everything that reads as a block is kept, and the new archive is sound.
pub fn car_salvage(data: &[u8]) {
	let read: Vec<Block> = match CarReader::new(data) {
		Ok(reader) => reader.map_while(Result::ok).collect(),
		Err(_) => Vec::new(),
	};
	let mut out = Cursor::new(Vec::new());
	let salvaged = salvage(data, &mut out, &SalvageOptions::default()).expect("memory takes every byte");
	assert!(salvaged.lost_bytes <= data.len() as u64);
	let archive = out.into_inner();
	let kept = sound(&archive);
	let kept_set: HashSet<&Block> = kept.iter().collect();
	for block in &read {
		assert!(
			block.cid().hash().code() == IDENTITY || kept_set.contains(block),
			"a block is read and not salvaged"
		);
	}
	let mut out = Cursor::new(Vec::new());
	let again = salvage(&archive, &mut out, &SalvageOptions::default()).expect("memory takes every byte");
	assert_eq!((again.roots, again.lost_ranges), (salvaged.roots, 0));
	assert_eq!(sound(&out.into_inner()), kept, "salvaging twice differs");
}

/// The blocks of an archive in which everything but the roots must be right.
fn sound(archive: &[u8]) -> Vec<Block> {
	let options = VerifyOptions {
		roots: false,
		..VerifyOptions::default()
	};
	let verified = verify(archive, &options).expect("a new archive is sound");
	assert_eq!(verified.index, IndexCheck::Matches(IndexFormat::MultihashSorted));
	let reader = CarReader::new(archive).expect("a new archive has a header");
	reader
		.map(|block| block.expect("a new archive's blocks match"))
		.collect()
}

/// Parts in memory.
#[derive(Default)]
struct Parts(Vec<Vec<u8>>);

impl PartSink for Parts {
	type Out = Vec<u8>;

	fn begin(&mut self, _: u64) -> io::Result<Vec<u8>> {
		Ok(Vec::new())
	}

	fn finish(&mut self, out: Vec<u8>, part: &Part) -> io::Result<()> {
		assert_eq!(part.size, out.len() as u64);
		self.0.push(out);
		Ok(())
	}
}

/// Splits an archive and joins the parts: nothing is lost, and no part is too large.
pub fn car_split(data: &[u8]) {
	let mut input = Input::new(data);
	let flags = input.byte();
	let max_size = u64::from(input.byte()) << 8;
	let archive = input.rest();
	let Ok(file) = CarFile::new(archive, ReadOptions::default()) else {
		return;
	};
	let options = SplitOptions {
		strategy: if flags & 1 == 0 {
			SplitStrategy::Treewalk
		} else {
			SplitStrategy::Simple
		},
		max_parts: 32,
		..SplitOptions::new(max_size)
	};
	let mut parts = Parts::default();
	let Ok(split) = cairn_car::split(&file, &options, &mut parts) else {
		return;
	};
	assert_eq!(split.parts.len(), parts.0.len());
	assert!(parts.0.iter().all(|part| part.len() as u64 <= max_size));
	let mut out = Cursor::new(Vec::new());
	let readers = parts.0.iter().map(|part| Ok(&part[..]));
	let Ok(joined) = join(readers, &mut out, &JoinOptions::default()) else {
		// Parts of an archive whose only root is that of parts without one cannot be told apart.
		assert!(file.roots().iter().any(|root| root.hash().code() == IDENTITY));
		return;
	};
	assert_eq!(joined.roots, file.roots());
	// The same block may stand under several CIDs.
	let held: HashSet<Vec<u8>> = sound(&out.into_inner())
		.iter()
		.map(|block| block.data().to_vec())
		.collect();
	for head in file.sections() {
		let head = head.expect("a split archive has sections");
		// A repeated section may be damaged where another one is not.
		if let (Ok(block), true) = (file.read(&head), head.cid.hash().code() != IDENTITY) {
			assert!(held.contains(block.data()), "a block is lost");
		}
	}
}

/// Seeds of [`car_salvage`].
pub(crate) fn salvage_seeds() -> Vec<Seed> {
	let v1 = archive::v1();
	let v2 = archive::v2(IndexFormat::MultihashSorted);
	let mut headless = v2.clone();
	headless[..110].fill(0);
	let mut holed = v1.clone();
	let middle = holed.len() / 2;
	holed[middle..middle + 8].fill(0);
	vec![
		("v1", v1.clone()),
		("v1-cut", v1[..v1.len() - 3].to_vec()),
		("v1-holed", holed),
		("v2", v2),
		("v2-headless", headless),
	]
}

/// Seeds of [`car_split`].
pub(crate) fn split_seeds() -> Vec<Seed> {
	let seed = |flags: u8, size: u8, archive: &[u8]| [&[flags, size], archive].concat();
	vec![
		("treewalk-v1", seed(0, 1, &archive::v1())),
		("treewalk-v2", seed(0, 255, &archive::v2(IndexFormat::Sorted))),
		("simple-v1", seed(1, 1, &archive::v1())),
		(
			"simple-v2",
			seed(1, 255, &archive::v2(IndexFormat::MultihashSorted)),
		),
	]
}
