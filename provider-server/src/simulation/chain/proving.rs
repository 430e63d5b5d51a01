//! What has to be proven, and whether it was.

use super::{beacon, spec, ticket, Sector, State, OWNER};
use cairn_primitives::{
	challenge::{hot_activation_challenge, live_leaf, prover_id, replica_leaf, window_challenge},
	hash::NativeSha256,
	hot,
	piece::layout,
	sealed,
	sector::{
		ActivationChallenge, ActivationProof, DeadlineChallenge, DeadlineWindow, PartitionChallenge,
		PartitionProof, SectorChallenge, SectorProof, WindowProof,
	},
	PieceInfo, SectorNumber, Tier,
};

impl State {
	pub(super) fn activation(&self, number: SectorNumber) -> Option<ActivationChallenge> {
		let pre_commit = self.pre_commits.get(&number)?;
		let from = pre_commit.at + self.parameters.pre_commit_delay;
		if self.now < from {
			return None;
		}
		let spec = spec(pre_commit.info.proof_type).ok()?;
		Some(ActivationChallenge {
			seed: beacon(from),
			ticket: match spec.tier {
				Tier::Hot => [0; 32],
				Tier::Sealed => ticket(pre_commit.info.ticket_at),
			},
			prove_by: pre_commit.at + self.parameters.prove_commit_window,
			proven: pre_commit.proven,
		})
	}

	pub(super) fn prove(&mut self, part: SectorProof) -> Result<(), String> {
		let challenge = self
			.activation(part.sector)
			.ok_or("StorageProvider::SeedNotDrawn")?;
		let pre_commit = self
			.pre_commits
			.get(&part.sector)
			.ok_or("StorageProvider::NotPreCommitted")?;
		let info = pre_commit.info.clone();
		let spec = spec(info.proof_type)?;
		let pieces = self.pieces(&info.deals)?;
		let me = prover_id(&OWNER);
		let ActivationProof::V1(bytes) = &part.proof;
		let range = part.first_challenge..part.first_challenge + part.challenges;
		let mut proven = pre_commit.proven;
		for index in range.clone() {
			let byte = &mut proven[usize::from(index / 8)];
			if *byte >> (index % 8) & 1 == 1 {
				return Err("StorageProvider::WrongChallenges".into());
			}
			*byte |= 1 << (index % 8);
		}
		let verified = match spec.tier {
			Tier::Hot => {
				let offsets = layout(&pieces, spec.sector_size_log2).unwrap();
				let live: Vec<_> = offsets
					.into_iter()
					.zip(pieces.iter().map(PieceInfo::payload_leaves))
					.collect();
				let leaves: Vec<u64> = range
					.map(|j| {
						let value = hot_activation_challenge(&challenge.seed, &me, part.sector, j.into());
						live_leaf(live.iter().copied(), value).unwrap()
					})
					.collect();
				hot::verify::<NativeSha256>(&spec, &info.comm_d, &leaves, bytes)
			}
			Tier::Sealed => sealed::verify_activation_part::<NativeSha256>(
				&spec,
				&sealed::ActivationInputs {
					prover_id: me,
					sector: part.sector,
					ticket: challenge.ticket,
					seed: challenge.seed,
					comm_d: info.comm_d,
					comm_r: info.comm_r,
				},
				part.first_challenge,
				part.challenges,
				bytes,
			),
		};
		verified.map_err(|error| format!("Proofs::{error}"))?;
		let answered: u32 = proven.iter().map(|byte| byte.count_ones()).sum();
		if answered < spec.activation_challenges.into() {
			self.pre_commits.get_mut(&part.sector).unwrap().proven = proven;
			return Ok(());
		}
		self.pre_commits.remove(&part.sector);
		let now = self.now;
		let mut last_end = 0;
		for id in &info.deals {
			if let Some(deal) = self
				.deals
				.get_mut(id)
				.filter(|deal| now <= deal.proposal.start_by)
			{
				deal.active = Some((now, now + deal.proposal.duration));
				last_end = last_end.max(now + deal.proposal.duration);
			}
		}
		// The deadline that opens furthest from now.
		let deadline = (self.window(now).deadline + 2) % self.parameters.deadlines;
		let slot = self
			.sectors
			.values()
			.filter(|sector| sector.deadline == deadline)
			.count() as u32;
		let mut info = info;
		if spec.tier == Tier::Hot {
			info.expiration = last_end;
		}
		self.sectors.insert(
			part.sector,
			Sector {
				info,
				since: now,
				deadline,
				slot,
				proven_close: 0,
				settled_close: now,
				faulty: false,
				recovering: false,
				missed: None,
				expired: false,
			},
		);
		Ok(())
	}

