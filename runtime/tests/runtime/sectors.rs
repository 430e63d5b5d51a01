//! Hot sectors and their proofs, in memory.

use crate::chain::{dispatch, next_block, now, ok};
use cairn_primitives::{
	challenge::{hot_activation_challenge, live_leaf, prover_id},
	commitment, draw, fr32,
	hash::NativeSha256 as H,
	merkle::MerkleTree,
	piece,
	proof_type::BUILTIN,
	sector::{ActivationProof, DeadlineChallenge, PartitionProof, SectorPreCommit, SectorProof, WindowProof},
	BlockNumber, DealId, PieceInfo, ProofTypeId, SectorNumber,
};
use cairn_runtime::{AccountId, Runtime};
use codec::Encode;
use pallet_storage_provider::{runtime_api::runtime_decl_for_storage_provider_api::StorageProviderApi, Call};
use sp_runtime::DispatchError;

/// A piece and its padded bytes.
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

/// A hot sector as its provider keeps it.
pub struct Sector {
	owner: AccountId,
	number: SectorNumber,
	proof_type: ProofTypeId,
	deals: Vec<DealId>,
	pieces: Vec<PieceInfo>,
	tree: MerkleTree,
}

impl Sector {
	/// Packs the pieces of deals.
	pub fn pack(
		owner: &AccountId,
		number: SectorNumber,
		proof_type: ProofTypeId,
		pieces: &[&Piece],
		deals: Vec<DealId>,
	) -> Sector {
		let spec = BUILTIN
			.iter()
			.find(|(id, _)| *id == proof_type)
			.expect("built in")
			.1;
		let infos: Vec<_> = pieces.iter().map(|piece| piece.info).collect();
		let mut bytes = vec![0; spec.sector_size() as usize];
		let offsets = piece::layout(&infos, spec.sector_size_log2).expect("they fit");
		for (piece, offset) in pieces.iter().zip(offsets) {
			let at = offset as usize * 32;
			bytes[at..at + piece.padded.len()].copy_from_slice(&piece.padded);
		}
		let tree = MerkleTree::from_bytes::<H>(&bytes).expect("a power of two");
		Sector {
			owner: owner.clone(),
			number,
			proof_type,
			deals,
			pieces: infos,
			tree,
		}
	}

	pub fn pre_commit(&self) -> Call<Runtime> {
		let sector = SectorPreCommit {
			sector: self.number,
			proof_type: self.proof_type,
			comm_r: self.tree.root(),
			comm_d: self.tree.root(),
			ticket_at: 0,
			expiration: 0,
			deals: self.deals.clone().try_into().expect("few"),
		};
		Call::pre_commit_sectors {
			sectors: vec![sector].try_into().expect("one"),
		}
	}

	/// The whole activation proof, for the seed that the runtime tells.
	pub fn prove(&self) -> Call<Runtime> {
		let challenge = Runtime::activation_challenge(self.owner.clone(), self.number).expect("drawn");
		let spec = BUILTIN
			.iter()
			.find(|(id, _)| *id == self.proof_type)
			.expect("built in")
			.1;
		let prover = self.owner.using_encoded(prover_id);
		let offsets = piece::layout(&self.pieces, spec.sector_size_log2).expect("they fit");
		let payload: Vec<(u64, u64)> = offsets
			.into_iter()
			.zip(self.pieces.iter().map(PieceInfo::payload_leaves))
			.collect();
		let leaves: Vec<u64> = (0..spec.activation_challenges)
			.map(|j| {
				let value = hot_activation_challenge(&challenge.seed, &prover, self.number, j.into());
				live_leaf(payload.iter().copied(), value).expect("payload")
			})
			.collect();
		let proof = SectorProof {
			sector: self.number,
			first_challenge: 0,
			challenges: spec.activation_challenges,
			proof: ActivationProof::V1(self.open(&leaves).try_into().expect("short")),
		};
		Call::prove_commit_sectors {
			proofs: vec![proof].try_into().expect("one"),
		}
	}

	fn open(&self, leaves: &[u64]) -> Vec<u8> {
		leaves
			.iter()
			.flat_map(|leaf| self.tree.opening(*leaf).expect("inside"))
			.collect()
	}

	/// What the runtime says that a proof in the next block must cover, if anything.
	pub fn due(&self) -> Option<DeadlineChallenge> {
		let challenge = Runtime::deadline_challenge(self.owner.clone())?;
		let due = |partition: &cairn_primitives::sector::PartitionChallenge| {
			!partition.proven && !partition.sectors.is_empty()
		};
		(challenge.drawn && challenge.partitions.iter().any(due)).then_some(challenge)
	}

	/// The provider's only sector's windowed proof.
	pub fn post(&self, challenge: &DeadlineChallenge) -> Call<Runtime> {
		let partition = &challenge.partitions[0];
		assert_eq!(partition.sectors.len(), 1);
		let partitions = vec![PartitionProof {
			partition: partition.partition,
			skipped: 0,
		}];
		Call::submit_windowed_post {
			deadline: challenge.window.deadline,
			partitions: partitions.try_into().expect("one"),
			proof: WindowProof::V1(self.open(&partition.sectors[0].leaves).try_into().expect("short")),
		}
	}

	/// Runs blocks to `block`; `worker` proves whatever falls due. Returns how often.
	pub fn run_proving(&self, worker: &AccountId, block: BlockNumber) -> u32 {
		let mut proofs = 0;
		while now() < block {
			let due = self.due();
			next_block();
			if let Some(challenge) = due {
				let info = ok(worker, self.post(&challenge));
				assert_eq!(info.pays_fee, frame_support::dispatch::Pays::No);
				let again = dispatch(worker, self.post(&challenge)).map_err(|error| error.error);
				let error = pallet_storage_provider::Error::<Runtime>::AlreadyProven;
				assert_eq!(again, Err(DispatchError::from(error)));
				proofs += 1;
			}
		}
		proofs
	}
}
