//! Codex datasets. The CIDs with a source are nim-codex's (`tests/integration/testupdownload.nim`); the
//! others were computed from its source by an independent script.

#![cfg(feature = "codex")]

mod fixtures;
use cairn_dag::{
	cid::multibase::Base,
	codec::CodecError,
	codex::{
		depth, import, DatasetChunks, DatasetOptions, Digest, ImportError, InvalidProof, InvalidTree,
		Manifest, ProofError, Protection, ReadError, Strategy, Tree, TreeBuilder, TreeProof, Verification,
		DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE,
	},
	unixfs::ByteRange,
	walk::{walk, Scope},
	Block, BlockSource, Cid, Codec, HashFunction, MemoryBlocks, NullSink,
};
use cairn_test_random::{below, bytes, rng};
use fixtures::named_links;
use rand_core::RngCore;

fn text(cid: &Cid) -> String {
	cid.to_string_of_base(Base::Base58Btc).unwrap()
}

fn digest(cid: &Cid) -> Digest {
	cid.hash().digest().try_into().unwrap()
}

/// `count` blocks, block `i` being 64 KiB of the byte `i`.
fn counted(count: u8) -> Vec<u8> {
	(0..count)
		.flat_map(|byte| vec![byte; DEFAULT_BLOCK_SIZE as usize])
		.collect()
}

#[test]
fn some_file_contents() {
	let mut blocks = MemoryBlocks::new();
	let dataset = import(
		&b"some file contents"[..],
		&mut blocks,
		&DatasetOptions::default(),
	)
	.unwrap();
	// nim-codex's.
	assert_eq!(
		text(&dataset.manifest.tree),
		"zDzSvJTezk7bJNQqFq8k1iHXY84psNuUfZVusA5bBQQUSuyzDSVL"
	);
	assert_eq!(dataset.manifest.dataset_size, 18);
	assert_eq!(dataset.manifest.block_size, 65536);
	// 65536 bytes of the block and 56 of the manifest: the quota that nim-codex reports.
	let manifest = blocks.get(&dataset.cid).unwrap().unwrap();
	assert_eq!(manifest.data().len(), 56);
	assert_eq!(
		text(&dataset.cid),
		"zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK"
	);
	let block = Cid::try_from("zDxWB8ED98hxJ51XwYaoQAwMdskCcmTaPR6Ce2wq88bjvjXRYuR9").unwrap();
	let block = blocks.get(&block).unwrap().unwrap();
	assert_eq!(&block.data()[..18], b"some file contents");
	assert_eq!(&block.data()[18..], [0; 65518]);
	// Block, node, manifest.
	assert_eq!(blocks.len(), 3);
	// Names make another dataset of the same blocks.
	let named = DatasetOptions {
		filename: Some("example.txt".into()),
		mimetype: Some("text/plain".into()),
		..DatasetOptions::default()
	};
	let named = import(&b"some file contents"[..], &mut NullSink, &named).unwrap();
	assert_eq!(named.manifest.tree, dataset.manifest.tree);
	assert_ne!(named.cid, dataset.cid);
}

#[test]
fn trees_of_blocks() {
	for (count, tree) in [
		(1, "zDzSvJTf8RviqW9HL7ppHPywc6dQZFY1JWpcNc1ZWsPt3aQue7AP"),
		(2, "zDzSvJTfGNazi6SjevF9TitfRfqKayoXzim5DroqDpn7xEu2h1Kq"),
		(3, "zDzSvJTfD6YDkAdaTE4RsWf3ifarjuHTFQn2b4kczeLEkj2efYuK"),
		(5, "zDzSvJTfCAY6Losqc1dQC351R69hCDH8Lfx4gDP38Bbka3mLdvfR"),
	] {
		let dataset = import(&counted(count)[..], &mut NullSink, &DatasetOptions::default()).unwrap();
		assert_eq!(text(&dataset.manifest.tree), tree, "{count} blocks");
		assert_eq!(dataset.manifest.blocks(), u64::from(count));
	}
}

