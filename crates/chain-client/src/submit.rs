//! Submission of calls: once, through forks, full pools and lost connections.
//!
//! # How a call is kept from taking effect twice
//! A transaction is bound to its account's nonce, and the chain takes each nonce once. Sending the
//! same bytes again, which happens freely, is therefore harmless; what must not happen is that a call
//! is signed under a second nonce while the first transaction can still be included. So a call is
//! signed again only after the *finalized* chain proves the former transaction dead:
//! - its era has passed and none of the era's blocks contains it, or
//! - its nonce was used, and none of the blocks in between contains it.
//!
//! The pool's messages ("invalid", "dropped", "usurped", "retracted", or none at all after a lost
//! connection) are hints: they make the engine send the bytes again, and decide nothing. Forks need no
//! treatment of their own, since nothing is decided by blocks that are not final.
//!
//! # Parts
//! - [`Submitter`]: one per account. Hands out nonces one transaction at a time, so that a nonce is
//!   given only when the one before it is in the pool, or has been sent and is being followed.
//! - `ledger`: the nonces in flight.
//! - `heads`: a task that reads the account's nonce at each finalized block while anything is in
//!   flight.
//! - `follow`: what becomes of one transaction.
//! - `unsigned`: transactions without a nonce.

mod follow;
mod heads;
mod ledger;
#[cfg(test)]
mod tests;
mod unsigned;

use crate::{
	pool::Refusal, rpc::PoolWatch, runtime::Runtime, transaction, AccountId, BlockRef, Call, ChainClient,
	ChainError, ChainEvent, DispatchFailure, Hash, Signer, SubmitError,
};
use cairn_primitives::{Balance, BlockNumber};
use follow::{Fate, Place};
use heads::Head;
use ledger::{Ledger, Slot};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::watch;
use transaction::{Moment, Transaction};

/// Nonces skipped because the pool holds others' transactions under them, before giving up.
const MAX_OCCUPIED: usize = 64;
/// Times that the pool may put a transaction off before it is given up.
const MAX_DELAYS: u32 = 30;
/// Pause before a transaction is offered to the pool again.
const POOL_PAUSE: Duration = Duration::from_secs(1);

/// How to submit a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubmitOptions {
	/// Blocks after which a transaction that was not included is signed anew: at most 256, counted from the
	/// best block, and rounded up to a power of two together with the blocks that are not final.
	pub mortality: u32,
	/// Block after which the call is of no use any more: it is not signed again then.
	pub valid_until: Option<BlockNumber>,
	/// Last block that may include it, for callers that have to know after a restart, without having seen its
	/// end, that it is dead. Nothing is signed that could live longer; while finality lags far behind, nothing
	/// is signed at all.
	pub dead_after: Option<BlockNumber>,
	/// How often to sign before giving up.
	pub attempts: u32,
	/// Plancks for the block's author, beside the fee.
	pub tip: Balance,
}

impl Default for SubmitOptions {
	fn default() -> Self {
		SubmitOptions {
			mortality: 32,
			valid_until: None,
			dead_after: None,
			attempts: 4,
			tip: 0,
		}
	}
}

/// A transaction in a finalized block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Included {
	/// The block.
	pub block: BlockRef,
	/// Its index in the block.
	pub extrinsic_index: u32,
	/// Its hash.
	pub extrinsic_hash: Hash,
	/// Plancks paid for it, the tip included. Zero if the call was free.
	pub fee: Balance,
	/// What it caused, in order.
	pub events: Vec<ChainEvent>,
}

/// Submits calls in the name of one account. Clones share the account's nonces.
///
/// Make one per account and process. Other programs may use the same account at the same time; that
/// costs repetitions, never double effects.
#[derive(Clone)]
pub struct Submitter {
	inner: Arc<Inner>,
}

struct Inner {
	client: ChainClient,
	signer: Box<dyn Signer>,
	account: AccountId,
	/// Held from the choice of a nonce until the pool has answered.
	admission: tokio::sync::Mutex<()>,
	ledger: Ledger,
	heads: watch::Sender<Head>,
}

/// A transaction that may be in the pool.
struct Sent {
	transaction: Transaction,
	slot: Slot,
	/// Finalized block before it was signed.
	birth: BlockRef,
}

