//! Pieces: Fr32 padding, and commitments by each of the ways that there are to compute them.

use crate::{input::Input, Seed};
use cairn_primitives::{
	commitment::{comm_d, comm_p, zero_commitment},
	fr32,
	hash::{inner_node, NativeSha256},
	hot::is_data_leaf,
	piece::{layout, size_log2_for_payload, LayoutError, PIECE_MIN_SIZE_LOG2},
	Commitment, PieceInfo,
};
use cairn_proving::commp;

/// Pads a payload, reads a range back, and commits to it.
pub fn fr32_padding(data: &[u8]) {
	let mut input = Input::new(data);
	let (start, len) = (usize::from(input.u16()), usize::from(input.byte()));
	let arbitrary = [input.u64(), input.u64()];
	lengths(arbitrary);
	let payload = input.rest();
	let mut padded = vec![0xaa; payload.len().div_ceil(fr32::GROUP_PAYLOAD) * fr32::GROUP_PADDED];
	fr32::pad(payload, &mut padded).expect("the output has the right length");
	let mut back = vec![0x55; payload.len()];
	fr32::unpad(&padded, &mut back).expect("the output has the right length");
	assert_eq!(back, payload, "unpadding does not reverse padding");
	assert!(padded.as_chunks::<32>().0.iter().all(is_data_leaf));
	assert_eq!(fr32::pad(payload, &mut [0; 1]), Err(fr32::LengthMismatch));
	let mut dirty = padded.clone();
	dirty
		.iter_mut()
		.skip(31)
		.step_by(32)
		.for_each(|byte| *byte |= 0xc0);
	fr32::unpad(&dirty, &mut back).expect("the output has the right length");
	assert_eq!(back, payload, "padding bits are read");

	let start = start.min(payload.len());
	let end = (start + len).min(payload.len());
	let (groups, skip) = fr32::group_range(start as u64..end as u64);
	let groups = groups.start as usize..groups.end as usize;
	let mut content = vec![0; groups.len() / fr32::GROUP_PADDED * fr32::GROUP_PAYLOAD];
	fr32::unpad(&padded[groups], &mut content).expect("whole groups");
	if start < end {
		assert_eq!(&content[skip..skip + end - start], &payload[start..end]);
	}
	committed(payload, padded);
}

/// Lengths of any size are computed without overflow.
fn lengths([a, b]: [u64; 2]) {
	assert!(fr32::padded_len(a) >= a);
	assert!(fr32::payload_len(a) <= a);
	if a <= u64::MAX / 2 {
		assert_eq!(fr32::payload_len(fr32::padded_len(a)), a);
	}
	let (from, to) = (a.min(b), a.max(b));
	let (exact, (groups, skip)) = (fr32::padded_range(from..to), fr32::group_range(from..to));
	assert!(skip < fr32::GROUP_PAYLOAD);
	if from < to {
		assert!(groups.start <= exact.start && exact.end <= groups.end);
	}
	assert!(fr32::padded_range(to..from).is_empty());
}

/// The streaming commitment is that of the definition.
fn committed(payload: &[u8], mut padded: Vec<u8>) {
	let size_log2 = size_log2_for_payload(payload.len() as u64).expect("inputs are small");
	padded.resize(1 << size_log2, 0);
	let expected = comm_p::<NativeSha256>(&padded).expect("a power of two of leaves");
	let streamed = commp::piece_info(payload).expect("memory can be read");
	let described = PieceInfo {
		commitment: expected,
		size_log2,
		payload_size: payload.len() as u64,
	};
	assert_eq!(streamed, described);
	assert_eq!(described.is_valid(), !payload.is_empty());
	assert_eq!(comm_d::<NativeSha256>(&[described], size_log2), Ok(expected));
}

/// Lays pieces out in a sector and reduces their commitments to CommD.
pub fn piece_layout(data: &[u8]) {
	let mut input = Input::new(data);
	let sector_size_log2 = input.byte();
	let mut pieces: Vec<PieceInfo> = Vec::new();
	while !input.is_empty() && pieces.len() < 64 {
		pieces.push(PieceInfo {
			size_log2: input.byte(),
			commitment: [input.byte() & 0x3f; 32],
			payload_size: 1,
		});
	}
	let laid_out = layout(&pieces, sector_size_log2);
	let reduced = comm_d::<NativeSha256>(&pieces, sector_size_log2);
	let offsets = match (laid_out, reduced) {
		(Ok(offsets), Ok(commitment)) => {
			let placed = placed(&pieces, &offsets);
			assert_eq!(
				commitment,
				root(&placed, 0, sector_size_log2),
				"two values of CommD"
			);
			placed
		}
		(Err(one), Err(other)) => {
			assert_eq!(one, other);
			if sector_size_log2 < PIECE_MIN_SIZE_LOG2 {
				assert_eq!(one, LayoutError::SectorSize);
			}
			return;
		}
		(one, other) => panic!("{one:?}, yet {other:?}"),
	};
	let mut end = 0;
	for (offset, size_log2, _) in offsets {
		assert!(offset >= end && offset % (1 << size_log2) == 0);
		end = offset + (1 << size_log2);
	}
	assert!(end <= 1 << sector_size_log2, "pieces exceed the sector");
}

/// Offset in bytes, size, and commitment of each piece.
fn placed(pieces: &[PieceInfo], offsets: &[u64]) -> Vec<(u64, u8, Commitment)> {
	assert_eq!(pieces.len(), offsets.len());
	pieces
		.iter()
		.zip(offsets)
		.map(|(piece, leaf)| (leaf * 32, piece.size_log2, piece.commitment))
		.collect()
}

/// Root over 2^`size_log2` bytes from `start`, from the top down.
fn root(placed: &[(u64, u8, Commitment)], start: u64, size_log2: u8) -> Commitment {
	let end = start + (1 << size_log2);
	let mut inside = placed
		.iter()
		.filter(|(offset, size, _)| *offset < end && start < offset + (1 << size));
	match inside.next() {
		None => zero_commitment(size_log2).expect("no larger than a sector"),
		Some((offset, size, commitment)) if (*offset, *size) == (start, size_log2) => *commitment,
		Some(_) => inner_node::<NativeSha256>(
			&root(placed, start, size_log2 - 1),
			&root(placed, start + (1 << (size_log2 - 1)), size_log2 - 1),
		),
	}
}

/// Seeds of [`fr32_padding`].
pub(crate) fn padding_seeds() -> Vec<Seed> {
	let seed = |start: u16, len: u8, payload: Vec<u8>| {
		let mut bytes = start.to_le_bytes().to_vec();
		bytes.push(len);
		bytes.extend_from_slice(&u64::MAX.to_le_bytes());
		bytes.extend_from_slice(&126u64.to_le_bytes());
		bytes.extend_from_slice(&payload);
		bytes
	};
	vec![
		("empty", seed(0, 0, vec![])),
		("group", seed(31, 2, (0..127).collect())),
		("ones", seed(126, 3, vec![0xff; 254])),
		("tail", seed(200, 255, (0..=255).chain(0..=100).collect())),
	]
}

/// Seeds of [`piece_layout`].
pub(crate) fn layout_seeds() -> Vec<Seed> {
	vec![
		("one", vec![11, 11, 1]),
		("several", vec![12, 7, 1, 9, 2, 8, 3, 7, 4, 7, 5]),
		("largest", vec![36, 35, 1, 7, 2, 34, 3]),
		("empty", vec![11]),
		("overflow", vec![11, 10, 1, 7, 2, 10, 3]),
		("impossible", vec![255, 255, 255]),
	]
}
