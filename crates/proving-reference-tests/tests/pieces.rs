//! CommP and CommD against `filecoin-proofs`.

use cairn_primitives::{commitment, hash::NativeSha256, piece::capacity, PieceInfo};
use cairn_proving::{commp, sector::SectorLayout};
use filecoin_proofs::{
	compute_comm_d, generate_piece_commitment, PaddedBytesAmount, PieceInfo as ReferencePiece, SectorSize,
	UnpaddedBytesAmount,
};
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};

fn reference(payload: &[u8], size_log2: u8) -> [u8; 32] {
	// The reference wants whole pieces; a shorter payload is one with zeros behind it.
	let mut whole = payload.to_vec();
	whole.resize(capacity(size_log2) as usize, 0);
	let piece = generate_piece_commitment(&whole[..], UnpaddedBytesAmount(whole.len() as u64)).unwrap();
	piece.commitment
}

#[test]
fn piece_commitments() {
	let seed = 21;
	println!("seed {seed}");
	let mut rng = ChaCha8Rng::seed_from_u64(seed);
	let mut sizes = vec![
		1, 126, 127, 128, 254, 1000, 2032, 32_511, 32_512, 32_513, 65_024, 300_000,
	];
	sizes.extend((0..20).map(|_| 1 + rng.next_u32() as usize % 70_000));
	for size in sizes {
		let mut payload = vec![0; size];
		rng.fill_bytes(&mut payload);
		let info = commp::piece_info(&payload[..]).unwrap();
		assert_eq!(
			info.commitment,
			reference(&payload, info.size_log2),
			"{size} bytes, seed {seed}"
		);
	}
}

#[test]
fn data_commitments() {
	for seed in 0..30 {
		let mut rng = ChaCha8Rng::seed_from_u64(seed);
		// The reference hashes its zero pieces anew each time: small sectors.
		let sector_size_log2 = 11 + (rng.next_u32() % 9) as u8;
		let mut pieces: Vec<PieceInfo> = Vec::new();
		for _ in 0..1 + rng.next_u32() % 10 {
			let mut commitment = [0; 32];
			rng.fill_bytes(&mut commitment);
			commitment[31] &= 0x3f;
			let size_log2 = 7 + (rng.next_u32() % u32::from(sector_size_log2 - 6)) as u8;
			let mut more = pieces.clone();
			more.push(PieceInfo {
				commitment,
				size_log2,
				payload_size: 1,
			});
			if commitment::comm_d::<NativeSha256>(&more, sector_size_log2).is_ok() {
				pieces = more;
			}
		}
		// The reference stops when it has a single tree, however small. A zero piece of half the
		// sector at the end leads it to the full depth, if that half is free.
		let end = cairn_primitives::piece::layout(&pieces, sector_size_log2)
			.unwrap()
			.iter()
			.zip(&pieces)
			.map(|(leaf, piece)| leaf * 32 + piece.padded_size())
			.max()
			.unwrap_or(0);
		let mut given = pieces.clone();
		if end <= 1 << (sector_size_log2 - 1) {
			given.push(PieceInfo {
				commitment: commitment::zero_commitment(sector_size_log2 - 1).unwrap(),
				size_log2: sector_size_log2 - 1,
				payload_size: 1,
			});
		}
		let theirs: Vec<_> = given
			.iter()
			.map(|piece| {
				let size = UnpaddedBytesAmount::from(PaddedBytesAmount(piece.padded_size()));
				ReferencePiece::new(piece.commitment, size).unwrap()
			})
			.collect();
		let expected = compute_comm_d(SectorSize(1 << sector_size_log2), &theirs).unwrap();
		let chain = commitment::comm_d::<NativeSha256>(&pieces, sector_size_log2).unwrap();
		assert_eq!(chain, expected, "seed {seed}");
		let spec = cairn_primitives::ProofSpec {
			tier: cairn_primitives::Tier::Sealed,
			version: 1,
			sector_size_log2,
			layers: 2,
			activation_challenges: 2,
		};
		assert_eq!(
			SectorLayout::new(spec, &pieces).unwrap().comm_d(),
			expected,
			"seed {seed}"
		);
	}
	let empty = compute_comm_d(SectorSize(1 << 15), &[]).unwrap();
	assert_eq!(commitment::comm_d::<NativeSha256>(&[], 15), Ok(empty));
}
