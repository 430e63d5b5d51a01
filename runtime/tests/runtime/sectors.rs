//! Sectors of both tiers as their provider keeps them, and their proofs, in memory.

use crate::chain::{dispatch, next_block, now, ok};
use cairn_primitives::{
	challenge::{hot_activation_challenge, live_leaf, prover_id},
	commitment, draw, fr32,
	hash::NativeSha256 as H,
	merkle::MerkleTree,
	piece,
	proof_type::BUILTIN,
	sdr::reference::Replica,
	sealed,
	sector::{
		ActivationProof, DeadlineChallenge, PartitionChallenge, PartitionProof, SectorPreCommit, SectorProof,
		WindowProof,
	},
	BlockNumber, DealId, PieceInfo, ProofSpec, ProofTypeId, SectorNumber,
};
use cairn_runtime::{AccountId, Runtime};
use codec::Encode;
use frame_support::dispatch::Pays;
use pallet_storage_provider::{
	runtime_api::runtime_decl_for_storage_provider_api::StorageProviderApi, Call, Error,
};
use sp_runtime::DispatchError;
use std::collections::BTreeMap;

/// Hot, 2 KiB.
pub const HOT_2_KIB: ProofTypeId = ProofTypeId(0x0011);
/// Hot, 8 MiB.
pub const HOT_8_MIB: ProofTypeId = ProofTypeId(0x0017);
/// Sealed, 2 KiB, two layers.
pub const SEALED_2_KIB: ProofTypeId = ProofTypeId(0x0111);
/// Sealed, 8 MiB, eleven layers.
pub const SEALED_8_MIB: ProofTypeId = ProofTypeId(0x0117);

pub fn spec(id: ProofTypeId) -> ProofSpec {
	let builtin = BUILTIN.iter().find(|(builtin, _)| *builtin == id);
	builtin.expect("built in").1
}

/// A provider's identity in hashes.
pub fn identity(owner: &AccountId) -> [u8; 32] {
	owner.using_encoded(prover_id)
}

/// A piece and its padded bytes.
#[derive(Clone)]
pub struct Piece {
	pub info: PieceInfo,
	padded: Vec<u8>,
}

impl Piece {
	/// A piece of `length` pseudo-random bytes.
	pub fn random(content: u64, length: usize) -> Piece {
		let payload: Vec<u8> = (0..length.div_ceil(32))
			.flat_map(|i| draw::blake2_256(&[&content.to_le_bytes(), &(i as u64).to_le_bytes()]))
			.take(length)
			.collect();
		let size_log2 = piece::size_log2_for_payload(length as u64).expect("small");
		let mut padded = vec![0; length.div_ceil(127) * 128];
		fr32::pad(&payload, &mut padded).expect("sized");
		padded.resize(1 << size_log2, 0);
		let commitment = commitment::comm_p::<H>(&padded).expect("a power of two");
		Piece {
			info: PieceInfo {
				commitment,
				size_log2,
				payload_size: length as u64,
			},
			padded,
		}
	}
}

/// What sealing adds to a sector.
struct Seal {
	replica: Replica,
	ticket_at: BlockNumber,
	expiration: BlockNumber,
}

/// A sector as its provider keeps it.
pub struct Sector {
	pub owner: AccountId,
	pub number: SectorNumber,
	proof_type: ProofTypeId,
	deals: Vec<DealId>,
	pub pieces: Vec<PieceInfo>,
	data: MerkleTree,
	seal: Option<Seal>,
}

