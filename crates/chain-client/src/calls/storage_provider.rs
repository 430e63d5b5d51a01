//! Calls of the storage-provider pallet. Who may sign is the owner (the provider's identity), its
//! worker, or either; see each call.

use super::calls;
use crate::{AccountId, Ask, ProviderContact};
use cairn_primitives::{
	params::ProtocolParameters,
	sector::{PartitionProof, SectorPreCommit, SectorProof, WindowProof},
	DeadlineIndex, ProofTypeId, SectorNumber,
};

calls! { "StorageProvider";
	/// Makes the signer a provider; holds the registration bond from it.
	pub fn register_storage_provider(worker: AccountId, beneficiary: AccountId, contact: &ProviderContact);
	/// Changes the contact (owner or worker), the beneficiary (owner), or both.
	pub fn update_provider(contact: Option<&ProviderContact>, beneficiary: Option<AccountId>);
	/// Changes the worker. Owner only.
	pub fn set_worker(worker: AccountId);
	/// Ends the provider; releases its bond. Owner only, without sectors.
	pub fn deregister();
	/// Sets or withdraws the ask for a proof type. Owner or worker.
	pub fn set_ask(proof_type: ProofTypeId, ask: Option<&Ask>);
	/// Commits to filled sectors, at most 32. Owner or worker.
	pub fn pre_commit_sectors(sectors: &[SectorPreCommit]);
	/// Proves pre-committed sectors or parts of them, at most 32. Owner or worker.
	pub fn prove_commit_sectors(proofs: &[SectorProof]);
	/// Proves partitions of the open deadline, at most 16. Worker only.
	pub fn submit_windowed_post(deadline: DeadlineIndex, partitions: &[PartitionProof], proof: &WindowProof);
	/// Declares sectors faulty before their challenge is known, at most 256. Owner or worker.
	pub fn declare_faults(sectors: &[SectorNumber]);
	/// Declares that faulty sectors will be proven in their next deadline, at most 256. Owner or worker.
	pub fn declare_faults_recovered(sectors: &[SectorNumber]);
	/// Works off at most `limit` items of housekeeping. Anyone.
	pub fn service(limit: u32);
	/// Changes the protocol's parameters. Root only.
	pub fn set_parameters(parameters: &ProtocolParameters);
}
