//! A chain in memory that decides as the pallets do, as far as a provider sees it. Proofs are
//! verified by the chain's own code.

use crate::{
	chain::{
		AccountId, Action, ActionError, Ask, Chain, ChainDeal, ChainDealState, ChainError, ChainEvent,
		ChainIdentity, ProviderContact, ProviderView, RegisteredProofType, Ticket,
	},
	deal::{verify_client_signature, Proposal, ProposalHash},
};
use async_trait::async_trait;
use cairn_primitives::{
	challenge::{hot_activation_challenge, live_leaf, prover_id, replica_leaf, window_challenge},
	commitment::comm_d,
	draw::blake2_256,
	hash::NativeSha256,
	hot,
	params::ProtocolParameters,
	piece::layout,
	proof_type::BUILTIN,
	sealed,
	sector::{
		ActivationChallenge, ActivationProof, DeadlineChallenge, DeadlineWindow, PartitionChallenge,
		PartitionProof, SectorChallenge, SectorPreCommit, SectorProof, SectorState, SectorView, WindowProof,
	},
	Balance, BlockNumber, DealId, PieceInfo, ProofSpec, ProofTypeId, SectorNumber, Tier,
};
use std::{
	collections::{BTreeMap, BTreeSet, VecDeque},
	ops::Bound,
	sync::{
		atomic::{AtomicBool, Ordering},
		Mutex, MutexGuard,
	},
};

pub const GENESIS: [u8; 32] = [7; 32];
pub const OWNER: AccountId = [3; 32];
pub const WORKER: AccountId = [4; 32];

/// What goes wrong with the next action of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mishap {
	/// It takes effect, and the answer never comes.
	HangAfter,
	/// It is lost, and the answer never comes.
	HangBefore,
	/// It takes effect, but that is not known.
	UnknownAfter,
	/// It has no effect, but that is not known.
	UnknownBefore,
	/// It does not get into a block.
	NotIncluded,
	/// The chain refuses with this error.
	Refuse(&'static str),
}

struct Deal {
	proposal: Proposal,
	hash: ProposalHash,
	sector: Option<SectorNumber>,
	active: Option<(BlockNumber, BlockNumber)>,
}

struct PreCommit {
	info: SectorPreCommit,
	at: BlockNumber,
	proven: [u8; 32],
}

struct Sector {
	info: SectorPreCommit,
	since: BlockNumber,
	deadline: u32,
	slot: u32,
	/// Close of the last deadline it was proven in.
	proven_close: BlockNumber,
	settled_close: BlockNumber,
	faulty: bool,
	recovering: bool,
	missed: Option<(u64, [u8; 32])>,
	expired: bool,
}