impl Sector {
	/// Packs the pieces of deals into a hot sector.
	pub fn pack(
		owner: &AccountId,
		number: SectorNumber,
		proof_type: ProofTypeId,
		pieces: &[&Piece],
		deals: Vec<DealId>,
	) -> Sector {
		let spec = spec(proof_type);
		let infos: Vec<_> = pieces.iter().map(|piece| piece.info).collect();
		let mut bytes = vec![0; spec.sector_size() as usize];
		let offsets = piece::layout(&infos, spec.sector_size_log2).expect("they fit");
		for (piece, offset) in pieces.iter().zip(offsets) {
			bytes[offset as usize * 32..][..piece.padded.len()].copy_from_slice(&piece.padded);
		}
		Sector {
			owner: owner.clone(),
			number,
			proof_type,
			deals,
			pieces: infos,
			data: MerkleTree::from_bytes::<H>(&bytes).expect("a power of two"),
			seal: None,
		}
	}

	/// Packs and seals, with the newest ticket, a sector that lives until `expiration`.
	pub fn seal(
		owner: &AccountId,
		number: SectorNumber,
		proof_type: ProofTypeId,
		pieces: &[&Piece],
		deals: Vec<DealId>,
		expiration: BlockNumber,
	) -> Sector {
		let mut sector = Self::pack(owner, number, proof_type, pieces, deals);
		let (ticket_at, ticket) = Runtime::ticket(owner.clone()).expect("a ticket");
		let inputs = sealed::ActivationInputs {
			prover_id: identity(owner),
			sector: number,
			ticket,
			seed: [0; 32],
			comm_d: [0; 32],
			comm_r: [0; 32],
		};
		sector.seal = Some(Seal {
			replica: Replica::seal(spec(proof_type), inputs, sector.data.clone()),
			ticket_at,
			expiration,
		});
		sector
	}

	/// What the chain is told of the sector.
	pub fn commitment(&self) -> SectorPreCommit {
		let comm_d = self.data.root();
		let (comm_r, ticket_at, expiration) = match &self.seal {
			None => (comm_d, 0, 0),
			Some(seal) => (seal.replica.inputs.comm_r, seal.ticket_at, seal.expiration),
		};
		SectorPreCommit {
			sector: self.number,
			proof_type: self.proof_type,
			comm_r,
			comm_d,
			ticket_at,
			expiration,
			deals: self.deals.clone().try_into().expect("few"),
		}
	}

	pub fn pre_commit(&self) -> Call<Runtime> {
		pre_commit(vec![self.commitment()])
	}

	/// The whole activation proof, for the seed that the runtime tells.
	pub fn prove(&self) -> Call<Runtime> {
		prove(vec![self.part(0, spec(self.proof_type).activation_challenges)])
	}

	/// Part of the activation proof, for the seed that the runtime tells.
	pub fn part(&self, first: u16, count: u16) -> SectorProof {
		let challenge = Runtime::activation_challenge(self.owner.clone(), self.number).expect("drawn");
		let bytes = match &self.seal {
			None => self.open(&self.activation_leaves(&challenge.seed, first, count)),
			Some(seal) => {
				let mut replica = seal.replica.clone();
				replica.inputs.seed = challenge.seed;
				replica.prove_part(first, count)
			}
		};
		SectorProof {
			sector: self.number,
			first_challenge: first,
			challenges: count,
			proof: ActivationProof::V1(bytes.try_into().expect("short")),
		}
	}

	/// Leaves that a hot sector's activation opens.
	fn activation_leaves(&self, seed: &[u8; 32], first: u16, count: u16) -> Vec<u64> {
		let offsets = piece::layout(&self.pieces, spec(self.proof_type).sector_size_log2).expect("they fit");
		let payload: Vec<(u64, u64)> = offsets
			.into_iter()
			.zip(self.pieces.iter().map(PieceInfo::payload_leaves))
			.collect();
		(first..first + count)
			.map(|j| {
				let value = hot_activation_challenge(seed, &identity(&self.owner), self.number, j.into());
				live_leaf(payload.iter().copied(), value).expect("payload")
			})
			.collect()
	}

	/// The sector's part of a windowed proof.
	pub fn open(&self, leaves: &[u64]) -> Vec<u8> {
		match &self.seal {
			Some(seal) => seal.replica.prove_window(leaves),
			None => leaves
				.iter()
				.flat_map(|leaf| self.data.opening(*leaf).expect("inside"))
				.collect(),
		}
	}
}

