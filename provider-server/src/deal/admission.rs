//! Whether a proposed deal is taken: a pure decision over a snapshot of the chain and the disk.
//!
//! A provider that publishes a deal it cannot activate by `start_by` pays for it, so everything that
//! can be known is asked before the first byte is uploaded. Each refusal says what to do.

use super::Proposal;
use crate::chain::{AccountId, Ask, RegisteredProofType};
use cairn_primitives::{
	deal::price_per_block, params::ProtocolParameters, Balance, BlockNumber, ProofSpec, ProofTypeId, Tier,
};
use cairn_provider_api::{ErrorKind, Problem};

/// Blocks between the steps of a deal, beside sealing: what a provider allows for uploading,
/// publishing, batching, pre-committing and proving.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
	/// Blocks that a finished upload may wait until it is in a sector.
	pub batching: BlockNumber,
	/// Blocks that each transaction may take.
	pub per_transaction: BlockNumber,
	/// Seconds of sealing per byte of a sealed sector.
	pub seal_seconds_per_byte: f64,
	/// Sealed sectors in front.
	pub seal_queue: u32,
	/// Seconds per block.
	pub block_seconds: f64,
}

impl Schedule {
	/// Blocks from an upload's end to the activation of its sector, estimated with a margin.
	pub fn blocks_to_activate(&self, spec: &ProofSpec, pre_commit_delay: BlockNumber) -> BlockNumber {
		let sealing = match spec.tier {
			Tier::Hot => 0,
			Tier::Sealed => {
				let one = self.seal_seconds_per_byte * spec.sector_size() as f64;
				let seconds = one * f64::from(self.seal_queue + 1);
				// A ceiling beyond any `start_by`, so that the cast is exact.
				(seconds / self.block_seconds.max(0.1)).ceil().clamp(0.0, 1e9) as BlockNumber
			}
		};
		// Publish, pre-commit, prove.
		let transactions = self.per_transaction.saturating_mul(3);
		let sum = self
			.batching
			.saturating_add(transactions)
			.saturating_add(pre_commit_delay);
		// Estimates of sealing are off by as much as their own length.
		sum.saturating_add(sealing.saturating_mul(2))
	}
}

/// What a decision is made on.
pub struct Snapshot<'a> {
	/// Owner account of this provider.
	pub owner: &'a AccountId,
	/// Latest finalized block.
	pub now: BlockNumber,
	/// Protocol parameters in force.
	pub parameters: &'a ProtocolParameters,
	/// Proof types of the chain.
	pub proof_types: &'a [RegisteredProofType],
	/// This provider's asks.
	pub asks: &'a [(ProofTypeId, Ask)],
	/// The client's escrow; absent for proposals made on chain, whose price is on hold already.
	pub client_escrow: Option<Balance>,
	/// This provider's escrow, less what accepted deals will draw.
	pub provider_escrow: Balance,
	/// Collateral of this provider's deals that are not active, drawn or not.
	pub waiting_collateral: Balance,
	/// That of the client's own among them.
	pub waiting_collateral_of_client: Balance,
	/// Bytes of disk that are neither used nor promised.
	pub disk_available: u64,
	/// Largest payload that uploads take.
	pub max_payload: u64,
	/// Largest provider collateral, in parts per million of a deal's total price.
	pub max_collateral_ppm: u32,
	/// Largest part of what this provider has for collateral that deals of one client may bind before they are
	/// active, in parts per million.
	pub max_client_collateral_ppm: u32,
	/// Whether a live hot deal holds the same piece.
	pub hot_piece_stored: bool,
	/// Timing.
	pub schedule: Schedule,
}