	fn leaves(&self, number: SectorNumber, sector: &Sector, window: &DeadlineWindow) -> Vec<u64> {
		let spec = spec(sector.info.proof_type).unwrap();
		let pieces: Vec<_> = sector
			.info
			.deals
			.iter()
			.filter_map(|id| self.deals.get(id).map(|deal| deal.proposal.piece))
			.collect();
		let offsets = layout(&pieces, spec.sector_size_log2).unwrap();
		let live: Vec<_> = offsets
			.into_iter()
			.zip(pieces.iter().map(PieceInfo::payload_leaves))
			.collect();
		let mut draws = Vec::new();
		let k = self.parameters.window_challenges;
		if let Some((period, beacon)) = sector.missed.filter(|_| sector.recovering) {
			draws.push((period, beacon, k));
			draws.push((
				window.period,
				self::beacon(window.open),
				self.parameters.recovery_challenges,
			));
		} else {
			draws.push((window.period, self::beacon(window.open), k));
		}
		let mut leaves = Vec::new();
		for (period, beacon, count) in draws {
			for j in 0..u32::from(count) {
				let value = window_challenge(&beacon, &prover_id(&OWNER), number, period, window.deadline, j);
				leaves.push(match spec.tier {
					Tier::Hot => live_leaf(live.iter().copied(), value).unwrap(),
					Tier::Sealed => replica_leaf(value, spec.leaves()),
				});
			}
		}
		leaves
	}

	pub(super) fn challenge(&self) -> DeadlineChallenge {
		let window = self.window(self.now);
		// All sectors of a deadline share one partition here; of one proof type, as on chain.
		let due: Vec<_> = self
			.sectors
			.iter()
			.filter(|(_, sector)| sector.deadline == window.deadline && !sector.expired)
			.collect();
		let mut sectors: Vec<SectorChallenge> = due
			.iter()
			.filter(|(_, sector)| !sector.faulty || sector.recovering)
			.map(|(number, sector)| SectorChallenge {
				sector: **number,
				slot: sector.slot,
				proof_type: sector.info.proof_type,
				comm_r: sector.info.comm_r,
				leaves: self.leaves(**number, sector, &window),
			})
			.collect();
		sectors.sort_by_key(|sector| sector.slot);
		let partitions = if due.is_empty() {
			Vec::new()
		} else {
			let proven = due.iter().any(|(_, sector)| sector.proven_close == window.close);
			vec![PartitionChallenge {
				partition: 0,
				proven,
				sectors,
			}]
		};
		DeadlineChallenge {
			window,
			drawn: true,
			partitions,
		}
	}

	pub(super) fn window_post(
		&mut self,
		deadline: u32,
		partitions: &[PartitionProof],
		proof: &WindowProof,
	) -> Result<(), String> {
		let challenge = self.challenge();
		if challenge.window.deadline != deadline {
			return Err("StorageProvider::DeadlineNotOpen".into());
		}
		let WindowProof::V1(bytes) = proof;
		let mut rest = &bytes[..];
		for part in partitions {
			let partition = challenge
				.partitions
				.iter()
				.find(|partition| partition.partition == part.partition)
				.ok_or("StorageProvider::InvalidPartitions")?;
			if partition.proven {
				return Err("StorageProvider::AlreadyProven".into());
			}
			for due in &partition.sectors {
				if part.skipped >> due.slot & 1 == 1 {
					let sector = self.sectors.get_mut(&due.sector).unwrap();
					sector.faulty = true;
					sector.recovering = false;
					sector
						.missed
						.get_or_insert((challenge.window.period, beacon(challenge.window.open)));
					sector.proven_close = challenge.window.close;
					continue;
				}
				let spec = spec(due.proof_type)?;
				let len = match spec.tier {
					Tier::Hot => hot::openings_len(spec.depth(), due.leaves.len()),
					Tier::Sealed => sealed::window_len(&spec, due.leaves.len()),
				};
				let (own, other) = rest
					.split_at_checked(len)
					.ok_or("StorageProvider::WrongProofLength")?;
				rest = other;
				match spec.tier {
					Tier::Hot => hot::verify::<NativeSha256>(&spec, &due.comm_r, &due.leaves, own),
					Tier::Sealed => {
						sealed::verify_window::<NativeSha256>(&spec, &due.comm_r, &due.leaves, own)
					}
				}
				.map_err(|error| format!("Proofs::{error}"))?;
				let sector = self.sectors.get_mut(&due.sector).unwrap();
				sector.proven_close = challenge.window.close;
				if sector.recovering {
					(sector.faulty, sector.recovering, sector.missed) = (false, false, None);
				}
			}
		}
		if rest.is_empty() {
			Ok(())
		} else {
			Err("StorageProvider::WrongProofLength".into())
		}
	}
}
