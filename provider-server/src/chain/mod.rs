//! The chain as the pipeline sees it: what it reads and what it sends.
//!
//! [`Chain`] is the border between the provider's logic and `cairn-chain-client`. The one
//! implementation in this crate is [`live::LiveChain`]; tests bring a simulated chain, so that every
//! step of the pipeline is tested without a node.

pub mod live;

use crate::deal::{Proposal, ProposalHash};
use async_trait::async_trait;
pub use cairn_chain_client::{AccountId, Ask, ProviderContact, ProviderView, RegisteredProofType, Ticket};
use cairn_primitives::{
	params::ProtocolParameters,
	sector::{
		ActivationChallenge, DeadlineChallenge, DeadlineWindow, PartitionProof, SectorPreCommit, SectorProof,
		SectorView, WindowProof,
	},
	Balance, BlockNumber, DealId, ProofTypeId, SectorNumber,
};

/// Most proposals in one publication or acceptance.
pub const MAX_PROPOSALS_PER_CALL: usize = 32;
/// Most sectors or parts of proofs in one call.
pub const MAX_SECTORS_PER_CALL: usize = 32;
/// Most deals in one settlement.
pub const MAX_SETTLEMENTS_PER_CALL: usize = 128;
/// Most partitions in one windowed proof.
pub const MAX_PARTITIONS_PER_CALL: usize = 16;
/// Most sectors in one declaration of faults or recoveries.
pub const MAX_DECLARATIONS_PER_CALL: usize = 256;
/// Most entries of one page of a listing.
pub const PAGE: u32 = 256;

/// The chain that this provider works on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainIdentity {
	/// Hash of its first block.
	pub genesis_hash: [u8; 32],
	/// Its name.
	pub name: String,
	/// Whether its specification says that it is a development chain.
	pub development: bool,
	/// Runtime version.
	pub spec_version: u32,
	/// Prefix of its addresses.
	pub ss58_prefix: u16,
	/// Symbol of its token.
	pub token_symbol: String,
	/// Decimals of its token.
	pub token_decimals: u8,
}

/// A deal, as the chain has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainDeal {
	/// Number.
	pub id: DealId,
	/// Hash of the proposal it was made of.
	pub proposal_hash: ProposalHash,
	/// Where it stands.
	pub state: ChainDealState,
	/// Plancks that a settlement now would pay.
	pub due: Balance,
}

/// Where a deal stands on chain. One that is over is not listed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChainDealState {
	/// Bound to no activated sector.
	Published {
		/// Pre-committed sector that names it.
		sector: Option<SectorNumber>,
	},
	/// Its time runs, or ran and is not settled yet.
	Active {
		/// The sector.
		sector: SectorNumber,
		/// First block of the deal.
		since: BlockNumber,
		/// First block after it.
		ends: BlockNumber,
	},
}

/// What the provider sends, signed by its worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
	/// Publish deals that clients signed: the proposals and SCALE `MultiSignature`s.
	Publish(Vec<(Proposal, Vec<u8>)>),
	/// Accept proposals made on chain.
	Accept(Vec<ProposalHash>),
	/// Commit to sectors.
	PreCommit(Vec<SectorPreCommit>),
	/// Parts of activation proofs.
	ProveCommit(Vec<SectorProof>),
	/// A windowed proof.
	WindowedPost {
		/// The deadline.
		deadline: u32,
		/// The partitions, ascending.
		partitions: Vec<PartitionProof>,
		/// Their sectors' openings.
		proof: WindowProof,
	},
	/// These sectors cannot be proven.
	DeclareFaults(Vec<SectorNumber>),
	/// These sectors will be proven again.
	DeclareRecovered(Vec<SectorNumber>),
	/// Pay what is due.
	Settle(Vec<DealId>),
	/// Publish an ask.
	SetAsk(ProofTypeId, Option<Ask>),
}

impl Action {
	/// Short name, for logs and metrics.
	pub const fn name(&self) -> &'static str {
		match self {
			Action::Publish(_) => "publish_storage_deals",
			Action::Accept(_) => "accept_deals",
			Action::PreCommit(_) => "pre_commit_sectors",
			Action::ProveCommit(_) => "prove_commit_sectors",
			Action::WindowedPost { .. } => "submit_windowed_post",
			Action::DeclareFaults(_) => "declare_faults",
			Action::DeclareRecovered(_) => "declare_faults_recovered",
			Action::Settle(_) => "settle_deal_payments",
			Action::SetAsk(..) => "set_ask",
		}
	}
}

/// What a finalized block brought that concerns providers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChainEvent {
	/// A client made a proposal on chain.
	DealProposed {
		/// Its hash.
		proposal_hash: ProposalHash,
		/// Its terms.
		proposal: Proposal,
	},
	/// A client withdrew its proposal, or the proposal's time passed.
	ProposalGone {
		/// Its hash.
		proposal_hash: ProposalHash,
	},
	/// A deal was published.
	DealPublished {
		/// Its number.
		deal_id: DealId,
		/// The proposal it was made of.
		proposal_hash: ProposalHash,
	},
	/// What happened in the block cannot be known any more.
	Unreadable,
	/// The provider was paid.
	Paid {
		/// For this deal.
		deal_id: DealId,
		/// Plancks.
		amount: Balance,
	},
}