/// Decides whether a deal is taken, and in which type of sector.
///
/// # Errors
/// The first objection, with a hint.
pub fn admit(proposal: &Proposal, snapshot: &Snapshot) -> Result<ProofTypeId, Problem> {
	if proposal.provider != *snapshot.owner {
		return Err(
			Problem::new(ErrorKind::WrongProvider, "the proposal names another provider")
				.hint("ask this provider for its account with cairn_v1_info and sign again"),
		);
	}
	let piece = &proposal.piece;
	if !piece.is_valid() {
		return Err(Problem::new(
			ErrorKind::PieceSize,
			format!(
				"a piece of 2^{} bytes cannot hold a payload of {} bytes",
				piece.size_log2, piece.payload_size
			),
		)
		.hint("the payload must not be empty and must fill at most 127/128 of the padded size"));
	}
	if piece.payload_size > snapshot.max_payload {
		return Err(Problem::new(
			ErrorKind::PieceSize,
			format!("payloads are limited to {} bytes here", snapshot.max_payload),
		)
		.hint("split the data into several deals or choose another provider"));
	}
	if cid::Cid::try_from(proposal.payload.root()).is_err() {
		return Err(
			Problem::new(ErrorKind::Malformed, "the payload's root is not a binary CID")
				.hint("sign the proposal with the CAR's root as a binary CID"),
		);
	}
	let (proof_type, spec, price) = choose_type(proposal, snapshot)?;
	check_price(proposal, price)?;
	check_start(proposal, &spec, snapshot)?;
	check_money(proposal, snapshot)?;
	if proposal.tier == Tier::Hot && snapshot.hot_piece_stored {
		return Err(Problem::new(
			ErrorKind::DuplicatePiece,
			"this provider already has a hot deal for the same piece",
		)
		.hint("choose another provider: a second copy of the same bytes here would prove nothing"));
	}
	let needed = disk_needed(proposal, &spec);
	if needed > snapshot.disk_available {
		return Err(Problem::new(
			ErrorKind::StorageFull,
			format!(
				"{needed} bytes are needed and {} are available",
				snapshot.disk_available
			),
		)
		.hint("try again later or choose another provider"));
	}
	Ok(proof_type)
}

/// Disk that a deal takes until it is active: its payload, its tree, and for the sealed tier the
/// replica and the layers.
pub fn disk_needed(proposal: &Proposal, spec: &ProofSpec) -> u64 {
	let payload = proposal.piece.payload_size;
	let tree = payload / 256;
	let sealing = match spec.tier {
		Tier::Hot => 0,
		// The deal's share of the sector: it may share the sector, but need not.
		Tier::Sealed => cairn_proving::seal::space_needed(spec),
	};
	payload.saturating_add(tree).saturating_add(sealing)
}

/// The smallest sector that the piece fits among the types for which an ask takes it.
fn choose_type(
	proposal: &Proposal,
	snapshot: &Snapshot,
) -> Result<(ProofTypeId, ProofSpec, Balance), Problem> {
	let size_log2 = proposal.piece.size_log2;
	let mut offered = false;
	let mut sizes: Vec<(u8, u8)> = Vec::new();
	let mut durations: Vec<(BlockNumber, BlockNumber)> = Vec::new();
	let mut best: Option<(ProofTypeId, ProofSpec, Balance)> = None;
	for (id, ask) in snapshot.asks {
		let Some(registered) = snapshot
			.proof_types
			.iter()
			.find(|registered| registered.id == *id)
		else {
			continue;
		};
		let Ask::V1 {
			price_per_gib,
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			accepting,
		} = *ask;
		if registered.spec.tier != proposal.tier || !registered.accepts_new_sectors || !accepting {
			continue;
		}
		offered = true;
		let largest = max_piece_log2.min(registered.spec.sector_size_log2);
		sizes.push((min_piece_log2, largest));
		if !(min_piece_log2..=largest).contains(&size_log2) {
			continue;
		}
		let longest = max_duration.min(snapshot.parameters.max_deal_duration);
		let shortest = min_duration.max(snapshot.parameters.min_deal_duration);
		durations.push((shortest, longest));
		if !(shortest..=longest).contains(&proposal.duration) {
			continue;
		}
		let smaller = best
			.as_ref()
			.is_none_or(|(_, spec, _)| registered.spec.sector_size_log2 < spec.sector_size_log2);
		if smaller {
			best = Some((*id, registered.spec, price_per_gib));
		}
	}
	if let Some(best) = best {
		return Ok(best);
	}
	if !offered {
		let tier = match proposal.tier {
			Tier::Hot => "hot",
			Tier::Sealed => "sealed",
		};
		return Err(Problem::new(
			ErrorKind::TierNotOffered,
			format!("no {tier} deals are taken at the moment"),
		)
		.hint("see the asks in cairn_v1_info, or choose another provider"));
	}
	if durations.is_empty() {
		let ranges: Vec<String> = sizes
			.iter()
			.map(|(min, max)| format!("2^{min} to 2^{max}"))
			.collect();
		return Err(Problem::new(
			ErrorKind::PieceSize,
			format!(
				"a piece of 2^{size_log2} bytes is outside the sizes taken ({})",
				ranges.join(", ")
			),
		)
		.hint("split or combine the data, or choose another provider"));
	}
	let ranges: Vec<String> = durations
		.iter()
		.map(|(min, max)| format!("{min} to {max}"))
		.collect();
	Err(Problem::new(
		ErrorKind::Duration,
		format!(
			"{} blocks are outside the durations taken ({})",
			proposal.duration,
			ranges.join(", ")
		),
	)
	.hint("sign the proposal again with a duration in that range"))
}

