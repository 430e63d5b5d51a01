//! Composed reads behind the runtime API.

use super::windowed::Draw;
use crate::{pallet::*, types::*};
use alloc::vec::Vec;
use cairn_pallet_traits::Beacons;
use cairn_primitives::{
	draw,
	sector::{
		ActivationChallenge, DeadlineChallenge, DeadlineWindow, PartitionChallenge, SectorState, SectorView,
	},
	BlockNumber, ProofTypeId, SectorNumber,
};
use frame_support::storage::{with_transaction, TransactionOutcome};
use sp_runtime::DispatchError;

/// Most entries of one page.
const MAX_PAGE: u32 = 256;

impl<T: Config> Pallet<T> {
	/// See [`crate::runtime_api`].
	pub fn view_provider(owner: T::AccountId) -> Option<ProviderView<T::AccountId>> {
		let record = Providers::<T>::get(&owner)?;
		Some(Self::provider_view(owner, record))
	}

	/// See [`crate::runtime_api`].
	pub fn view_providers(after: Option<T::AccountId>, limit: u32) -> Vec<ProviderView<T::AccountId>> {
		let providers = match after {
			Some(after) => Providers::<T>::iter_from_key(after),
			None => Providers::<T>::iter(),
		};
		providers
			.take(limit.min(MAX_PAGE) as usize)
			.map(|(owner, record)| Self::provider_view(owner, record))
			.collect()
	}

	fn provider_view(
		owner: T::AccountId,
		record: ProviderRecord<T::AccountId>,
	) -> ProviderView<T::AccountId> {
		ProviderView {
			owner,
			worker: record.worker,
			beneficiary: record.beneficiary,
			contact: record.contact,
			period_offset: record.period_offset,
			live_sectors: record.live_sectors,
			registered_at: record.registered_at,
		}
	}

	/// See [`crate::runtime_api`].
	pub fn view_asks(owner: T::AccountId) -> Vec<(ProofTypeId, Ask)> {
		Asks::<T>::iter_prefix(owner).take(MAX_PAGE as usize).collect()
	}

	/// See [`crate::runtime_api`].
	pub fn view_current_deadline(owner: T::AccountId) -> Option<DeadlineWindow> {
		let record = Providers::<T>::get(&owner)?;
		let parameters = Self::parameters().ok()?;
		Some(Self::calendar(&parameters, record.period_offset).at(Self::now().saturating_add(1)))
	}

	/// What a proof in the next block must cover. Missed closes that housekeeping has not reached are
	/// settled first, as the verifier does; nothing of that is kept.
	pub fn view_deadline_challenge(owner: T::AccountId) -> Option<DeadlineChallenge> {
		let challenge =
			|| TransactionOutcome::Rollback(Ok::<_, DispatchError>(Self::deadline_challenge(owner)));
		with_transaction(challenge).ok().flatten()
	}

	fn deadline_challenge(owner: T::AccountId) -> Option<DeadlineChallenge> {
		let record = Providers::<T>::get(&owner)?;
		let parameters = Self::parameters().ok()?;
		let calendar = Self::calendar(&parameters, record.period_offset);
		let next = Self::now().saturating_add(1);
		let window = calendar.at(next);
		let Some(beacon) = Self::deadline_beacon(&window) else {
			return Some(DeadlineChallenge {
				window,
				drawn: false,
				partitions: Vec::new(),
			});
		};
		let draw = Draw {
			parameters: &parameters,
			calendar: &calendar,
			window: &window,
			beacon: &beacon,
			prover_id: &Self::prover_id(&owner),
		};
		let last_close = calendar.last_close(window.deadline, next);
		let partitions = Self::partition_indices(&owner, window.deadline)
			.filter_map(|index| {
				let mut partition = Partitions::<T>::get((&owner, window.deadline, index))?;
				Self::settle_partition(&owner, window.deadline, &mut partition, last_close, &calendar);
				(partition.live != 0).then(|| PartitionChallenge {
					partition: index,
					proven: partition.proven_close == window.close,
					sectors: Self::sectors_to_open(&owner, &draw, &partition),
				})
			})
			.collect();
		Some(DeadlineChallenge {
			window,
			drawn: true,
			partitions,
		})
	}