pub struct State {
	pub now: BlockNumber,
	pub parameters: ProtocolParameters,
	pub asks: Vec<(ProofTypeId, Ask)>,
	pub escrow: BTreeMap<AccountId, Balance>,
	proposals: BTreeMap<ProposalHash, Proposal>,
	used: BTreeSet<ProposalHash>,
	deals: BTreeMap<DealId, Deal>,
	next_deal: DealId,
	allocated: BTreeSet<SectorNumber>,
	pre_commits: BTreeMap<SectorNumber, PreCommit>,
	sectors: BTreeMap<SectorNumber, Sector>,
	mishaps: VecDeque<(&'static str, Mishap)>,
	/// Actions that were executed, and what became of them.
	pub log: Vec<(BlockNumber, &'static str, Result<(), String>)>,
	events: Vec<ChainEvent>,
	pub paid: BTreeMap<DealId, u32>,
	pub unavailable: bool,
	/// What providers, others than this one, have registered.
	pub registry: BTreeMap<AccountId, ProviderContact>,
	/// Lists are longer than asked for.
	pub ignores_limits: bool,
}

pub struct SimulatedChain {
	identity: ChainIdentity,
	state: Mutex<State>,
	hanging: AtomicBool,
}

fn spec(id: ProofTypeId) -> Result<ProofSpec, String> {
	BUILTIN
		.iter()
		.find(|(known, _)| *known == id)
		.map(|(_, spec)| *spec)
		.ok_or("UnknownProofType".into())
}

fn beacon(at: BlockNumber) -> [u8; 32] {
	blake2_256(&[b"beacon", &at.to_le_bytes()])
}

fn ask(max_piece_log2: u8) -> Ask {
	Ask::V1 {
		price_per_gib: 1000,
		min_piece_log2: 7,
		max_piece_log2,
		min_duration: 1,
		max_duration: 100_000,
		accepting: true,
	}
}

impl SimulatedChain {
	pub fn new() -> Self {
		SimulatedChain {
			identity: ChainIdentity {
				genesis_hash: GENESIS,
				name: "Simulation".into(),
				development: true,
				spec_version: 1,
				ss58_prefix: 42,
				token_symbol: "UNIT".into(),
				token_decimals: 12,
			},
			state: Mutex::new(State {
				now: 10,
				parameters: ProtocolParameters::development(),
				asks: vec![
					(ProofTypeId(0x11), ask(11)),
					(ProofTypeId(0x111), ask(11)),
					(ProofTypeId(0x17), ask(23)),
				],
				escrow: [(super::client().public(), 1 << 60), (OWNER, 1 << 60)].into(),
				proposals: BTreeMap::new(),
				used: BTreeSet::new(),
				deals: BTreeMap::new(),
				next_deal: 1,
				allocated: BTreeSet::new(),
				pre_commits: BTreeMap::new(),
				sectors: BTreeMap::new(),
				mishaps: VecDeque::new(),
				log: Vec::new(),
				events: Vec::new(),
				paid: BTreeMap::new(),
				unavailable: false,
				registry: BTreeMap::new(),
				ignores_limits: false,
			}),
			hanging: AtomicBool::new(false),
		}
	}

	pub fn state(&self) -> MutexGuard<'_, State> {
		self.state.lock().unwrap()
	}

	/// The next action of this name goes wrong.
	pub fn mishap(&self, name: &'static str, mishap: Mishap) {
		self.state().mishaps.push_back((name, mishap));
	}

	/// Whether an action is to hang, or hangs.
	pub fn hangs(&self) -> bool {
		let planned = self
			.state()
			.mishaps
			.iter()
			.any(|(_, mishap)| matches!(mishap, Mishap::HangAfter | Mishap::HangBefore));
		planned || self.is_hanging()
	}

	pub fn is_hanging(&self) -> bool {
		self.hanging.load(Ordering::SeqCst)
	}

	/// The provider that hung is gone.
	pub fn unhang(&self) {
		self.hanging.store(false, Ordering::SeqCst);
	}

	pub fn actions_taken(&self) -> usize {
		self.state().log.len()
	}

	/// Names of actions that were refused.
	pub fn refused(&self) -> Vec<(&'static str, String)> {
		self.state()
			.log
			.iter()
			.filter_map(|(_, name, outcome)| Some((*name, outcome.as_ref().err()?.clone())))
			.collect()
	}

	pub fn count(&self, wanted: &str) -> usize {
		self.state()
			.log
			.iter()
			.filter(|(_, name, outcome)| *name == wanted && outcome.is_ok())
			.count()
	}

	/// The chain's view of a sector.
	pub fn sector_state(&self, number: SectorNumber) -> Option<SectorState> {
		self.state().view(number).map(|view| view.state)
	}

	/// Deadline that a sector is proven in.
	pub fn deadline_of(&self, number: SectorNumber) -> u32 {
		self.state().sectors[&number].deadline
	}

	/// Deadline that is open when the next block is there.
	pub fn deadline_after_next_block(&self) -> u32 {
		let state = self.state();
		state.window(state.now + 1).deadline
	}

	/// A client proposes on chain.
	pub fn propose(&self, hash: ProposalHash, proposal: Proposal) {
		let mut state = self.state();
		state.used.insert(hash);
		state.proposals.insert(hash, proposal.clone());
		state.events.push(ChainEvent::DealProposed {
			proposal_hash: hash,
			proposal,
		});
	}

	/// A client withdraws its proposal.
	pub fn withdraw(&self, hash: ProposalHash) {
		let mut state = self.state();
		state.proposals.remove(&hash);
		state
			.events
			.push(ChainEvent::ProposalGone { proposal_hash: hash });
	}

	/// The next block.
	pub fn advance(&self) -> (BlockNumber, Vec<ChainEvent>) {
		let mut state = self.state();
		state.now += 1;
		state.sweep();
		(state.now, std::mem::take(&mut state.events))
	}
}

impl State {
	fn window(&self, at: BlockNumber) -> DeadlineWindow {
		let period = self.parameters.proving_period;
		let len = self.parameters.deadline_window();
		let within = at % period;
		DeadlineWindow {
			deadline: within / len,
			period: u64::from(at / period),
			open: at - within % len,
			close: at - within % len + len,
		}
	}

