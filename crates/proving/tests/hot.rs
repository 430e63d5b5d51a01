//! The hot tier from upload to proof, with every kind of damage.

mod fixture;

use cairn_primitives::{
	challenge::{hot_activation_challenge, live_leaf},
	commitment,
	hash::NativeSha256,
	hot, piece,
};
use cairn_proving::{DataFault, ProveError, SectorProver, StoreError};
use fixture::*;
use std::{fs, os::unix::fs::FileExt};

fn verify(prover: &SectorProver, leaves: &[u64], proof: &[u8]) {
	hot::verify::<NativeSha256>(&prover.spec(), &prover.comm_d(), leaves, proof).unwrap();
}

#[test]
fn sectors_of_many_shapes_are_proven() {
	for (size_log2, lengths) in [
		(11, vec![1usize]),
		(11, vec![2032]),
		(11, vec![1016, 127, 128, 100]),
		(16, vec![32512, 10, 8000]),
		(23, vec![3_000_000, 1_000_000, 32_512, 32_513, 5, 700_000]),
	] {
		let fixture = Fixture::new();
		let pieces: Vec<_> = lengths
			.iter()
			.zip(0..)
			.map(|(len, seed)| fixture.piece(*len, seed))
			.collect();
		let spec = hot_spec(size_log2);
		let committed = fixture.store.commit_hot(&hot_request(spec, &pieces)).unwrap();
		assert_eq!(
			committed.comm_d(),
			commitment::comm_d::<NativeSha256>(&pieces, size_log2).unwrap(),
			"{lengths:?}"
		);
		let fixture = fixture.reopen();
		let prover = fixture.store.prover(3).unwrap();
		assert_eq!(prover.comm_r(), committed.comm_d());

		let last = spec.leaves() - 1;
		let mut leaves: Vec<u64> = (0..40)
			.map(|i| i * 0x9e37_79b9 % spec.leaves())
			.chain([0, last, 0])
			.collect();
		for (offset, piece) in piece::layout(&pieces, size_log2).unwrap().iter().zip(&pieces) {
			leaves.extend([
				*offset,
				offset + piece.payload_leaves() - 1,
				offset + piece.leaves() - 1,
			]);
		}
		verify(&prover, &leaves, &prover.window_proof(&leaves).unwrap());

		let seed = [9; 32];
		let live: Vec<_> = piece::layout(&pieces, size_log2)
			.unwrap()
			.into_iter()
			.zip(pieces.iter().map(|piece| piece.payload_leaves()))
			.collect();
		for (first, count) in [(0, 12), (0, 5), (5, 7)] {
			let leaves: Vec<_> = (first..first + count)
				.map(|j| hot_activation_challenge(&seed, &PROVER_ID, 3, j.into()))
				.map(|challenge| live_leaf(live.iter().copied(), challenge).unwrap())
				.collect();
			verify(
				&prover,
				&leaves,
				&prover.activation_proof(&seed, first, count).unwrap(),
			);
		}
	}
}

#[test]
fn requests_out_of_bounds_are_refused() {
	let fixture = Fixture::new();
	let piece = fixture.piece(2000, 1);
	fixture
		.store
		.commit_hot(&hot_request(hot_spec(11), &[piece]))
		.unwrap();
	let prover = fixture.store.prover(3).unwrap();
	let refused = prover.window_proof(&[0, 64]).unwrap_err();
	assert!(matches!(
		refused,
		ProveError::LeafOutOfRange { leaf: 64, leaves: 64 }
	));
	assert!(!refused.is_data_fault());
	assert!(matches!(prover.window_proof(&[]), Err(ProveError::NoLeaves)));
	assert!(matches!(
		prover.window_proof(&[0; 1025]),
		Err(ProveError::TooManyLeaves { count: 1025 })
	));
	for (first, count) in [(0, 0), (12, 1), (0, 13), (u16::MAX, 1)] {
		assert!(matches!(
			prover.activation_proof(&[0; 32], first, count),
			Err(ProveError::ChallengeRange { .. })
		));
	}
}

