//! The chain over `cairn-chain-client`.

use super::{
	Action, ActionError, Ask, Chain, ChainDeal, ChainDealState, ChainError, ChainEvent, ChainIdentity, PAGE,
};
use crate::deal::{Proposal, ProposalHash};
use async_trait::async_trait;
use cairn_chain_client::{
	calls, AccountId, Call, ChainClient, ChainError as ClientError, ChainEvent as ClientEvent, DealState,
	DealView, DispatchFailure, FinalizedBlocks, MarketEvent, MultiSignature, ProviderView,
	RegisteredProofType, SignedProposal, SubmitError, SubmitOptions, Submitter, Ticket,
};
use cairn_keystore::Keypair;
use cairn_primitives::{
	params::ProtocolParameters,
	sector::{ActivationChallenge, DeadlineChallenge, DeadlineWindow, SectorView},
	Balance, BlockNumber, DealId, ProofTypeId, SectorNumber,
};
use codec::DecodeAll;
use tokio::sync::Mutex;

/// Longest life of a signed transaction in blocks. Short, so that a restart need not wait long to
/// know that one sent before it is dead.
const MORTALITY: BlockNumber = 8;
/// Shortest life that the chain's eras allow.
const MIN_MORTALITY: BlockNumber = 4;

/// Signs with a key of the key store.
pub struct KeypairSigner(pub Keypair);

impl cairn_chain_client::Signer for KeypairSigner {
	fn account(&self) -> AccountId {
		self.0.public()
	}

	fn sign(&self, message: &[u8]) -> [u8; 64] {
		self.0.sign(message)
	}
}

/// A connected chain, with the worker's key to act.
pub struct LiveChain {
	client: ChainClient,
	submitter: Submitter,
	identity: ChainIdentity,
	owner: AccountId,
	blocks: Mutex<Blocks>,
}

struct Blocks {
	stream: FinalizedBlocks,
	/// A block whose events could not be read yet.
	pending: Option<cairn_chain_client::BlockRef>,
}

/// What a client knows of its chain.
pub fn identity(client: &ChainClient) -> ChainIdentity {
	let info = client.info();
	ChainIdentity {
		genesis_hash: info.genesis_hash,
		name: info.chain_name.clone(),
		development: info.development,
		spec_version: info.spec_version,
		ss58_prefix: info.ss58_prefix,
		token_symbol: info.token_symbol.clone(),
		token_decimals: info.token_decimals,
	}
}

impl LiveChain {
	/// Acts on `client`'s chain for the provider of `owner`, signing as `worker`.
	pub fn new(client: ChainClient, worker: Keypair, owner: AccountId) -> Self {
		LiveChain {
			submitter: Submitter::new(&client, KeypairSigner(worker)),
			identity: identity(&client),
			blocks: Mutex::new(Blocks {
				stream: client.finalized_blocks(),
				pending: None,
			}),
			client,
			owner,
		}
	}

	/// What of an event concerns this provider.
	fn event(&self, event: ClientEvent) -> Option<ChainEvent> {
		let ClientEvent::Market(event) = event else {
			return None;
		};
		match event {
			MarketEvent::DealProposed {
				proposal_hash,
				proposal,
			} if proposal.provider == self.owner => Some(ChainEvent::DealProposed {
				proposal_hash,
				proposal,
			}),
			MarketEvent::ProposalCancelled { proposal_hash, .. }
			| MarketEvent::ProposalExpired { proposal_hash, .. } => Some(ChainEvent::ProposalGone { proposal_hash }),
			MarketEvent::DealPublished {
				deal,
				proposal_hash,
				provider,
				..
			} if provider == self.owner => Some(ChainEvent::DealPublished {
				deal_id: deal,
				proposal_hash,
			}),
			MarketEvent::PaymentSettled { deal, amount, .. } => Some(ChainEvent::Paid {
				deal_id: deal,
				amount,
			}),
			_ => None,
		}
	}
}

fn chain_error(error: ClientError) -> ChainError {
	match error {
		ClientError::ChainReplaced { .. } | ClientError::Incompatible(_) | ClientError::Decode { .. } => {
			ChainError::Unusable(error.to_string())
		}
		error => ChainError::Unavailable(error.to_string()),
	}
}

