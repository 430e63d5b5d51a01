//! What every chunk store does: one suite, run on each implementation.

mod fixture;
use cairn_blockstore::{
	chunks::MAX_CHUNK_BYTES, CachedChunks, ChunkError, ChunkStore, Cid, FsChunks, MemoryChunks, Multihash,
	SqliteChunks,
};
use cairn_dag::{Block, Codec, HashFunction};
use fixture::block;
use std::{
	collections::{BTreeMap, HashMap},
	ops::ControlFlow,
	path::Path,
};

fn list(store: &dyn ChunkStore) -> BTreeMap<Vec<u8>, u64> {
	let mut listed = BTreeMap::new();
	store
		.list(&mut |chunk| {
			let before = listed.insert(chunk.hash.to_bytes(), chunk.size);
			assert_eq!(before, None, "a chunk is listed once");
			ControlFlow::Continue(())
		})
		.unwrap();
	listed
}

fn hash(block: &Block) -> Multihash {
	*block.cid().hash()
}

mod suite {
	use super::*;

	pub fn a_chunk_is_there_from_its_writing_to_its_removal(store: &dyn ChunkStore) {
		let (one, two) = (block(1, 100), block(2, 70_000));
		assert_eq!(store.get(one.cid()).unwrap(), None);
		assert!(!store.has(one.cid()).unwrap());
		store.put_many(&[one.clone(), two.clone()]).unwrap();
		for block in [&one, &two] {
			assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
			assert!(store.has(block.cid()).unwrap());
		}
		store.delete_many(&[hash(&one)]).unwrap();
		assert_eq!(store.get(one.cid()).unwrap(), None);
		assert!(!store.has(one.cid()).unwrap());
		assert_eq!(store.get(two.cid()).unwrap(), Some(two));
	}

	pub fn writing_and_removing_twice_is_doing_it_once(store: &dyn ChunkStore) {
		let block = block(1, 100);
		store.put_many(&[block.clone(), block.clone()]).unwrap();
		store.put_many(std::slice::from_ref(&block)).unwrap();
		assert_eq!(list(store), BTreeMap::from([(hash(&block).to_bytes(), 100)]));
		store.delete_many(&[hash(&block), hash(&block)]).unwrap();
		store.delete_many(&[hash(&block)]).unwrap();
		assert!(list(store).is_empty());
		store.put_many(std::slice::from_ref(&block)).unwrap();
		assert_eq!(store.get(block.cid()).unwrap(), Some(block));
	}

	pub fn nothing_is_fine(store: &dyn ChunkStore) {
		store.put_many(&[]).unwrap();
		store.delete_many(&[]).unwrap();
		assert!(list(store).is_empty());
	}

	pub fn an_empty_chunk_is_a_chunk(store: &dyn ChunkStore) {
		let empty = block(0, 0);
		assert_eq!(store.get(empty.cid()).unwrap(), None);
		store.put_many(std::slice::from_ref(&empty)).unwrap();
		assert!(store.has(empty.cid()).unwrap());
		assert_eq!(list(store), BTreeMap::from([(hash(&empty).to_bytes(), 0)]));
		assert_eq!(store.get(empty.cid()).unwrap(), Some(empty.clone()));
		store.delete_many(&[hash(&empty)]).unwrap();
		assert_eq!(store.get(empty.cid()).unwrap(), None);
	}

	pub fn the_largest_chunk_fits_and_a_larger_one_is_refused_before_anything_is_written(
		store: &dyn ChunkStore,
	) {
		let (small, largest) = (block(1, 10), block(2, MAX_CHUNK_BYTES));
		let too_large = block(3, MAX_CHUNK_BYTES + 1);
		let refused = store.put_many(&[small.clone(), too_large.clone()]);
		assert!(matches!(refused, Err(ChunkError::TooLarge { cid, size })
				if cid == *too_large.cid() && size == MAX_CHUNK_BYTES + 1));
		assert!(list(store).is_empty());
		store.put_many(std::slice::from_ref(&largest)).unwrap();
		assert_eq!(store.get(largest.cid()).unwrap(), Some(largest));
	}

	pub fn a_hash_that_cannot_be_checked_is_refused(store: &dyn ChunkStore) {
		let md5 = Cid::new_v1(0x55, Multihash::wrap(0xd5, &[7; 16]).unwrap());
		let block = Block::assume_verified(md5, &b"whatever"[..]);
		let refused = store.put_many(&[fixture::block(1, 10), block]);
		assert!(matches!(
			refused,
			Err(ChunkError::UnsupportedHash { code: 0xd5, .. })
		));
		assert!(list(store).is_empty());
		assert_eq!(store.get(&md5).unwrap(), None);
	}

	pub fn version_and_codec_of_a_cid_do_not_matter(store: &dyn ChunkStore) {
		let v0 = Block::encode_v0(&b"the same bytes"[..]);
		store.put_many(std::slice::from_ref(&v0)).unwrap();
		for codec in [Codec::Raw, Codec::DagPb] {
			let cid = Cid::new_v1(codec.code(), *v0.cid().hash());
			let found = store.get(&cid).unwrap().unwrap();
			assert_eq!((found.cid(), found.data()), (&cid, v0.data()));
		}
		assert_eq!(list(store).len(), 1);
	}

