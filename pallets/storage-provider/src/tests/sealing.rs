//! Sectors with everything that their provers need, at 2 KiB, in memory.

use super::mock::*;
use crate::{types::ChallengeBitmap, Call, PreCommits};
use cairn_primitives::{
	challenge::{self, hot_activation_challenge, live_leaf, porep_challenge},
	commitment, draw, fr32,
	hash::NativeSha256 as H,
	merkle::MerkleTree,
	piece::{self, payload_leaves},
	proof_type::BUILTIN,
	sdr::{column_leaf, comm_r, encode, label, replica_id, Graph, DEGREE, DRG_DEGREE, EXPANDER_DEGREE},
	sector::{
		ActivationProof, DeadlineChallenge, PartitionChallenge, PartitionProof, SectorPreCommit, SectorProof,
		WindowProof,
	},
	BlockNumber, Commitment, DealId, PieceInfo, ProofSpec, ProofTypeId, SectorNumber, Tier,
};
use codec::Encode;
use std::collections::BTreeMap;

/// The hot type of 2 KiB.
pub const HOT: ProofTypeId = ProofTypeId(0x0011);
/// The sealed type of 2 KiB.
pub const SEALED: ProofTypeId = ProofTypeId(0x0111);

pub fn spec(id: ProofTypeId) -> ProofSpec {
	BUILTIN
		.iter()
		.find(|(builtin, _)| *builtin == id)
		.expect("built in")
		.1
}

pub fn prover_id(owner: AccountId) -> [u8; 32] {
	owner.using_encoded(challenge::prover_id)
}

/// A deal to be put into a sector.
#[derive(Clone, Copy)]
pub struct Order {
	/// Makes the payload differ.
	pub content: u64,
	/// Payload in bytes.
	pub length: usize,
	pub start_by: BlockNumber,
	pub duration: BlockNumber,
}

/// One deal that fills a sector and runs for 100 blocks.
pub fn order(content: u64) -> Order {
	Order {
		content,
		length: 2_000,
		start_by: now() + 100,
		duration: 100,
	}
}

impl Order {
	/// The deal, but for `duration` blocks.
	pub fn lasting(self, duration: BlockNumber) -> Order {
		Order { duration, ..self }
	}
}

/// A padded piece of pseudo-random bytes.
fn padded_piece(content: u64, length: usize) -> (Vec<u8>, PieceInfo) {
	let payload: Vec<u8> = (0..length.div_ceil(32))
		.flat_map(|i| draw::blake2_256(&[&content.to_le_bytes(), &(i as u64).to_le_bytes()]))
		.take(length)
		.collect();
	let size_log2 = piece::size_log2_for_payload(length as u64).expect("small");
	let mut padded = vec![0; length.div_ceil(127) * 128];
	fr32::pad(&payload, &mut padded).expect("sized");
	padded.resize(1 << size_log2, 0);
	let commitment = commitment::comm_p::<H>(&padded).expect("a power of two");
	(
		padded,
		PieceInfo {
			commitment,
			size_log2,
			payload_size: length as u64,
		},
	)
}

/// A replica, with its seal in the sealed tier.
pub struct Seal {
	graph: Graph,
	replica_id: [u8; 32],
	layers: Vec<Vec<[u8; 32]>>,
	column_tree: MerkleTree,
	replica_tree: MerkleTree,
}

/// A sector as its provider keeps it.
pub struct Kept {
	pub owner: AccountId,
	pub number: SectorNumber,
	pub proof_type: ProofTypeId,
	pub deals: Vec<DealId>,
	pub pieces: Vec<PieceInfo>,
	pub data: MerkleTree,
	pub ticket_at: BlockNumber,
	pub expiration: BlockNumber,
	pub seal: Option<Seal>,
}