fn deal(view: DealView) -> ChainDeal {
	ChainDeal {
		id: view.id,
		proposal_hash: view.deal.proposal_hash,
		state: match view.deal.state {
			DealState::Published { sector } => ChainDealState::Published { sector },
			DealState::Active {
				sector, activated_at, ..
			} => ChainDealState::Active {
				sector,
				since: activated_at,
				ends: view
					.ends
					.unwrap_or(activated_at.saturating_add(view.deal.duration)),
			},
		},
		due: view.due,
	}
}

fn call(action: &Action) -> Result<Call, ActionError> {
	Ok(match action {
		Action::Publish(deals) => {
			let signed = deals
				.iter()
				.map(|(proposal, signature)| {
					let client_signature = MultiSignature::decode_all(&mut signature.as_slice())
						.map_err(|error| ActionError::NotIncluded(format!("stored signature: {error}")))?;
					Ok(SignedProposal {
						proposal: proposal.clone(),
						client_signature,
					})
				})
				.collect::<Result<Vec<_>, ActionError>>()?;
			calls::market::publish_storage_deals(&signed)
		}
		Action::Accept(hashes) => calls::market::accept_deals(hashes),
		Action::PreCommit(sectors) => calls::storage_provider::pre_commit_sectors(sectors),
		Action::ProveCommit(proofs) => calls::storage_provider::prove_commit_sectors(proofs),
		Action::WindowedPost {
			deadline,
			partitions,
			proof,
		} => calls::storage_provider::submit_windowed_post(*deadline, partitions, proof),
		Action::DeclareFaults(sectors) => calls::storage_provider::declare_faults(sectors),
		Action::DeclareRecovered(sectors) => calls::storage_provider::declare_faults_recovered(sectors),
		Action::Settle(deals) => calls::market::settle_deal_payments(deals),
		Action::SetAsk(proof_type, ask) => calls::storage_provider::set_ask(*proof_type, ask.as_ref()),
	})
}

/// What a failed submission means for the state machines.
pub fn action_error(error: SubmitError) -> ActionError {
	match &error {
		SubmitError::Dispatch { failure, .. } => ActionError::Refused {
			error: match failure {
				DispatchFailure::Module { pallet, error, .. } => format!("{pallet}::{error}"),
				other => other.to_string(),
			},
			message: failure.to_string(),
		},
		SubmitError::Unfunded => ActionError::WorkerUnfunded,
		error if error.had_no_effect() => ActionError::NotIncluded(error.to_string()),
		error => ActionError::Unknown(error.to_string()),
	}
}

#[async_trait]
impl Chain for LiveChain {
	fn identity(&self) -> &ChainIdentity {
		&self.identity
	}

	async fn finalized(&self) -> Result<BlockNumber, ChainError> {
		Ok(self.client.finalized().await.map_err(chain_error)?.number)
	}

	async fn next_block(&self) -> Result<(BlockNumber, Vec<ChainEvent>), ChainError> {
		let mut blocks = self.blocks.lock().await;
		let block = match blocks.pending {
			Some(block) => block,
			None => {
				let block = blocks.stream.next().await.map_err(chain_error)?;
				blocks.pending = Some(block);
				block
			}
		};
		let events = match self.client.events(block.hash).await {
			Ok(events) => events
				.into_iter()
				.filter_map(|record| self.event(record.event))
				.collect(),
			// After a long outage. Waiting for it would be waiting for ever.
			Err(ClientError::StatePruned { .. }) => vec![ChainEvent::Unreadable],
			Err(error) => return Err(chain_error(error)),
		};
		blocks.pending = None;
		Ok((block.number, events))
	}

	async fn parameters(&self) -> Result<ProtocolParameters, ChainError> {
		self.client.query().parameters().await.map_err(chain_error)
	}

	async fn proof_types(&self) -> Result<Vec<RegisteredProofType>, ChainError> {
		self.client.query().proof_types().await.map_err(chain_error)
	}

	async fn provider(&self, owner: &AccountId) -> Result<Option<ProviderView>, ChainError> {
		self.client.query().provider(owner).await.map_err(chain_error)
	}

