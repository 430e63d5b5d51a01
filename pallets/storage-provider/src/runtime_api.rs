//! Composed reads for provers and tools.

use crate::types::{Ask, ProviderView};
use alloc::vec::Vec;
use cairn_primitives::{
	params::ProtocolParameters,
	sector::{ActivationChallenge, DeadlineChallenge, DeadlineWindow, SectorView},
	BlockNumber, ProofSpec, ProofTypeId, SectorNumber,
};
use codec::Codec;

sp_api::decl_runtime_apis! {
	/// Providers, their sectors and what they must prove.
	pub trait StorageProviderApi<AccountId> where AccountId: Codec {
		/// Owner of the provider that `who` owns or works for.
		fn provider_of(who: AccountId) -> Option<AccountId>;
		/// A provider.
		fn provider(owner: AccountId) -> Option<ProviderView<AccountId>>;
		/// At most `limit` (and 256) providers after `after`, in storage order.
		fn providers(after: Option<AccountId>, limit: u32) -> Vec<ProviderView<AccountId>>;
		/// Asks of a provider.
		fn asks(owner: AccountId) -> Vec<(ProofTypeId, Ask)>;
		/// Parameters in force.
		fn parameters() -> Option<ProtocolParameters>;
		/// Registered proof types, and whether each takes new sectors.
		fn proof_types() -> Vec<(ProofTypeId, ProofSpec, bool)>;
		/// The provider's deadline that is open in the next block.
		fn current_deadline(owner: AccountId) -> Option<DeadlineWindow>;
		/// What the provider must prove in that deadline: exactly what the verifier will check.
		fn deadline_challenge(owner: AccountId) -> Option<DeadlineChallenge>;
		/// A sector in any state.
		fn sector(owner: AccountId, sector: SectorNumber) -> Option<SectorView>;
		/// At most `limit` (and 256) sectors after number `after`, in ascending order.
		fn sectors(owner: AccountId, after: Option<SectorNumber>, limit: u32) -> Vec<SectorView>;
		/// Whether the provider used a sector number already.
		fn is_sector_allocated(owner: AccountId, sector: SectorNumber) -> bool;
		/// Challenges of a pre-committed sector, once its seed can be drawn.
		fn activation_challenge(owner: AccountId, sector: SectorNumber) -> Option<ActivationChallenge>;
		/// Block and value of the newest sealing ticket for the provider.
		fn ticket(owner: AccountId) -> Option<(BlockNumber, [u8; 32])>;
	}
}