impl Submitter {
	/// A submitter for the signer's account.
	pub fn new(client: &ChainClient, signer: impl Signer) -> Self {
		let account = signer.account();
		Submitter {
			inner: Arc::new(Inner {
				client: client.clone(),
				signer: Box::new(signer),
				account,
				admission: tokio::sync::Mutex::new(()),
				ledger: Ledger::default(),
				heads: watch::Sender::new(Head::Unknown),
			}),
		}
	}

	/// The account.
	pub fn account(&self) -> AccountId {
		self.inner.account
	}

	/// The connection.
	pub fn client(&self) -> &ChainClient {
		&self.inner.client
	}

	/// Submits `call` with the default options and waits until it is final.
	///
	/// Waits as long as the node is unreachable. Dropping the future does not recall the transaction:
	/// it goes on in a task of its own.
	///
	/// # Errors
	/// See [`SubmitError`].
	pub async fn submit(&self, call: Call) -> Result<Included, SubmitError> {
		self.submit_with(call, SubmitOptions::default()).await
	}

	/// Submits `call` and waits until it is final. See [`Self::submit`].
	///
	/// # Errors
	/// See [`SubmitError`].
	pub async fn submit_with(&self, call: Call, options: SubmitOptions) -> Result<Included, SubmitError> {
		let inner = self.inner.clone();
		let task = tokio::spawn(async move { inner.drive(&call, options).await });
		// The task ends without a result only when the runtime shuts down.
		task.await.unwrap_or(Err(SubmitError::Dropped))
	}

	/// Plancks that `call` would cost now, without a tip.
	///
	/// # Errors
	/// See [`ChainClient::estimate_fee`].
	pub async fn estimate_fee(&self, call: &Call) -> Result<Balance, SubmitError> {
		self.inner.client.estimate_fee(self.inner.account, call).await
	}
}

impl Inner {
	/// Signs, sends and follows until the call is final or given up.
	async fn drive(self: Arc<Self>, call: &Call, options: SubmitOptions) -> Result<Included, SubmitError> {
		let mut given_up = SubmitError::Expired { attempts: 0 };
		for attempt in 1..=options.attempts.max(1) {
			let Some((sent, watch)) = self.admit(call, options).await? else {
				return Err(given_up);
			};
			let hash = sent.transaction.hash;
			tracing::debug!(
				"sent {}.{} as 0x{} with nonce {} (attempt {attempt})",
				call.pallet(),
				call.name(),
				hex::encode(hash),
				sent.slot.nonce(),
			);
			let fate = self
				.follow(&sent, watch)
				.await
				.map_err(|source| SubmitError::Unresolved {
					block: None,
					extrinsic_hash: hash,
					source: Box::new(source),
				})?;
			match fate {
				Fate::Included(place) => return outcome(&self.client, place, hash).await,
				Fate::Superseded => {
					given_up = SubmitError::Superseded {
						nonce: sent.slot.nonce(),
					}
				}
				Fate::Expired(Some(Refusal::Unfunded)) => return Err(SubmitError::Unfunded),
				Fate::Expired(Some(Refusal::Invalid(reason))) => {
					return Err(SubmitError::Rejected { reason })
				}
				Fate::Expired(_) => given_up = SubmitError::Expired { attempts: attempt },
			}
			tracing::debug!("0x{} is dead: {given_up}", hex::encode(hash));
		}
		Err(given_up)
	}

	/// What signing needs: the moment, its runtime, the account's next nonce.
	async fn outlook(&self) -> Result<(Moment, Arc<Runtime>, u32), ChainError> {
		let (moment, runtime) = moment(&self.client).await?;
		let next = self.client.rpc().next_nonce(self.account).await?;
		Ok((moment, runtime, next))
	}