	async fn providers(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<ProviderView>, ChainError> {
		self.client
			.query()
			.providers(after, limit)
			.await
			.map_err(chain_error)
	}

	async fn asks(&self, owner: &AccountId) -> Result<Vec<(ProofTypeId, Ask)>, ChainError> {
		self.client.query().asks(owner).await.map_err(chain_error)
	}

	async fn escrow(&self, who: &AccountId) -> Result<Balance, ChainError> {
		self.client.query().escrow(who).await.map_err(chain_error)
	}

	async fn free_balance(&self, who: &AccountId) -> Result<Balance, ChainError> {
		Ok(self.client.query().balance(who).await.map_err(chain_error)?.free)
	}

	async fn proposal(&self, hash: &ProposalHash) -> Result<Option<Proposal>, ChainError> {
		self.client.query().proposal(hash).await.map_err(chain_error)
	}

	async fn proposals_for(&self, owner: &AccountId) -> Result<Vec<(ProposalHash, Proposal)>, ChainError> {
		self.client
			.query()
			.proposals_for(owner, PAGE)
			.await
			.map_err(chain_error)
	}

	async fn deal_of_proposal(&self, hash: &ProposalHash) -> Result<Option<DealId>, ChainError> {
		self.client
			.query()
			.deal_of_proposal(hash)
			.await
			.map_err(chain_error)
	}

	async fn deal(&self, id: DealId) -> Result<Option<ChainDeal>, ChainError> {
		Ok(self.client.query().deal(id).await.map_err(chain_error)?.map(deal))
	}

	async fn ticket(&self, owner: &AccountId) -> Result<Option<Ticket>, ChainError> {
		self.client.query().ticket(owner).await.map_err(chain_error)
	}

	async fn is_sector_allocated(&self, owner: &AccountId, sector: SectorNumber) -> Result<bool, ChainError> {
		self.client
			.query()
			.is_sector_allocated(owner, sector)
			.await
			.map_err(chain_error)
	}

	async fn sector(
		&self,
		owner: &AccountId,
		sector: SectorNumber,
	) -> Result<Option<SectorView>, ChainError> {
		self.client
			.query()
			.sector(owner, sector)
			.await
			.map_err(chain_error)
	}

	async fn sectors(
		&self,
		owner: &AccountId,
		after: Option<SectorNumber>,
	) -> Result<Vec<SectorView>, ChainError> {
		self.client
			.query()
			.sectors(owner, after, PAGE)
			.await
			.map_err(chain_error)
	}

	async fn activation_challenge(
		&self,
		owner: &AccountId,
		sector: SectorNumber,
	) -> Result<Option<ActivationChallenge>, ChainError> {
		self.client
			.query()
			.activation_challenge(owner, sector)
			.await
			.map_err(chain_error)
	}

	async fn deadline(&self, owner: &AccountId) -> Result<Option<DeadlineWindow>, ChainError> {
		self.client
			.query()
			.current_deadline(owner)
			.await
			.map_err(chain_error)
	}

	async fn deadline_challenge(&self, owner: &AccountId) -> Result<Option<DeadlineChallenge>, ChainError> {
		self.client
			.query()
			.deadline_challenge(owner)
			.await
			.map_err(chain_error)
	}

	async fn act(&self, action: Action, valid_until: BlockNumber) -> Result<Vec<ChainEvent>, ActionError> {
		let now = self
			.client
			.finalized()
			.await
			.map_err(|error| ActionError::NotIncluded(error.to_string()))?
			.number;
		let left = valid_until.saturating_sub(now);
		if left < MIN_MORTALITY && !matches!(action, Action::WindowedPost { .. }) {
			return Err(ActionError::NotIncluded(
				"it would be valid for too few blocks".into(),
			));
		}
		let mortality = if left >= 2 * MORTALITY {
			MORTALITY
		} else {
			MIN_MORTALITY
		};
		let options = SubmitOptions {
			mortality,
			valid_until: Some(valid_until.max(now + 1)),
			// What is recorded before it is sent is taken for dead after this block. A late proof does no harm, but
			// one that is not sent does.
			dead_after: (!matches!(action, Action::WindowedPost { .. })).then_some(valid_until),
			..SubmitOptions::default()
		};
		let included = self
			.submitter
			.submit_with(call(&action)?, options)
			.await
			.map_err(action_error)?;
		Ok(included
			.events
			.into_iter()
			.filter_map(|event| self.event(event))
			.collect())
	}
}
