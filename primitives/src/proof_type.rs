//! Proof types: tier, sector size and parameters of a proof, with a version.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Identifies a registered [`ProofSpec`]. A sector carries one for life.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	Hash,
)]
pub struct ProofTypeId(pub u16);

/// What a sector's proofs show.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	Hash,
)]
pub enum Tier {
	/// The data is retrievable through this provider in time. No replica, no sealing.
	#[codec(index = 0)]
	Hot,
	/// A replica of the data exists that is distinct for this provider and sector.
	#[codec(index = 1)]
	Sealed,
}

/// Parameters of one proof type.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub struct ProofSpec {
	/// The tier.
	pub tier: Tier,
	/// Version of the proof's rules.
	pub version: u8,
	/// Binary logarithm of the sector's size in bytes, 11 (2 KiB) to 36 (64 GiB).
	pub sector_size_log2: u8,
	/// Layers of the stacked DRG; 0 for the hot tier.
	pub layers: u8,
	/// Challenges that activation must answer, 1 to 256.
	pub activation_challenges: u16,
}

/// Smallest sector, as a binary logarithm of bytes.
pub const MIN_SECTOR_SIZE_LOG2: u8 = 11;
/// Largest sector, as a binary logarithm of bytes.
pub const MAX_SECTOR_SIZE_LOG2: u8 = 36;
/// Most layers a sealed type may have.
pub const MAX_LAYERS: u8 = 16;
/// Most activation challenges a type may have.
pub const MAX_ACTIVATION_CHALLENGES: u16 = 256;

impl ProofSpec {
	/// Size of a sector in bytes.
	pub const fn sector_size(&self) -> u64 {
		1 << self.sector_size_log2
	}

	/// 32-byte leaves of a sector.
	pub const fn leaves(&self) -> u64 {
		self.sector_size() / 32
	}

	/// Height of the sector's Merkle trees: siblings in an opening.
	pub const fn depth(&self) -> u8 {
		self.sector_size_log2 - 5
	}

	/// Whether the parameters lie within the supported bounds.
	pub fn is_valid(&self) -> bool {
		let layers_fit = match self.tier {
			Tier::Hot => self.layers == 0,
			Tier::Sealed => self.layers >= 1 && self.layers <= MAX_LAYERS,
		};
		layers_fit
			&& self.sector_size_log2 >= MIN_SECTOR_SIZE_LOG2
			&& self.sector_size_log2 <= MAX_SECTOR_SIZE_LOG2
			&& self.activation_challenges >= 1
			&& self.activation_challenges <= MAX_ACTIVATION_CHALLENGES
	}

	/// Cairn's own `porep_id`: unique per (type, version, size, layers). Keys the graph and the
	/// replica.
	pub fn porep_id(&self) -> [u8; 32] {
		let mut id = [0u8; 32];
		id[..14].copy_from_slice(b"cairn/porep/v1");
		id[16] = self.tier as u8;
		id[17] = self.version;
		id[18] = self.sector_size_log2;
		id[19] = self.layers;
		id
	}
}

const fn hot(sector_size_log2: u8) -> ProofSpec {
	ProofSpec {
		tier: Tier::Hot,
		version: 1,
		sector_size_log2,
		layers: 0,
		activation_challenges: 12,
	}
}

const fn sealed(sector_size_log2: u8, layers: u8, activation_challenges: u16) -> ProofSpec {
	ProofSpec {
		tier: Tier::Sealed,
		version: 1,
		sector_size_log2,
		layers,
		activation_challenges,
	}
}

/// The proof types that genesis registers. Governance adds and retires others.
///
/// Activation challenges: 2 with 2 layers for 2 KiB (development only), 12 for 8 MiB (test
/// networks), 48 up to 1 GiB, 176 for 32 and 64 GiB (Filecoin's number: a cheater on 3.86 % of the
/// labels passes with probability 2⁻¹⁰).
pub const BUILTIN: [(ProofTypeId, ProofSpec); 10] = [
	(ProofTypeId(0x0011), hot(11)),
	(ProofTypeId(0x0017), hot(23)),
	(ProofTypeId(0x001d), hot(29)),
	(ProofTypeId(0x001e), hot(30)),
	(ProofTypeId(0x0111), sealed(11, 2, 2)),
	(ProofTypeId(0x0117), sealed(23, 11, 12)),
	(ProofTypeId(0x011d), sealed(29, 11, 48)),
	(ProofTypeId(0x011e), sealed(30, 11, 48)),
	(ProofTypeId(0x0123), sealed(35, 11, 176)),
	(ProofTypeId(0x0124), sealed(36, 11, 176)),
];

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn builtin_types_are_valid_and_have_distinct_ids() {
		for (i, (id, spec)) in BUILTIN.iter().enumerate() {
			assert!(spec.is_valid(), "{id:?}");
			for (other, other_spec) in &BUILTIN[i + 1..] {
				assert_ne!(id, other);
				assert_ne!(spec.porep_id(), other_spec.porep_id());
			}
		}
	}
}
