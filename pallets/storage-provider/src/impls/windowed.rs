//! The proof of every period: which leaves a sector must open, and what an accepted proof does.

use crate::{deadline::Calendar, pallet::*, types::*, WeightInfo};
use alloc::vec::Vec;
use cairn_pallet_traits::{Beacon, Beacons, ProofVerifier, WindowInputs};
use cairn_primitives::{
	challenge,
	params::ProtocolParameters,
	piece::Layout,
	sector::{DeadlineWindow, PartitionProof, WindowProof},
	BlockNumber, DeadlineIndex, PartitionIndex, ProofSpec, SectorNumber, Tier,
};
use frame_support::pallet_prelude::*;

/// The draw that a deadline's challenges come from.
#[derive(Clone, Copy)]
pub(crate) struct Draw<'a> {
	pub(crate) parameters: &'a ProtocolParameters,
	pub(crate) calendar: &'a Calendar,
	pub(crate) window: &'a DeadlineWindow,
	pub(crate) beacon: &'a Beacon,
	pub(crate) prover_id: &'a [u8; 32],
}

/// Payload of a piece in its sector.
struct PlacedPiece {
	first: u64,
	count: u64,
	ends: BlockNumber,
}

impl PlacedPiece {
	fn leaves(&self) -> core::ops::Range<u64> {
		self.first..self.first.saturating_add(self.count)
	}
}

/// Reduces a challenge to the payload of the pieces whose deals run after block `since`.
fn leaf_due_after(pieces: &[PlacedPiece], since: BlockNumber, value: u64) -> Option<u64> {
	let due = pieces
		.iter()
		.filter(|piece| piece.ends > since)
		.map(|piece| (piece.first, piece.count));
	challenge::live_leaf(due, value)
}

impl<T: Config> Pallet<T> {
	pub(crate) fn windowed_post_weight(partitions: &[PartitionProof], proof: &WindowProof) -> Weight {
		let WindowProof::V1(bytes) = proof;
		T::WeightInfo::windowed_post_partition()
			.saturating_add(T::Beacons::first_in_weight().saturating_mul(4))
			.saturating_mul(partitions.len() as u64)
			.saturating_add(T::Beacons::first_in_weight())
			.saturating_add(T::Proofs::weight_per_proof_bytes(bytes.len() as u32))
	}

	/// The beacon of a deadline, if one has appeared by now. One of the last block does not count: it
	/// would leave no block to answer its challenges in.
	pub(crate) fn deadline_beacon(window: &DeadlineWindow) -> Option<Beacon> {
		let last = window.close.saturating_sub(1);
		T::Beacons::first_in(window.open, last.min(Self::now().saturating_add(1)))
	}

	/// Leaves that a sector must open, in the order of its proof. A recovering sector answers the
	/// challenge that it missed first, then fresh ones. In the hot tier the payload of the pieces counts
	/// whose deals ran in the interval that the deadline proves.
	pub(crate) fn leaves_to_open(
		draw: &Draw,
		sector: SectorNumber,
		record: &SectorRecord,
		spec: &ProofSpec,
		recovering: bool,
	) -> Result<Vec<u64>, Error<T>> {
		let parameters = draw.parameters;
		let values = |beacon: &[u8; 32], period: u64, count: u16| -> Vec<u64> {
			let deadline = draw.window.deadline;
			(0..u32::from(count))
				.map(|j| challenge::window_challenge(beacon, draw.prover_id, sector, period, deadline, j))
				.collect()
		};
		let missed = record.fault.and_then(|fault| fault.missed).filter(|_| recovering);
		let fresh = if missed.is_some() {
			parameters.recovery_challenges
		} else {
			parameters.window_challenges
		};
		let fresh = values(&draw.beacon.value, draw.window.period, fresh);
		let owed = missed.map(|missed| values(&missed.beacon, missed.period, parameters.window_challenges));
		let owed = owed.unwrap_or_default();
		if spec.tier == Tier::Sealed {
			let leaf = |value: u64| challenge::replica_leaf(value, spec.leaves());
			return Ok(owed.into_iter().chain(fresh).map(leaf).collect());
		}

		let pieces = Self::live_pieces(record, spec)?;
		let period = draw.calendar.period();
		let since = record.proven.interval_start(draw.window.close, period);
		let periods = missed.map_or(0, |missed| draw.window.period.saturating_sub(missed.period));
		let behind = u64::from(period).saturating_mul(periods);
		let missed_close = u64::from(draw.window.close).saturating_sub(behind) as BlockNumber;
		let missed_since = record.proven.interval_start(missed_close, period);
		// A missed challenge keeps its leaf as long as the leaf's piece is due, or whoever lost a part of
		// one piece could wait for another one's end to have the challenge fall elsewhere.
		let owed = owed.into_iter().map(|value| {
			leaf_due_after(&pieces, missed_since, value)
				.filter(|leaf| {
					pieces
						.iter()
						.any(|piece| piece.ends > since && piece.leaves().contains(leaf))
				})
				.or_else(|| leaf_due_after(&pieces, since, value))
		});
		let fresh = fresh
			.into_iter()
			.map(|value| leaf_due_after(&pieces, since, value));
		owed.chain(fresh)
			.collect::<Option<Vec<u64>>>()
			.ok_or(Error::<T>::NothingToProve)
	}

