//! The traits through which Cairn's pallets meet. No pallet depends on another pallet's crate.
//!
//! - [`Beacons`]: the randomness pallet, for whoever draws challenges.
//! - [`ProofVerifier`]: the proofs pallet, for the storage-provider pallet.
//! - [`Deals`]: the market, for the storage-provider pallet.
//! - [`Sectors`]: the storage-provider pallet, for the market.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;
use cairn_primitives::{
	params::ProtocolParameters, BlockNumber, Commitment, DealId, PieceInfo, ProofSpec, ProofTypeId,
	SectorNumber, Tier,
};
use sp_runtime::{DispatchError, DispatchResult};
use sp_weights::Weight;

/// A random value that nobody could know before its block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beacon {
	/// Block that produced it.
	pub block: BlockNumber,
	/// The value.
	pub value: [u8; 32],
}

/// Source of public randomness.
pub trait Beacons {
	/// The first usable beacon of blocks `from..until`, as far as they have passed. Blocks without
	/// one are skipped; `None` also if the ring no longer reaches back to `from`: a later beacon never
	/// takes a forgotten one's place.
	fn first_in(from: BlockNumber, until: BlockNumber) -> Option<Beacon>;

	/// The sealing ticket's beacon of block `at`, if `at` is a ticket block that is remembered.
	fn ticket(at: BlockNumber) -> Option<Beacon>;

	/// Blocks that [`Self::first_in`] reaches back.
	fn reach() -> BlockNumber;

	/// Weight of [`Self::first_in`].
	fn first_in_weight() -> Weight;

	/// Benchmarks: makes a usable beacon, and ticket if the block has one, of the current block.
	#[cfg(feature = "runtime-benchmarks")]
	fn produce_for_benchmark();
}

/// What identifies the sector that an activation proof is about.
#[derive(Clone, Copy, Debug)]
pub struct ActivationInputs<'a> {
	/// Identity of the provider (`cairn_primitives::challenge::prover_id`).
	pub prover_id: &'a [u8; 32],
	/// Sector number.
	pub sector: SectorNumber,
	/// Sealing ticket; zero in the hot tier.
	pub ticket: &'a [u8; 32],
	/// Seed of the challenges.
	pub seed: &'a [u8; 32],
	/// Commitment to the data.
	pub comm_d: &'a Commitment,
	/// Commitment to the replica.
	pub comm_r: &'a Commitment,
	/// Pieces in the order of their offsets.
	pub pieces: &'a [PieceInfo],
}

/// One sector's openings in a windowed proof.
#[derive(Clone, Copy, Debug)]
pub struct WindowInputs<'a> {
	/// Commitment to the replica: CommD in the hot tier.
	pub comm_r: &'a Commitment,
	/// Leaves to open, in order.
	pub leaves: &'a [u64],
}

/// Verifies proofs and knows the registered proof types.
pub trait ProofVerifier {
	/// Parameters of a registered type, retired ones included.
	fn spec(id: ProofTypeId) -> Option<ProofSpec>;

	/// Whether new sectors may use the type.
	fn accepts_new_sectors(id: ProofTypeId) -> bool;

	/// Commitment to the data of a sector that holds `pieces`.
	fn comm_d(pieces: &[PieceInfo], sector_size_log2: u8) -> Result<Commitment, DispatchError>;

	/// Verifies challenges `first..first + count` of an activation.
	fn verify_activation(
		spec: &ProofSpec,
		inputs: &ActivationInputs,
		first: u16,
		count: u16,
		proof: &[u8],
	) -> DispatchResult;

	/// Length of one sector's part of a windowed proof, in bytes.
	fn window_len(spec: &ProofSpec, openings: u32) -> u64;

	/// Verifies one sector's part of a windowed proof.
	fn verify_window(spec: &ProofSpec, inputs: &WindowInputs, proof: &[u8]) -> DispatchResult;

	/// Weight of [`Self::comm_d`] over `pieces` pieces.
	fn comm_d_weight(pieces: u32) -> Weight;

