//! Archives split and joined.

use cairn_car::{
	join, pack,
	split::{split, Part, PartSink, Split},
	split_to_folder, verify, CarFile, CarReader, CarWriter, IndexFormat, JoinError, JoinOptions, PackOptions,
	ReadError, ReadOptions, SplitError, SplitOptions, SplitStrategy, VerifyOptions,
};
use cairn_dag::{
	cid::multihash::Multihash,
	codec::{
		dag_pb::{PbLink, PbNode},
		links,
	},
	unixfs::import::ImportOptions,
	walk::Budget,
	Block, Cid, Codec,
};
use cairn_test_random::{below, bytes, rng};
use std::{
	collections::HashSet,
	fs,
	io::{self, Cursor},
};

/// Parts in memory.
#[derive(Default)]
struct Parts(Vec<Vec<u8>>);

impl PartSink for Parts {
	type Out = Vec<u8>;

	fn begin(&mut self, number: u64) -> io::Result<Vec<u8>> {
		assert_eq!(number, self.0.len() as u64);
		Ok(Vec::new())
	}

	fn finish(&mut self, out: Vec<u8>, part: &Part) -> io::Result<()> {
		assert_eq!(part.size, out.len() as u64);
		self.0.push(out);
		Ok(())
	}
}

fn cut(archive: &[u8], options: &SplitOptions) -> Result<(Vec<Vec<u8>>, Split), SplitError> {
	let mut parts = Parts::default();
	let archive = CarFile::new(archive, ReadOptions::default()).unwrap();
	let split = split(&archive, options, &mut parts)?;
	assert_eq!(split.parts.len(), parts.0.len());
	Ok((parts.0, split))
}

fn by(strategy: SplitStrategy, max_size: u64) -> SplitOptions {
	SplitOptions {
		strategy,
		..SplitOptions::new(max_size)
	}
}

fn glue(parts: &[Vec<u8>]) -> Result<Vec<u8>, JoinError> {
	let mut out = Cursor::new(Vec::new());
	join(
		parts.iter().map(|part| Ok(&part[..])),
		&mut out,
		&JoinOptions::default(),
	)?;
	Ok(out.into_inner())
}

fn read(archive: &[u8]) -> (Vec<Cid>, Vec<Block>) {
	let reader = CarReader::new(archive).unwrap();
	(reader.roots().to_vec(), reader.map(Result::unwrap).collect())
}

/// A folder with files that share chunks, as CARv2.
fn archive() -> Vec<u8> {
	let mut rng = rng();
	let folder = tempfile::tempdir().unwrap();
	let shared = bytes(&mut rng, 2000);
	for name in ["a", "b", "c"] {
		let content = [&shared[..], &bytes(&mut rng, 5000)].concat();
		fs::write(folder.path().join(name), content).unwrap();
	}
	let mut out = Cursor::new(Vec::new());
	let import = ImportOptions {
		chunk_size: 100,
		max_links: 5,
		..ImportOptions::default()
	};
	let options = PackOptions {
		import,
		..PackOptions::default()
	};
	pack(&[folder.path()], &mut out, &options, &mut |_| {}).unwrap();
	out.into_inner()
}

fn v1(roots: &[Cid], blocks: &[&Block]) -> Vec<u8> {
	let mut writer = CarWriter::new(Vec::new(), roots).unwrap().duplicates(true);
	for block in blocks {
		writer.put(block).unwrap();
	}
	writer.finish().unwrap().0
}

fn full() -> VerifyOptions {
	VerifyOptions {
		dag: true,
		..VerifyOptions::default()
	}
}

#[test]
fn every_part_of_a_treewalk_is_a_dag_from_the_root() {
	let archive = archive();
	let (roots, blocks) = read(&archive);
	for max_size in [1500, 4000, 10_000, archive.len() as u64, 1 << 40] {
		let (parts, split) = cut(&archive, &by(SplitStrategy::Treewalk, max_size)).unwrap();
		assert_eq!(split.unreachable, 0);
		assert_eq!(parts.len() == 1, max_size >= archive.len() as u64);
		let mut all = HashSet::new();
		let mut sections = 0;
		for (number, part) in parts.iter().enumerate() {
			assert!(part.len() as u64 <= max_size);
			// The roots are there, and every block is linked to by one that stands before it.
			assert_eq!(verify(part, &VerifyOptions::default()).unwrap().roots, roots);
			let mut linked: HashSet<Cid> = roots.iter().copied().collect();
			let (_, held) = read(part);
			for block in &held {
				assert!(linked.contains(block.cid()), "part {number}");
				linked.extend(links(block).unwrap());
				all.insert(*block.cid());
			}
			sections += held.len();
		}
		assert_eq!(all, blocks.iter().map(|block| *block.cid()).collect());
		assert_eq!(sections - blocks.len(), split.repeated as usize);
		let mut mixed = parts.clone();
		mixed.reverse();
		for parts in [&parts, &mixed] {
			let joined = glue(parts).unwrap();
			let verified = verify(&joined, &full()).unwrap();
			assert_eq!(
				(verified.roots, verified.blocks),
				(roots.clone(), blocks.len() as u64)
			);
		}
	}
}