	/// Where a hot sector's pieces lie and when they end.
	fn live_pieces(record: &SectorRecord, spec: &ProofSpec) -> Result<Vec<PlacedPiece>, Error<T>> {
		let mut layout = Layout::new(spec.sector_size_log2).map_err(|_| Error::<T>::UnknownProofType)?;
		record
			.pieces
			.iter()
			.map(|SectorPiece { piece, ends }| {
				let offset = layout
					.place(piece.size_log2)
					.map_err(|_| Error::<T>::WrongNumberOfDeals)?;
				Ok(PlacedPiece {
					first: offset / 32,
					count: piece.payload_leaves(),
					ends: *ends,
				})
			})
			.collect()
	}

	pub(crate) fn windowed_post(
		who: T::AccountId,
		deadline: DeadlineIndex,
		partitions: BoundedVec<PartitionProof, MaxPartitionsPerProof>,
		proof: WindowProof,
	) -> DispatchResult {
		let (owner, record) = Self::ensure_provider(&who)?;
		ensure!(!partitions.is_empty(), Error::<T>::InvalidPartitions);
		let ascending = partitions
			.windows(2)
			.all(|pair| pair[0].partition < pair[1].partition);
		ensure!(ascending, Error::<T>::InvalidPartitions);
		let parameters = Self::parameters()?;
		let calendar = Self::calendar(&parameters, record.period_offset);
		let window = calendar.at(Self::now());
		ensure!(window.deadline == deadline, Error::<T>::DeadlineNotOpen);
		let beacon = Self::deadline_beacon(&window).ok_or(Error::<T>::ChallengeNotDrawn)?;
		let draw = Draw {
			parameters: &parameters,
			calendar: &calendar,
			window: &window,
			beacon: &beacon,
			prover_id: &Self::prover_id(&owner),
		};

		let WindowProof::V1(bytes) = proof;
		let mut rest: &[u8] = &bytes;
		let mut sectors = 0u32;
		for part in &partitions {
			sectors = sectors.saturating_add(Self::prove_partition(&owner, &draw, *part, &mut rest)?);
		}
		ensure!(rest.is_empty(), Error::<T>::WrongProofLength);
		Self::deposit_event(Event::WindowProofAccepted {
			provider: owner,
			deadline,
			period: window.period,
			partitions: partitions.iter().map(|part| part.partition).collect(),
			sectors,
		});
		Ok(())
	}

	/// Verifies one partition's part at the head of `proof` and books it. Returns how many sectors
	/// it proved.
	fn prove_partition(
		owner: &T::AccountId,
		draw: &Draw,
		part: PartitionProof,
		proof: &mut &[u8],
	) -> Result<u32, DispatchError> {
		let key = (owner, draw.window.deadline, part.partition);
		let mut partition = Partitions::<T>::get(key).ok_or(Error::<T>::InvalidPartitions)?;
		let last_close = draw.calendar.last_close(draw.window.deadline, Self::now());
		ensure!(
			Self::settle_partition(
				owner,
				draw.window.deadline,
				&mut partition,
				last_close,
				draw.calendar
			),
			Error::<T>::Unsettled
		);
		ensure!(
			partition.proven_close != draw.window.close,
			Error::<T>::AlreadyProven
		);
		ensure!(
			part.skipped & !partition.provable() == 0,
			Error::<T>::InvalidSkipped
		);
		let to_prove = partition.to_prove(part.skipped);
		ensure!(to_prove != 0, Error::<T>::NothingToProve);

		let spec = T::Proofs::spec(partition.proof_type).ok_or(Error::<T>::UnknownProofType)?;
		for (slot, sector) in partition.sectors_in(to_prove) {
			let recovering = partition.recovering >> slot & 1 == 1;
			Self::prove_sector(owner, draw, sector, &spec, recovering, proof)?;
		}
		for (_, sector) in partition.sectors_in(part.skipped) {
			Self::fault_skipped(owner, draw, sector);
		}
		partition.faulty = partition.faulty & !(to_prove & partition.recovering) | part.skipped;
		partition.undrawn &= !(to_prove | part.skipped);
		partition.recovering = 0;
		partition.proven_close = draw.window.close;
		Partitions::<T>::insert(key, partition);
		Ok(to_prove.count_ones())
	}