impl Kept {
	/// Publishes deals and fills a sector with their pieces.
	pub fn fill(owner: AccountId, number: SectorNumber, tier: Tier, orders: &[Order]) -> Kept {
		let (mut deals, mut pieces, mut bytes) = (vec![], vec![], vec![0u8; 2048]);
		for order in orders {
			let (padded, info) = padded_piece(order.content, order.length);
			deals.push(Market::publish(owner, info, tier, order.start_by, order.duration));
			pieces.push(info);
			let offset = *piece::layout(&pieces, 11).expect("it fits").last().expect("one") as usize * 32;
			bytes[offset..offset + padded.len()].copy_from_slice(&padded);
		}
		Kept {
			owner,
			number,
			proof_type: if tier == Tier::Hot { HOT } else { SEALED },
			deals,
			pieces,
			data: MerkleTree::from_bytes::<H>(&bytes).expect("a power of two"),
			ticket_at: 0,
			expiration: 0,
			seal: None,
		}
	}

	/// A hot sector.
	pub fn hot(owner: AccountId, number: SectorNumber, orders: &[Order]) -> Kept {
		Self::fill(owner, number, Tier::Hot, orders)
	}

	/// A sealed sector that lives until `expiration`, sealed with the newest ticket.
	pub fn sealed(owner: AccountId, number: SectorNumber, orders: &[Order], expiration: BlockNumber) -> Kept {
		let mut sector = Self::fill(owner, number, Tier::Sealed, orders);
		let (ticket_at, ticket) = StorageProvider::view_ticket(owner).expect("a ticket");
		sector.ticket_at = ticket_at;
		sector.expiration = expiration;
		let spec = spec(SEALED);
		let graph = Graph::new::<H>(spec.leaves(), &spec.porep_id()).expect("a graph");
		let replica_id = replica_id::<H>(
			&prover_id(owner),
			number,
			&ticket,
			&sector.data.root(),
			&spec.porep_id(),
		);
		let layers = labels(&graph, spec.layers.into(), &replica_id);
		let column = |node: usize| layers.iter().map(|layer| layer[node]).collect::<Vec<_>>();
		let columns = (0..64).map(|node| column_leaf::<H>(&column(node))).collect();
		let replica = (0..64)
			.map(|node| {
				let data = sector.data.leaf(node as u64).expect("inside");
				encode(&data, layers.last().expect("layers").get(node).expect("inside")).expect("canonical")
			})
			.collect();
		sector.seal = Some(Seal {
			column_tree: MerkleTree::build::<H>(columns).expect("64"),
			replica_tree: MerkleTree::build::<H>(replica).expect("64"),
			graph,
			replica_id,
			layers,
		});
		sector
	}

	pub fn comm_d(&self) -> Commitment {
		self.data.root()
	}

	pub fn comm_r(&self) -> Commitment {
		match &self.seal {
			None => self.comm_d(),
			Some(seal) => comm_r::<H>(&seal.column_tree.root(), &seal.replica_tree.root()),
		}
	}

	pub fn pre_commit(&self) -> SectorPreCommit {
		SectorPreCommit {
			sector: self.number,
			proof_type: self.proof_type,
			comm_r: self.comm_r(),
			comm_d: self.comm_d(),
			ticket_at: self.ticket_at,
			expiration: self.expiration,
			deals: self.deals.clone().try_into().expect("few"),
		}
	}

	/// Openings of leaves, as windowed proofs take them.
	pub fn open(&self, leaves: &[u64]) -> Vec<u8> {
		let (mut proof, tree) = match &self.seal {
			None => (vec![], &self.data),
			Some(seal) => (
				[seal.column_tree.root(), seal.replica_tree.root()].concat(),
				&seal.replica_tree,
			),
		};
		for leaf in leaves {
			proof.extend(tree.opening(*leaf).expect("inside"));
		}
		proof
	}