#[test]
fn simple_parts_make_the_same_payload_again() {
	let archive = archive();
	let (roots, blocks) = read(&archive);
	for max_size in [700, 5000, 1 << 30] {
		let (parts, split) = cut(&archive, &by(SplitStrategy::Simple, max_size)).unwrap();
		assert_eq!((split.repeated, split.unreachable), (0, 0));
		let mut held = Vec::new();
		for (number, part) in parts.iter().enumerate() {
			assert!(part.len() as u64 <= max_size);
			let (part_roots, part_blocks) = read(part);
			match number {
				0 => assert_eq!(part_roots, roots),
				_ => assert_eq!(part_roots[0].to_string(), "bafkqaaa"),
			}
			assert!(!part_blocks.is_empty());
			held.extend(part_blocks);
		}
		assert_eq!(held, blocks);
		// Padding excepted, which this archive has none of.
		assert_eq!(glue(&parts).unwrap(), archive);
	}
}

/// The CARs of carbites' own test, in its order: root, left, right, and a leaf below each.
#[test]
fn the_order_is_that_of_carbites() {
	let leaves = [&b"left leaf"[..], b"right leaf"].map(|data| Block::encode(Codec::Raw, data));
	let node = |children: &[&Block]| {
		let links = children
			.iter()
			.map(|child| PbLink {
				cid: *child.cid(),
				name: None,
				tsize: None,
			})
			.collect();
		Block::encode(Codec::DagPb, PbNode { links, data: None }.encode())
	};
	let inner = [node(&[&leaves[0]]), node(&[&leaves[1]])];
	let root = node(&[&inner[0], &inner[1]]);
	let whole = v1(
		&[*root.cid()],
		&[&leaves[0], &inner[0], &leaves[1], &inner[1], &root],
	);
	let (parts, _) = cut(&whole, &by(SplitStrategy::Treewalk, 300)).unwrap();
	let held: Vec<Vec<Block>> = parts.iter().map(|part| read(part).1).collect();
	let root = &root;
	assert_eq!(
		held,
		[
			[root, &inner[0], &leaves[0]].map(Clone::clone),
			[root, &inner[1], &leaves[1]].map(Clone::clone)
		]
	);
}

#[test]
fn several_roots_and_blocks_that_none_leads_to() {
	let blocks: Vec<Block> = (0..9u8)
		.map(|n| Block::encode(Codec::Raw, vec![n; 100]))
		.collect();
	let roots = [*blocks[2].cid(), *blocks[5].cid(), *blocks[2].cid()];
	let all: Vec<&Block> = blocks.iter().chain([&blocks[0]]).collect();
	let archive = v1(&roots, &all);
	let (parts, split) = cut(&archive, &by(SplitStrategy::Treewalk, 500)).unwrap();
	assert_eq!((split.repeated, split.unreachable), (0, 7));
	assert!(parts.len() > 1);
	assert!(parts.iter().all(|part| read(part).0 == roots));
	let mut joined = read(&glue(&parts).unwrap()).1;
	joined.sort_by_key(|block| block.data()[0]);
	assert_eq!(joined, blocks);
	// The other strategy keeps what is repeated.
	let (parts, _) = cut(&archive, &by(SplitStrategy::Simple, 500)).unwrap();
	let sections: usize = parts.iter().map(|part| read(part).1.len()).sum();
	assert_eq!(sections, 10);
}