/// Why the chain could not be asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainError {
	/// The node cannot be reached or answers too late. Trying again helps.
	#[error("the chain is unavailable: {0}")]
	Unavailable(String),
	/// The node answers, but not what is expected: another chain, another version.
	#[error("the chain's answer cannot be used: {0}")]
	Unusable(String),
}

/// Why an action had no effect, or may have had none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ActionError {
	/// The chain executed and refused it. No effect.
	#[error("the chain refuses: {message}")]
	Refused {
		/// `Pallet::Error` where there is one.
		error: String,
		/// The same with its documentation.
		message: String,
	},
	/// It never got into a block and cannot any more. No effect.
	#[error("the transaction did not get into a block: {0}")]
	NotIncluded(String),
	/// The worker cannot pay the fee. No effect.
	#[error("the worker account cannot pay the fee")]
	WorkerUnfunded,
	/// It is not known whether it had an effect. The chain's state will tell.
	#[error("the outcome of the transaction is unknown: {0}")]
	Unknown(String),
}

impl ActionError {
	/// Whether the action may have had, or may still get, an effect.
	pub const fn outcome_is_open(&self) -> bool {
		matches!(self, ActionError::Unknown(_))
	}

	/// The chain's error as `Pallet::Error`, if the chain refused.
	pub fn refusal(&self) -> Option<&str> {
		match self {
			ActionError::Refused { error, .. } => Some(error),
			_ => None,
		}
	}
}

/// Reads and actions. All reads are at the latest finalized block.
#[async_trait]
pub trait Chain: Send + Sync + 'static {
	/// The chain.
	fn identity(&self) -> &ChainIdentity;
	/// The latest finalized block.
	async fn finalized(&self) -> Result<BlockNumber, ChainError>;
	/// Waits for a finalized block that was not returned before and gives its number and what
	/// happened in it. Skips none.
	async fn next_block(&self) -> Result<(BlockNumber, Vec<ChainEvent>), ChainError>;

	/// Protocol parameters in force.
	async fn parameters(&self) -> Result<ProtocolParameters, ChainError>;
	/// Registered proof types.
	async fn proof_types(&self) -> Result<Vec<RegisteredProofType>, ChainError>;
	/// A provider, by owner.
	async fn provider(&self, owner: &AccountId) -> Result<Option<ProviderView>, ChainError>;
	/// At most `limit` (and [`PAGE`]) providers that follow `after`, which need not be one, in the chain's order.
	async fn providers(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<ProviderView>, ChainError>;
	/// A provider's asks.
	async fn asks(&self, owner: &AccountId) -> Result<Vec<(ProofTypeId, Ask)>, ChainError>;
	/// An account's escrow in the market.
	async fn escrow(&self, who: &AccountId) -> Result<Balance, ChainError>;
	/// An account's free balance.
	async fn free_balance(&self, who: &AccountId) -> Result<Balance, ChainError>;

	/// A waiting proposal made on chain.
	async fn proposal(&self, hash: &ProposalHash) -> Result<Option<Proposal>, ChainError>;
	/// A deal that is not over.
	async fn deal(&self, id: DealId) -> Result<Option<ChainDeal>, ChainError>;
	/// At most [`PAGE`] proposals made on chain that wait for a provider, with their hashes.
	async fn proposals_for(&self, owner: &AccountId) -> Result<Vec<(ProposalHash, Proposal)>, ChainError>;
	/// The deal that a proposal became, also if it is over, as far as the chain remembers.
	async fn deal_of_proposal(&self, hash: &ProposalHash) -> Result<Option<DealId>, ChainError>;

	/// The newest sealing ticket for a provider.
	async fn ticket(&self, owner: &AccountId) -> Result<Option<Ticket>, ChainError>;
	/// Whether a provider ever used a sector number.
	async fn is_sector_allocated(&self, owner: &AccountId, sector: SectorNumber) -> Result<bool, ChainError>;
	/// A sector in any state.
	async fn sector(&self, owner: &AccountId, sector: SectorNumber)
		-> Result<Option<SectorView>, ChainError>;
	/// At most [`PAGE`] sectors of a provider after `after`, ascending.
	async fn sectors(
		&self,
		owner: &AccountId,
		after: Option<SectorNumber>,
	) -> Result<Vec<SectorView>, ChainError>;
	/// Challenges of a pre-committed sector, once drawn.
	async fn activation_challenge(
		&self,
		owner: &AccountId,
		sector: SectorNumber,
	) -> Result<Option<ActivationChallenge>, ChainError>;
	/// The deadline that is open in the next block.
	async fn deadline(&self, owner: &AccountId) -> Result<Option<DeadlineWindow>, ChainError>;
	/// What must be proven in that deadline.
	async fn deadline_challenge(&self, owner: &AccountId) -> Result<Option<DeadlineChallenge>, ChainError>;

	/// Sends an action signed by the worker and waits until it is final. `valid_until` is the last
	/// block in which it may take effect.
	async fn act(&self, action: Action, valid_until: BlockNumber) -> Result<Vec<ChainEvent>, ActionError>;
}
