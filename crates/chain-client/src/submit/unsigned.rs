//! Transactions without a signature, which authorise themselves.

use super::{
	follow::{find, next_status, verify_final, Resend},
	moment, outcome, Included, Transaction,
};
use crate::{
	calls, pool::Refusal, rpc::PoolWatch, transaction, AccountId, BlockRef, ChainClient, ChainError,
	SubmitError,
};
use subxt_rpcs::methods::legacy::TransactionStatus;

/// Life of such a transaction from the best block on, in blocks.
const MORTALITY: u32 = 32;

impl ChainClient {
	/// Asks the faucet of a test network for funds for `who`, without a signature or a fee, and waits
	/// until they have arrived for good.
	///
	/// # Errors
	/// [`SubmitError::Rejected`] if the account was given funds lately, or the network has no faucet.
	pub async fn drip(&self, who: AccountId) -> Result<Included, SubmitError> {
		let (moment, runtime) = moment(self).await?;
		let (birth, lifetime) = (moment.birth, moment.lifetime(MORTALITY, None));
		let transaction = transaction::general(&runtime, &calls::faucet::drip(who), birth, lifetime)?;
		let mut watch = None;
		let mut resend = Resend::new();
		match resend.send(self, &transaction, &mut watch).await {
			Some(Refusal::Invalid(reason)) => return Err(SubmitError::Rejected { reason }),
			Some(Refusal::Stale) => {
				return Err(SubmitError::Rejected {
					reason: "the account was given funds lately".to_owned(),
				})
			}
			Some(Refusal::NonceOccupied) => {
				return Err(SubmitError::Rejected {
					reason: "funds for the account are on their way".to_owned(),
				})
			}
			_ => {}
		}
		let place = self
			.follow_unsigned(&transaction, birth, watch, resend)
			.await
			.map_err(|source| SubmitError::Unresolved {
				block: None,
				extrinsic_hash: transaction.hash,
				source: Box::new(source),
			})?;
		match place {
			Some(place) => outcome(self, place, transaction.hash).await,
			None => Err(SubmitError::Expired { attempts: 1 }),
		}
	}

	/// Waits until the transaction is in a finalized block, or can no longer be.
	async fn follow_unsigned(
		&self,
		transaction: &Transaction,
		birth: BlockRef,
		mut watch: Option<PoolWatch>,
		mut resend: Resend,
	) -> Result<Option<super::Place>, ChainError> {
		let mut blocks = self.finalized_blocks_from(birth.number.saturating_add(1));
		loop {
			tokio::select! {
				status = next_status(&mut watch) => match status {
					Some(Ok(TransactionStatus::Finalized(block))) => {
						watch = None;
						match verify_final(self, transaction.hash, block.0).await {
							Ok(Some(place)) => return Ok(Some(place)),
							Ok(None) => {},
							Err(e) if e.is_transient() => {},
							Err(e) => return Err(e),
						}
						resend.schedule();
					},
					Some(Ok(
						TransactionStatus::Future
						| TransactionStatus::Ready
						| TransactionStatus::Broadcast(_)
						| TransactionStatus::InBlock(_)
						| TransactionStatus::Retracted(_),
					)) => {},
					_ => {
						watch = None;
						resend.schedule();
					},
				},
				block = blocks.next() => {
					let block = block?;
					let place = loop {
						match find(self, transaction.hash, [block.number]).await {
							Ok(place) => break place,
							Err(e) if e.is_transient() => tokio::time::sleep(super::POOL_PAUSE).await,
							Err(e) => return Err(e),
						}
					};
					if place.is_some() {
						return Ok(place);
					}
					if block.number >= transaction.death {
						return Ok(None);
					}
				},
				() = resend.due() => {
					resend.send(self, transaction, &mut watch).await;
				},
			}
		}
	}
}
