//! `sector.json`: what a sector is made of and how far it is.

use cairn_primitives::{Commitment, PieceInfo, ProofSpec, SectorNumber, Tier};
use serde::{Deserialize, Serialize};

/// 32 bytes that read as hex in JSON.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(transparent)]
pub(crate) struct Hex32(#[serde(with = "hex::serde")] pub [u8; 32]);

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum TierRecord {
	Hot,
	Sealed,
}

/// A [`ProofSpec`] in JSON.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpecRecord {
	tier: TierRecord,
	version: u8,
	sector_size_log2: u8,
	layers: u8,
	activation_challenges: u16,
}

impl From<ProofSpec> for SpecRecord {
	fn from(spec: ProofSpec) -> Self {
		SpecRecord {
			tier: match spec.tier {
				Tier::Hot => TierRecord::Hot,
				Tier::Sealed => TierRecord::Sealed,
			},
			version: spec.version,
			sector_size_log2: spec.sector_size_log2,
			layers: spec.layers,
			activation_challenges: spec.activation_challenges,
		}
	}
}

impl From<SpecRecord> for ProofSpec {
	fn from(record: SpecRecord) -> Self {
		ProofSpec {
			tier: match record.tier {
				TierRecord::Hot => Tier::Hot,
				TierRecord::Sealed => Tier::Sealed,
			},
			version: record.version,
			sector_size_log2: record.sector_size_log2,
			layers: record.layers,
			activation_challenges: record.activation_challenges,
		}
	}
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
struct PieceRecord {
	commitment: Hex32,
	size_log2: u8,
	payload_size: u64,
}

/// How far a sector is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SectorStage {
	/// A hot sector: ready as soon as it is recorded.
	Hot,
	/// A sealed sector whose replica is not finished.
	Sealing,
	/// A sealed sector with a replica.
	Sealed {
		/// Root over the columns.
		comm_c: Commitment,
		/// Root over the replica.
		comm_r_last: Commitment,
		/// Whether the layers that activation needs were given up.
		activation_finished: bool,
	},
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case", tag = "stage", deny_unknown_fields)]
enum StageRecord {
	Hot,
	Sealing,
	Sealed {
		comm_c: Hex32,
		comm_r_last: Hex32,
		activation_finished: bool,
	},
}

/// A sector of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectorManifest {
	/// Number.
	pub sector: SectorNumber,
	/// The provider: [`cairn_primitives::challenge::prover_id`].
	pub prover_id: [u8; 32],
	/// Proof type.
	pub spec: ProofSpec,
	/// Sealing ticket; zero in the hot tier.
	pub ticket: [u8; 32],
	/// Pieces in the order of their offsets.
	pub pieces: Vec<PieceInfo>,
	/// Root over the data.
	pub comm_d: Commitment,
	/// How far it is.
	pub stage: SectorStage,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestRecord {
	format: u32,
	sector: SectorNumber,
	prover_id: Hex32,
	spec: SpecRecord,
	ticket: Hex32,
	pieces: Vec<PieceRecord>,
	comm_d: Hex32,
	state: StageRecord,
}

/// Version of the file's form.
const FORMAT: u32 = 1;

impl SectorManifest {
	/// CommR; CommD in the hot tier, `None` while sealing.
	pub fn comm_r(&self) -> Option<Commitment> {
		match self.stage {
			SectorStage::Hot => Some(self.comm_d),
			SectorStage::Sealing => None,
			SectorStage::Sealed {
				comm_c, comm_r_last, ..
			} => Some(cairn_primitives::sdr::comm_r::<
				cairn_primitives::hash::NativeSha256,
			>(&comm_c, &comm_r_last)),
		}
	}

	/// Whether both describe the same sector, however far each is.
	pub(crate) fn same_sector(&self, other: &Self) -> bool {
		Self {
			stage: other.stage,
			..self.clone()
		} == *other
	}

	pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
		let pieces = self
			.pieces
			.iter()
			.map(|p| PieceRecord {
				commitment: Hex32(p.commitment),
				size_log2: p.size_log2,
				payload_size: p.payload_size,
			})
			.collect();
		let state = match self.stage {
			SectorStage::Hot => StageRecord::Hot,
			SectorStage::Sealing => StageRecord::Sealing,
			SectorStage::Sealed {
				comm_c,
				comm_r_last,
				activation_finished,
			} => StageRecord::Sealed {
				comm_c: Hex32(comm_c),
				comm_r_last: Hex32(comm_r_last),
				activation_finished,
			},
		};
		serde_json::to_vec_pretty(&ManifestRecord {
			format: FORMAT,
			sector: self.sector,
			prover_id: Hex32(self.prover_id),
			spec: self.spec.into(),
			ticket: Hex32(self.ticket),
			pieces,
			comm_d: Hex32(self.comm_d),
			state,
		})
	}

	pub(crate) fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
		let record: ManifestRecord = serde_json::from_slice(bytes)?;
		if record.format != FORMAT {
			let message = format!("format {} instead of {FORMAT}", record.format);
			return Err(serde::de::Error::custom(message));
		}
		let pieces = record
			.pieces
			.iter()
			.map(|p| PieceInfo {
				commitment: p.commitment.0,
				size_log2: p.size_log2,
				payload_size: p.payload_size,
			})
			.collect();
		let stage = match record.state {
			StageRecord::Hot => SectorStage::Hot,
			StageRecord::Sealing => SectorStage::Sealing,
			StageRecord::Sealed {
				comm_c,
				comm_r_last,
				activation_finished,
			} => SectorStage::Sealed {
				comm_c: comm_c.0,
				comm_r_last: comm_r_last.0,
				activation_finished,
			},
		};
		Ok(SectorManifest {
			sector: record.sector,
			prover_id: record.prover_id.0,
			spec: record.spec.into(),
			ticket: record.ticket.0,
			pieces,
			comm_d: record.comm_d.0,
			stage,
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn json_round_trip() {
		let mut manifest = SectorManifest {
			sector: 7,
			prover_id: [1; 32],
			spec: ProofSpec {
				tier: Tier::Sealed,
				version: 1,
				sector_size_log2: 11,
				layers: 2,
				activation_challenges: 2,
			},
			ticket: [2; 32],
			pieces: vec![PieceInfo {
				commitment: [3; 32],
				size_log2: 8,
				payload_size: 200,
			}],
			comm_d: [4; 32],
			stage: SectorStage::Sealing,
		};
		for stage in [
			SectorStage::Hot,
			SectorStage::Sealing,
			SectorStage::Sealed {
				comm_c: [5; 32],
				comm_r_last: [6; 32],
				activation_finished: true,
			},
		] {
			manifest.stage = stage;
			let json = manifest.to_json().unwrap();
			assert_eq!(SectorManifest::from_json(&json).unwrap(), manifest);
		}
		let json = String::from_utf8(manifest.to_json().unwrap()).unwrap();
		assert!(
			SectorManifest::from_json(json.replace("\"format\": 1", "\"format\": 2").as_bytes()).is_err()
		);
		assert!(
			SectorManifest::from_json(json.replace("\"sector\": 7", "\"sektor\": 7").as_bytes()).is_err()
		);
	}
}