#[test]
fn sizes_around_a_block() {
	let empty = import(&b""[..], &mut NullSink, &DatasetOptions::default());
	assert!(matches!(empty, Err(ImportError::Empty)));
	let data = counted(2);
	for (len, count) in [(1, 1), (65535, 1), (65536, 1), (65537, 2), (131072, 2)] {
		let mut blocks = MemoryBlocks::new();
		let dataset = import(&data[..len], &mut blocks, &DatasetOptions::default()).unwrap();
		assert_eq!(dataset.manifest.blocks(), count);
		assert_eq!(dataset.manifest.dataset_size, len as u64);
		assert_eq!(
			read(&blocks, &dataset.manifest, ByteRange::ALL).unwrap(),
			data[..len]
		);
	}
	for block_size in [0, MAX_BLOCK_SIZE + 1] {
		let options = DatasetOptions {
			block_size,
			..DatasetOptions::default()
		};
		let refused = import(&b"x"[..], &mut NullSink, &options);
		assert!(matches!(refused, Err(ImportError::InvalidBlockSize)));
	}
}

fn read(
	source: &impl BlockSource,
	manifest: &Manifest,
	range: impl Into<ByteRange>,
) -> Result<Vec<u8>, ReadError> {
	let mut out = Vec::new();
	for chunk in DatasetChunks::new(source, manifest, range.into()) {
		let chunk = chunk?;
		assert!(!chunk.is_empty());
		out.extend_from_slice(&chunk);
	}
	Ok(out)
}

#[test]
fn round_trips_and_ranges() {
	let mut rng = rng();
	let options = DatasetOptions {
		block_size: 100,
		..DatasetOptions::default()
	};
	for blocks in [1, 2, 3, 4, 5, 7, 8, 9, 33, 100] {
		let len = 100 * blocks - below(&mut rng, 100);
		let data = bytes(&mut rng, len as usize);
		let mut store = MemoryBlocks::new();
		let dataset = import(&data[..], &mut store, &options).unwrap();
		let manifest = &dataset.manifest;
		assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), *manifest);
		assert_eq!(read(&store, manifest, ByteRange::ALL).unwrap(), data);
		for _ in 0..30 {
			let start = below(&mut rng, len + 1);
			let end = below(&mut rng, len + 50);
			let expected = data
				.get(start as usize..end.min(len) as usize)
				.unwrap_or_default();
			assert_eq!(
				read(&store, manifest, start..end).unwrap(),
				expected,
				"{start}..{end} of {len}"
			);
		}
		let beyond = read(&store, manifest, len + 1..len + 2);
		assert!(matches!(beyond, Err(ReadError::OutOfRange { size, .. }) if size == len));
		// A walk from the manifest finds the same blocks.
		let walked: Vec<Block> = walk(&store, dataset.cid, Scope::All)
			.collect::<Result<_, _>>()
			.unwrap();
		assert_eq!(walked.len(), store.len());
		let leaves = walked
			.iter()
			.filter(|block| block.cid().codec() == Codec::CodexBlock.code());
		assert_eq!(leaves.count() as u64, blocks);
		// Only what the range needs is asked for.
		let last = walked.last().unwrap();
		store.remove(last.cid());
		if blocks > 1 {
			assert_eq!(read(&store, manifest, 0..100).unwrap(), data[..100]);
		}
		assert!(matches!(
			read(&store, manifest, ByteRange::ALL),
			Err(ReadError::Missing { cid }) if cid == *last.cid()
		));
	}
}