	/// What the clock does by itself.
	fn sweep(&mut self) {
		let now = self.now;
		let window = self.parameters.prove_commit_window;
		let lapsed: Vec<_> = self
			.pre_commits
			.iter()
			.filter(|(_, pre_commit)| now > pre_commit.at + window)
			.map(|(number, _)| *number)
			.collect();
		for number in lapsed {
			if let Some(pre_commit) = self.pre_commits.remove(&number) {
				for id in pre_commit.info.deals {
					if let Some(deal) = self.deals.get_mut(&id) {
						deal.sector = None;
					}
				}
			}
		}
		// Deadlines that closed with this block.
		let closed = self.window(now - 1);
		if closed.close == now {
			for sector in self
				.sectors
				.values_mut()
				.filter(|sector| sector.deadline == closed.deadline && !sector.expired)
			{
				if sector.since >= closed.open {
					continue;
				}
				if sector.proven_close != now && (!sector.faulty || sector.recovering) {
					sector.faulty = true;
				}
				if sector.proven_close != now {
					sector.recovering = false;
					sector.missed.get_or_insert((closed.period, beacon(closed.open)));
				}
				sector.settled_close = now;
				if now >= sector.info.expiration {
					sector.expired = true;
				}
			}
		}
		let over: Vec<_> = self
			.deals
			.iter()
			.filter(|(_, deal)| match deal.active {
				None => now > deal.proposal.start_by,
				// The last interval must be decided.
				Some((_, ends)) => now > ends + self.parameters.proving_period,
			})
			.map(|(id, _)| *id)
			.collect();
		for id in over {
			self.deals.remove(&id);
		}
		let deals: BTreeSet<_> = self.deals.keys().copied().collect();
		self.sectors
			.retain(|_, sector| !sector.expired || sector.info.deals.iter().any(|id| deals.contains(id)));
	}

	fn pieces(&self, deals: &[DealId]) -> Result<Vec<PieceInfo>, String> {
		deals
			.iter()
			.map(|id| {
				self.deals
					.get(id)
					.map(|deal| deal.proposal.piece)
					.ok_or("Market::DealNotFound".to_owned())
			})
			.collect()
	}

	fn view(&self, number: SectorNumber) -> Option<SectorView> {
		if let Some(pre_commit) = self.pre_commits.get(&number) {
			return Some(SectorView {
				sector: number,
				proof_type: pre_commit.info.proof_type,
				state: SectorState::PreCommitted,
				comm_d: pre_commit.info.comm_d,
				deals: pre_commit.info.deals.to_vec(),
				since: pre_commit.at,
				expiration: pre_commit.info.expiration,
				location: None,
				proven_blocks: 0,
				held: 0,
			});
		}
		let sector = self.sectors.get(&number)?;
		let state = match (sector.expired, sector.faulty, sector.recovering) {
			(true, _, _) => SectorState::Expired,
			(_, false, _) => SectorState::Active,
			(_, true, false) => SectorState::Faulty,
			(_, true, true) => SectorState::Recovering,
		};
		Some(SectorView {
			sector: number,
			proof_type: sector.info.proof_type,
			state,
			comm_d: sector.info.comm_d,
			deals: sector.info.deals.to_vec(),
			since: sector.since,
			expiration: sector.info.expiration,
			location: (!sector.expired).then_some((sector.deadline, 0)),
			proven_blocks: 0,
			held: 0,
		})
	}

	fn publish(&mut self, hash: ProposalHash, proposal: Proposal) -> Result<ChainEvent, String> {
		if self.now >= proposal.start_by {
			return Err("Market::StartPassed".into());
		}
		let total = proposal.total_price().unwrap();
		let escrow = self.escrow.get(&proposal.client).copied().unwrap_or(0);
		if escrow < total {
			return Err("Market::ClientEscrowTooLow".into());
		}
		self.escrow.insert(proposal.client, escrow - total);
		let id = self.next_deal;
		self.next_deal += 1;
		self.deals.insert(
			id,
			Deal {
				proposal,
				hash,
				sector: None,
				active: None,
			},
		);
		Ok(ChainEvent::DealPublished {
			deal_id: id,
			proposal_hash: hash,
		})
	}