#[test]
fn empty_archives_and_identity_roots() {
	for strategy in [SplitStrategy::Treewalk, SplitStrategy::Simple] {
		let empty = v1(&[], &[]);
		let (parts, _) = cut(&empty, &by(strategy, 1000)).unwrap();
		assert_eq!(parts, std::slice::from_ref(&empty));
		// A root that is a list of two links, in its CID.
		let leaf = Block::encode(Codec::Raw, &b"x"[..]);
		let inline = Cid::new_v1(
			Codec::DagCbor.code(),
			Multihash::wrap(
				0,
				&[&[0x81, 0xd8, 0x2a, 0x58, 0x25, 0][..], &leaf.cid().to_bytes()].concat(),
			)
			.unwrap(),
		);
		let archive = v1(&[inline], &[&leaf]);
		assert_eq!(cut(&archive, &by(strategy, 1000)).unwrap().0, [archive]);
	}
}

#[test]
fn what_does_not_fit_is_said() {
	let big = Block::encode(Codec::Raw, vec![1; 1000]);
	let archive = v1(&[*big.cid()], &[&big]);
	for strategy in [SplitStrategy::Treewalk, SplitStrategy::Simple] {
		assert!(cut(&archive, &by(strategy, archive.len() as u64)).is_ok());
		let error = cut(&archive, &by(strategy, archive.len() as u64 - 1)).unwrap_err();
		let size = archive.len() as u64;
		assert!(
			matches!(error, SplitError::TooLarge { cid, size: found, .. } if cid == *big.cid() && found == size),
			"{error}"
		);
		let error = cut(&archive, &by(strategy, 50)).unwrap_err();
		assert!(
			matches!(error, SplitError::Header { size: 59, limit: 50 }),
			"{error}"
		);
		let few = SplitOptions {
			max_parts: 0,
			..by(strategy, 5000)
		};
		assert!(matches!(
			cut(&archive, &few),
			Err(SplitError::TooMany { limit: 0 })
		));
	}
}

/// Chains of blocks deeper and wider than the budget, and with something missing.
#[test]
fn treewalks_are_bounded() {
	let mut blocks = vec![Block::encode(Codec::Raw, &b"end"[..])];
	for _ in 0..50 {
		let below = blocks.last().unwrap().cid().to_bytes();
		let node = [&[0x81, 0xd8, 0x2a, 0x58, 0x25, 0][..], &below].concat();
		blocks.push(Block::encode(Codec::DagCbor, node));
	}
	let root = *blocks.last().unwrap().cid();
	let all: Vec<&Block> = blocks.iter().collect();
	let archive = v1(&[root], &all);
	assert!(cut(&archive, &by(SplitStrategy::Treewalk, 1 << 20)).is_ok());
	for budget in [
		Budget {
			max_depth: 49,
			..Budget::default()
		},
		Budget {
			max_pending: 0,
			..Budget::default()
		},
	] {
		let options = SplitOptions {
			budget,
			..SplitOptions::new(1 << 20)
		};
		let error = cut(&archive, &options).unwrap_err();
		assert!(matches!(error, SplitError::Budget { .. }), "{error}");
	}
	let holed = v1(&[root], &all[1..]);
	let error = cut(&holed, &by(SplitStrategy::Treewalk, 1 << 20)).unwrap_err();
	assert!(
		matches!(error, SplitError::Missing { cid } if cid == *blocks[0].cid()),
		"{error}"
	);
	assert!(cut(&holed, &by(SplitStrategy::Simple, 1 << 20)).is_ok());
	let unknown = Block::assume_verified(
		Cid::new_v1(0x9999, *blocks[0].cid().hash()),
		blocks[0].bytes().clone(),
	);
	let error = cut(&v1(&[*unknown.cid()], &[&unknown]), &SplitOptions::new(1000)).unwrap_err();
	assert!(matches!(error, SplitError::Codec { .. }), "{error}");
}

#[test]
fn damage_is_found_on_the_way() {
	let mut archive = archive();
	let middle = archive.len() / 2;
	archive[middle] ^= 1;
	for strategy in [SplitStrategy::Treewalk, SplitStrategy::Simple] {
		assert!(cut(&archive, &by(strategy, 4000)).is_err());
	}
}