	/// The answer to activation challenges under `seed`.
	pub fn activation(&self, seed: &[u8; 32], first: u16, count: u16) -> Vec<u8> {
		let challenges = first..first + count;
		let Some(seal) = &self.seal else {
			let offsets = piece::layout(&self.pieces, 11).expect("it fits");
			let live: Vec<(u64, u64)> = offsets
				.into_iter()
				.zip(self.pieces.iter().map(|piece| payload_leaves(piece.payload_size)))
				.collect();
			let leaf = |j: u16| {
				let value = hot_activation_challenge(seed, &prover_id(self.owner), self.number, j.into());
				live_leaf(live.iter().copied(), value).expect("payload")
			};
			return self.open(&challenges.map(leaf).collect::<Vec<_>>());
		};
		let mut proof = self.open(&[]);
		for j in challenges {
			let node = porep_challenge::<H>(&seal.replica_id, seed, j.into(), 64);
			let mut parents = [0; DEGREE];
			seal.graph.parents(node as u32, &mut parents);
			proof.extend(self.data.opening(node).expect("inside"));
			proof.extend(seal.replica_tree.siblings(node).expect("inside"));
			proof.extend(seal.column_tree.siblings(node).expect("inside"));
			for parent in parents {
				proof.extend(seal.layers.iter().flat_map(|layer| layer[parent as usize]));
				proof.extend(seal.column_tree.siblings(parent.into()).expect("inside"));
			}
		}
		proof
	}

	/// The seed that the chain will draw, from the beacon that the test knows in advance.
	pub fn seed(&self) -> [u8; 32] {
		let at = PreCommits::<Test>::get(self.owner, self.number)
			.expect("pre-committed")
			.at;
		let beacon = ScriptedBeacons::value(at + parameters().pre_commit_delay);
		draw::seed(&beacon, &prover_id(self.owner), self.number)
	}

	/// Part of the activation proof.
	pub fn part(&self, first: u16, count: u16) -> SectorProof {
		let bytes = self.activation(&self.seed(), first, count);
		part_of(self.number, first, count, bytes)
	}

	/// The whole activation proof.
	pub fn whole(&self) -> SectorProof {
		self.part(0, spec(self.proof_type).activation_challenges)
	}
}

fn labels(graph: &Graph, layers: u32, replica_id: &[u8; 32]) -> Vec<Vec<[u8; 32]>> {
	let mut all: Vec<Vec<[u8; 32]>> = vec![];
	let mut parents = [0; DEGREE];
	for layer in 1..=layers {
		let mut current: Vec<[u8; 32]> = vec![];
		for node in 0..graph.leaves() as u32 {
			graph.parents(node, &mut parents);
			let (mut drg, mut expander) = ([[0; 32]; DRG_DEGREE], [[0; 32]; EXPANDER_DEGREE]);
			if node > 0 {
				drg = std::array::from_fn(|i| current[parents[i] as usize]);
				if let Some(before) = all.last() {
					expander = std::array::from_fn(|i| before[parents[DRG_DEGREE + i] as usize]);
				}
			}
			current.push(label::<H>(replica_id, layer, node.into(), &drg, &expander));
		}
		all.push(current);
	}
	all
}

pub fn part_of(sector: SectorNumber, first_challenge: u16, challenges: u16, bytes: Vec<u8>) -> SectorProof {
	SectorProof {
		sector,
		first_challenge,
		challenges,
		proof: ActivationProof::V1(bytes.try_into().expect("short")),
	}
}

pub fn pre_commit(sectors: &[&Kept]) -> Call<Test> {
	let sectors: Vec<_> = sectors.iter().map(|sector| sector.pre_commit()).collect();
	Call::pre_commit_sectors {
		sectors: sectors.try_into().expect("few"),
	}
}

pub fn prove(proofs: Vec<SectorProof>) -> Call<Test> {
	Call::prove_commit_sectors {
		proofs: proofs.try_into().expect("few"),
	}
}

/// Pre-commits sectors, waits for their seed and proves them.
#[track_caller]
pub fn activate(sectors: &[&Kept]) {
	let owner = sectors[0].owner;
	ok(owner, pre_commit(sectors));
	run_to(now() + parameters().pre_commit_delay);
	ok(
		owner,
		prove(sectors.iter().map(|sector| sector.whole()).collect()),
	);
}

/// Registers a provider with one live hot sector of number 0.
#[track_caller]
pub fn provider_with_sector(owner: AccountId, orders: &[Order]) -> Kept {
	register(owner);
	let sector = Kept::hot(owner, 0, orders);
	activate(&[&sector]);
	sector
}

