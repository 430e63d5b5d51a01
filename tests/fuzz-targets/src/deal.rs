//! Deals as they cross the border of the chain: SCALE, and the client's signature.

use crate::{input::Input, Seed};
use cairn_chain_client::{MultiSignature, Proposal, SignedProposal};
use cairn_keystore::{wrap_bytes, Keypair, SignatureError};
use cairn_primitives::{
	deal::{price_per_block, proposal_hash, wrapped_signing_bytes, DealPayload, PayloadKind, SIGNING_DOMAIN},
	params::ProtocolParameters,
	sector::{ActivationProof, PartitionProof, SectorPreCommit, SectorProof, WindowProof},
	PieceInfo, ProofSpec, ProofTypeId, Tier,
};
use cairn_provider_server::deal::verify_client_signature;
use codec::{Decode, DecodeAll, DecodeWithMemLimit, DecodeWithMemTracking, Encode, MaxEncodedLen};
use std::sync::OnceLock;

/// Genesis hash of the chain that deals are signed for.
const GENESIS: [u8; 32] = [9; 32];

/// A value has one encoding, which is no longer than its type allows.
fn canonical<T: Decode + Encode + MaxEncodedLen>(bytes: &[u8]) -> Option<T> {
	let value = T::decode_all(&mut &bytes[..]).ok()?;
	assert_eq!(value.encode(), bytes, "a value has two encodings");
	assert!(bytes.len() <= T::max_encoded_len());
	Some(value)
}

/// As [`canonical`], for the types of calls, whose decoding counts its memory.
fn argument<T: DecodeWithMemTracking + Encode + MaxEncodedLen>(bytes: &[u8]) -> Option<T> {
	let value = canonical::<T>(bytes)?;
	// Far more than any value of these types takes.
	let limit = 16 * T::max_encoded_len() + 4096;
	let again = T::decode_with_mem_limit(&mut &bytes[..], limit);
	assert_eq!(again.expect("the value is small").encode(), bytes);
	Some(value)
}

/// Decodes the bytes as each type that a call or a request carries.
pub fn scale(data: &[u8]) {
	argument::<PieceInfo>(data).inspect(|piece| {
		if piece.is_valid() {
			assert!(piece.payload_leaves() <= piece.leaves());
		}
	});
	argument::<DealPayload>(data);
	argument::<ProofSpec>(data);
	argument::<ProofTypeId>(data);
	argument::<ProtocolParameters>(data).inspect(|parameters| {
		// Whatever the verdict: it must not panic on any numbers.
		let _ = parameters.validate();
	});
	argument::<SectorPreCommit>(data);
	argument::<ActivationProof>(data);
	argument::<WindowProof>(data);
	argument::<SectorProof>(data);
	argument::<PartitionProof>(data);
	argument::<MultiSignature>(data);
	if let Ok(signed) = SignedProposal::decode_all(&mut &data[..]) {
		assert_eq!(signed.encode(), data);
	}
	argument::<Proposal>(data).inspect(|proposal| {
		let signed = proposal.signing_bytes(&GENESIS);
		assert_eq!(signed, [SIGNING_DOMAIN, &GENESIS, data].concat());
		assert_ne!(
			proposal_hash(&signed),
			proposal_hash(&proposal.signing_bytes(&[8; 32]))
		);
		let price = proposal.total_price();
		assert_eq!(
			price.is_none(),
			proposal.price_per_block > u128::MAX / u128::from(proposal.duration).max(1)
		);
		if let Some(per_block) = price_per_block(proposal.price_per_block, proposal.piece.padded_size()) {
			assert!(per_block <= proposal.price_per_block.saturating_mul(64));
		}
	});
}

fn client() -> &'static Keypair {
	static CLIENT: OnceLock<Keypair> = OnceLock::new();
	CLIENT.get_or_init(|| Keypair::from_seed(&[7; 32]))
}

