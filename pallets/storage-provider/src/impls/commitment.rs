//! From pre-commit to activation.

use crate::{pallet::*, types::*, WeightInfo};
use alloc::vec::Vec;
use cairn_pallet_traits::{ActivationInputs, Beacons, Deals, ProofVerifier};
use cairn_primitives::{
	draw,
	proven_time::ProvenTime,
	sector::{
		ActivationProof, SectorPreCommit, SectorProof, MAX_DEALS_PER_HOT_SECTOR, MAX_DEALS_PER_SECTOR,
		SECTORS_PER_PARTITION,
	},
	BlockNumber, DeadlineIndex, PartitionIndex, PieceInfo, ProofSpec, ProofTypeId, SectorNumber, Tier,
};
use frame_support::{
	pallet_prelude::*,
	traits::{
		fungible::{BalancedHold, MutateHold},
		tokens::Precision,
		Imbalance, OnUnbalanced,
	},
};

impl<T: Config> Pallet<T> {
	pub(crate) fn pre_commit_weight(sectors: &[SectorPreCommit]) -> Weight {
		sectors
			.iter()
			.fold(T::DbWeight::get().reads(2), |weight, sector| {
				let deals = sector.deals.len() as u32;
				weight
					.saturating_add(T::WeightInfo::pre_commit_sector())
					.saturating_add(T::Deals::bind_weight(deals))
					.saturating_add(T::Proofs::comm_d_weight(deals))
			})
	}

	pub(crate) fn prove_commit_weight(proofs: &[SectorProof]) -> Weight {
		proofs.iter().fold(T::DbWeight::get().reads(2), |weight, part| {
			let ActivationProof::V1(bytes) = &part.proof;
			weight
				.saturating_add(T::WeightInfo::prove_commit_sector())
				.saturating_add(T::Beacons::first_in_weight())
				.saturating_add(T::Deals::activate_weight(MAX_DEALS_PER_SECTOR))
				.saturating_add(T::Proofs::weight_per_proof_bytes(bytes.len() as u32))
		})
	}

	/// Whether a sector number was ever used.
	pub fn is_allocated(owner: &T::AccountId, sector: SectorNumber) -> bool {
		AllocatedSectors::<T>::get(owner, sector / SECTORS_PER_CHUNK)
			.is_some_and(|chunk| chunk[(sector % SECTORS_PER_CHUNK / 64) as usize] >> (sector % 64) & 1 == 1)
	}

	fn allocate(owner: &T::AccountId, sector: SectorNumber) -> DispatchResult {
		AllocatedSectors::<T>::try_mutate(owner, sector / SECTORS_PER_CHUNK, |chunk| {
			let word = &mut chunk.get_or_insert_default()[(sector % SECTORS_PER_CHUNK / 64) as usize];
			let bit = 1 << (sector % 64);
			ensure!(*word & bit == 0, Error::<T>::SectorNumberUsed);
			*word |= bit;
			Ok(())
		})
	}

	pub(crate) fn pre_commit(
		who: T::AccountId,
		sectors: BoundedVec<SectorPreCommit, MaxBatch>,
	) -> DispatchResult {
		ensure!(!sectors.is_empty(), Error::<T>::EmptyBatch);
		let (owner, _) = Self::ensure_provider(&who)?;
		for sector in sectors {
			Self::pre_commit_one(&owner, sector)?;
		}
		Ok(())
	}