/// A provider's sectors, to make windowed proofs from.
#[derive(Default)]
pub struct Store(pub BTreeMap<(AccountId, SectorNumber), Kept>);

impl Store {
	pub fn of(sectors: impl IntoIterator<Item = Kept>) -> Store {
		Store(
			sectors
				.into_iter()
				.map(|sector| ((sector.owner, sector.number), sector))
				.collect(),
		)
	}

	pub fn add(&mut self, sector: Kept) {
		self.0.insert((sector.owner, sector.number), sector);
	}

	/// The proof of a partition, less the skipped slots.
	pub fn prove_partition(&self, owner: AccountId, partition: &PartitionChallenge, skipped: u64) -> Vec<u8> {
		partition
			.sectors
			.iter()
			.filter(|sector| skipped >> sector.slot & 1 == 0)
			.flat_map(|sector| self.0[&(owner, sector.sector)].open(&sector.leaves))
			.collect()
	}

	/// The call that proves everything that is due in `challenge`.
	pub fn post(&self, owner: AccountId, challenge: &DeadlineChallenge) -> Call<Test> {
		let due: Vec<_> = challenge
			.partitions
			.iter()
			.filter(|partition| !partition.proven && !partition.sectors.is_empty())
			.collect();
		let bytes = due
			.iter()
			.flat_map(|partition| self.prove_partition(owner, partition, 0))
			.collect();
		let partitions = due
			.iter()
			.map(|partition| (partition.partition, 0))
			.collect::<Vec<_>>();
		submit(challenge.window.deadline, &partitions, bytes)
	}

	/// Whether the provider has something to prove in the next block, from the view.
	pub fn due(&self, owner: AccountId) -> Option<DeadlineChallenge> {
		let challenge = StorageProvider::view_deadline_challenge(owner)?;
		let due = challenge
			.partitions
			.iter()
			.any(|partition| !partition.proven && !partition.sectors.is_empty());
		(challenge.drawn && due).then_some(challenge)
	}

	/// Runs blocks to `block`, proving for `owner` whatever falls due.
	#[track_caller]
	pub fn run_proving(&self, owner: AccountId, block: BlockNumber) {
		while now() < block {
			let due = self.due(owner);
			next_block();
			if let Some(challenge) = due {
				ok(owner, self.post(owner, &challenge));
			}
		}
	}
}

/// `submit_windowed_post` of (partition, skipped) pairs.
pub fn submit(deadline: u32, partitions: &[(u32, u64)], bytes: Vec<u8>) -> Call<Test> {
	let partitions: Vec<_> = partitions
		.iter()
		.map(|(partition, skipped)| PartitionProof {
			partition: *partition,
			skipped: *skipped,
		})
		.collect();
	Call::submit_windowed_post {
		deadline,
		partitions: partitions.try_into().expect("few"),
		proof: WindowProof::V1(bytes.try_into().expect("short")),
	}
}

/// Runs to the last block before the sector's next deadline opens whose challenge is not known yet.
/// Returns that deadline's open and close.
#[track_caller]
pub fn run_before_deadline(owner: AccountId, sector: SectorNumber) -> (BlockNumber, BlockNumber) {
	let (open, close) = next_deadline(owner, sector);
	run_to(open - 1);
	(open, close)
}

/// Open and close of the sector's next deadline that opens after now.
#[track_caller]
pub fn next_deadline(owner: AccountId, sector: SectorNumber) -> (BlockNumber, BlockNumber) {
	let deadline = record(owner, sector).location.expect("live").deadline;
	let offset = crate::Providers::<Test>::get(owner)
		.expect("registered")
		.period_offset;
	let window = StorageProvider::calendar(&parameters(), offset).next(deadline, now());
	(window.open, window.close)
}

/// Bitmap with `challenges` set.
pub fn bitmap(challenges: impl IntoIterator<Item = u16>) -> ChallengeBitmap {
	let mut bitmap = [0; 32];
	for challenge in challenges {
		bitmap[usize::from(challenge / 8)] |= 1 << (challenge % 8);
	}
	bitmap
}
