//! Weights of the calls and of housekeeping's steps.

mod measured;

pub use measured::SubstrateWeight;

use frame_support::weights::Weight;

/// Weights this pallet needs. Verification weights come from the proofs pallet and are added.
pub trait WeightInfo {
	/// `register_storage_provider`.
	fn register_storage_provider() -> Weight;
	/// `update_provider`.
	fn update_provider() -> Weight;
	/// `set_worker`.
	fn set_worker() -> Weight;
	/// `deregister`.
	fn deregister() -> Weight;
	/// `set_ask`.
	fn set_ask() -> Weight;
	/// One sector of `pre_commit_sectors`, without its deals and CommD.
	fn pre_commit_sector() -> Weight;
	/// One part of `prove_commit_sectors`, activation included, without its deals and verification.
	fn prove_commit_sector() -> Weight;
	/// One partition of `submit_windowed_post` with all its sectors, without verification.
	fn windowed_post_partition() -> Weight;
	/// `declare_faults` of `n` sectors.
	fn declare_faults(n: u32) -> Weight;
	/// `declare_faults_recovered` of `n` sectors.
	fn declare_faults_recovered(n: u32) -> Weight;
	/// `service`, without the work it does.
	fn service() -> Weight;
	/// Looking for the next close or lapsed pre-commit.
	fn sweep_look() -> Weight;
	/// Settling a partition of `n` sectors, without beacons.
	fn settle_partition(n: u32) -> Weight;
	/// Forfeiting one lapsed pre-commit, without its deals.
	fn expire_pre_commit() -> Weight;
	/// `set_parameters`.
	fn set_parameters() -> Weight;
}
