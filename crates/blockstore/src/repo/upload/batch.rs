//! Writing a batch of an upload's blocks: rows, then chunks.

use super::{Session, Upload, UploadError};
use crate::{
	fault_injection,
	repo::{
		metadata::{self, BlockRow, MetadataError, Tables, Total, Visibility},
		Repo,
	},
	Multihash,
};
use cairn_dag::Block;
use redb::ReadableTable;

impl Upload {
	/// Writes what was added so far, so that its [reader](Self::reader) finds it. Batches are written by themselves;
	/// this is for who must not wait for one to be full.
	///
	/// # Errors
	/// What kept it from being written. The upload cannot go on then.
	pub fn flush(&mut self) -> Result<(), UploadError> {
		self.check_open()?;
		if self.batch.is_empty() {
			return Ok(());
		}
		let batch = std::mem::take(&mut self.batch);
		self.batch_bytes = 0;
		let result = self.write(batch);
		if result.is_err() {
			self.state = Session::Failed;
		}
		result
	}

	fn write(&mut self, mut batch: Vec<Block>) -> Result<(), UploadError> {
		// In the order of the keys, so that neighbours share the database's pages.
		batch.sort_by_cached_key(|block| block.cid().hash().to_bytes());
		batch.dedup_by(|a, b| a.cid().hash() == b.cid().hash());
		loop {
			match self.try_write(&batch) {
				// Without locks: what makes room may have to remove chunks that were locked for this.
				Err(UploadError::Quota(exceeded)) => {
					if !self.repo.make_room(exceeded.needed)? {
						return Err(exceeded.into());
					}
				}
				result => return result,
			}
		}
	}

	fn try_write(&mut self, batch: &[Block]) -> Result<(), UploadError> {
		let repo = self.repo.clone();
		repo.check_disk(batch)?;
		let _writing = repo.writing();
		let _lock = repo
			.inner
			.locks
			.write(batch.iter().map(|block| *block.cid().hash()).collect());
		fault_injection::reached("upload:locked");
		let order = repo.inner.metadata.in_order();
		let mut rows = repo.inner.metadata.write(|tables| self.add_rows(tables, batch))?;
		self.reservation.spend(rows.new_bytes, rows.used_bytes);
		drop(order);
		fault_injection::reached("upload:rows");
		// Here are the right bytes, and perhaps nowhere else: what nobody has read for a year may be damaged.
		let damaged = rows.reused.into_iter().filter(|block| !repo.is_whole(block));
		rows.to_write.extend(damaged);
		let unwritten = rows.hidden.into_iter().filter(|block| !repo.is_written(block));
		rows.to_write.extend(unwritten);
		repo.inner.chunks.put_many(&rows.to_write)?;
		fault_injection::reached("upload:written");
		if !rows.healed.is_empty() {
			repo.set_lost(&rows.healed, false)?;
			fault_injection::reached("upload:healed");
		}
		Ok(())
	}

	/// Adds the batch to the dataset, and tells which chunks have to be written.
	fn add_rows(&mut self, tables: &mut Tables<'_>, batch: &[Block]) -> Result<AddedRows, UploadError> {
		let mut dataset = self.uploading_row(tables)?;
		let mut added = AddedRows::default();
		let mut new_blocks = 0;
		for block in batch {
			let hash = *block.cid().hash();
			let key = hash.to_bytes();
			// A batch that failed is not tried again, so a member's chunk is on disk.
			let member = metadata::member_key(self.number, &key);
			let known = tables
				.members
				.get(member.as_slice())
				.map_err(MetadataError::from)?;
			if known.is_some() {
				continue;
			}
			drop(known);
			// Blocks have at most `MAX_CHUNK_BYTES`.
			let size = u32::try_from(block.data().len()).unwrap_or(u32::MAX);
			dataset.blocks += 1;
			dataset.bytes += u64::from(size);
			let row = match tables.block(&key)? {
				None => {
					added.new_bytes += u64::from(size);
					new_blocks += 1;
					added.to_write.push(block.clone());
					BlockRow {
						size,
						refs: 1,
						lost: false,
					}
				}
				Some(row) => {
					if row.refs == 0 {
						tables.revive(&key, &row)?;
					}
					match tables.visibility(&key)? {
						Visibility::Present(_) => added.reused.push(block.clone()),
						Visibility::Absent if row.refs > 0 && !row.lost => added.hidden.push(block.clone()),
						Visibility::Absent | Visibility::Lost(_) => {
							added.to_write.push(block.clone());
							if row.lost {
								added.healed.push(hash);
							}
						}
					}
					BlockRow {
						refs: row.refs.saturating_add(1),
						..row
					}
				}
			};
			tables
				.blocks
				.insert(key.as_slice(), row.encode())
				.map_err(MetadataError::from)?;
			tables
				.members
				.insert(member.as_slice(), ())
				.map_err(MetadataError::from)?;
		}
		self.reservation.ensure(added.new_bytes)?;
		tables.add(Total::UsedBytes, added.new_bytes)?;
		tables.add(Total::Blocks, new_blocks)?;
		tables.set_dataset(self.number, &dataset)?;
		added.used_bytes = tables.total(Total::UsedBytes)?;
		Ok(added)
	}
}

/// What adding rows came to.
#[derive(Default)]
struct AddedRows {
	/// Bytes of blocks that had no row.
	new_bytes: u64,
	/// Bytes in use with them.
	used_bytes: u64,
	/// Blocks whose chunks are not on disk.
	to_write: Vec<Block>,
	/// Blocks whose chunks are.
	reused: Vec<Block>,
	/// Blocks that only uploads and deleted datasets have: a crash may have come before their chunks.
	hidden: Vec<Block>,
	/// Those of them whose chunks were known to be damaged.
	healed: Vec<Multihash>,
}

impl Repo {
	/// Whether a chunk is on the disk, and what it should be.
	fn is_written(&self, block: &Block) -> bool {
		matches!(self.inner.disk.get(block.cid()), Ok(Some(_)))
	}

	/// The same of a chunk that must be.
	fn is_whole(&self, block: &Block) -> bool {
		match self.inner.disk.get(block.cid()) {
			Ok(Some(_)) => true,
			Ok(None) => {
				tracing::error!(cid = %block.cid(), "a stored block is missing, and is written again");
				false
			}
			Err(error) => {
				tracing::error!(
					cid = %block.cid(),
					error = &error as &dyn std::error::Error,
					"a stored block cannot be read, and is written again"
				);
				false
			}
		}
	}

	/// Refuses a batch that would take the disk's last bytes.
	fn check_disk(&self, batch: &[Block]) -> Result<(), UploadError> {
		let reserve = self.inner.disk_reserve;
		let (Some(folder), true) = (&self.inner.folder, reserve > 0) else {
			return Ok(());
		};
		let needed: u64 = batch.iter().map(|block| block.data().len() as u64).sum();
		let available = match rustix::fs::statvfs(folder) {
			Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
			// A file system that does not tell is used as far as it goes.
			Err(_) => return Ok(()),
		};
		if available < reserve.saturating_add(needed) {
			return Err(UploadError::DiskFull {
				path: folder.clone(),
				available,
				reserve,
			});
		}
		Ok(())
	}
}
