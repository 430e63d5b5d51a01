//! What becomes of one transaction.

use super::{Head, Inner, Sent, Transaction};
use crate::{
	pool::Refusal,
	rpc::{blake2_256, PoolWatch},
	BlockRef, ChainClient, ChainError, Hash,
};
use cairn_primitives::BlockNumber;
use std::time::Duration;
use subxt_rpcs::{methods::legacy::TransactionStatus, Error as RpcError};
use tokio::time::Instant;

/// First pause before the bytes are sent again; doubled each time.
const FIRST_RESEND: Duration = Duration::from_millis(500);
/// Longest pause.
const MAX_RESEND: Duration = Duration::from_secs(10);
/// Pause before a failed look at the chain is repeated.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A place in the finalized chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
	pub block: BlockRef,
	pub index: u32,
}

/// The proven end of a transaction.
#[derive(Debug)]
pub(super) enum Fate {
	/// In a finalized block.
	Included(Place),
	/// Dead: another transaction has its nonce.
	Superseded,
	/// Dead: its era has passed. With the last reason why the pool did not want it.
	Expired(Option<Refusal>),
}

/// Finds a transaction by its hash in finalized blocks `blocks`.
pub(super) async fn find(
	client: &ChainClient,
	hash: Hash,
	blocks: impl IntoIterator<Item = BlockNumber>,
) -> Result<Option<Place>, ChainError> {
	let rpc = client.rpc();
	for number in blocks {
		let block = rpc
			.block_hash(number)
			.await?
			.map(|hash| BlockRef { number, hash })
			.ok_or_else(|| ChainError::BlockNotFound(number.to_string()))?;
		if let Some(index) = find_in(client, hash, block.hash).await? {
			return Ok(Some(Place { block, index }));
		}
	}
	Ok(None)
}

/// Index of a transaction in a block.
async fn find_in(client: &ChainClient, hash: Hash, block: Hash) -> Result<Option<u32>, ChainError> {
	let body = client.rpc().body(block).await?;
	let index = body.iter().position(|extrinsic| blake2_256(extrinsic) == hash);
	// A block of 4 MiB has fewer than 2^32 extrinsics.
	Ok(index.map(|index| index as u32))
}

/// Place of a transaction in `block`, which the pool calls final; `None` if the chain does not agree.
pub(super) async fn verify_final(
	client: &ChainClient,
	hash: Hash,
	block: Hash,
) -> Result<Option<Place>, ChainError> {
	let rpc = client.rpc();
	let block = rpc.block(block).await?;
	if rpc.block_hash(block.number).await? != Some(block.hash) || rpc.finalized().await?.number < block.number
	{
		return Ok(None);
	}
	Ok(find_in(client, hash, block.hash)
		.await?
		.map(|index| Place { block, index }))
}

/// The pool's next message; never without a watch.
pub(super) async fn next_status(
	watch: &mut Option<PoolWatch>,
) -> Option<Result<TransactionStatus<subxt::utils::H256>, RpcError>> {
	match watch {
		Some(watch) => watch.next().await,
		None => std::future::pending().await,
	}
}

/// When to send the bytes again.
pub(super) struct Resend {
	at: Option<Instant>,
	pause: Duration,
}

impl Resend {
	/// Not until [`Self::schedule`] is called.
	pub fn new() -> Self {
		Resend {
			at: None,
			pause: FIRST_RESEND,
		}
	}

	/// After a pause that grows with each call.
	pub fn schedule(&mut self) {
		self.at = Some(Instant::now() + self.pause);
		self.pause = (self.pause * 2).min(MAX_RESEND);
	}

	/// Waits for the time; for ever if there is none. Cancel safe.
	pub async fn due(&self) {
		match self.at {
			Some(at) => tokio::time::sleep_until(at).await,
			None => std::future::pending().await,
		}
	}

	/// Sends the bytes; schedules the next time if the pool does not take them. Returns its refusal.
	pub async fn send(
		&mut self,
		client: &ChainClient,
		transaction: &Transaction,
		watch: &mut Option<PoolWatch>,
	) -> Option<Refusal> {
		self.at = None;
		match client.rpc().submit(&transaction.bytes).await {
			Ok(new) => {
				*watch = Some(new);
				None
			}
			Err(refusal) => {
				tracing::debug!("0x{} sent again: {refusal:?}", hex::encode(transaction.hash));
				self.schedule();
				Some(refusal)
			}
		}
	}
}

