//! The archive of an object that is being stored: packed once, kept while an upload may need it.

use super::{packing, storing::Storing};
use crate::{
	error::{CliError, ErrorKind},
	record::Content,
};
use cairn_car::PackOptions;
use cairn_provider_api::Hash32;
use indicatif::HumanBytes;
use std::path::PathBuf;

impl Storing<'_> {
	/// Where the archive and its unfinished forerunners are. No other object's are there.
	fn archive_folder(&self) -> PathBuf {
		let cache = &self.context.settings.cache_dir.value;
		cache.join("put").join(&self.record.id)
	}

	/// Deletes what was packed. A file that is left over in the cache folder costs space, not correctness.
	pub(super) fn remove_archives(&self) {
		let content = self.record.content.as_ref();
		if let Some(archive) = content.and_then(|content| content.archive.as_ref()) {
			let _ = std::fs::remove_file(archive);
		}
		let _ = std::fs::remove_dir_all(self.archive_folder());
	}

	/// Whether the archive that the record names is there. The first time it is hashed: a provider would
	/// refuse a damaged one, and a deal be lost.
	async fn has_archive(&mut self) -> Result<bool, CliError> {
		let Some(content) = &self.record.content else {
			return Ok(false);
		};
		let Some(archive) = &content.archive else {
			return Ok(false);
		};
		let size = std::fs::metadata(archive).map_or(0, |metadata| metadata.len());
		if size != content.payload_size {
			return Ok(false);
		}
		if !self.archive_checked {
			self.archive_checked = packing::piece_of(archive, &self.progress).await? == content.piece();
		}
		Ok(self.archive_checked)
	}

	/// Packs the object, unless its archive is there.
	pub(super) async fn ensure_archive(&mut self) -> Result<(), CliError> {
		if self.has_archive().await? {
			return Ok(());
		}
		// What a killed process left in the middle of packing.
		self.remove_archives();
		let archive = self.archive_folder().join("archive.car");
		let packing = self.record.wanted.packing;
		let mut options = PackOptions {
			wrap: packing.wrap,
			..PackOptions::default()
		};
		options.import.hidden = packing.hidden;
		let packed = packing::pack(&self.record.sources, &archive, options, &self.progress).await?;
		let piece = packing::piece_of(&archive, &self.progress).await?;
		self.archive_checked = true;
		let content = Content {
			root: packed.root.to_string(),
			size: packed.content_size,
			commitment: Hash32(piece.commitment),
			size_log2: piece.size_log2,
			payload_size: piece.payload_size,
			archive: Some(archive),
		};
		let before = self.record.content.as_ref();
		if !self.record.deals.is_empty() && before.is_some_and(|before| before.piece() != piece) {
			return Err(CliError::new(
				ErrorKind::Verification,
				format!("{} has changed since its deals were signed", self.record.name()),
			)
			.hint("--again stores it as it is now"));
		}
		self.context.output.note(format!(
			"{} packed: {} in {} blocks, root {}",
			self.record.name(),
			HumanBytes(packed.content_size),
			packed.blocks,
			packed.root
		));
		self.record.content = Some(content);
		self.save()
	}

	/// Deletes the archive once nothing needs it.
	pub(super) fn drop_archive(&mut self) -> Result<(), CliError> {
		if self.record.needs_archive() {
			return Ok(());
		}
		self.remove_archives();
		if let Some(content) = &mut self.record.content {
			content.archive = None;
		}
		self.save()
	}
}