#[test]
fn damage_is_named_and_only_where_it_is() {
	let fixture = Fixture::new();
	let pieces = [fixture.piece(300_000, 1), fixture.piece(200_000, 2)];
	fixture
		.store
		.commit_hot(&hot_request(hot_spec(23), &pieces))
		.unwrap();
	let prover = fixture.store.prover(3).unwrap();
	let path = fixture.store.piece_path(&pieces[0]);
	let second = pieces[0].leaves();

	// One byte in the third sub-tree of the first piece.
	let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
	file.write_all_at(&[payload(300_000, 1)[70_000] ^ 1], 70_000)
		.unwrap();
	let error = prover.window_proof(&[0, 2100, second]).unwrap_err();
	assert!(error.is_data_fault());
	match error {
		ProveError::Piece {
			commitment,
			path: named,
			fault: DataFault::Corrupt { leaf: 2100 },
		} => {
			assert_eq!((commitment, named), (pieces[0].commitment, path.clone()));
		}
		other => panic!("{other}"),
	}
	// The rest of the piece and the sector can still be proven.
	prover.window_proof(&[0, second]).unwrap();

	file.set_len(299_999).unwrap();
	assert!(matches!(
		prover.window_proof(&[0]),
		Err(ProveError::Piece {
			fault: DataFault::Truncated {
				expected: 300_000,
				found: 299_999
			},
			..
		})
	));
	fs::remove_file(&path).unwrap();
	assert!(matches!(
		prover.window_proof(&[0]),
		Err(ProveError::Piece {
			fault: DataFault::Missing,
			..
		})
	));
	// An ended piece may be gone: the others do not need it.
	verify(&prover, &[second], &prover.window_proof(&[second]).unwrap());

	let rows = fixture.store.piece_path(&pieces[1]).with_extension("rows");
	let mut bytes = fs::read(&rows).unwrap();
	bytes[0] ^= 1;
	fs::write(&rows, &bytes).unwrap();
	let error = prover.window_proof(&[second + 1500]).unwrap_err();
	assert!(
		matches!(
			error,
			ProveError::Rows {
				fault: DataFault::Corrupt { .. },
				..
			}
		) && error.is_data_fault()
	);
	fixture.store.check_piece(&pieces[1]).unwrap();
	verify(
		&prover,
		&[second + 1500],
		&prover.window_proof(&[second + 1500]).unwrap(),
	);
}

#[test]
fn a_number_is_used_once() {
	let fixture = Fixture::new();
	let pieces = [fixture.piece(100, 1), fixture.piece(100, 2)];
	let request = hot_request(hot_spec(11), &pieces[..1]);
	fixture.store.commit_hot(&request).unwrap();
	fixture.store.commit_hot(&request).unwrap();
	assert!(matches!(
		fixture.store.commit_hot(&hot_request(hot_spec(11), &pieces)),
		Err(StoreError::OtherSector(3))
	));
	assert_eq!(fixture.store.sectors().unwrap(), [3]);
	assert_eq!(fixture.store.sector(3).unwrap().pieces, pieces[..1]);
	fixture.store.finish_activation(3).unwrap();
	fixture.store.remove_sector(3).unwrap();
	fixture.store.remove_sector(3).unwrap();
	assert!(matches!(
		fixture.store.prover(3),
		Err(StoreError::NoSuchSector(3))
	));
	assert!(fixture.store.has_piece(&pieces[0]));
}

#[test]
fn a_sector_needs_its_pieces() {
	let fixture = Fixture::new();
	let piece = fixture.piece(100, 1);
	fixture.store.remove_piece(&piece).unwrap();
	assert!(matches!(
		fixture.store.commit_hot(&hot_request(hot_spec(11), &[piece])),
		Err(StoreError::Piece(ProveError::Piece {
			fault: DataFault::Missing,
			..
		}))
	));
	assert!(fixture.store.sectors().unwrap().is_empty());
	assert!(matches!(
		fixture
			.store
			.commit_hot(&hot_request(sealed_spec(11, 2, 2), &[piece])),
		Err(StoreError::WrongTier)
	));
}

#[test]
fn a_store_is_opened_once() {
	let fixture = Fixture::new();
	let root = fixture.store.root().to_owned();
	assert!(matches!(
		cairn_proving::SectorStore::open(&root),
		Err(StoreError::Locked { .. })
	));
	fs::write(root.join("incoming/left-over"), b"x").unwrap();
	let fixture = fixture.reopen();
	assert_eq!(
		fs::read_dir(fixture.store.root().join("incoming"))
			.unwrap()
			.count(),
		0
	);
}