/// Checks signatures: those of the client in both forms, changed ones, and arbitrary bytes.
pub fn deal_signature(data: &[u8]) {
	let mut input = Input::new(data);
	let form = input.below(4);
	let scheme = input.below(5);
	let flipped = input.u16();
	let garbage = input.array::<64>();
	let rest = input.rest();
	assert_eq!(
		wrap_bytes(&wrap_bytes(rest)),
		wrap_bytes(rest),
		"bytes are wrapped twice"
	);

	let Ok(mut proposal) = Proposal::decode(&mut &rest[..]) else {
		return;
	};
	proposal.client = client().public();
	let message = proposal.signing_bytes(&GENESIS);
	let wrapped = wrapped_signing_bytes(&message);
	assert_eq!(wrapped, wrap_bytes(&message), "bytes are wrapped in two ways");
	let signature = match form {
		0 => client().sign(&message),
		1 => client().sign(&wrapped),
		// Nobody signs this form, and whoever does has signed something else.
		2 => client().sign(&wrapped_signing_bytes(&wrapped)),
		_ => garbage,
	};
	let signature = match scheme {
		0 | 4 => MultiSignature::Sr25519(signature),
		1 => MultiSignature::Ed25519(signature),
		2 => MultiSignature::Ecdsa([1; 65]),
		_ => MultiSignature::Eth([1; 65]),
	};
	let mut signature = signature.encode();
	let outcome = verify_client_signature(&proposal, &GENESIS, &signature);
	let is_sr25519 = matches!(scheme, 0 | 4);
	let expected = match form {
		0 | 1 if is_sr25519 => Ok(()),
		_ => Err(SignatureError::Wrong),
	};
	assert_eq!(outcome, expected);
	let elsewhere = verify_client_signature(&proposal, &[8; 32], &signature);
	assert!(elsewhere.is_err(), "a signature counts on another chain");
	if is_sr25519 {
		let bit = usize::from(flipped) % (8 * signature.len());
		signature[bit / 8] ^= 1 << (bit % 8);
		let changed = verify_client_signature(&proposal, &GENESIS, &signature);
		assert!(changed.is_err(), "a changed signature counts");
		signature.pop();
		let short = verify_client_signature(&proposal, &GENESIS, &signature);
		assert_eq!(short, Err(SignatureError::Malformed));
	}
}

/// A proposal like those that clients make.
pub(crate) fn proposal() -> Proposal {
	Proposal {
		piece: PieceInfo {
			commitment: [1; 32],
			size_log2: 11,
			payload_size: 1900,
		},
		payload: DealPayload::V1 {
			kind: PayloadKind::Public,
			root: cairn_dag::Block::encode(cairn_dag::Codec::Raw, &b"root"[..])
				.cid()
				.to_bytes()
				.try_into()
				.expect("a root has 36 bytes"),
		},
		client: [2; 32],
		provider: [3; 32],
		tier: Tier::Hot,
		start_by: 100,
		duration: 30,
		price_per_block: 7,
		provider_collateral: 9,
		nonce: 0x0102_0304_0506_0708,
		label: b"label".to_vec().try_into().expect("a label is short"),
	}
}

/// Seeds of [`scale`].
pub(crate) fn scale_seeds() -> Vec<Seed> {
	let bytes = |len: usize| (0..len).map(|i| i as u8).collect::<Vec<_>>();
	let pre_commit = SectorPreCommit {
		sector: 5,
		proof_type: ProofTypeId(0x0111),
		comm_r: [4; 32],
		comm_d: [5; 32],
		ticket_at: 10,
		expiration: 1000,
		deals: vec![1, 2, 3].try_into().expect("three deals fit"),
	};
	let proof = SectorProof {
		sector: 5,
		first_challenge: 1,
		challenges: 2,
		proof: ActivationProof::V1(bytes(100).try_into().expect("100 bytes fit")),
	};
	let signed = SignedProposal {
		proposal: proposal(),
		client_signature: MultiSignature::Sr25519([6; 64]),
	};
	let partition = PartitionProof {
		partition: 1,
		skipped: 6,
	};
	// A proof that claims 2^30 bytes, and one byte more than is allowed.
	let huge = [&[0u8, 0x03, 0, 0, 0, 0x40][..], &[0; 8]].concat();
	let beyond = [&[0u8][..], &codec::Compact(960 * 1024 + 1u32).encode()].concat();
	vec![
		("proposal", proposal().encode()),
		("signed-proposal", signed.encode()),
		("payload", proposal().payload.encode()),
		("piece", proposal().piece.encode()),
		("pre-commit", pre_commit.encode()),
		("sector-proof", proof.encode()),
		("activation-proof", proof.proof.encode()),
		(
			"window-proof",
			WindowProof::V1(bytes(64).try_into().expect("64 bytes fit")).encode(),
		),
		("partition", partition.encode()),
		("spec", cairn_primitives::proof_type::BUILTIN[4].1.encode()),
		("claims-a-gigabyte", huge),
		("claims-a-byte-too-many", beyond),
	]
}

/// Seeds of [`deal_signature`].
pub(crate) fn signature_seeds() -> Vec<Seed> {
	let seed = |form: u8, scheme: u8| {
		let mut bytes = vec![form, scheme, 100, 0];
		bytes.extend_from_slice(&[0x5a; 64]);
		proposal().encode_to(&mut bytes);
		bytes
	};
	vec![
		("raw", seed(0, 0)),
		("wrapped", seed(1, 0)),
		("wrapped-twice", seed(2, 0)),
		("garbage", seed(3, 0)),
		("ecdsa", seed(0, 2)),
	]
}
