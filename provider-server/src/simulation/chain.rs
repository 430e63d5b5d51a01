//! A chain in memory that decides as the pallets do, as far as a provider sees it. Proofs are
//! verified by the chain's own code.

mod answers;
mod proving;
mod transactions;

use crate::{
	chain::{AccountId, Ask, ChainEvent, ChainIdentity, ProviderContact},
	deal::{Proposal, ProposalHash},
};
use cairn_primitives::{
	draw::blake2_256,
	params::ProtocolParameters,
	proof_type::BUILTIN,
	sector::{DeadlineWindow, SectorPreCommit, SectorState, SectorView},
	Balance, BlockNumber, DealId, PieceInfo, ProofSpec, ProofTypeId, SectorNumber,
};
use std::{
	collections::{BTreeMap, BTreeSet, VecDeque},
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
}

fn ticket(at: BlockNumber) -> [u8; 32] {
	blake2_256(&[b"ticket", &at.to_le_bytes()])
}