	pub fn every_hash_function_addresses_chunks(store: &dyn ChunkStore) {
		let functions = [
			HashFunction::Sha2_256,
			HashFunction::Sha2_512,
			HashFunction::Keccak256,
			HashFunction::Blake3,
			HashFunction::Blake2b256,
			HashFunction::Sha1,
		];
		let blocks = functions.map(|hash| Block::encode_with(Codec::Raw, hash, &b"some bytes"[..]));
		store.put_many(&blocks).unwrap();
		for block in &blocks {
			assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
		}
		assert_eq!(list(store).len(), functions.len());
	}

	pub fn a_broken_hash_names_a_chunk_under_the_codecs_that_came_with_it_alone(store: &dyn ChunkStore) {
		let refused_codecs = [0x70, 0x71, 0x90];
		let git = Block::encode_with(Codec::Raw, HashFunction::Sha1, &b"blob 3\0abc"[..]);
		let refused = refused_codecs.map(|codec| Cid::new_v1(codec, *git.cid().hash()));
		for cid in &refused {
			let block = Block::assume_verified(*cid, git.bytes().clone());
			let written = store.put_many(&[fixture::block(1, 10), block]);
			assert!(
				matches!(&written, Err(ChunkError::WeakHash { cid: found }) if found == cid),
				"{written:?}"
			);
		}
		assert!(list(store).is_empty());
		store.put_many(std::slice::from_ref(&git)).unwrap();
		// Twice: from the disk and from a cache.
		for _ in 0..2 {
			for cid in &refused {
				assert_eq!(store.get(cid).unwrap(), None);
				assert!(!store.has(cid).unwrap());
			}
			for codec in [0x55, 0x78, 0x7b] {
				let cid = Cid::new_v1(codec, *git.cid().hash());
				assert!(store.has(&cid).unwrap());
				assert_eq!(store.get(&cid).unwrap().unwrap().data(), git.data());
			}
		}
	}

	pub fn damage_reads_as_an_error_and_writing_again_mends_it(store: &dyn ChunkStore) {
		let right = block(1, 1000);
		let mut data = right.data().to_vec();
		data[500] ^= 0x10;
		let wrong = Block::assume_verified(*right.cid(), data);
		let short = Block::assume_verified(*right.cid(), right.data()[..999].to_vec());
		let empty = Block::assume_verified(*right.cid(), vec![]);
		for damaged in [wrong, short, empty] {
			store.put_many(&[damaged]).unwrap();
			for _ in 0..2 {
				let read = store.get(right.cid());
				assert!(
					matches!(read, Err(ChunkError::Damaged { cid }) if cid == *right.cid()),
					"{read:?}"
				);
			}
			assert!(store.has(right.cid()).unwrap());
		}
		store.put_many(std::slice::from_ref(&right)).unwrap();
		assert_eq!(store.get(right.cid()).unwrap(), Some(right));
	}

	pub fn a_listing_shows_everything_and_can_be_broken_off(store: &dyn ChunkStore) {
		let blocks: Vec<_> = (0..2500).map(|n| block(n, n as usize % 50)).collect();
		store.put_many(&blocks).unwrap();
		let expected: BTreeMap<_, _> = blocks
			.iter()
			.map(|block| (hash(block).to_bytes(), block.data().len() as u64))
			.collect();
		assert_eq!(list(store), expected);
		let mut shown = 0;
		store
			.list(&mut |_| {
				shown += 1;
				match shown {
					1001 => ControlFlow::Break(()),
					_ => ControlFlow::Continue(()),
				}
			})
			.unwrap();
		assert_eq!(shown, 1001);
	}

	pub fn a_listing_may_use_the_store(store: &dyn ChunkStore) {
		let blocks: Vec<_> = (0..50).map(|n| block(n, 20)).collect();
		store.put_many(&blocks).unwrap();
		store
			.list(&mut |chunk| {
				let cid = Cid::new_v1(Codec::Raw.code(), chunk.hash);
				assert!(store.get(&cid).unwrap().is_some());
				store.delete_many(&[chunk.hash]).unwrap();
				ControlFlow::Continue(())
			})
			.unwrap();
		assert!(list(store).is_empty());
	}

	/// Readers see the chunk whole or not at all while 64 threads write it and others beside it.
	pub fn many_threads_may_write_one_chunk(store: &dyn ChunkStore) {
		let shared = block(1, 50_000);
		std::thread::scope(|scope| {
			for n in 0..64 {
				let shared = &shared;
				scope.spawn(move || {
					let own = block(100 + n, 500);
					store.put_many(&[own.clone(), shared.clone()]).unwrap();
					assert_eq!(store.get(own.cid()).unwrap(), Some(own));
				});
			}
			for _ in 0..4 {
				let shared = &shared;
				scope.spawn(move || {
					for _ in 0..200 {
						if let Some(found) = store.get(shared.cid()).unwrap() {
							assert_eq!(found.data().len(), 50_000);
						}
					}
				});
			}
		});
		assert_eq!(list(store).len(), 65);
		assert_eq!(store.get(shared.cid()).unwrap(), Some(shared));
	}

