//! CommP and CommD: Merkle roots over padded pieces and sectors.
//!
//! Both are Filecoin's, so piece identifiers agree with every tool of that ecosystem. Where pieces
//! leave a sector empty, zero pieces fill it, up to the sector's full depth.

use crate::{
	hash::{inner_node, Sha256},
	merkle::{MerkleTree, TreeError},
	piece::{Layout, LayoutError, PieceInfo},
};

pub use crate::piece::Commitment;

/// Root of a tree of zero leaves, by height: entry h is a piece of 32 · 2^h zero bytes, up to the
/// largest sector.
pub const ZERO_COMMITMENTS: [Commitment; 32] = [
	hex32("0000000000000000000000000000000000000000000000000000000000000000"),
	hex32("f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb0b"),
	hex32("3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333"),
	hex32("642a607ef886b004bf2c1978463ae1d4693ac0f410eb2d1b7a47fe205e5e750f"),
	hex32("57a2381a28652bf47f6bef7aca679be4aede5871ab5cf3eb2c08114488cb8526"),
	hex32("1f7ac9595510e09ea41c460b176430bb322cd6fb412ec57cb17d989a4310372f"),
	hex32("fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833"),
	hex32("08c47b38ee13bc43f41b915c0eed9911a26086b3ed62401bf9d58b8d19dff624"),
	hex32("b2e47bfb11facd941f62af5c750f3ea5cc4df517d5c4f16db2b4d77baec1a32f"),
	hex32("f9226160c8f927bfdcc418cdf203493146008eaefb7d02194d5e548189005108"),
	hex32("2c1a964bb90b59ebfe0f6da29ad65ae3e417724a8f7c11745a40cac1e5e74011"),
	hex32("fee378cef16404b199ede0b13e11b624ff9d784fbbed878d83297e795e024f02"),
	hex32("8e9e2403fa884cf6237f60df25f83ee40dca9ed879eb6f6352d15084f5ad0d3f"),
	hex32("752d9693fa167524395476e317a98580f00947afb7a30540d625a9291cc12a07"),
	hex32("7022f60f7ef6adfa17117a52619e30cea82c68075adf1c667786ec506eef2d19"),
	hex32("d99887b973573a96e11393645236c17b1f4c7034d723c7a99f709bb4da61162b"),
	hex32("d0b530dbb0b4f25c5d2f2a28dfee808b53412a02931f18c499f5a254086b1326"),
	hex32("84c0421ba0685a01bf795a2344064fe424bd52a9d24377b394ff4c4b4568e811"),
	hex32("65f29e5d98d246c38b388cfc06db1f6b021303c5a289000bdce832a9c3ec421c"),
	hex32("a2247508285850965b7e334b3127b0c042b1d046dc54402137627cd8799ce13a"),
	hex32("dafdab6da9364453c26d33726b9fefe343be8f81649ec009aad3faff50617508"),
	hex32("d941d5e0d6314a995c33ffbd4fbe69118d73d4e5fd2cd31f0f7c86ebdd14e706"),
	hex32("514c435c3d04d349a5365fbd59ffc713629111785991c1a3c53af22079741a2f"),
	hex32("ad06853969d37d34ff08e09f56930a4ad19a89def60cbfee7e1d3381c1e71c37"),
	hex32("39560e7b13a93b07a243fd2720ffa7cb3e1d2e505ab3629e79f46313512cda06"),
	hex32("ccc3c012f5b05e811a2bbfdd0f6833b84275b47bf229c0052a82484f3c1a5b3d"),
	hex32("7df29b69773199e8f2b40b77919d048509eed768e2c7297b1f1437034fc3c62c"),
	hex32("66ce05a3667552cf45c02bcc4e8392919bdeac35de2ff56271848e9f7b675107"),
	hex32("d8610218425ab5e95b1ca6239d29a2e420d706a96f373e2f9c9a91d759d19b01"),
	hex32("6d364b1ef846441a5a4a68862314acc0a46f016717e53443e839eedf83c2853c"),
	hex32("077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e"),
	hex32("e64005a6bfe3777953b8ad6ef93f0fca1049b2041654f2a411f7702799cece02"),
];