	/// See [`crate::runtime_api`].
	pub fn view_sector(owner: T::AccountId, sector: SectorNumber) -> Option<SectorView> {
		if let Some(pre_commit) = PreCommits::<T>::get(&owner, sector) {
			return Some(SectorView {
				sector,
				proof_type: pre_commit.proof_type,
				state: SectorState::PreCommitted,
				comm_d: pre_commit.comm_d,
				deals: pre_commit.deals.into_inner(),
				since: pre_commit.at,
				expiration: pre_commit.expiration,
				location: None,
				proven_blocks: 0,
				held: pre_commit.deposit,
			});
		}
		let record = Sectors::<T>::get(&owner, sector)?;
		let state = match record.location {
			None => SectorState::Expired,
			Some(location) => {
				let recovering = Partitions::<T>::get((&owner, location.deadline, location.partition))
					.is_some_and(|partition| partition.recovering >> location.slot & 1 == 1);
				match record.fault {
					None => SectorState::Active,
					Some(_) if recovering => SectorState::Recovering,
					Some(_) => SectorState::Faulty,
				}
			}
		};
		Some(SectorView {
			sector,
			proof_type: record.proof_type,
			state,
			comm_d: record.comm_d,
			deals: record.deals.into_inner(),
			since: record.proven.start(),
			expiration: record.expiration,
			location: record
				.location
				.map(|location| (location.deadline, location.partition)),
			proven_blocks: record.proven.total(),
			held: record.pledge,
		})
	}

	/// Scans the used numbers' bitmaps, so that the order is ascending.
	pub fn view_sectors(owner: T::AccountId, after: Option<SectorNumber>, limit: u32) -> Vec<SectorView> {
		let mut chunks: Vec<u32> = AllocatedSectors::<T>::iter_key_prefix(&owner).collect();
		chunks.sort_unstable();
		let mut views = Vec::new();
		let Some(first) = after.map_or(Some(0), |after| after.checked_add(1)) else {
			return views;
		};
		let limit = limit.min(MAX_PAGE) as usize;
		for chunk in chunks
			.into_iter()
			.filter(|chunk| *chunk >= first / SECTORS_PER_CHUNK)
		{
			let words = AllocatedSectors::<T>::get(&owner, chunk).unwrap_or_default();
			for within in 0..SECTORS_PER_CHUNK {
				if views.len() >= limit {
					return views;
				}
				let sector = chunk.saturating_mul(SECTORS_PER_CHUNK).saturating_add(within);
				let used = words[(within / 64) as usize] >> (within % 64) & 1 == 1;
				if used && sector >= first {
					views.extend(Self::view_sector(owner.clone(), sector));
				}
			}
		}
		views
	}

	/// See [`crate::runtime_api`].
	pub fn view_activation_challenge(
		owner: T::AccountId,
		sector: SectorNumber,
	) -> Option<ActivationChallenge> {
		let pre_commit = PreCommits::<T>::get(&owner, sector)?;
		let seed = Self::activation_seed(&owner, sector, &pre_commit).ok()?;
		Some(ActivationChallenge {
			seed,
			ticket: pre_commit.ticket,
			prove_by: pre_commit.prove_by,
			proven: pre_commit.proven,
		})
	}

	/// The newest ticket that a pre-commit may name.
	pub fn view_ticket(owner: T::AccountId) -> Option<(BlockNumber, [u8; 32])> {
		let interval = Self::parameters().ok()?.ticket_interval.max(1);
		let newest = Self::now() / interval * interval;
		// A ticket block may lack a usable beacon; a few earlier ones do as well.
		(0..8)
			.filter_map(|back: BlockNumber| newest.checked_sub(back.saturating_mul(interval)))
			.find_map(|at| {
				let beacon = T::Beacons::ticket(at)?;
				Some((at, draw::ticket(&beacon.value, &Self::prover_id(&owner), at)))
			})
	}
}