pub fn pre_commit(sectors: Vec<SectorPreCommit>) -> Call<Runtime> {
	Call::pre_commit_sectors {
		sectors: sectors.try_into().expect("few"),
	}
}

pub fn prove(proofs: Vec<SectorProof>) -> Call<Runtime> {
	Call::prove_commit_sectors {
		proofs: proofs.try_into().expect("few"),
	}
}

/// What the runtime says that a proof in the next block must cover, if anything.
pub fn due(owner: &AccountId) -> Option<DeadlineChallenge> {
	let challenge = Runtime::deadline_challenge(owner.clone())?;
	let due = challenge.partitions.iter().any(is_due);
	(challenge.drawn && due).then_some(challenge)
}

fn is_due(partition: &PartitionChallenge) -> bool {
	!partition.proven && !partition.sectors.is_empty()
}

/// Sectors to make windowed proofs from.
#[derive(Default)]
pub struct Store(BTreeMap<(AccountId, SectorNumber), Sector>);

impl Store {
	pub fn of(sectors: impl IntoIterator<Item = Sector>) -> Store {
		let mut store = Store::default();
		sectors.into_iter().for_each(|sector| store.add(sector));
		store
	}

	pub fn add(&mut self, sector: Sector) {
		self.0.insert((sector.owner.clone(), sector.number), sector);
	}

	pub fn get(&self, owner: &AccountId, number: SectorNumber) -> &Sector {
		&self.0[&(owner.clone(), number)]
	}

	/// The proof of a partition, less the skipped slots.
	pub fn prove_partition(
		&self,
		owner: &AccountId,
		partition: &PartitionChallenge,
		skipped: u64,
	) -> Vec<u8> {
		partition
			.sectors
			.iter()
			.filter(|sector| skipped >> sector.slot & 1 == 0)
			.flat_map(|sector| self.get(owner, sector.sector).open(&sector.leaves))
			.collect()
	}

	/// The call that proves everything that is due in `challenge`.
	pub fn post(&self, owner: &AccountId, challenge: &DeadlineChallenge) -> Call<Runtime> {
		let due: Vec<_> = challenge
			.partitions
			.iter()
			.filter(|partition| is_due(partition))
			.collect();
		let bytes = due
			.iter()
			.flat_map(|partition| self.prove_partition(owner, partition, 0))
			.collect();
		let partitions = due.iter().map(|partition| (partition.partition, 0)).collect();
		window(challenge.window.deadline, partitions, bytes)
	}

	/// Runs blocks to `block`; `worker` proves for `owner` whatever falls due. Returns how often.
	pub fn run_proving(&self, owner: &AccountId, worker: &AccountId, block: BlockNumber) -> u32 {
		let mut proofs = 0;
		while now() < block {
			let due = due(owner);
			next_block();
			if let Some(challenge) = due {
				let call = self.post(owner, &challenge);
				assert_eq!(ok(worker, call.clone()).pays_fee, Pays::No);
				let again = dispatch(worker, call).map_err(|error| error.error);
				assert_eq!(again, Err(DispatchError::from(Error::<Runtime>::AlreadyProven)));
				proofs += 1;
			}
		}
		proofs
	}
}

/// `submit_windowed_post` of (partition, skipped) pairs.
pub fn window(deadline: u32, partitions: Vec<(u32, u64)>, bytes: Vec<u8>) -> Call<Runtime> {
	let partitions: Vec<_> = partitions
		.into_iter()
		.map(|(partition, skipped)| PartitionProof { partition, skipped })
		.collect();
	Call::submit_windowed_post {
		deadline,
		partitions: partitions.try_into().expect("few"),
		proof: WindowProof::V1(bytes.try_into().expect("short")),
	}
}