#[test]
fn builder_and_tree_agree_and_every_proof_holds() {
	let mut rng = rng();
	for leaves in (1..40).chain([63, 64, 65, 100, 128, 129]) {
		let digests: Vec<Digest> = (0..leaves)
			.map(|_| bytes(&mut rng, 32).try_into().unwrap())
			.collect();
		let tree = Tree::new(digests.clone()).unwrap();
		let mut nodes = MemoryBlocks::new();
		let mut builder = TreeBuilder::new();
		for digest in &digests {
			builder.push(*digest, &mut nodes).unwrap();
		}
		assert_eq!(builder.leaves(), leaves);
		assert_eq!(builder.finish(&mut nodes).unwrap(), Some(tree.cid()));
		let of_tree: Vec<Block> = tree.blocks().collect();
		assert_eq!(of_tree.len(), nodes.len());
		assert!(of_tree.iter().all(|node| nodes.has(node.cid()).unwrap()));
		assert_eq!(of_tree.last().unwrap().cid(), &tree.cid());
		assert_eq!(Tree::decode(&tree.encode()), Ok(tree.clone()));
		assert_eq!(tree.leaves(), digests);
		for index in 0..leaves {
			let proof = tree.proof(index).unwrap();
			let leaf = tree.leaf(index).unwrap();
			assert_eq!(proof.path.len(), depth(leaves) as usize);
			proof.verify(&leaf, &tree.cid(), index, leaves).unwrap();
			assert_eq!(TreeProof::decode(&proof.encode()), Ok(proof));
		}
		assert_eq!(tree.proof(leaves), None);
		assert_eq!(tree.leaf(leaves), None);
	}
	assert!(Tree::new(Vec::new()).is_err());
	assert_eq!(TreeBuilder::new().finish(&mut NullSink).unwrap(), None);
}

#[test]
fn proofs_that_do_not_hold() {
	let mut rng = rng();
	let digests = |rng: &mut dyn RngCore, count: usize| -> Vec<Digest> {
		let mut digests = vec![[0; 32]; count];
		digests.iter_mut().for_each(|digest| rng.fill_bytes(digest));
		digests
	};
	let tree = Tree::new(digests(&mut rng, 11)).unwrap();
	let other = Tree::new(digests(&mut rng, 11)).unwrap();
	let root = tree.cid();
	for index in 0..11 {
		let (proof, leaf) = (tree.proof(index).unwrap(), tree.leaf(index).unwrap());
		// For another place, tree, block or size.
		let elsewhere = (index + 1) % 11;
		assert_eq!(
			proof.verify(&leaf, &root, elsewhere, 11),
			Err(ProofError::WrongIndex {
				expected: elsewhere,
				found: index
			})
		);
		assert_eq!(
			proof.verify(&leaf, &other.cid(), index, 11),
			Err(ProofError::WrongRoot)
		);
		assert_eq!(
			proof.verify(&tree.leaf(elsewhere).unwrap(), &root, index, 11),
			Err(ProofError::WrongRoot)
		);
		for leaves in [12, 16, 10] {
			let wrong = proof.verify(&leaf, &root, index, leaves);
			assert!(
				matches!(
					wrong,
					Err(ProofError::WrongLeaves { .. } | ProofError::WrongIndex { .. })
				),
				"{wrong:?}"
			);
		}
		// With an index or size of its own.
		for (claimed, leaves) in [(elsewhere, 11), (index, 12), (index, 16)] {
			let lying = TreeProof {
				index: claimed,
				leaves,
				path: proof.path.clone(),
			};
			assert!(lying.verify(&leaf, &root, index, 11).is_err());
			if (claimed, leaves) == (elsewhere, 11) {
				assert!(lying.verify(&leaf, &root, claimed, leaves).is_err());
			}
		}
		// Cut off, lengthened, or with any bit changed.
		let mut shorter = proof.clone();
		shorter.path.pop();
		let mut longer = proof.clone();
		longer.path.push([0; 32]);
		for wrong in [shorter, longer] {
			assert_eq!(
				wrong.verify(&leaf, &root, index, 11),
				Err(ProofError::WrongDepth {
					expected: 4,
					found: wrong.path.len()
				})
			);
		}
		for level in 0..4 {
			let mut wrong = proof.clone();
			wrong.path[level][below(&mut rng, 32) as usize] ^= 1 << below(&mut rng, 8);
			assert_eq!(wrong.verify(&leaf, &root, index, 11), Err(ProofError::WrongRoot));
		}
	}
	// A node is not a leaf, and neither has another codec or hash.
	let node = *tree.blocks().next().unwrap().cid();
	let proof = tree.proof(0).unwrap();
	assert_eq!(
		proof.verify(&node, &root, 0, 11),
		Err(ProofError::WrongKind { cid: node })
	);
	let leaf = tree.leaf(0).unwrap();
	for wrong in [
		Cid::new_v1(0x55, *leaf.hash()),
		Cid::new_v1(0xcd02, HashFunction::Sha2_512.digest(b"")),
		Cid::new_v1(0xcd02, HashFunction::Blake3.digest(b"")),
	] {
		assert_eq!(
			proof.verify(&wrong, &root, 0, 11),
			Err(ProofError::WrongKind { cid: wrong })
		);
		assert_eq!(
			proof.verify(&leaf, &wrong, 0, 11),
			Err(ProofError::WrongKind { cid: wrong })
		);
	}
}

