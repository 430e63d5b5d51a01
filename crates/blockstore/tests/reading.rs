//! What readers find, and what an upload makes of damage that nobody has noticed.

mod fixture;

use cairn_blockstore::{repo::UploadError, ChunkError, ChunkStore, Cid, MemoryChunks, Repo};
use cairn_dag::{Block, Codec, HashFunction};
use fixture::{assert_readable, blocks, store};
use std::sync::Arc;

/// What a peer asks for must not make a sound block look lost.
#[test]
fn asking_for_a_block_under_a_codec_that_its_hash_is_not_accepted_for_changes_nothing() {
	for read_cache in [0, 1 << 20] {
		let (_, mut config) = fixture::config(1 << 20);
		config.read_cache = read_cache;
		let repo = Repo::in_memory(&config).unwrap();
		let git = Block::encode_with(Codec::Raw, HashFunction::Sha1, &b"blob 3\0abc"[..]);
		store(&repo, std::slice::from_ref(&git));
		for _ in 0..2 {
			for codec in [0x70, 0x71, 0x90] {
				let cid = Cid::new_v1(codec, *git.cid().hash());
				assert_absent_cid(&repo, &cid);
			}
			assert_readable(&repo, std::slice::from_ref(&git));
			assert!(!repo.stat(git.cid()).unwrap().unwrap().damaged);
		}
		let other = Block::encode_with(Codec::DagPb, HashFunction::Sha1, &b"else"[..]);
		let refused = repo.upload(0).unwrap().put(other);
		assert!(
			matches!(refused, Err(UploadError::Chunks(ChunkError::WeakHash { .. }))),
			"{refused:?}"
		);
	}
}

fn assert_absent_cid(repo: &Repo, cid: &Cid) {
	assert_eq!(repo.get(cid).unwrap(), None);
	assert!(!repo.has(cid).unwrap());
	assert_eq!(repo.stat(cid).unwrap(), None);
}

/// An upload that was acknowledged is there, whatever had become of the chunks that it shares.
#[test]
fn what_is_stored_again_is_whole_although_it_was_damaged_unnoticed() {
	for batch_bytes in [1, 8 << 20] {
		let (_, mut config) = fixture::config(1 << 20);
		config.batch_bytes = batch_bytes;
		config.read_cache = 0;
		let chunks = Arc::new(MemoryChunks::new());
		let repo = Repo::in_memory_with(&config, chunks.clone()).unwrap();
		let stored = blocks(0..5);
		store(&repo, &stored);
		let wrong = |n: usize, data: &[u8]| Block::assume_verified(*stored[n].cid(), data.to_vec());
		chunks
			.put_many(&[wrong(1, &[7; 100]), wrong(2, b"short")])
			.unwrap();
		chunks.delete_many(&[*stored[3].cid().hash()]).unwrap();
		store(&repo, &[&blocks(9..10)[..], &stored].concat());
		assert_readable(&repo, &stored);
		assert_eq!(repo.space().unwrap().used, 600);
	}
}