	fn pre_commit_one(owner: &T::AccountId, info: SectorPreCommit) -> DispatchResult {
		let parameters = Self::parameters()?;
		let now = Self::now();
		let spec = T::Proofs::spec(info.proof_type).ok_or(Error::<T>::UnknownProofType)?;
		ensure!(
			T::Proofs::accepts_new_sectors(info.proof_type),
			Error::<T>::UnknownProofType
		);
		Self::allocate(owner, info.sector)?;

		let prove_from = now.saturating_add(parameters.pre_commit_delay);
		let prove_by = now.saturating_add(parameters.prove_commit_window);
		let deals = T::Deals::bind(owner, info.sector, spec.tier, prove_from, &info.deals)?;
		let pieces: Vec<PieceInfo> = deals.iter().map(|deal| deal.piece).collect();
		let comm_d = T::Proofs::comm_d(&pieces, spec.sector_size_log2)?;
		ensure!(comm_d == info.comm_d, Error::<T>::WrongDataCommitment);

		let ticket = match spec.tier {
			Tier::Hot => {
				let count = deals.len() as u32;
				ensure!(
					(1..=MAX_DEALS_PER_HOT_SECTOR).contains(&count),
					Error::<T>::WrongNumberOfDeals
				);
				ensure!(info.comm_r == info.comm_d, Error::<T>::WrongReplicaCommitment);
				[0; 32]
			}
			Tier::Sealed => {
				let longest = deals.iter().map(|deal| deal.duration).max().unwrap_or(0);
				ensure!(
					info.expiration >= prove_by.saturating_add(longest)
						&& info.expiration <= now.saturating_add(parameters.max_sector_lifetime),
					Error::<T>::InvalidExpiration
				);
				ensure!(
					info.ticket_at <= now && now - info.ticket_at < parameters.ticket_max_age,
					Error::<T>::InvalidTicket
				);
				let beacon = T::Beacons::ticket(info.ticket_at).ok_or(Error::<T>::InvalidTicket)?;
				draw::ticket(&beacon.value, &Self::prover_id(owner), info.ticket_at)
			}
		};

		let deposit = parameters.pre_commit_deposit;
		T::Currency::hold(&HoldReason::PreCommitDeposit.into(), owner, deposit)
			.map_err(|_| Error::<T>::InsufficientFunds)?;
		let pieces = deals
			.into_iter()
			.map(|deal| CommittedPiece {
				piece: deal.piece,
				duration: deal.duration,
			})
			.collect::<Vec<_>>()
			.try_into()
			.map_err(|_| Error::<T>::WrongNumberOfDeals)?;
		let pre_commit = PreCommitRecord {
			proof_type: info.proof_type,
			comm_r: info.comm_r,
			comm_d: info.comm_d,
			ticket,
			deals: info.deals,
			pieces,
			expiration: info.expiration,
			deposit,
			at: now,
			prove_by,
			seed: None,
			proven: [0; 32],
		};
		PreCommits::<T>::insert(owner, info.sector, pre_commit);
		PreCommitExpiries::<T>::insert((prove_by.saturating_add(1), owner, info.sector), ());
		Providers::<T>::mutate_extant(owner, |record| {
			record.pre_commits = record.pre_commits.saturating_add(1);
		});
		Self::deposit_event(Event::SectorPreCommitted {
			provider: owner.clone(),
			sector: info.sector,
			prove_from,
			prove_by,
		});
		Ok(())
	}

	/// Seed of a pre-committed sector: the stored one, else the first usable beacon that followed
	/// the pre-commit by the required delay.
	pub(crate) fn activation_seed(
		owner: &T::AccountId,
		sector: SectorNumber,
		pre_commit: &PreCommitRecord,
	) -> Result<[u8; 32], Error<T>> {
		if let Some(seed) = pre_commit.seed {
			return Ok(seed);
		}
		let from = pre_commit.at.saturating_add(Self::parameters()?.pre_commit_delay);
		let beacon =
			T::Beacons::first_in(from, Self::now().saturating_add(1)).ok_or(Error::<T>::SeedNotDrawn)?;
		Ok(draw::seed(&beacon.value, &Self::prover_id(owner), sector))
	}

	pub(crate) fn prove_commit(
		who: T::AccountId,
		proofs: BoundedVec<SectorProof, MaxBatch>,
	) -> DispatchResult {
		ensure!(!proofs.is_empty(), Error::<T>::EmptyBatch);
		let (owner, record) = Self::ensure_provider(&who)?;
		for part in proofs {
			Self::prove_part(&owner, record.period_offset, part)?;
		}
		Ok(())
	}

	fn prove_part(owner: &T::AccountId, period_offset: BlockNumber, part: SectorProof) -> DispatchResult {
		let mut pre_commit = PreCommits::<T>::get(owner, part.sector).ok_or(Error::<T>::NotPreCommitted)?;
		ensure!(Self::now() <= pre_commit.prove_by, Error::<T>::ProveWindowOver);
		let spec = T::Proofs::spec(pre_commit.proof_type).ok_or(Error::<T>::UnknownProofType)?;
		Self::mark_answered(
			&mut pre_commit.proven,
			part.first_challenge,
			part.challenges,
			&spec,
		)?;
		let seed = Self::activation_seed(owner, part.sector, &pre_commit)?;
		pre_commit.seed = Some(seed);

		let pieces: Vec<PieceInfo> = pre_commit
			.pieces
			.iter()
			.map(|committed| committed.piece)
			.collect();
		let inputs = ActivationInputs {
			prover_id: &Self::prover_id(owner),
			sector: part.sector,
			ticket: &pre_commit.ticket,
			seed: &seed,
			comm_d: &pre_commit.comm_d,
			comm_r: &pre_commit.comm_r,
			pieces: &pieces,
		};
		let ActivationProof::V1(bytes) = &part.proof;
		T::Proofs::verify_activation(&spec, &inputs, part.first_challenge, part.challenges, bytes)?;

		let answered: u32 = pre_commit.proven.iter().map(|byte| byte.count_ones()).sum();
		if answered < u32::from(spec.activation_challenges) {
			Self::deposit_event(Event::ActivationPartAccepted {
				provider: owner.clone(),
				sector: part.sector,
				answered: answered as u16,
				of: spec.activation_challenges,
			});
			PreCommits::<T>::insert(owner, part.sector, pre_commit);
			return Ok(());
		}
		Self::activate(owner, period_offset, part.sector, pre_commit, &spec)
	}

