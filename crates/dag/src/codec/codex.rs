//! The blocks of a Codex dataset.
//!
//! What they mean and how they are made is in [`crate::codex`]; this is how a walk sees them. A
//! manifest links to its dataset's tree, the tree's nodes to further nodes and at last to the
//! dataset's blocks.
//!
//! A tree's node is its two children and the key of its layer, 65 bytes, which hash to the node: so
//! every node is a block under its own digest, and a dataset can be walked, fetched and verified like
//! any DAG. Codex itself never sends a node, only proofs; the bytes are those it hashes.

use super::{BlockCodec, CodecError, LinkVisitor, Segment};
use crate::codex::{Manifest, TreeNode};

/// A manifest: a protobuf message.
pub struct CodexManifest;

impl BlockCodec for CodexManifest {
	const CODE: u64 = 0xcd01;
	const NAME: &'static str = "codex-manifest";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let manifest = Manifest::decode(data)?;
		visit(&[Segment::name("tree")], manifest.tree);
		if let Some(protection) = manifest.protection {
			visit(&[Segment::name("originalTree")], protection.original_tree);
			if let Some(verification) = protection.verification {
				visit(&[Segment::name("verifyRoot")], verification.root);
				for (index, slot) in (0..).zip(verification.slots) {
					visit(&[Segment::name("slotRoots"), Segment::Index(index)], slot);
				}
			}
		}
		Ok(())
	}
}

/// A block of a dataset: bytes without structure.
pub struct CodexBlock;

impl BlockCodec for CodexBlock {
	const CODE: u64 = 0xcd02;
	const NAME: &'static str = "codex-block";

	fn scan<'a>(_: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		Ok(())
	}
}

/// The root, or another inner node, of a dataset's tree.
pub struct CodexRoot;

impl BlockCodec for CodexRoot {
	const CODE: u64 = 0xcd03;
	const NAME: &'static str = "codex-root";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let node = TreeNode::decode(data)?;
		let children = node.children();
		visit(&[Segment::Index(0)], children.0);
		if let Some(right) = children.1 {
			visit(&[Segment::Index(1)], right);
		}
		Ok(())
	}
}

/// The root of a slot: an element of the field that Poseidon2 works in.
pub struct CodexSlotRoot;

impl BlockCodec for CodexSlotRoot {
	const CODE: u64 = 0xcd04;
	const NAME: &'static str = "codex-slot-root";

	fn scan<'a>(data: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		field_element(data, Self::NAME)
	}
}

/// The root over a dataset's slots: an element of the field that Poseidon2 works in.
pub struct CodexProvingRoot;

impl BlockCodec for CodexProvingRoot {
	const CODE: u64 = 0xcd05;
	const NAME: &'static str = "codex-proving-root";

	fn scan<'a>(data: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		field_element(data, Self::NAME)
	}
}

/// A cell of a slot: bytes without structure.
pub struct CodexSlotCell;

impl BlockCodec for CodexSlotCell {
	const CODE: u64 = 0xcd06;
	const NAME: &'static str = "codex-slot-cell";

	fn scan<'a>(_: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		Ok(())
	}
}

/// Poseidon2 is not computed here, so the length is all that is checked.
fn field_element(data: &[u8], codec: &'static str) -> Result<(), CodecError> {
	if data.len() == 32 {
		Ok(())
	} else {
		Err(CodecError::Malformed {
			codec,
			reason: "a field element has 32 bytes",
		})
	}
}