	fn pre_commit(&mut self, info: SectorPreCommit) -> Result<(), String> {
		let spec = spec(info.proof_type)?;
		if !self.allocated.insert(info.sector) {
			return Err("StorageProvider::SectorNumberUsed".into());
		}
		let pieces = self.pieces(&info.deals)?;
		if comm_d::<NativeSha256>(&pieces, spec.sector_size_log2) != Ok(info.comm_d) {
			return Err("StorageProvider::WrongDataCommitment".into());
		}
		if spec.tier == Tier::Hot && info.comm_d != info.comm_r {
			return Err("StorageProvider::WrongReplicaCommitment".into());
		}
		if spec.tier == Tier::Sealed {
			let longest = info
				.deals
				.iter()
				.map(|id| self.deals[id].proposal.duration)
				.max()
				.unwrap_or(0);
			if info.expiration < self.now + self.parameters.prove_commit_window + longest {
				return Err("StorageProvider::InvalidExpiration".into());
			}
			if info.ticket_at > self.now || self.now - info.ticket_at >= self.parameters.ticket_max_age {
				return Err("StorageProvider::InvalidTicket".into());
			}
		}
		for id in info.deals.clone() {
			let delay = self.parameters.pre_commit_delay;
			let deal = self.deals.get_mut(&id).ok_or("Market::DealNotFound")?;
			if deal.sector.is_some() {
				return Err("Market::DealBound".into());
			}
			if deal.proposal.tier != spec.tier {
				return Err("Market::WrongTier".into());
			}
			if deal.proposal.start_by <= self.now + delay {
				return Err("Market::StartTooSoon".into());
			}
			deal.sector = Some(info.sector);
		}
		self.pre_commits.insert(
			info.sector,
			PreCommit {
				at: self.now,
				info,
				proven: [0; 32],
			},
		);
		Ok(())
	}