/// The commitment to 2^`size_log2` zero bytes; `None` below 32 bytes and above the largest sector.
pub fn zero_commitment(size_log2: u8) -> Option<Commitment> {
	ZERO_COMMITMENTS
		.get(usize::from(size_log2.checked_sub(5)?))
		.copied()
}

/// CommP of a whole padded piece in memory: the Merkle root over its 32-byte leaves.
///
/// The plain definition, for small pieces and as a reference for streaming ones.
///
/// # Errors
/// [`TreeError::LeafCount`] if `padded` is not a power of two of whole leaves.
pub fn comm_p<H: Sha256>(padded: &[u8]) -> Result<Commitment, TreeError> {
	MerkleTree::from_bytes::<H>(padded).map(|tree| tree.root())
}

/// CommD of a sector of 2^`sector_size_log2` bytes that holds `pieces` in this order, each aligned
/// to its own size (see [`crate::piece::layout`]), zeros elsewhere. No pieces give the zero root of
/// full depth.
///
/// Costs about one hash per piece and one per level of the tree; allocates nothing.
///
/// # Errors
/// See [`LayoutError`].
pub fn comm_d<H: Sha256>(pieces: &[PieceInfo], sector_size_log2: u8) -> Result<Commitment, LayoutError> {
	let mut layout = Layout::new(sector_size_log2)?;
	let mut subtrees = Subtrees::default();
	for piece in pieces {
		layout.place(piece.size_log2)?;
		subtrees.align_to::<H>(piece.size_log2);
		subtrees.push::<H>(piece.size_log2, piece.commitment);
	}
	Ok(subtrees.finish::<H>(sector_size_log2))
}

/// Complete subtrees from the sector's start on, sizes strictly falling, like a binary counter.
///
/// The layout has been checked, so sizes are 7 to 36 and there is at most one subtree per size.
struct Subtrees {
	/// Roots by size; entry i, if any, covers 2^i bytes.
	roots: [Option<Commitment>; 37],
}

impl Default for Subtrees {
	fn default() -> Self {
		Subtrees { roots: [None; 37] }
	}
}

impl Subtrees {
	/// Appends a subtree at an offset that is a multiple of its size; joins it with its left
	/// neighbours as long as they are as large.
	fn push<H: Sha256>(&mut self, size_log2: u8, root: Commitment) {
		let (mut size, mut root) = (usize::from(size_log2), root);
		while let Some(left) = self.roots.get_mut(size).and_then(Option::take) {
			root = inner_node::<H>(&left, &root);
			size += 1;
		}
		if let Some(slot) = self.roots.get_mut(size) {
			*slot = Some(root);
		}
	}

	/// Fills with zero pieces up to a multiple of 2^`size_log2` bytes.
	fn align_to<H: Sha256>(&mut self, size_log2: u8) {
		for size in 0..size_log2 {
			if let (Some(_), Some(zero)) = (self.roots[usize::from(size)], zero_commitment(size)) {
				self.push::<H>(size, zero);
			}
		}
	}

	/// Fills with zero pieces up to the sector's end.
	fn finish<H: Sha256>(mut self, sector_size_log2: u8) -> Commitment {
		self.align_to::<H>(sector_size_log2);
		match self.roots.get(usize::from(sector_size_log2)) {
			Some(Some(root)) => *root,
			// No piece at all. The layout bounds the sector's size, so that the table has its entry.
			_ => ZERO_COMMITMENTS[usize::from(sector_size_log2.saturating_sub(5))],
		}
	}
}