	/// Marks challenges as answered. Fails on challenges that do not exist, on none, and on ones
	/// answered before.
	fn mark_answered(
		bitmap: &mut ChallengeBitmap,
		first: u16,
		count: u16,
		spec: &ProofSpec,
	) -> Result<(), Error<T>> {
		let end = first.checked_add(count).ok_or(Error::<T>::WrongChallenges)?;
		ensure!(
			count > 0 && end <= spec.activation_challenges,
			Error::<T>::WrongChallenges
		);
		for challenge in first..end {
			let byte = bitmap
				.get_mut(usize::from(challenge / 8))
				.ok_or(Error::<T>::WrongChallenges)?;
			let bit = 1 << (challenge % 8);
			ensure!(*byte & bit == 0, Error::<T>::WrongChallenges);
			*byte |= bit;
		}
		Ok(())
	}

	fn activate(
		owner: &T::AccountId,
		period_offset: BlockNumber,
		sector: SectorNumber,
		pre_commit: PreCommitRecord,
		spec: &ProofSpec,
	) -> DispatchResult {
		let now = Self::now();
		let running = T::Deals::activate(owner, sector, &pre_commit.deals, now)?;
		ensure!(
			spec.tier == Tier::Sealed || running.iter().any(|runs| *runs),
			Error::<T>::DealsLapsed
		);
		let runs = |i: usize| running.get(i).copied().unwrap_or(false);
		let pieces: Vec<SectorPiece> = pre_commit
			.pieces
			.iter()
			.enumerate()
			.map(|(i, committed)| SectorPiece {
				piece: committed.piece,
				ends: if runs(i) {
					now.saturating_add(committed.duration)
				} else {
					0
				},
			})
			.collect();
		let deals: Vec<_> = pre_commit
			.deals
			.iter()
			.enumerate()
			.filter(|(i, _)| runs(*i))
			.map(|(_, deal)| *deal)
			.collect();
		let expiration = match spec.tier {
			Tier::Hot => pieces.iter().map(|piece| piece.ends).max().unwrap_or(now),
			Tier::Sealed => pre_commit.expiration,
		};

		T::Currency::release(
			&HoldReason::PreCommitDeposit.into(),
			owner,
			pre_commit.deposit,
			Precision::BestEffort,
		)?;
		let parameters = Self::parameters()?;
		let pledge = parameters
			.pledge_per_gib
			.saturating_mul(spec.sector_size().into())
			.div_ceil(1 << 30);
		T::Currency::hold(&HoldReason::SectorPledge.into(), owner, pledge)
			.map_err(|_| Error::<T>::InsufficientFunds)?;

		let (location, first_close) =
			Self::place(owner, period_offset, sector, pre_commit.proof_type, expiration)?;
		let sector_record = SectorRecord {
			proof_type: pre_commit.proof_type,
			comm_r: pre_commit.comm_r,
			comm_d: pre_commit.comm_d,
			open_deals: deals.len() as u32,
			deals: pre_commit.deals,
			pieces: match spec.tier {
				Tier::Hot => pieces.try_into().map_err(|_| Error::<T>::WrongNumberOfDeals)?,
				Tier::Sealed => Default::default(),
			},
			expiration,
			pledge,
			proven: ProvenTime::new(now, first_close),
			fault: None,
			location: Some(location),
		};
		Sectors::<T>::insert(owner, sector, sector_record);
		PreCommits::<T>::remove(owner, sector);
		PreCommitExpiries::<T>::remove((pre_commit.prove_by.saturating_add(1), owner, sector));
		Providers::<T>::mutate_extant(owner, |record| {
			record.pre_commits = record.pre_commits.saturating_sub(1);
			record.live_sectors = record.live_sectors.saturating_add(1);
			record.sectors = record.sectors.saturating_add(1);
		});
		Self::deposit_event(Event::SectorActivated {
			provider: owner.clone(),
			sector,
			deadline: location.deadline,
			partition: location.partition,
			deals,
		});
		Ok(())
	}

