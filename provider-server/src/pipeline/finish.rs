//! Active sealed sectors → what only their activation needed is removed: layers and column tree, many
//! times the sector's size.
//!
//! That they are still there is part of the sector's state from the moment at which it is active. A kill,
//! or a failure (a reader's piece is being unsealed with the layers' help, the disk fails), delays their
//! removal and does not forget it.

use super::{Context, JobError};
use crate::{
	fault_injection,
	sector::{SectorEvent, SectorState},
};
use cairn_primitives::{BlockNumber, SectorNumber};
use cairn_proving::StoreError as SectorStoreError;

/// Active sectors whose layers are to be removed now.
async fn due(context: &Context, now: BlockNumber) -> Result<Vec<SectorNumber>, JobError> {
	let sectors = context.store.run(|store| store.open_sectors()).await?;
	Ok(sectors
		.into_iter()
		.filter(|sector| {
			matches!(
				sector.state,
				SectorState::Active {
					layers_kept: true,
					..
				}
			) && sector.backoff.is_over(now)
		})
		.map(|sector| sector.number)
		.collect())
}

/// Whether there are layers to remove.
pub(super) async fn is_due(context: &Context, now: BlockNumber) -> Result<bool, JobError> {
	Ok(!due(context, now).await?.is_empty())
}

/// Removes the layers of active sectors.
pub(super) async fn run(context: Context, now: BlockNumber) -> Result<(), JobError> {
	for number in due(&context, now).await? {
		fault_injection::reached("finish:due");
		let outcome = context
			.blocking(move |provider| provider.sectors.finish_activation(number))
			.await?;
		let failure = match outcome {
			// Of a sector that is lost there are no layers either.
			Ok(()) | Err(SectorStoreError::NoSuchSector(_)) => None,
			Err(error) => {
				tracing::warn!(sector = number, %error, "the layers of an active sector could not be removed");
				Some(error.to_string())
			}
		};
		context
			.store
			.run(move |store| {
				store.update_sector(number, |sector| {
					match failure {
						None => sector.apply(SectorEvent::LayersRemoved)?,
						Some(cause) => sector.backoff.delay(now, cause),
					}
					Ok(Vec::new())
				})
			})
			.await?;
	}
	Ok(())
}