impl Inner {
	/// Waits until the finalized chain decides over a transaction, and sends it again whenever the
	/// pool seems to have lost it.
	pub(super) async fn follow(&self, sent: &Sent, mut watch: Option<PoolWatch>) -> Result<Fate, ChainError> {
		let mut heads = self.heads.subscribe();
		heads.mark_changed();
		let mut resend = Resend::new();
		if watch.is_none() {
			resend.schedule();
		}
		let mut refusal = None;
		// Finalized blocks up to this one do not contain the transaction.
		let mut searched = sent.birth.number;
		loop {
			tokio::select! {
				status = next_status(&mut watch) => match status {
					Some(Ok(TransactionStatus::Finalized(block))) => {
						watch = None;
						match verify_final(&self.client, sent.transaction.hash, block.0).await {
							Ok(Some(place)) => return Ok(Fate::Included(place)),
							Ok(None) => {},
							Err(e) if e.is_transient() => {},
							Err(e) => return Err(e),
						}
						resend.schedule();
					},
					Some(Ok(TransactionStatus::InBlock(_))) => refusal = None,
					Some(Ok(
						TransactionStatus::Future
						| TransactionStatus::Ready
						| TransactionStatus::Broadcast(_)
						| TransactionStatus::Retracted(_),
					)) => {},
					// Invalid, dropped, usurped, not finalized for long; or the connection is lost.
					other => {
						tracing::debug!("0x{} left the pool: {other:?}", hex::encode(sent.transaction.hash));
						watch = None;
						resend.schedule();
					},
				},
				changed = heads.changed() => {
					// Cannot fail while `self` holds the sender.
					if changed.is_err() {
						return Err(ChainError::Disconnected);
					}
					let head = heads.borrow_and_update().clone();
					match self.decide(sent, head, &mut searched).await {
						Ok(Some(Decision::Included(place))) => return Ok(Fate::Included(place)),
						Ok(Some(Decision::Superseded)) => return Ok(Fate::Superseded),
						Ok(Some(Decision::Expired)) => return Ok(Fate::Expired(refusal)),
						Ok(None) => {},
						Err(e) if e.is_transient() => {
							tokio::time::sleep(LOOK_AGAIN).await;
							heads.mark_changed();
						},
						Err(e) => return Err(e),
					}
				},
				() = resend.due() => {
					refusal = resend.send(&self.client, &sent.transaction, &mut watch).await;
				},
			}
		}
	}

	/// What a finalized block says about a transaction.
	async fn decide(
		&self,
		sent: &Sent,
		head: Head,
		searched: &mut BlockNumber,
	) -> Result<Option<Decision>, ChainError> {
		let (block, nonce) = match head {
			Head::Unknown => return Ok(None),
			Head::Failed(e) => return Err(e),
			Head::At { block, nonce } => (block, nonce),
		};
		if block.number <= sent.birth.number {
			return Ok(None);
		}
		let hash = sent.transaction.hash;
		// Last block that could contain the transaction.
		let last = block.number.min(sent.transaction.death);
		if nonce > sent.slot.nonce() {
			self.verify_birth(sent).await?;
			return Ok(Some(
				match find(&self.client, hash, *searched + 1..=last).await? {
					Some(place) => Decision::Included(place),
					None => Decision::Superseded,
				},
			));
		}
		if block.number >= sent.transaction.death {
			self.verify_birth(sent).await?;
			// All of the era's blocks: an account that ended in between began again at nonce zero, so
			// that its nonce alone proves nothing.
			return Ok(Some(
				match find(&self.client, hash, sent.birth.number + 1..=last).await? {
					Some(place) => Decision::Included(place),
					None => Decision::Expired,
				},
			));
		}
		*searched = block.number;
		Ok(None)
	}

	/// Makes sure that the chain is still the one in which the transaction was born.
	async fn verify_birth(&self, sent: &Sent) -> Result<(), ChainError> {
		let rpc = self.client.rpc();
		match rpc.block_hash(sent.birth.number).await? {
			Some(hash) if hash == sent.birth.hash => Ok(()),
			Some(hash) => Err(rpc.replaced(sent.birth.hash, hash)),
			None => Err(ChainError::BlockNotFound(sent.birth.number.to_string())),
		}
	}
}

enum Decision {
	Included(Place),
	Superseded,
	Expired,
}