#[test]
fn stored_trees_and_proofs_that_are_none() {
	let tree = Tree::new(vec![[1; 32], [2; 32], [3; 32]]).unwrap();
	let stored = tree.encode();
	for cut in 0..stored.len() {
		assert_eq!(Tree::decode(&stored[..cut]), Err(InvalidTree));
	}
	for at in 0..stored.len() {
		let mut wrong = stored.clone();
		wrong[at] ^= 1;
		assert_eq!(Tree::decode(&wrong), Err(InvalidTree), "{at}");
	}
	// A million leaves in a few bytes.
	assert_eq!(
		Tree::decode(&hex::decode("081210c0843d").unwrap()),
		Err(InvalidTree)
	);
	assert_eq!(TreeProof::decode(&[0xff; 100]), Err(InvalidProof));
	assert_eq!(TreeProof::decode(&[0; 5000]), Err(InvalidProof));
	assert_eq!(
		TreeProof::decode(&hex::decode("0813").unwrap()),
		Err(InvalidProof)
	);
	let short = "0812 1000 1801 2203 0a0101".replace(' ', "");
	assert_eq!(TreeProof::decode(&hex::decode(short).unwrap()), Err(InvalidProof));
}

fn protected() -> Manifest {
	let cid = |codec: Codec, seed: u8| *Block::encode(codec, vec![seed]).cid();
	let field_element = |codec: u64, seed: u8| {
		Cid::new_v1(
			codec,
			cairn_dag::cid::multihash::Multihash::wrap(0, &[seed; 32]).unwrap(),
		)
	};
	Manifest {
		protection: Some(Protection {
			data_blocks: 2,
			parity_blocks: 1,
			original_tree: cid(Codec::CodexRoot, 1),
			original_size: 65536 * 3 + 1,
			strategy: Strategy::Stepped,
			verification: Some(Verification {
				root: field_element(0xcd05, 2),
				slots: (3..6).map(|seed| field_element(0xcd04, seed)).collect(),
				cell_size: 2048,
				strategy: Strategy::Linear,
			}),
		}),
		filename: Some("name".into()),
		mimetype: Some("text/plain".into()),
		..Manifest::new(cid(Codec::CodexRoot, 0), 65536, 65536 * 6)
	}
}

#[test]
fn protected_manifests() {
	let manifest = protected();
	assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
	assert_eq!((manifest.blocks(), manifest.content_size()), (6, 65536 * 3 + 1));
	let links = named_links(&manifest.block());
	let names: Vec<&str> = links.iter().map(|(name, _)| name.as_str()).collect();
	assert_eq!(
		names,
		[
			"tree",
			"originalTree",
			"verifyRoot",
			"slotRoots/0",
			"slotRoots/1",
			"slotRoots/2"
		]
	);
	// Roots of slots are in their own CIDs.
	let slot = Block::from_identity(&links[3].1).unwrap();
	assert_eq!(named_links(&slot), []);
	let short = Block::encode(Codec::CodexSlotRoot, vec![0; 31]);
	assert!(cairn_dag::links(&short).is_err());
}