	/// Chooses a nonce, signs and hands the transaction to the pool. Returns the pool's messages too,
	/// unless it is unknown whether the transaction arrived. `None`: it is too late for the call.
	async fn admit(
		self: &Arc<Self>,
		call: &Call,
		options: SubmitOptions,
	) -> Result<Option<(Sent, Option<PoolWatch>)>, SubmitError> {
		let _turn = self.admission.lock().await;
		let rpc = self.client.rpc();
		let mut occupied = BTreeSet::new();
		let mut delays = 0;
		loop {
			let (moment, runtime, next) = match self.outlook().await {
				Ok(outlook) => outlook,
				Err(e) if e.is_transient() => {
					tokio::time::sleep(POOL_PAUSE).await;
					continue;
				}
				Err(e) => return Err(e.into()),
			};
			let birth = moment.birth;
			let now = birth.number.saturating_add(moment.lag);
			let until = [options.valid_until, options.dead_after]
				.into_iter()
				.flatten()
				.min();
			let lifetime = moment.lifetime(options.mortality, until);
			let last = u64::from(birth.number) + u64::from(lifetime) - 1;
			if options.valid_until.is_some_and(|until| now >= until)
				|| options.dead_after.is_some_and(|end| last > u64::from(end))
			{
				return Ok(None);
			}
			let slot = self.reserve(next, &occupied);
			let transaction = transaction::signed(
				&runtime,
				call,
				&*self.signer,
				slot.nonce(),
				birth,
				lifetime,
				options.tip,
			)?;
			let nonce = slot.nonce();
			let refusal = match rpc.submit(&transaction.bytes).await {
				Ok(watch) => {
					return Ok(Some((
						Sent {
							transaction,
							slot,
							birth,
						},
						Some(watch),
					)))
				}
				Err(Refusal::Unclear(_) | Refusal::AlreadyKnown) => {
					return Ok(Some((
						Sent {
							transaction,
							slot,
							birth,
						},
						None,
					)))
				}
				Err(refusal) => refusal,
			};
			tracing::debug!("the pool refused {}.{}: {refusal:?}", call.pallet(), call.name());
			// The pool said that it does not have these bytes, and nobody else was sent them: another
			// nonce is safe.
			drop(slot);
			match refusal {
				Refusal::Unfunded => return Err(SubmitError::Unfunded),
				Refusal::Invalid(reason) => return Err(SubmitError::Rejected { reason }),
				Refusal::NonceOccupied => {
					occupied.insert(nonce);
					if occupied.len() > MAX_OCCUPIED {
						return Err(SubmitError::Superseded { nonce });
					}
				}
				other => {
					delays += 1;
					if delays > MAX_DELAYS {
						return Err(SubmitError::Rejected {
							reason: format!("{other:?}"),
						});
					}
					tokio::time::sleep(POOL_PAUSE).await;
				}
			}
		}
	}
}

/// The moment, and the runtime then.
async fn moment(client: &ChainClient) -> Result<(Moment, Arc<Runtime>), ChainError> {
	let birth = client.rpc().finalized().await?;
	let runtime = client.runtime_at(birth.hash).await?;
	let best = client.rpc().best().await?;
	let moment = Moment {
		birth,
		// A best block behind the finalized one is that of another node behind the same address.
		lag: best.number.saturating_sub(birth.number),
		remembered: runtime.remembered_blocks(),
	};
	Ok((moment, runtime))
}

/// Reads what a transaction did.
async fn outcome(client: &ChainClient, place: Place, hash: Hash) -> Result<Included, SubmitError> {
	let unresolved = |source| SubmitError::Unresolved {
		block: Some(place.block),
		extrinsic_hash: hash,
		source: Box::new(source),
	};
	let records = loop {
		match client.events(place.block.hash).await {
			Ok(records) => break records,
			Err(e) if e.is_transient() => tokio::time::sleep(POOL_PAUSE).await,
			Err(e) => return Err(unresolved(e)),
		}
	};
	let mut included = Included {
		block: place.block,
		extrinsic_index: place.index,
		extrinsic_hash: hash,
		fee: 0,
		events: Vec::new(),
	};
	let mut failure: Option<Option<DispatchFailure>> = None;
	for record in records
		.into_iter()
		.filter(|record| record.extrinsic == Some(place.index))
	{
		match &record.event {
			ChainEvent::FeePaid { fee, .. } => included.fee = included.fee.saturating_add(*fee),
			ChainEvent::ExtrinsicSuccess => failure = Some(None),
			ChainEvent::ExtrinsicFailed(reason) => failure = Some(Some(reason.clone())),
			_ => {}
		}
		included.events.push(record.event);
	}
	match failure {
		Some(None) => Ok(included),
		Some(Some(failure)) => Err(SubmitError::Dispatch {
			failure,
			included: Box::new(included),
		}),
		None => Err(unresolved(ChainError::decode(
			"events",
			"the transaction's result is not among them",
		))),
	}
}