fn check_price(proposal: &Proposal, price_per_gib: Balance) -> Result<(), Problem> {
	let too_low = |least: String| {
		Problem::new(
			ErrorKind::PriceTooLow,
			format!(
				"{} plancks per block are offered, at least {least} are asked",
				proposal.price_per_block
			),
		)
		.hint("sign the proposal again with a higher price")
	};
	let least = price_per_block(price_per_gib, proposal.piece.padded_size())
		.ok_or_else(|| too_low("a number beyond any balance".into()))?;
	if proposal.price_per_block < least {
		return Err(too_low(least.to_string()));
	}
	Ok(())
}

fn check_start(proposal: &Proposal, spec: &ProofSpec, snapshot: &Snapshot) -> Result<(), Problem> {
	let now = snapshot.now;
	let needed = snapshot
		.schedule
		.blocks_to_activate(spec, snapshot.parameters.pre_commit_delay);
	let earliest = now.saturating_add(needed);
	if proposal.start_by < earliest {
		return Err(Problem::new(
			ErrorKind::StartBy,
			format!(
				"the deal must start by block {}, but block {now} is finalized and about {needed} more are needed",
				proposal.start_by
			),
		)
		.hint(format!(
			"sign the proposal again with start_by of at least {earliest}, plus the time to upload"
		)));
	}
	let latest = now.saturating_add(snapshot.parameters.max_start_delay);
	if proposal.start_by > latest {
		return Err(Problem::new(
			ErrorKind::StartBy,
			format!(
				"the deal's start_by {} is later than the chain allows",
				proposal.start_by
			),
		)
		.hint(format!(
			"sign the proposal again with start_by of at most {latest}"
		)));
	}
	Ok(())
}