	/// Weight of [`Self::verify_activation`] over `count` challenges.
	fn activation_weight(spec: &ProofSpec, count: u16) -> Weight;

	/// Weight of [`Self::verify_window`] over `openings` openings.
	fn window_weight(spec: &ProofSpec, openings: u32) -> Weight;

	/// Upper bound of the weight of verifying `bytes` of any proof, for calls that do not know the
	/// sectors yet.
	fn weight_per_proof_bytes(bytes: u32) -> Weight;
}

/// A deal as its sector needs to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommittedDeal {
	/// The piece.
	pub piece: PieceInfo,
	/// Blocks from activation to the deal's end.
	pub duration: BlockNumber,
}

/// The market, as the storage-provider pallet sees it.
pub trait Deals<AccountId> {
	/// Binds published deals to a sector that is being pre-committed. Fails unless every deal is the
	/// provider's, published, of `tier`, bound to no sector, named once, and can still be activated
	/// after `prove_from` (the first block at which the sector can be proven).
	fn bind(
		provider: &AccountId,
		sector: SectorNumber,
		tier: Tier,
		prove_from: BlockNumber,
		deals: &[DealId],
	) -> Result<Vec<CommittedDeal>, DispatchError>;

	/// Undoes [`Self::bind`] when a pre-commit lapses. Deals that ended meanwhile are ignored.
	fn unbind(provider: &AccountId, deals: &[DealId]);

	/// The sector is proven: its deals run from `at`. Deals whose `start_by` passed stay out of it;
	/// the returned flags say which ones run, in order.
	fn activate(
		provider: &AccountId,
		sector: SectorNumber,
		deals: &[DealId],
		at: BlockNumber,
	) -> Result<Vec<bool>, DispatchError>;

	/// Weight of [`Self::bind`] for `deals` deals.
	fn bind_weight(deals: u32) -> Weight;
	/// Weight of [`Self::unbind`] for `deals` deals.
	fn unbind_weight(deals: u32) -> Weight;
	/// Weight of [`Self::activate`] for `deals` deals.
	fn activate_weight(deals: u32) -> Weight;
}

/// How much of a deal's time its sector proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProvenDeal {
	/// Blocks proven from activation to the asked block.
	pub blocks: BlockNumber,
	/// Whether that number can no longer change.
	pub is_final: bool,
}

/// The storage-provider pallet, as the market sees it.
pub trait Sectors<AccountId> {
	/// The provider that `who` acts for: itself if it is an owner, the owner if it is a worker.
	fn provider_of(who: &AccountId) -> Option<AccountId>;

	/// Whether `who` is the owner account of a registered provider.
	fn is_provider(who: &AccountId) -> bool;

	/// Account that receives the provider's earnings.
	fn beneficiary(provider: &AccountId) -> Option<AccountId>;

	/// Blocks that the sector proved from its activation to `until`. `None` if there is no such
	/// sector.
	fn proven(provider: &AccountId, sector: SectorNumber, until: BlockNumber) -> Option<ProvenDeal>;

	/// First block from which [`Self::proven`] is final for `until`. `None` if there is no such
	/// sector.
	fn final_at(provider: &AccountId, sector: SectorNumber, until: BlockNumber) -> Option<BlockNumber>;

	/// A deal of the sector was settled for the last time.
	fn deal_closed(provider: &AccountId, sector: SectorNumber);

	/// Benchmarks: makes `who` a provider, with itself as worker and beneficiary.
	#[cfg(feature = "runtime-benchmarks")]
	fn register_for_benchmark(who: &AccountId);

	/// Benchmarks: makes a live sector of `deals` deals whose every block up to `until` is proven.
	#[cfg(feature = "runtime-benchmarks")]
	fn add_proven_sector_for_benchmark(
		provider: &AccountId,
		sector: SectorNumber,
		deals: u32,
		activated_at: BlockNumber,
		until: BlockNumber,
	);
}

/// The protocol parameters in force.
pub trait Parameters {
	/// Reads them. One storage read.
	fn get() -> ProtocolParameters;
}
