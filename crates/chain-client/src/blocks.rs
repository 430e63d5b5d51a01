//! Streams of finalized blocks.

use crate::{
	rpc::{block_ref, Header},
	BlockRef, ChainClient, ChainError,
};
use cairn_primitives::BlockNumber;
use futures::{stream, Stream};
use std::time::Duration;
use subxt_rpcs::client::RpcSubscription;

/// Pause before a broken subscription is made again.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_millis(500);
/// Silence after which the node is asked instead of waited for.
const STALL: Duration = Duration::from_secs(30);

/// The node's latest finalized block, each time it changes. Blocks may be left out.
pub(crate) struct FinalizedHeads {
	client: ChainClient,
	subscription: Option<RpcSubscription<Header>>,
	/// Subscriptions made so far.
	subscriptions: u64,
}

impl FinalizedHeads {
	pub fn new(client: ChainClient) -> Self {
		FinalizedHeads {
			client,
			subscription: None,
			subscriptions: 0,
		}
	}

	/// Waits for the next one, through lost connections. Cancel safe.
	///
	/// # Errors
	/// [`ChainError::ChainReplaced`], and refusals of the node.
	pub async fn next(&mut self) -> Result<BlockRef, ChainError> {
		let rpc = self.client.rpc();
		loop {
			let subscription = match &mut self.subscription {
				Some(subscription) => subscription,
				None => {
					let subscribed = match rpc.verify_genesis().await {
						Ok(()) => rpc.finalized_headers().await,
						Err(e) => Err(e),
					};
					match subscribed {
						Ok(subscription) => {
							self.subscriptions += 1;
							self.subscription.insert(subscription)
						}
						Err(e) if e.is_transient() => {
							tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
							continue;
						}
						Err(e) => return Err(e),
					}
				}
			};
			match tokio::time::timeout(STALL, subscription.next()).await {
				Ok(Some(Ok(header))) => return block_ref(&header),
				Ok(Some(Err(e))) => {
					tracing::debug!("subscription to finalized blocks broke: {e}");
					self.subscription = None;
					tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
				}
				Ok(None) => {
					self.subscription = None;
					tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
				}
				// Some proxies drop subscriptions without a word.
				Err(_) => match rpc.finalized().await {
					Ok(head) => return Ok(head),
					Err(e) if e.is_transient() => self.subscription = None,
					Err(e) => return Err(e),
				},
			}
		}
	}
}

/// Every finalized block once, in order, without a gap, also across lost connections.
pub struct FinalizedBlocks {
	client: ChainClient,
	heads: FinalizedHeads,
	/// Number of the next block to return. `None`: the first head that is seen.
	next: Option<BlockNumber>,
	/// Latest finalized block known.
	head: Option<BlockRef>,
	/// Last block returned.
	last: Option<BlockRef>,
	/// Whether `last` was compared with the chain since the subscription was made.
	verified: bool,
	/// Subscriptions made when that was last looked at.
	subscriptions: u64,
}

impl FinalizedBlocks {
	pub(crate) fn new(client: ChainClient, first: Option<BlockNumber>) -> Self {
		FinalizedBlocks {
			heads: FinalizedHeads::new(client.clone()),
			client,
			next: first,
			head: None,
			last: None,
			verified: true,
			subscriptions: 0,
		}
	}

	/// Waits for the next block. Waits as long as the node is unreachable. Cancel safe.
	///
	/// # Errors
	/// [`ChainError::ChainReplaced`] if the node now serves a chain without the last block returned;
	/// refusals of the node.
	pub async fn next(&mut self) -> Result<BlockRef, ChainError> {
		loop {
			match (self.next, self.head) {
				(None, Some(head)) => self.next = Some(head.number),
				(Some(next), Some(head)) if next <= head.number => {
					if let Some(block) = self.take(next, head).await? {
						return Ok(block);
					}
				}
				_ => self.advance().await?,
			}
		}
	}

	/// Waits for a newer head.
	async fn advance(&mut self) -> Result<(), ChainError> {
		let head = self.heads.next().await?;
		if self.subscriptions != self.heads.subscriptions {
			// It may be another node that lags behind, or a chain that was started anew.
			self.subscriptions = self.heads.subscriptions;
			self.verified = false;
		}
		self.head = Some(head);
		Ok(())
	}

	/// Block number `next`, which the node has finalized.
	async fn take(&mut self, next: BlockNumber, head: BlockRef) -> Result<Option<BlockRef>, ChainError> {
		let rpc = self.client.rpc();
		if let (false, Some(last)) = (self.verified, self.last) {
			match rpc.block_hash(last.number).await {
				Ok(Some(hash)) if hash != last.hash => return Err(rpc.replaced(last.hash, hash)),
				Ok(Some(_)) => self.verified = true,
				Ok(None) => return Ok(self.stale_head()),
				Err(e) if e.is_transient() => return Ok(None),
				Err(e) => return Err(e),
			}
		}
		let hash = if next == head.number {
			head.hash
		} else {
			match rpc.block_hash(next).await {
				Ok(Some(hash)) => hash,
				// Another node answers than before, which lags behind.
				Ok(None) => return Ok(self.stale_head()),
				Err(e) if e.is_transient() => return Ok(None),
				Err(e) => return Err(e),
			}
		};
		let block = BlockRef { number: next, hash };
		self.last = Some(block);
		self.next = Some(next.saturating_add(1));
		Ok(Some(block))
	}

	/// Forgets the head, so that the next one is waited for.
	fn stale_head(&mut self) -> Option<BlockRef> {
		self.verified = false;
		self.head = None;
		None
	}

	/// The blocks as a stream. It ends after the first error.
	pub fn into_stream(self) -> impl Stream<Item = Result<BlockRef, ChainError>> {
		stream::unfold(Some(self), |blocks| async move {
			let mut blocks = blocks?;
			match blocks.next().await {
				Ok(block) => Some((Ok(block), Some(blocks))),
				Err(e) => Some((Err(e), None)),
			}
		})
	}
}

#[cfg(test)]
mod tests;