const fn hex32(hex: &str) -> [u8; 32] {
	const fn digit(c: u8) -> u8 {
		if c <= b'9' {
			c - b'0'
		} else {
			c - b'a' + 10
		}
	}
	let hex = hex.as_bytes();
	let mut bytes = [0u8; 32];
	let mut i = 0;
	while i < 32 {
		bytes[i] = digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]);
		i += 1;
	}
	bytes
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{hash::NativeSha256, piece};
	use alloc::{vec, vec::Vec};
	use rand_chacha::{
		rand_core::{RngCore, SeedableRng},
		ChaCha8Rng,
	};

	/// Also pins values published for Filecoin: the zero pieces of 128 bytes, 2 KiB and 32 GiB.
	#[test]
	fn zero_commitments_are_generated_by_hashing() {
		let mut zero = [0u8; 32];
		for (height, commitment) in ZERO_COMMITMENTS.iter().enumerate() {
			assert_eq!(*commitment, zero, "height {height}");
			zero = inner_node::<NativeSha256>(&zero, &zero);
		}
		for (size_log2, known) in [
			(
				7,
				"3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333",
			),
			(
				11,
				"fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833",
			),
			(
				35,
				"077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e",
			),
		] {
			assert_eq!(hex::encode(zero_commitment(size_log2).unwrap()), known);
		}
		assert_eq!(zero_commitment(4), None);
		assert_eq!(zero_commitment(37), None);
	}

	#[test]
	fn comm_p_golden_vector() {
		// Payload bytes 0, 1, … 126 in the smallest piece.
		let payload: Vec<u8> = (0..127).collect();
		let mut padded = [0u8; 128];
		crate::fr32::pad(&payload, &mut padded).unwrap();
		assert_eq!(
			hex::encode(comm_p::<NativeSha256>(&padded).unwrap()),
			"b817099547b8c59060fede17e8fef01cd2e5871fcc83cb2cf492000001a97216"
		);
	}

	/// CommD by reduction against the tree over the whole sector.
	#[test]
	fn comm_d_is_the_root_over_the_sector() {
		for seed in 0..60 {
			let mut rng = ChaCha8Rng::seed_from_u64(seed);
			let sector_size_log2 = 9 + (rng.next_u32() % 6) as u8;
			let mut sector = vec![0u8; 1 << sector_size_log2];
			let mut pieces = Vec::new();
			let mut layout = Layout::new(sector_size_log2).unwrap();
			for _ in 0..rng.next_u32() % 12 {
				let size_log2 = 7 + (rng.next_u32() % 5) as u8;
				let Ok(offset) = layout.place(size_log2) else {
					continue;
				};
				let bytes = &mut sector[offset as usize..][..1 << size_log2];
				rng.fill_bytes(bytes);
				let commitment = comm_p::<NativeSha256>(bytes).unwrap();
				pieces.push(PieceInfo {
					commitment,
					size_log2,
					payload_size: 1,
				});
			}
			assert_eq!(
				comm_d::<NativeSha256>(&pieces, sector_size_log2),
				Ok(comm_p::<NativeSha256>(&sector).unwrap()),
				"seed {seed}"
			);
			assert!(piece::layout(&pieces, sector_size_log2).is_ok());
		}
	}

	#[test]
	fn empty_sectors_are_zero_at_full_depth() {
		for size_log2 in 7..=36 {
			assert_eq!(
				comm_d::<NativeSha256>(&[], size_log2),
				Ok(zero_commitment(size_log2).unwrap())
			);
		}
	}

	/// A reference implementation stops at the pieces' own height there.
	#[test]
	fn a_small_piece_is_padded_to_the_sectors_full_depth() {
		let p = PieceInfo {
			commitment: [7; 32],
			size_log2: 7,
			payload_size: 1,
		};
		let mut expected = [7; 32];
		for size_log2 in 7..36 {
			assert_eq!(comm_d::<NativeSha256>(&[p], size_log2), Ok(expected));
			expected = inner_node::<NativeSha256>(&expected, &zero_commitment(size_log2).unwrap());
		}
		assert_eq!(comm_d::<NativeSha256>(&[p], 36), Ok(expected));
	}

	#[test]
	fn impossible_sectors() {
		let p = |size_log2| PieceInfo {
			commitment: [7; 32],
			size_log2,
			payload_size: 1,
		};
		assert_eq!(comm_d::<NativeSha256>(&[p(12)], 11), Err(LayoutError::PieceSize));
		assert_eq!(comm_d::<NativeSha256>(&[p(255)], 11), Err(LayoutError::PieceSize));
		assert_eq!(
			comm_d::<NativeSha256>(&[p(10), p(10), p(7)], 11),
			Err(LayoutError::Overflow)
		);
		assert_eq!(comm_d::<NativeSha256>(&[], 37), Err(LayoutError::SectorSize));
	}
}
