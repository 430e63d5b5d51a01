//! The two ways to name a block.

use cid::Cid;

/// Names a block: by what it hashes to, or by its place in a dataset.
///
/// The second is how the Codex protocol asks for the blocks of a dataset before it knows their CIDs;
/// a [`codex::TreeProof`](crate::codex::TreeProof) shows that a block has that place.
///
/// Prints as the CID, or as `tree/index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockAddress {
	/// The block with this CID.
	Cid(Cid),
	/// A leaf of a dataset's tree.
	Leaf {
		/// Root of the tree.
		tree: Cid,
		/// Position of the leaf, counted from 0.
		index: u64,
	},
}

impl BlockAddress {
	/// The CID under which peers are looked for: the block's own, or the tree's.
	pub fn root(&self) -> &Cid {
		match self {
			Self::Cid(cid) | Self::Leaf { tree: cid, .. } => cid,
		}
	}
}

impl From<Cid> for BlockAddress {
	fn from(cid: Cid) -> Self {
		Self::Cid(cid)
	}
}

impl std::fmt::Display for BlockAddress {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		match self {
			Self::Cid(cid) => cid.fmt(f),
			Self::Leaf { tree, index } => write!(f, "{tree}/{index}"),
		}
	}
}

impl std::str::FromStr for BlockAddress {
	type Err = InvalidAddress;

	fn from_str(text: &str) -> Result<Self, InvalidAddress> {
		let cid = |text: &str| text.parse::<Cid>().map_err(|_| InvalidAddress);
		match text.split_once('/') {
			None => Ok(Self::Cid(cid(text)?)),
			// The CID's parser would skip a path in front of it.
			Some((_, index)) if index.contains('/') => Err(InvalidAddress),
			Some((tree, index)) => {
				let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
				Ok(Self::Leaf {
					tree: cid(tree)?,
					index: index.parse().ok().filter(|_| digits).ok_or(InvalidAddress)?,
				})
			}
		}
	}
}

/// Text that is neither a CID nor `tree/index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block is named by a CID, or by a tree's CID, `/` and an index")]
pub struct InvalidAddress;

#[cfg(test)]
mod tests {
	use super::*;

	const TREE: &str = "zDzSvJTezk7bJNQqFq8k1iHXY84psNuUfZVusA5bBQQUSuyzDSVL";

	#[test]
	fn prints_and_reads() {
		let tree: Cid = TREE.parse().unwrap();
		for (address, root) in [
			(BlockAddress::from(tree), tree),
			(BlockAddress::Leaf { tree, index: 0 }, tree),
			(
				BlockAddress::Leaf {
					tree,
					index: u64::MAX,
				},
				tree,
			),
		] {
			assert_eq!(address.to_string().parse(), Ok(address));
			assert_eq!(address.root(), &root);
		}
		assert_eq!(
			format!("{TREE}/7").parse(),
			Ok(BlockAddress::Leaf { tree, index: 7 })
		);
		for wrong in ["", "/", "/1", "x/1", &format!("{TREE}/"), &format!("{TREE}/+1")] {
			assert_eq!(wrong.parse::<BlockAddress>(), Err(InvalidAddress), "{wrong}");
		}
		for wrong in ["18446744073709551616", "1/2", "-1", "a", "1 "] {
			assert_eq!(
				format!("{TREE}/{wrong}").parse::<BlockAddress>(),
				Err(InvalidAddress),
				"{wrong}"
			);
		}
		assert_eq!(
			format!("a/ipfs/{TREE}").parse::<BlockAddress>(),
			Err(InvalidAddress)
		);
	}
}