fn check_money(proposal: &Proposal, snapshot: &Snapshot) -> Result<(), Problem> {
	let total = proposal.total_price().ok_or_else(|| {
		Problem::new(
			ErrorKind::ClientFunds,
			"the deal's total price exceeds any balance",
		)
		.hint("sign the proposal again with a lower price")
	})?;
	let share = |ppm: u32| total.saturating_mul(ppm.into()).div_ceil(1_000_000);
	let floor = share(snapshot.parameters.min_collateral_ppm);
	let ceiling = share(snapshot.max_collateral_ppm).max(floor);
	let collateral = proposal.provider_collateral;
	if !(floor..=ceiling).contains(&collateral) {
		return Err(Problem::new(
			ErrorKind::Collateral,
			format!("a provider collateral of {collateral} plancks is outside {floor} to {ceiling}"),
		)
		.hint("sign the proposal again with a collateral in that range"));
	}
	if let Some(escrow) = snapshot.client_escrow.filter(|escrow| *escrow < total) {
		return Err(Problem::new(
			ErrorKind::ClientFunds,
			format!("the deal costs {total} plancks and the client's escrow holds {escrow}"),
		)
		.hint(
			"add to the escrow with `cairn wallet add-balance` or Market.add_balance, then propose again",
		));
	}
	if snapshot.provider_escrow < collateral {
		return Err(Problem::new(
			ErrorKind::ProviderFunds,
			"this provider's escrow does not cover the collateral of another deal",
		)
		.hint("choose another provider; its operator must add to its escrow"));
	}
	// The collateral of deals that lapse goes to their client. One client, or one mistake in its deals, must not
	// be able to take everything.
	let funds = snapshot
		.provider_escrow
		.saturating_add(snapshot.waiting_collateral);
	let most = funds.saturating_mul(snapshot.max_client_collateral_ppm.into()) / 1_000_000;
	let bound = snapshot.waiting_collateral_of_client.saturating_add(collateral);
	if bound > most {
		return Err(Problem::new(
			ErrorKind::Collateral,
			format!("deals of one client may bind {most} plancks of collateral here until they are active, and {bound} would be bound"),
		)
		.hint("wait until your other deals here are active, offer less collateral, or choose another provider"));
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::deal::record::tests::proposal;
	use cairn_primitives::proof_type::BUILTIN;

	const OWNER: AccountId = [3; 32];

	fn ask(price_per_gib: Balance, max_piece_log2: u8) -> Ask {
		Ask::V1 {
			price_per_gib,
			min_piece_log2: 8,
			max_piece_log2,
			min_duration: 10,
			max_duration: 1000,
			accepting: true,
		}
	}

	fn check(
		change: impl FnOnce(&mut Proposal),
		adjust: impl FnOnce(&mut Snapshot),
	) -> Result<ProofTypeId, ErrorKind> {
		let parameters = ProtocolParameters::development();
		let proof_types: Vec<_> = BUILTIN
			.iter()
			.map(|(id, spec)| RegisteredProofType {
				id: *id,
				spec: *spec,
				accepts_new_sectors: true,
			})
			.collect();
		let asks = [
			(ProofTypeId(0x17), ask(1 << 20, 23)),
			(ProofTypeId(0x11), ask(1 << 20, 11)),
			(ProofTypeId(0x117), ask(1 << 21, 23)),
		];
		let mut snapshot = Snapshot {
			owner: &OWNER,
			now: 10,
			parameters: &parameters,
			proof_types: &proof_types,
			asks: &asks,
			client_escrow: Some(1_000_000),
			provider_escrow: 1_000_000,
			waiting_collateral: 0,
			waiting_collateral_of_client: 0,
			disk_available: 1 << 40,
			max_payload: 1 << 30,
			max_collateral_ppm: 500_000,
			max_client_collateral_ppm: 250_000,
			hot_piece_stored: false,
			schedule: Schedule {
				batching: 4,
				per_transaction: 4,
				seal_seconds_per_byte: 1e-6,
				seal_queue: 0,
				block_seconds: 3.0,
			},
		};
		let mut proposal = proposal(1);
		proposal.payload = cairn_primitives::deal::DealPayload::V1 {
			kind: cairn_primitives::deal::PayloadKind::Public,
			root: {
				let hash = cid::multihash::Multihash::wrap(0x12, &[1; 32]).unwrap();
				cid::Cid::new_v1(0x55, hash).to_bytes().try_into().unwrap()
			},
		};
		proposal.provider_collateral = 21;
		proposal.price_per_block = 7;
		change(&mut proposal);
		adjust(&mut snapshot);
		admit(&proposal, &snapshot).map_err(|problem| {
			assert!(!problem.message.is_empty());
			problem.kind
		})
	}

	#[test]
	fn a_good_deal_goes_into_the_smallest_sector_that_fits() {
		assert_eq!(check(|_| (), |_| ()), Ok(ProofTypeId(0x11)));
		let larger = check(
			|proposal| {
				proposal.piece.size_log2 = 12;
				proposal.piece.payload_size = 4000;
			},
			|_| (),
		);
		assert_eq!(larger, Ok(ProofTypeId(0x17)));
		let sealed = check(
			|proposal| {
				proposal.tier = Tier::Sealed;
				proposal.start_by = 200;
			},
			|_| (),
		);
		assert_eq!(sealed, Ok(ProofTypeId(0x117)));
	}

	/// What a provider loses if all deals of a client lapse.
	#[test]
	fn one_client_cannot_bind_the_whole_escrow() {
		let with = |free: Balance, waiting: Balance, of_client: Balance| {
			check(
				|_| (),
				|s| {
					s.provider_escrow = free;
					s.waiting_collateral = waiting;
					s.waiting_collateral_of_client = of_client;
				},
			)
			.map(|_| ())
		};
		assert_eq!(with(84, 0, 0), Ok(()));
		// What is bound already counts to both sides.
		assert_eq!(with(63, 21, 21), Err(ErrorKind::Collateral));
		assert_eq!(with(63, 21, 0), Ok(()));
		assert_eq!(with(147, 21, 21), Ok(()));
		assert_eq!(with(146, 21, 21), Err(ErrorKind::Collateral));
		assert_eq!(
			with(Balance::MAX, Balance::MAX, Balance::MAX),
			Err(ErrorKind::Collateral)
		);
	}

	#[test]
	fn every_objection() {
		use ErrorKind as K;
		assert_eq!(check(|p| p.provider = [9; 32], |_| ()), Err(K::WrongProvider));
		assert_eq!(check(|p| p.piece.payload_size = 0, |_| ()), Err(K::PieceSize));
		assert_eq!(check(|p| p.piece.payload_size = 5000, |_| ()), Err(K::PieceSize));
		assert_eq!(check(|p| p.piece.size_log2 = 255, |_| ()), Err(K::PieceSize));
		assert_eq!(
			check(
				|p| (p.piece.size_log2, p.piece.payload_size) = (24, 1 << 23),
				|_| ()
			),
			Err(K::PieceSize)
		);
		assert_eq!(
			check(|p| (p.piece.size_log2, p.piece.payload_size) = (7, 100), |_| ()),
			Err(K::PieceSize)
		);
		assert_eq!(check(|_| (), |s| s.max_payload = 100), Err(K::PieceSize));
		assert_eq!(check(|_| (), |s| s.asks = &[]), Err(K::TierNotOffered));
		assert_eq!(check(|p| p.price_per_block = 1, |_| ()), Err(K::PriceTooLow));
		assert_eq!(check(|p| p.duration = 19, |_| ()), Err(K::Duration));
		assert_eq!(check(|p| p.duration = 1001, |_| ()), Err(K::Duration));
		assert_eq!(check(|p| p.start_by = 20, |_| ()), Err(K::StartBy));
		assert_eq!(check(|p| p.start_by = 0, |_| ()), Err(K::StartBy));
		assert_eq!(check(|p| p.start_by = 20_000, |_| ()), Err(K::StartBy));
		assert_eq!(check(|p| p.provider_collateral = 20, |_| ()), Err(K::Collateral));
		assert_eq!(check(|p| p.provider_collateral = 106, |_| ()), Err(K::Collateral));
		assert_eq!(
			check(|_| (), |s| s.client_escrow = Some(209)),
			Err(K::ClientFunds)
		);
		assert_eq!(
			check(|p| p.price_per_block = u128::MAX, |_| ()),
			Err(K::ClientFunds)
		);
		assert_eq!(check(|_| (), |s| s.provider_escrow = 20), Err(K::ProviderFunds));
		// A quarter of 83 plancks does not cover 21.
		assert_eq!(check(|_| (), |s| s.provider_escrow = 83), Err(K::Collateral));
		assert_eq!(
			check(|_| (), |s| s.hot_piece_stored = true),
			Err(K::DuplicatePiece)
		);
		assert_eq!(check(|_| (), |s| s.disk_available = 1000), Err(K::StorageFull));
		let rootless = |p: &mut Proposal| {
			p.payload = cairn_primitives::deal::DealPayload::V1 {
				kind: cairn_primitives::deal::PayloadKind::Public,
				root: vec![1, 2, 3].try_into().unwrap(),
			}
		};
		assert_eq!(check(rootless, |_| ()), Err(K::Malformed));
	}

	#[test]
	fn proposals_made_on_chain_need_no_escrow() {
		assert!(check(|_| (), |s| s.client_escrow = None).is_ok());
	}

	#[test]
	fn sealed_deals_need_time_to_seal_behind_the_queue() {
		let start_by = |start_by: BlockNumber, queue: u32| {
			check(
				|proposal| {
					proposal.tier = Tier::Sealed;
					proposal.start_by = start_by;
				},
				|snapshot| snapshot.schedule.seal_queue = queue,
			)
		};
		// 8 MiB at 1 µs a byte: 8.4 s or 3 blocks, doubled; 18 for the rest.
		assert_eq!(start_by(34, 0), Ok(ProofTypeId(0x117)));
		assert_eq!(start_by(33, 0), Err(ErrorKind::StartBy));
		assert_eq!(start_by(34, 9), Err(ErrorKind::StartBy));
	}
}
