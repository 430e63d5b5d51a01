//! Watches the account's nonce at finalized blocks.

use super::Inner;
use crate::{blocks::FinalizedHeads, BlockRef, ChainError};
use std::sync::Arc;

/// What is known of the finalized chain.
#[derive(Clone, Debug)]
pub(super) enum Head {
	/// Nothing yet.
	Unknown,
	/// The account's nonce after a finalized block.
	At { block: BlockRef, nonce: u32 },
	/// Nothing more will be known.
	Failed(ChainError),
}

/// Publishes the nonce at each finalized block until nothing is in flight.
pub(super) async fn watch(inner: Arc<Inner>) {
	let mut heads = FinalizedHeads::new(inner.client.clone());
	while !inner.ledger.may_stop_watching() {
		let block = match heads.next().await {
			Ok(block) => block,
			Err(e) => return fail(&inner, e),
		};
		match inner.client.rpc().nonce_at(inner.account, block.hash).await {
			Ok(nonce) => {
				inner.heads.send_replace(Head::At { block, nonce });
			}
			Err(e) if e.is_transient() || matches!(e, ChainError::StatePruned { .. }) => {
				tracing::debug!("cannot read the nonce at {block}: {e}");
			}
			Err(e) => return fail(&inner, e),
		}
	}
}

fn fail(inner: &Inner, error: ChainError) {
	tracing::warn!("stopped watching finalized blocks: {error}");
	inner.ledger.watching_failed();
	inner.heads.send_replace(Head::Failed(error));
}