	fn prove_sector(
		owner: &T::AccountId,
		draw: &Draw,
		sector: SectorNumber,
		spec: &ProofSpec,
		recovering: bool,
		proof: &mut &[u8],
	) -> DispatchResult {
		let mut record = Sectors::<T>::get(owner, sector).ok_or(Error::<T>::SectorNotLive)?;
		let leaves = Self::leaves_to_open(draw, sector, &record, spec, recovering)?;
		let length = T::Proofs::window_len(spec, leaves.len() as u32);
		let (own, rest) = usize::try_from(length)
			.ok()
			.and_then(|length| proof.split_at_checked(length))
			.ok_or(Error::<T>::WrongProofLength)?;
		*proof = rest;
		T::Proofs::verify_window(
			spec,
			&WindowInputs {
				comm_r: &record.comm_r,
				leaves: &leaves,
			},
			own,
		)?;
		record
			.proven
			.credit(draw.window.close, draw.calendar.period())
			.map_err(|_| Error::<T>::AlreadyProven)?;
		if recovering {
			record.fault = None;
			Self::deposit_event(Event::SectorRecovered {
				provider: owner.clone(),
				sector,
			});
		}
		Sectors::<T>::insert(owner, sector, record);
		Ok(())
	}

	/// A sector that the provider left out of its proof missed this deadline's challenge, unless it
	/// had missed an earlier one.
	fn fault_skipped(owner: &T::AccountId, draw: &Draw, sector: SectorNumber) {
		let missed = MissedChallenge {
			period: draw.window.period,
			beacon: draw.beacon.value,
		};
		Self::book_fault(owner, sector, Self::now(), missed);
		Self::deposit_event(Event::SectorFaulty {
			provider: owner.clone(),
			sector,
			reason: FaultReason::Skipped,
		});
	}

	/// Writes a missed challenge into a sector. The first one stays.
	pub(crate) fn book_fault(
		owner: &T::AccountId,
		sector: SectorNumber,
		since: BlockNumber,
		missed: MissedChallenge,
	) {
		Sectors::<T>::mutate(owner, sector, |record| {
			let Some(record) = record else { return };
			let fault = record.fault.get_or_insert(Fault { since, missed: None });
			fault.missed.get_or_insert(missed);
		});
	}

	/// Sectors that `partition` must prove in this draw.
	pub(crate) fn sectors_to_open(
		owner: &T::AccountId,
		draw: &Draw,
		partition: &Partition,
	) -> Vec<cairn_primitives::sector::SectorChallenge> {
		let Some(spec) = T::Proofs::spec(partition.proof_type) else {
			return Vec::new();
		};
		partition
			.sectors_in(partition.to_prove(0))
			.filter_map(|(slot, sector)| {
				let record = Sectors::<T>::get(owner, sector)?;
				let recovering = partition.recovering >> slot & 1 == 1;
				let leaves = Self::leaves_to_open(draw, sector, &record, &spec, recovering).ok()?;
				Some(cairn_primitives::sector::SectorChallenge {
					sector,
					slot,
					proof_type: record.proof_type,
					comm_r: record.comm_r,
					leaves,
				})
			})
			.collect()
	}

	/// Partition indices of a deadline.
	pub(crate) fn partition_indices(
		owner: &T::AccountId,
		deadline: DeadlineIndex,
	) -> core::ops::Range<PartitionIndex> {
		0..DeadlineHeads::<T>::get(owner, deadline).partitions
	}
}
