//! The database against the chunk store.

use super::{FsckOptions, FsckReport, Strays, NAMED_DATASETS};
use crate::{
	fault_injection,
	repo::{
		metadata::{
			decode_hash, BlockRow, DatasetRow, DatasetState, MetadataError, Total, Visibility, BLOCKS,
			DATASETS, MEMBERS,
		},
		Repo,
	},
	ChunkError, Cid, Multihash,
};
use cairn_dag::Codec;
use redb::ReadableTable;
use std::{
	collections::HashSet,
	ops::{Bound, ControlFlow},
};

/// Rows or chunks that are looked at before what differs is mended.
const PORTION: usize = 4096;
/// Lost blocks whose datasets are looked for.
const TRACED: usize = 1 << 16;
/// Chunks of a wrong size that are remembered one by one.
const MISFITS: usize = 1 << 20;

impl Repo {
	/// Returns whether sizes of blocks were wrong, and with them the counts of datasets.
	pub(super) fn check_chunks(
		&self,
		options: FsckOptions,
		strays: Strays,
		report: &mut FsckReport,
	) -> Result<bool, MetadataError> {
		let mut misfits = Misfits::Some(HashSet::new());
		let remove = options.mend && strays == Strays::Remove;
		self.compare_listing(remove, &mut misfits, report)?;
		// What cannot be listed may be there all the same, and whole. Who starts a node does not wait until
		// all of it is read; who asks for a check does.
		if report.unfinished && strays == Strays::Remove {
			misfits = Misfits::Many;
		}
		let found = self.compare_rows(options, &misfits, report)?;
		self.trace_lost(&found.lost, report)?;
		Ok(found.resized)
	}

	/// Goes through the chunks: strays are counted, or removed, and sizes compared.
	fn compare_listing(
		&self,
		remove: bool,
		misfits: &mut Misfits,
		report: &mut FsckReport,
	) -> Result<(), MetadataError> {
		let mut strays = Vec::new();
		let mut failed: Option<MetadataError> = None;
		let listed = self.inner.disk.list(&mut |chunk| {
			let row = match self.block_row(&chunk.hash) {
				Ok(row) => row,
				Err(error) => {
					failed = Some(error);
					return ControlFlow::Break(());
				}
			};
			match row {
				None => {
					report.stray_chunks += 1;
					report.stray_bytes += chunk.size;
					if remove {
						strays.push(chunk.hash);
					}
					if strays.len() == PORTION {
						self.remove_strays(&strays, report);
						strays.clear();
					}
				}
				Some(row) if u64::from(row.size) != chunk.size => misfits.insert(chunk.hash),
				Some(_) => {}
			}
			ControlFlow::Continue(())
		});
		if let Some(error) = failed {
			return Err(error);
		}
		if let Err(error) = listed {
			tracing::error!(
				error = &error as &dyn std::error::Error,
				"the chunk store cannot be listed"
			);
			report.unfinished = true;
		}
		self.remove_strays(&strays, report);
		Ok(())
	}

	fn remove_strays(&self, strays: &[Multihash], report: &mut FsckReport) {
		if strays.is_empty() {
			return;
		}
		fault_injection::reached("fsck:strays");
		if self.inner.chunks.delete_many(strays).is_ok() {
			return;
		}
		for stray in strays {
			if let Err(error) = self.inner.chunks.delete_many(std::slice::from_ref(stray)) {
				tracing::warn!(
					error = &error as &dyn std::error::Error,
					"a chunk cannot be removed that no block refers to"
				);
				report.failed_chunks += 1;
			}
		}
	}

	fn block_row(&self, hash: &Multihash) -> Result<Option<BlockRow>, MetadataError> {
		let key = hash.to_bytes();
		self.inner.metadata.read(|snapshot| {
			let blocks = snapshot.open_table(BLOCKS)?;
			let row = blocks.get(key.as_slice())?;
			Ok(row.map(|row| BlockRow::decode(row.value())))
		})
	}

