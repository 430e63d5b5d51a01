//! Reads of providers, sectors and what must be proven.

use super::runtime_api;
use crate::{AccountId, Ask, ChainError, ProviderView, Query, RegisteredProofType, Ticket};
use cairn_primitives::{
	params::ProtocolParameters,
	sector::{ActivationChallenge, DeadlineChallenge, DeadlineWindow, SectorView},
	ProofTypeId, SectorNumber,
};

runtime_api! { "StorageProviderApi";
	/// Owner of the provider that `who` owns or works for.
	pub fn provider_of(who: &AccountId) -> Option<AccountId> = "provider_of";
	/// A provider.
	pub fn provider(owner: &AccountId) -> Option<ProviderView> = "provider";
	/// At most `limit` (and 256) providers that follow `after`, in storage order.
	pub fn providers(after: Option<AccountId>, limit: u32) -> Vec<ProviderView> = "providers";
	/// Asks of a provider.
	pub fn asks(owner: &AccountId) -> Vec<(ProofTypeId, Ask)> = "asks";
	fn stored_parameters() -> Option<ProtocolParameters> = "parameters";
	/// Registered proof types.
	pub fn proof_types() -> Vec<RegisteredProofType> = "proof_types";
	/// The provider's deadline that is open in the next block.
	pub fn current_deadline(owner: &AccountId) -> Option<DeadlineWindow> = "current_deadline";
	/// What the provider must prove in that deadline: exactly what the verifier will check.
	pub fn deadline_challenge(owner: &AccountId) -> Option<DeadlineChallenge> = "deadline_challenge";
	/// A sector in any state.
	pub fn sector(owner: &AccountId, sector: SectorNumber) -> Option<SectorView> = "sector";
	/// At most `limit` (and 256) sectors after number `after`, in ascending order, pre-committed ones
	/// included.
	pub fn sectors(owner: &AccountId, after: Option<SectorNumber>, limit: u32) -> Vec<SectorView> = "sectors";
	/// Whether the provider used a sector number already.
	pub fn is_sector_allocated(owner: &AccountId, sector: SectorNumber) -> bool = "is_sector_allocated";
	/// Challenges of a pre-committed sector. `None` until its seed can be drawn.
	pub fn activation_challenge(owner: &AccountId, sector: SectorNumber) -> Option<ActivationChallenge> = "activation_challenge";
	/// The newest sealing ticket for the provider. `None` before the chain's first.
	pub fn ticket(owner: &AccountId) -> Option<Ticket> = "ticket";
}

impl Query {
	/// Protocol parameters in force.
	///
	/// # Errors
	/// See [`ChainError`]; also if the chain has none.
	pub async fn parameters(&self) -> Result<ProtocolParameters, ChainError> {
		let parameters = self.stored_parameters().await?;
		parameters.ok_or_else(|| ChainError::decode("protocol parameters", "the chain has none"))
	}
}