	/// Puts a sector into the deadline with the fewest sectors, never into the one that is open:
	/// its challenge is known. Among equals, the one that opens first. Returns the location and the
	/// deadline's next close.
	fn place(
		owner: &T::AccountId,
		offset: BlockNumber,
		sector: SectorNumber,
		proof_type: ProofTypeId,
		expiration: BlockNumber,
	) -> Result<(Location, BlockNumber), Error<T>> {
		let parameters = Self::parameters()?;
		let calendar = Self::calendar(&parameters, offset);
		let now = Self::now();
		let open = calendar.at(now).deadline;
		let deadline = (0..parameters.deadlines)
			.filter(|deadline| *deadline != open)
			.min_by_key(|deadline| {
				(
					DeadlineHeads::<T>::get(owner, deadline).live,
					calendar.next(*deadline, now).open,
				)
			})
			.ok_or(Error::<T>::NoRoomInDeadlines)?;
		let next_close = calendar.next(deadline, now).close;
		let last_close = calendar.last_close(deadline, now);
		let mut head = DeadlineHeads::<T>::get(owner, deadline);
		let (index, mut partition) = Self::open_partition(owner, deadline, &head, proof_type, last_close)?;

		let slot = partition.free_slot().ok_or(Error::<T>::NoRoomInDeadlines)?;
		match partition.slots.get_mut(slot as usize) {
			Some(occupant) => *occupant = sector,
			None => partition
				.slots
				.try_push(sector)
				.map_err(|_| Error::<T>::NoRoomInDeadlines)?,
		}
		partition.live |= 1 << slot;
		partition.min_expiration = partition.min_expiration.min(expiration);
		Partitions::<T>::insert((owner, deadline, index), partition);
		head.partitions = head.partitions.max(index.saturating_add(1));
		head.live = head.live.saturating_add(1);
		// An entry that housekeeping is late with stays the only one: it moves on by itself.
		if head.close.is_none() {
			head.close = Some(next_close);
			DeadlineCloses::<T>::insert((next_close, owner, deadline), 0);
		}
		DeadlineHeads::<T>::insert(owner, deadline, head);
		Ok((
			Location {
				deadline,
				partition: index,
				slot,
			},
			next_close,
		))
	}

	/// A partition of the type with a free slot among the newest four, else a new one. What earlier
	/// closes owe must not fall on the newcomer, so partitions behind `last_close` are passed over.
	fn open_partition(
		owner: &T::AccountId,
		deadline: DeadlineIndex,
		head: &DeadlineHead,
		proof_type: ProofTypeId,
		last_close: BlockNumber,
	) -> Result<(PartitionIndex, Partition), Error<T>> {
		let mut vacant = head.partitions;
		for index in (head.partitions.saturating_sub(4)..head.partitions).rev() {
			match Partitions::<T>::get((owner, deadline, index)) {
				Some(partition) => {
					if partition.proof_type == proof_type
						&& partition.live.count_ones() < SECTORS_PER_PARTITION
						&& partition.settled_close >= last_close
					{
						return Ok((index, partition));
					}
				}
				None => vacant = index,
			}
		}
		ensure!(
			vacant < MAX_PARTITIONS_PER_DEADLINE,
			Error::<T>::NoRoomInDeadlines
		);
		let partition = Partition {
			proof_type,
			slots: Default::default(),
			live: 0,
			faulty: 0,
			recovering: 0,
			undrawn: 0,
			proven_close: 0,
			settled_close: last_close,
			min_expiration: BlockNumber::MAX,
		};
		Ok((vacant, partition))
	}

	/// Forfeits a pre-commit that was not proven in time.
	pub(crate) fn expire_pre_commit(owner: &T::AccountId, sector: SectorNumber) {
		let Some(pre_commit) = PreCommits::<T>::take(owner, sector) else {
			return;
		};
		let (credit, _) = T::Currency::slash(&HoldReason::PreCommitDeposit.into(), owner, pre_commit.deposit);
		let forfeited = credit.peek();
		T::OnForfeit::on_unbalanced(credit);
		T::Deals::unbind(owner, &pre_commit.deals);
		Providers::<T>::mutate_extant(owner, |record| {
			record.pre_commits = record.pre_commits.saturating_sub(1);
		});
		Self::deposit_event(Event::PreCommitExpired {
			provider: owner.clone(),
			sector,
			forfeited,
		});
	}
}