	/// Goes through the rows of blocks: is the chunk there, and is it whole?
	fn compare_rows(
		&self,
		options: FsckOptions,
		misfits: &Misfits,
		report: &mut FsckReport,
	) -> Result<Found, MetadataError> {
		let mut found = Found::default();
		let mut after: Option<Vec<u8>> = None;
		loop {
			let portion = self.rows_after(after.as_deref())?;
			let Some((last, _)) = portion.last() else {
				return Ok(found);
			};
			after = Some(last.clone());
			let mut changed = Vec::new();
			for (key, row) in portion {
				let hash = decode_hash(&key, "blocks")?;
				let suspect = options.verify || row.lost || misfits.contains(&hash);
				let probe = self.probe(&hash, suspect);
				report.failed_chunks += u64::from(matches!(probe, Probe::Failed));
				match (probe, row.lost) {
					(Probe::Whole(size), was_lost) => {
						let size = size.unwrap_or(row.size);
						if was_lost {
							report.recovered_blocks += 1;
						} else if size != row.size {
							report.wrong_blocks += 1;
						}
						found.resized |= size != row.size;
						if was_lost || size != row.size {
							changed.push((key, size, false));
						}
					}
					(Probe::Lost | Probe::Failed, was_lost) => {
						// Blocks that nobody can read may lack their chunk: a collector was cut off, or an
						// upload.
						if self.visibility_of(&hash)? != Visibility::Absent {
							report.lost_blocks += 1;
							if found.lost.len() < TRACED {
								found.lost.insert(key.clone());
							}
							if !was_lost {
								changed.push((key, row.size, true));
							}
						}
					}
				}
			}
			if options.mend && !changed.is_empty() {
				fault_injection::reached("fsck:probed");
				self.inner.metadata.write(|tables| {
					for (key, size, lost) in changed {
						// Looked at again: a deletion may have taken references meanwhile.
						let Some(row) = tables.block(&key)? else {
							continue;
						};
						tables.subtract(Total::UsedBytes, row.size.into())?;
						tables.add(Total::UsedBytes, size.into())?;
						let row = BlockRow { size, lost, ..row };
						tables.blocks.insert(key.as_slice(), row.encode())?;
					}
					Ok::<_, MetadataError>(())
				})?;
			}
		}
	}

	fn rows_after(&self, after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, BlockRow)>, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let blocks = snapshot.open_table(BLOCKS)?;
			let from = after.map_or(Bound::Unbounded, Bound::Excluded);
			let mut rows = Vec::new();
			for entry in blocks.range::<&[u8]>((from, Bound::Unbounded))?.take(PORTION) {
				let (key, value) = entry?;
				rows.push((key.value().to_owned(), BlockRow::decode(value.value())));
			}
			Ok(rows)
		})
	}

	/// Looks for a chunk, and reads it if there is a reason to.
	fn probe(&self, hash: &Multihash, read: bool) -> Probe {
		let cid = Cid::new_v1(Codec::Raw.code(), *hash);
		let found = match read {
			false => self.inner.disk.has(&cid).map(|has| match has {
				true => Probe::Whole(None),
				false => Probe::Lost,
			}),
			true => self.inner.disk.get(&cid).map(|found| match found {
				// A chunk has at most `MAX_CHUNK_BYTES`.
				Some(block) => Probe::Whole(u32::try_from(block.data().len()).ok()),
				None => Probe::Lost,
			}),
		};
		found.unwrap_or_else(|error| match error {
			ChunkError::Damaged { .. } => Probe::Lost,
			error => {
				tracing::warn!(%cid, error = &error as &dyn std::error::Error, "a chunk cannot be read");
				Probe::Failed
			}
		})
	}

	/// Finds the live datasets that have lost blocks.
	fn trace_lost(&self, lost: &HashSet<Vec<u8>>, report: &mut FsckReport) -> Result<(), MetadataError> {
		if lost.is_empty() {
			return Ok(());
		}
		self.inner.metadata.read(|snapshot| {
			let datasets = snapshot.open_table(DATASETS)?;
			for entry in snapshot.open_table(MEMBERS)?.iter()? {
				let (key, _) = entry?;
				let Some((number, hash)) = key.value().split_first_chunk::<8>() else {
					continue;
				};
				if !lost.contains(hash) {
					continue;
				}
				if let Some(row) = datasets.get(u64::from_be_bytes(*number))? {
					let row = DatasetRow::decode(row.value())?;
					if row.state == DatasetState::Live {
						name_damaged(report, row.root);
					}
				}
			}
			Ok(())
		})
	}
}

/// Blocks whose chunk does not have the size it should.
enum Misfits {
	/// These.
	Some(HashSet<Multihash>),
	/// So many that every chunk is suspect.
	Many,
}

impl Misfits {
	fn insert(&mut self, hash: Multihash) {
		if let Self::Some(hashes) = self {
			hashes.insert(hash);
			if hashes.len() > MISFITS {
				*self = Self::Many;
			}
		}
	}

	fn contains(&self, hash: &Multihash) -> bool {
		match self {
			Self::Some(hashes) => hashes.contains(hash),
			Self::Many => true,
		}
	}
}

/// What the rows did not say.
#[derive(Default)]
struct Found {
	/// Blocks whose chunk is missing or damaged, not all of them if they are very many.
	lost: HashSet<Vec<u8>>,
	/// Sizes were wrong.
	resized: bool,
}

/// What became of a chunk.
enum Probe {
	/// It is there; with its size if it was read.
	Whole(Option<u32>),
	/// It is missing or damaged.
	Lost,
	/// The store fails to read it.
	Failed,
}

/// Notes a live dataset that has lost blocks.
pub(super) fn name_damaged(report: &mut FsckReport, root: Option<Cid>) {
	if let Some(root) = root {
		// Members come dataset by dataset.
		let known = report.damaged_datasets.last() == Some(&root);
		if !known && report.damaged_datasets.len() < NAMED_DATASETS {
			report.damaged_datasets.push(root);
		}
	}
}