	pub fn random_use_agrees_with_a_map(store: &dyn ChunkStore) {
		let mut rng = cairn_test_random::rng();
		let universe: Vec<_> = (0..40)
			.map(|_| {
				let len = cairn_test_random::below(&mut rng, 3000) as usize;
				Block::encode(Codec::Raw, cairn_test_random::bytes(&mut rng, len))
			})
			.collect();
		let mut model: HashMap<Multihash, &Block> = HashMap::new();
		for _ in 0..150 {
			let count = 1 + cairn_test_random::below(&mut rng, 6);
			let some: Vec<&Block> = (0..count)
				.map(|_| &universe[cairn_test_random::below(&mut rng, universe.len() as u64) as usize])
				.collect();
			if cairn_test_random::below(&mut rng, 2) == 0 {
				let blocks: Vec<_> = some.iter().copied().cloned().collect();
				store.put_many(&blocks).unwrap();
				model.extend(some.iter().map(|block| (hash(block), *block)));
			} else {
				let hashes: Vec<_> = some.iter().map(|block| hash(block)).collect();
				store.delete_many(&hashes).unwrap();
				hashes.iter().for_each(|hash| {
					model.remove(hash);
				});
			}
			let probe = some[0];
			assert_eq!(
				store.get(probe.cid()).unwrap().as_ref(),
				model.get(&hash(probe)).copied()
			);
		}
		let expected: BTreeMap<_, _> = model
			.iter()
			.map(|(hash, block)| (hash.to_bytes(), block.data().len() as u64))
			.collect();
		assert_eq!(list(store), expected);
	}

	/// For stores that outlive the process.
	pub fn what_was_written_is_there_after_reopening(open: &dyn Fn(&Path) -> Box<dyn ChunkStore>) {
		let folder = fixture::folder();
		let blocks: Vec<_> = (0..20).map(|n| block(n, 1000)).collect();
		let store = open(folder.path());
		store.put_many(&blocks).unwrap();
		store.delete_many(&[hash(&blocks[3])]).unwrap();
		drop(store);
		let store = open(folder.path());
		assert_eq!(list(&*store).len(), 19);
		assert_eq!(store.get(blocks[3].cid()).unwrap(), None);
		assert_eq!(store.get(blocks[4].cid()).unwrap().as_ref(), Some(&blocks[4]));
	}
}

macro_rules! run_suite {
	($name:ident, $open:expr, [$($case:ident),* $(,)?]) => {
		mod $name {
			use super::*;
			$(
				#[test]
				fn $case() {
					let folder = fixture::folder();
					let open: fn(&Path) -> Box<dyn ChunkStore> = $open;
					suite::$case(&*open(folder.path()));
				}
			)*
		}
	};
	($($name:ident: $open:expr;)*) => {$(
		run_suite!($name, $open, [
			a_chunk_is_there_from_its_writing_to_its_removal,
			writing_and_removing_twice_is_doing_it_once,
			nothing_is_fine,
			an_empty_chunk_is_a_chunk,
			the_largest_chunk_fits_and_a_larger_one_is_refused_before_anything_is_written,
			a_hash_that_cannot_be_checked_is_refused,
			version_and_codec_of_a_cid_do_not_matter,
			every_hash_function_addresses_chunks,
			a_broken_hash_names_a_chunk_under_the_codecs_that_came_with_it_alone,
			damage_reads_as_an_error_and_writing_again_mends_it,
			a_listing_shows_everything_and_can_be_broken_off,
			a_listing_may_use_the_store,
			many_threads_may_write_one_chunk,
			random_use_agrees_with_a_map,
		]);
	)*};
}

fn fs(folder: &Path) -> Box<dyn ChunkStore> {
	Box::new(FsChunks::open(folder.join("chunks")).unwrap())
}

fn sqlite(folder: &Path) -> Box<dyn ChunkStore> {
	Box::new(SqliteChunks::open(folder.join("chunks.sqlite")).unwrap())
}

run_suite! {
	in_memory: |_| Box::new(MemoryChunks::new());
	in_files: fs;
	in_sqlite: sqlite;
	cached: |folder| Box::new(CachedChunks::new(FsChunks::open(folder.join("chunks")).unwrap(), 1 << 20));
	cached_too_little: |_| Box::new(CachedChunks::new(MemoryChunks::new(), 1500));
}

#[test]
fn files_are_there_after_reopening() {
	suite::what_was_written_is_there_after_reopening(&fs);
}

#[test]
fn sqlite_is_there_after_reopening() {
	suite::what_was_written_is_there_after_reopening(&sqlite);
}
