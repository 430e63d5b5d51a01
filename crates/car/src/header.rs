//! The headers of both versions.

use cid::Cid;
use serde::{Deserialize, Serialize};

/// The first bytes of every CARv2: a CARv1 header of a version that CARv1 readers refuse.
pub(crate) const V2_PRAGMA: [u8; 11] = *b"\x0a\xa1\x67version\x02";

/// Bytes of the CARv2 header, which follows the pragma.
pub(crate) const V2_HEADER_LEN: usize = 40;

/// Where a CARv2's payload starts if nothing is padded.
pub(crate) const V2_PREFIX_LEN: u64 = (V2_PRAGMA.len() + V2_HEADER_LEN) as u64;

/// Version of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
	/// Header and blocks.
	V1,
	/// A CARv1 inside, and maybe an index.
	V2,
}

impl std::fmt::Display for Version {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.write_str(match self {
			Self::V1 => "CARv1",
			Self::V2 => "CARv2",
		})
	}
}

/// The CARv1 header as DAG-CBOR: `{"roots": [CID], "version": 1}`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct V1Header {
	#[serde(default, skip_serializing_if = "Option::is_none")]
	roots: Option<Vec<Cid>>,
	version: u64,
}

/// What the bytes after a header's length say.
pub(crate) enum AnyHeader {
	V1 { roots: Vec<Cid> },
	V2Pragma,
}

/// Reads a header without its length; `Err` holds the version if only that is wrong.
pub(crate) fn decode(bytes: &[u8]) -> Result<AnyHeader, Option<u64>> {
	let header: V1Header = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| None)?;
	match header {
		V1Header {
			roots: Some(roots),
			version: 1,
		} => Ok(AnyHeader::V1 { roots }),
		V1Header {
			roots: None,
			version: 2,
		} => Ok(AnyHeader::V2Pragma),
		V1Header { version: 1, .. } => Err(None),
		V1Header { version, .. } => Err(Some(version)),
	}
}

/// Writes a CARv1 header with its length.
pub(crate) fn encode_v1(roots: &[Cid]) -> Vec<u8> {
	let header = V1Header {
		roots: Some(roots.to_vec()),
		version: 1,
	};
	// Only a failing writer makes this fail, and a vector does not.
	let header = serde_ipld_dagcbor::to_vec(&header).expect("a CAR header is valid DAG-CBOR");
	let mut out = Vec::with_capacity(header.len() + 2);
	cairn_dag::varint::encode(header.len() as u64, &mut out);
	out.extend_from_slice(&header);
	out
}

/// The CARv2 header. Offsets count from the archive's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct V2Header {
	pub(crate) characteristics: [u8; 16],
	pub(crate) data_offset: u64,
	pub(crate) data_size: u64,
	/// 0 if there is no index.
	pub(crate) index_offset: u64,
}

impl V2Header {
	/// Reads and checks a header: the payload must follow it, and the index the payload.
	pub(crate) fn decode(bytes: &[u8; V2_HEADER_LEN]) -> Result<Self, &'static str> {
		let mut characteristics = [0; 16];
		characteristics.copy_from_slice(&bytes[..16]);
		let number = |at: usize| {
			let mut le = [0; 8];
			le.copy_from_slice(&bytes[at..at + 8]);
			u64::from_le_bytes(le)
		};
		let header = Self {
			characteristics,
			data_offset: number(16),
			data_size: number(24),
			index_offset: number(32),
		};
		if header.data_offset < V2_PREFIX_LEN {
			return Err("the payload starts inside the header");
		}
		let data_end = header
			.data_offset
			.checked_add(header.data_size)
			.ok_or("the payload's end overflows")?;
		if header.index_offset != 0 && header.index_offset < data_end {
			return Err("the index starts inside the payload");
		}
		Ok(header)
	}

	pub(crate) fn encode(&self) -> [u8; V2_HEADER_LEN] {
		let mut out = [0; V2_HEADER_LEN];
		out[..16].copy_from_slice(&self.characteristics);
		out[16..24].copy_from_slice(&self.data_offset.to_le_bytes());
		out[24..32].copy_from_slice(&self.data_size.to_le_bytes());
		out[32..].copy_from_slice(&self.index_offset.to_le_bytes());
		out
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn pragma_is_a_header_of_version_2() {
		assert_eq!(hex::encode(V2_PRAGMA), "0aa16776657273696f6e02");
		assert!(matches!(decode(&V2_PRAGMA[1..]), Ok(AnyHeader::V2Pragma)));
	}

	#[test]
	fn refuses_other_versions_and_shapes() {
		let header = |hex: &str| decode(&hex::decode(hex).unwrap()).err();
		assert_eq!(header("a16776657273696f6e03"), Some(Some(3)));
		assert_eq!(header("a16776657273696f6e01"), Some(None), "no roots");
		assert_eq!(
			header("a265726f6f7473806776657273696f6e01"),
			None,
			"no root is allowed"
		);
		assert_eq!(
			header("a265726f6f7473806776657273696f6e02"),
			Some(Some(2)),
			"roots in a pragma"
		);
		assert_eq!(
			header("a365726f6f7473806776657273696f6e016178f6"),
			Some(None),
			"unknown key"
		);
		assert_eq!(
			header("a265726f6f7473f66776657273696f6e01"),
			Some(None),
			"roots are null"
		);
		assert_eq!(
			header("a265726f6f747381016776657273696f6e01"),
			Some(None),
			"a root is no CID"
		);
		assert_eq!(header("80"), Some(None));
		assert_eq!(header(""), Some(None));
		// A list that claims 2^60 roots.
		assert_eq!(
			header("a265726f6f74739b10000000000000006776657273696f6e01"),
			Some(None)
		);
	}

	#[test]
	fn v2_header_round_trips_and_is_checked() {
		let header = V2Header {
			characteristics: [7; 16],
			data_offset: 51,
			data_size: 448,
			index_offset: 499,
		};
		assert_eq!(V2Header::decode(&header.encode()), Ok(header));
		for wrong in [
			V2Header {
				data_offset: 50,
				..header
			},
			V2Header {
				index_offset: 498,
				..header
			},
			V2Header {
				data_size: u64::MAX,
				..header
			},
		] {
			assert!(V2Header::decode(&wrong.encode()).is_err(), "{wrong:?}");
		}
	}
}
