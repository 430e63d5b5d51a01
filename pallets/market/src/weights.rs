//! Weights of the market's calls, of its calendar and of its part in the storage-provider pallet's calls.

mod measured;

pub use measured::SubstrateWeight;

use frame_support::weights::Weight;

/// Weights of the market's calls, of its calendar and of its part in the storage-provider pallet's
/// calls.
pub trait WeightInfo {
	/// `add_balance`.
	fn add_balance() -> Weight;
	/// `withdraw_balance`.
	fn withdraw_balance() -> Weight;
	/// `publish_storage_deals` with `n` proposals.
	fn publish_storage_deals(n: u32) -> Weight;
	/// `propose_deal`.
	fn propose_deal() -> Weight;
	/// `accept_deals` with `n` hashes.
	fn accept_deals(n: u32) -> Weight;
	/// `cancel_proposal`.
	fn cancel_proposal() -> Weight;
	/// `settle_deal_payments` of `n` deals, each for the last time.
	fn settle_deal_payments(n: u32) -> Weight;
	/// `service` that makes `n` final settlements, in one block of the calendar.
	fn service(n: u32) -> Weight;
	/// One block of the calendar without items.
	fn service_advance() -> Weight;
	/// One item of the calendar: a final settlement, the dearest.
	fn service_item() -> Weight;
	/// `Deals::bind` of `n` deals.
	fn bind(n: u32) -> Weight;
	/// `Deals::unbind` of `n` deals.
	fn unbind(n: u32) -> Weight;
	/// `Deals::activate` of `n` deals.
	fn activate(n: u32) -> Weight;
}