#[test]
fn manifests_that_contradict_themselves() {
	type Change = fn(&mut Manifest);
	let changes: [(Change, &str); 9] = [
		(|it| it.block_size = 0, "blocks without size"),
		(
			|it| it.hash = 0x13,
			"the tree's CID is not that of a tree of the manifest's hash",
		),
		(
			|it| it.tree = *Block::encode(Codec::Raw, &b""[..]).cid(),
			"the tree's CID is not that of a tree of the manifest's hash",
		),
		(|it| it.cid_version = 2, "unknown version of CID"),
		(
			|it| it.dataset_size += 1,
			"the number of blocks does not fit the erasure code",
		),
		(
			|it| it.dataset_size = u64::MAX,
			"the number of blocks does not fit the erasure code",
		),
		(
			|it| it.protection.as_mut().unwrap().data_blocks = 0,
			"erasure-coded without data",
		),
		(
			|it| it.protection.as_mut().unwrap().original_size = u64::MAX,
			"the number of blocks does not fit the erasure code",
		),
		(
			|it| {
				let protection = it.protection.as_mut().unwrap();
				protection.verification.as_mut().unwrap().slots.pop();
			},
			"the number of slots does not fit the erasure code",
		),
	];
	for (change, reason) in changes {
		let mut manifest = protected();
		change(&mut manifest);
		assert_eq!(
			Manifest::decode(&manifest.encode()),
			Err(CodecError::Malformed {
				codec: "codex-manifest",
				reason
			})
		);
	}
	for bytes in ["", "0a00", "ffff", "0a020a00", "08"] {
		assert!(Manifest::decode(&hex::decode(bytes).unwrap()).is_err(), "{bytes}");
	}
	// The field `uploadedAt` that Codex once had.
	let manifest = Manifest::new(protected().tree, 65536, 18);
	let mut bytes = manifest.encode();
	bytes.extend([0x50, 0x7b]);
	bytes[1] += 2;
	assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
}

/// Blocks that hash to what they should, and still are not what the manifest says.
#[test]
fn datasets_that_contradict_their_manifest() {
	let options = DatasetOptions {
		block_size: 10,
		..DatasetOptions::default()
	};
	let mut store = MemoryBlocks::new();
	let data: Vec<u8> = (0..45).collect();
	let manifest = import(&data[..], &mut store, &options).unwrap().manifest;
	let contradiction = |manifest: &Manifest| {
		matches!(
			read(&store, manifest, ByteRange::ALL),
			Err(ReadError::Contradiction { .. })
		)
	};
	assert!(!contradiction(&manifest));
	for dataset_size in [1, 15, 35, 55, 75, 95] {
		let wrong = Manifest {
			dataset_size,
			..manifest.clone()
		};
		assert!(contradiction(&wrong), "{dataset_size}");
	}
	let wrong = Manifest {
		block_size: 9,
		..manifest.clone()
	};
	assert!(contradiction(&wrong));
	// Endless: refused at the first node.
	let wrong = Manifest {
		dataset_size: u64::MAX,
		..manifest
	};
	assert!(contradiction(&wrong));
}

#[test]
fn nodes_of_trees() {
	let tree = Tree::new(vec![[1; 32], [2; 32], [3; 32]]).unwrap();
	let root = tree.blocks().last().unwrap();
	assert_eq!(named_links(&root).len(), 2);
	for node in tree.blocks() {
		for (_, child) in named_links(&node) {
			let is_leaf = tree.leaves().contains(&digest(&child));
			let codec = if is_leaf {
				Codec::CodexBlock
			} else {
				Codec::CodexRoot
			};
			assert_eq!(child.codec(), codec.code());
		}
	}
	let mut bytes = root.data().to_vec();
	for wrong in [4, 0xff] {
		bytes[64] = wrong;
		assert!(Codec::CodexRoot.validate(&bytes).is_err());
	}
	// A second child, and a key that says that there is none.
	bytes[64] = 2;
	assert!(Codec::CodexRoot.validate(&bytes).is_err());
	assert!(Codec::CodexRoot.validate(&bytes[..64]).is_err());
}