#[test]
fn parts_that_do_not_belong_together() {
	let archive = archive();
	let (mut parts, _) = cut(&archive, &by(SplitStrategy::Simple, 5000)).unwrap();
	let other = v1(&[*Block::encode(Codec::Raw, &b"x"[..]).cid()], &[]);
	assert!(matches!(glue(&[]), Err(JoinError::NoParts)));
	assert!(matches!(glue(&parts[1..]), Err(JoinError::NotTheFirst)));
	parts.insert(1, other);
	assert!(matches!(glue(&parts), Err(JoinError::OtherRoots { part: 1 })));
	parts[1].truncate(10);
	assert!(matches!(
		glue(&parts),
		Err(JoinError::Read {
			part: 1,
			error: ReadError::Truncated { .. }
		})
	));
	let absent = [Err::<&[u8], _>(io::ErrorKind::NotFound.into())];
	let error = join(absent, Cursor::new(Vec::new()), &JoinOptions::default()).unwrap_err();
	assert!(
		matches!(
			error,
			JoinError::Read {
				part: 0,
				error: ReadError::Io(_)
			}
		),
		"{error}"
	);
	// A part that is missing leaves a hole.
	let (parts, _) = cut(&archive, &by(SplitStrategy::Treewalk, 5000)).unwrap();
	assert!(verify(&glue(&parts[1..]).unwrap(), &full()).is_err());
}

#[test]
fn folders_appear_whole_or_not_at_all() {
	let work = tempfile::tempdir().unwrap();
	let archive = archive();
	let (roots, blocks) = read(&archive);
	let file = CarFile::new(&archive[..], ReadOptions::default()).unwrap();
	let destination = work.path().join("parts");
	let options = SplitOptions::new(5000);
	let done = split_to_folder(&file, &options, &destination, "photos").unwrap();
	assert_eq!(done.files.len(), done.split.parts.len());
	assert!(done.files[0].ends_with("parts/photos-00000.car"));
	let mut names: Vec<_> = fs::read_dir(&destination)
		.unwrap()
		.map(|entry| entry.unwrap().path())
		.collect();
	names.sort();
	assert_eq!(names, done.files);
	let options = JoinOptions {
		index: IndexFormat::Sorted,
		..JoinOptions::default()
	};
	let mut out = Cursor::new(Vec::new());
	let joined = join(names.iter().map(fs::File::open), &mut out, &options).unwrap();
	assert_eq!((joined.roots, joined.parts), (roots, names.len() as u64));
	assert_eq!(joined.written.blocks, blocks.len() as u64);

	let again = split_to_folder(&file, &SplitOptions::new(5000), &destination, "photos");
	assert!(matches!(again, Err(SplitError::Part(error)) if error.kind() == io::ErrorKind::AlreadyExists));
	let failed = work.path().join("failed");
	assert!(split_to_folder(&file, &SplitOptions::new(300), &failed, "x").is_err());
	assert!(split_to_folder(&file, &SplitOptions::new(5000), &work.path().join("no/such"), "x").is_err());
	assert_eq!(fs::read_dir(work.path()).unwrap().count(), 1);
}

/// Any DAG by either strategy, with sizes around its blocks'.
#[test]
fn random_dags() {
	let mut rng = rng();
	for _ in 0..60 {
		let mut blocks: Vec<Block> = Vec::new();
		for n in 0..1 + below(&mut rng, 40) {
			let children: Vec<Cid> = (0..below(&mut rng, 4))
				.filter(|_| !blocks.is_empty())
				.map(|_| *blocks[below(&mut rng, blocks.len() as u64) as usize].cid())
				.collect();
			let links = children
				.iter()
				.map(|cid| PbLink {
					cid: *cid,
					name: None,
					tsize: Some(n),
				})
				.collect();
			blocks.push(Block::encode(Codec::DagPb, PbNode { links, data: None }.encode()));
		}
		let mut distinct: Vec<&Block> = Vec::new();
		for block in &blocks {
			if !distinct.contains(&block) {
				distinct.push(block);
			}
		}
		let archive = v1(&[*blocks.last().unwrap().cid()], &distinct);
		let strategy = match below(&mut rng, 2) {
			0 => SplitStrategy::Treewalk,
			_ => SplitStrategy::Simple,
		};
		let options = by(strategy, 300 + below(&mut rng, 3000));
		match cut(&archive, &options) {
			Ok((parts, _)) => {
				assert!(parts.iter().all(|part| part.len() as u64 <= options.max_size));
				let joined: HashSet<Cid> = read(&glue(&parts).unwrap())
					.1
					.iter()
					.map(|block| *block.cid())
					.collect();
				assert_eq!(joined, distinct.iter().map(|block| *block.cid()).collect());
			}
			// Deep ones need larger parts.
			Err(error) => assert!(matches!(error, SplitError::TooLarge { .. }), "{error}"),
		}
	}
}