	fn activation(&self, number: SectorNumber) -> Option<ActivationChallenge> {
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

	fn prove(&mut self, part: SectorProof) -> Result<(), String> {
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

	fn challenge(&self) -> DeadlineChallenge {
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

	fn window_post(
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

	fn declare(&mut self, sectors: &[SectorNumber], recovered: bool) -> Result<(), String> {
		let open = self.window(self.now).deadline;
		for number in sectors {
			let sector = self
				.sectors
				.get_mut(number)
				.ok_or("StorageProvider::SectorNotLive")?;
			if sector.deadline == open {
				return Err("StorageProvider::ChallengeKnown".into());
			}
			if recovered {
				if !sector.faulty || sector.recovering {
					return Err("StorageProvider::NotFaulty".into());
				}
				sector.recovering = true;
			} else {
				if sector.faulty {
					return Err("StorageProvider::AlreadyFaulty".into());
				}
				sector.faulty = true;
			}
		}
		Ok(())
	}

	/// Executes an action as the pallets would; all or nothing is the caller's.
	fn execute(&mut self, action: Action) -> Result<Vec<ChainEvent>, String> {
		let mut events = Vec::new();
		match action {
			Action::Publish(deals) => {
				for (proposal, signature) in deals {
					verify_client_signature(&proposal, &GENESIS, &signature)
						.map_err(|_| "Market::WrongSignature".to_owned())?;
					let hash = cairn_primitives::deal::proposal_hash(&proposal.signing_bytes(&GENESIS));
					if !self.used.insert(hash) {
						return Err("Market::ProposalUsed".into());
					}
					events.push(self.publish(hash, proposal)?);
				}
			}
			Action::Accept(hashes) => {
				for hash in hashes {
					let proposal = self.proposals.remove(&hash).ok_or("Market::ProposalNotFound")?;
					events.push(self.publish(hash, proposal)?);
				}
			}
			Action::PreCommit(sectors) => {
				for sector in sectors {
					self.pre_commit(sector)?;
				}
			}
			Action::ProveCommit(parts) => {
				for part in parts {
					self.prove(part)?;
				}
			}
			Action::WindowedPost {
				deadline,
				partitions,
				proof,
			} => self.window_post(deadline, &partitions, &proof)?,
			Action::DeclareFaults(sectors) => self.declare(&sectors, false)?,
			Action::DeclareRecovered(sectors) => self.declare(&sectors, true)?,
			Action::Settle(deals) => {
				for id in deals {
					if self.deals.get(&id).is_some_and(|deal| deal.active.is_some()) {
						*self.paid.entry(id).or_default() += 1;
						events.push(ChainEvent::Paid {
							deal_id: id,
							amount: 1,
						});
					}
				}
			}
			Action::SetAsk(..) => {}
		}
		Ok(events)
	}

	/// Executes one transaction.
	fn transact(&mut self, action: Action) -> Result<Vec<ChainEvent>, ActionError> {
		let name = action.name();
		// Roll back by keeping what changes.
		let saved = Saved::of(self);
		let outcome = self.execute(action);
		self.log
			.push((self.now, name, outcome.as_ref().map(|_| ()).map_err(Clone::clone)));
		match outcome {
			Ok(events) => {
				self.events.extend(events.iter().cloned());
				Ok(events)
			}
			Err(error) => {
				saved.restore(self);
				Err(ActionError::Refused {
					message: error.clone(),
					error,
				})
			}
		}
	}
}

/// What a failed transaction must not change.
struct Saved {
	escrow: BTreeMap<AccountId, Balance>,
	used: BTreeSet<ProposalHash>,
	deals: Vec<DealId>,
	bound: Vec<(DealId, Option<SectorNumber>)>,
	proposals: BTreeMap<ProposalHash, Proposal>,
	allocated: BTreeSet<SectorNumber>,
	pre_commits: Vec<SectorNumber>,
}

impl Saved {
	fn of(state: &State) -> Self {
		Saved {
			escrow: state.escrow.clone(),
			used: state.used.clone(),
			deals: state.deals.keys().copied().collect(),
			bound: state.deals.iter().map(|(id, deal)| (*id, deal.sector)).collect(),
			proposals: state.proposals.clone(),
			allocated: state.allocated.clone(),
			pre_commits: state.pre_commits.keys().copied().collect(),
		}
	}

	fn restore(self, state: &mut State) {
		state.escrow = self.escrow;
		state.used = self.used;
		state.proposals = self.proposals;
		state.allocated = self.allocated;
		state.deals.retain(|id, _| self.deals.contains(id));
		for (id, sector) in self.bound {
			if let Some(deal) = state.deals.get_mut(&id) {
				deal.sector = sector;
			}
		}
		state
			.pre_commits
			.retain(|number, _| self.pre_commits.contains(number));
	}
}

fn provider_view(owner: AccountId, contact: ProviderContact, live_sectors: u32) -> ProviderView {
	ProviderView {
		owner,
		worker: WORKER,
		beneficiary: owner,
		contact,
		period_offset: 0,
		live_sectors,
		registered_at: 1,
	}
}

fn ticket(at: BlockNumber) -> [u8; 32] {
	blake2_256(&[b"ticket", &at.to_le_bytes()])
}

#[async_trait]
impl Chain for SimulatedChain {
	fn identity(&self) -> &ChainIdentity {
		&self.identity
	}

	async fn finalized(&self) -> Result<BlockNumber, ChainError> {
		let state = self.state();
		if state.unavailable {
			return Err(ChainError::Unavailable("simulated outage".into()));
		}
		Ok(state.now)
	}

	async fn next_block(&self) -> Result<(BlockNumber, Vec<ChainEvent>), ChainError> {
		// Tests advance by hand.
		std::future::pending().await
	}

	async fn parameters(&self) -> Result<ProtocolParameters, ChainError> {
		Ok(self.state().parameters)
	}

	async fn proof_types(&self) -> Result<Vec<RegisteredProofType>, ChainError> {
		Ok(BUILTIN
			.iter()
			.map(|(id, spec)| RegisteredProofType {
				id: *id,
				spec: *spec,
				accepts_new_sectors: true,
			})
			.collect())
	}

	async fn provider(&self, owner: &AccountId) -> Result<Option<ProviderView>, ChainError> {
		let contact = ProviderContact::V1 {
			peer_id: Default::default(),
			addresses: Default::default(),
		};
		let state = self.state();
		let live = state.sectors.values().filter(|sector| !sector.expired).count();
		Ok((*owner == OWNER).then(|| provider_view(OWNER, contact, live as u32)))
	}

	async fn providers(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<ProviderView>, ChainError> {
		let state = self.state();
		if state.unavailable {
			return Err(ChainError::Unavailable("simulated outage".into()));
		}
		let start = after.map_or(Bound::Unbounded, Bound::Excluded);
		let limit = match state.ignores_limits {
			true => usize::MAX,
			false => limit as usize,
		};
		let rest = state.registry.range((start, Bound::Unbounded));
		Ok(rest
			.take(limit)
			.map(|(owner, contact)| provider_view(*owner, contact.clone(), 0))
			.collect())
	}

	async fn asks(&self, _: &AccountId) -> Result<Vec<(ProofTypeId, Ask)>, ChainError> {
		Ok(self.state().asks.clone())
	}

	async fn escrow(&self, who: &AccountId) -> Result<Balance, ChainError> {
		Ok(self.state().escrow.get(who).copied().unwrap_or(0))
	}

	async fn free_balance(&self, _: &AccountId) -> Result<Balance, ChainError> {
		Ok(1 << 60)
	}

	async fn proposal(&self, hash: &ProposalHash) -> Result<Option<Proposal>, ChainError> {
		Ok(self.state().proposals.get(hash).cloned())
	}

	async fn proposals_for(&self, owner: &AccountId) -> Result<Vec<(ProposalHash, Proposal)>, ChainError> {
		let state = self.state();
		Ok(state
			.proposals
			.iter()
			.filter(|(_, proposal)| proposal.provider == *owner)
			.map(|(hash, proposal)| (*hash, proposal.clone()))
			.collect())
	}

	async fn deal_of_proposal(&self, hash: &ProposalHash) -> Result<Option<DealId>, ChainError> {
		let state = self.state();
		Ok(state
			.deals
			.iter()
			.find(|(_, deal)| deal.hash == *hash)
			.map(|(id, _)| *id))
	}

	async fn deal(&self, id: DealId) -> Result<Option<ChainDeal>, ChainError> {
		let state = self.state();
		Ok(state.deals.get(&id).map(|deal| ChainDeal {
			id,
			proposal_hash: deal.hash,
			state: match (deal.active, deal.sector) {
				(Some((since, ends)), Some(sector)) => ChainDealState::Active { sector, since, ends },
				(_, sector) => ChainDealState::Published { sector },
			},
			due: u128::from(deal.active.is_some()),
		}))
	}

	async fn ticket(&self, _: &AccountId) -> Result<Option<Ticket>, ChainError> {
		let at = self.state().now / 2 * 2;
		Ok(Some(Ticket {
			at,
			ticket: ticket(at),
		}))
	}

	async fn is_sector_allocated(&self, _: &AccountId, sector: SectorNumber) -> Result<bool, ChainError> {
		Ok(self.state().allocated.contains(&sector))
	}

	async fn sector(&self, _: &AccountId, sector: SectorNumber) -> Result<Option<SectorView>, ChainError> {
		Ok(self.state().view(sector))
	}

	async fn sectors(
		&self,
		_: &AccountId,
		after: Option<SectorNumber>,
	) -> Result<Vec<SectorView>, ChainError> {
		let state = self.state();
		let first = after.map_or(0, |after| after + 1);
		Ok(state
			.allocated
			.range(first..)
			.filter_map(|number| state.view(*number))
			.take(2)
			.collect())
	}

	async fn activation_challenge(
		&self,
		_: &AccountId,
		sector: SectorNumber,
	) -> Result<Option<ActivationChallenge>, ChainError> {
		Ok(self.state().activation(sector))
	}

	async fn deadline(&self, _: &AccountId) -> Result<Option<DeadlineWindow>, ChainError> {
		let state = self.state();
		Ok(Some(state.window(state.now)))
	}

	async fn deadline_challenge(&self, _: &AccountId) -> Result<Option<DeadlineChallenge>, ChainError> {
		Ok(Some(self.state().challenge()))
	}

	async fn act(&self, action: Action, valid_until: BlockNumber) -> Result<Vec<ChainEvent>, ActionError> {
		let name = action.name();
		let mishap = {
			let mut state = self.state();
			let index = state.mishaps.iter().position(|(wanted, _)| *wanted == name);
			index
				.and_then(|index| state.mishaps.remove(index))
				.map(|(_, mishap)| mishap)
		};
		if self.state().now >= valid_until {
			return Err(ActionError::NotIncluded("too late".into()));
		}
		match mishap {
			None => self.state().transact(action),
			Some(Mishap::HangAfter) => {
				self.hanging.store(true, Ordering::SeqCst);
				let _ = self.state().transact(action);
				std::future::pending().await
			}
			Some(Mishap::HangBefore) => {
				self.hanging.store(true, Ordering::SeqCst);
				std::future::pending().await
			}
			Some(Mishap::UnknownAfter) => {
				let _ = self.state().transact(action);
				Err(ActionError::Unknown("simulated".into()))
			}
			Some(Mishap::UnknownBefore) => Err(ActionError::Unknown("simulated".into())),
			Some(Mishap::NotIncluded) => Err(ActionError::NotIncluded("simulated".into())),
			Some(Mishap::Refuse(error)) => Err(ActionError::Refused {
				error: error.into(),
				message: error.into(),
			}),
		}
	}
}
