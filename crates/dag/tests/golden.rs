//! CIDs that others published for the same input and options.
//!
//! Most are from kubo's own tests (`test/cli/add_test.go`, `test/cli/cid_profiles_test.go`), which
//! also define the input: the ChaCha20 key stream of the seed's SHA-256 under a zero nonce.

use cairn_dag::{
	unixfs::import::{ImportOptions, Imported, Importer},
	NullSink,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};
use std::io::Read;

/// kubo's `DeterministicRandomReader`.
struct KeyStream {
	rng: ChaCha20Rng,
	remaining: u64,
}

impl KeyStream {
	fn new(seed: &str, len: u64) -> Self {
		Self {
			rng: ChaCha20Rng::from_seed(Sha256::digest(seed).into()),
			remaining: len,
		}
	}
}

impl Read for KeyStream {
	fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
		// The generator makes whole words; splitting a word between reads would lose bytes.
		let len = out.len().min(usize::try_from(self.remaining).unwrap());
		assert!(len % 4 == 0 || len as u64 == self.remaining);
		self.rng.fill_bytes(&mut out[..len]);
		self.remaining -= len as u64;
		Ok(len)
	}
}

const MIB: u64 = 1024 * 1024;

fn import(data: impl Read, options: ImportOptions) -> Imported {
	Importer::new(&mut NullSink, options).reader(data).unwrap()
}

fn root(data: impl Read, options: ImportOptions) -> String {
	import(data, options).root.to_string()
}

#[test]
fn small_files() {
	let v1 = ImportOptions::default;
	assert_eq!(
		root(&b""[..], v1()),
		"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	);
	assert_eq!(
		root(&b"hello world"[..], v1()),
		"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
	);
	assert_eq!(
		root(&b"hello world\n"[..], v1()),
		"bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
	);
	let v0 = ImportOptions::unixfs_v0_2015;
	assert_eq!(
		root(&b""[..], v0()),
		"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
	);
	assert_eq!(
		root(&b"hello world"[..], v0()),
		"Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
	);
	assert_eq!(
		root(&b"hello world\n"[..], v0()),
		"QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
	);
	let wrapped = ImportOptions {
		raw_leaves: false,
		..v1()
	};
	assert_eq!(
		root(&b"hello world"[..], wrapped),
		"bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa"
	);
	let sha512 = ImportOptions {
		hash: cairn_dag::HashFunction::Sha2_512,
		..v1()
	};
	assert_eq!(
		root(&b"hello world"[..], sha512),
		"bafkrgqbqt3gerhas23vuzrapkdeqf4vu2dwxp3srdj6hvg6nhsug2tgyn6mj3u23yx7utftq3i2ckw2fwdh5qmhid5qf3t35yvkc5e5ottlw6"
	);
}

fn key_stream(seed: &str, len: u64) -> Vec<u8> {
	let mut bytes = Vec::new();
	KeyStream::new(seed, len).read_to_end(&mut bytes).unwrap();
	bytes
}

#[test]
fn a_full_root_and_one_chunk_more() {
	let v0 = ImportOptions::unixfs_v0_2015;
	let data = key_stream("v0-seed", 44800 * 1024);
	assert_eq!(
		root(&data[..44544 * 1024], v0()),
		"QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2"
	);
	assert_eq!(
		root(&data[..], v0()),
		"QmepeWtdmS1hHXx1oZXsPUv6bMrfRRKfZcoPPU4eEfjnbf"
	);
}

/// kubo's profile `test-cid-v1`.
#[test]
fn a_full_root_and_one_chunk_more_with_raw_leaves() {
	let v1 = || ImportOptions {
		chunk_size: MIB as usize,
		..ImportOptions::default()
	};
	let data = key_stream("v1-seed", 175 * MIB);
	assert_eq!(
		root(&data[..174 * MIB as usize], v1()),
		"bafybeigwduxcf2aawppv3isnfeshnimkyplvw3hthxjhr2bdeje4tdaicu"
	);
	let imported = import(&data[..], v1());
	assert_eq!(
		imported.root.to_string(),
		"bafybeidhd7lo2n2v7lta5yamob3xwhbxcczmmtmhquwhjesi35jntf7mpu"
	);
	assert_eq!(
		(imported.content_size, imported.blocks, imported.files),
		(175 * MIB, 178, 1)
	);
}

#[test]
#[ignore = "hashes 2 GiB"]
fn the_widest_profile() {
	let v1 = ImportOptions::unixfs_v1_2025;
	assert_eq!(
		root(KeyStream::new("v1-2025-seed", 1024 * MIB), v1()),
		"bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm"
	);
	assert_eq!(
		root(KeyStream::new("v1-2025-seed", 1025 * MIB), v1()),
		"bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue"
	);
}

fn folder_root(folder: &std::path::Path, options: ImportOptions) -> String {
	Importer::new(&mut NullSink, options)
		.path(folder)
		.unwrap()
		.root
		.to_string()
}

#[test]
fn empty_folders() {
	let folder = tempfile::tempdir().unwrap();
	assert_eq!(
		folder_root(folder.path(), ImportOptions::default()),
		"bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
	);
	assert_eq!(
		folder_root(folder.path(), ImportOptions::unixfs_v0_2015()),
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
	);
}

/// kubo's `createDeterministicFiles`: files of one byte whose names come from the key stream.
fn files_named_by(seed: &str, count: usize, name_len: usize, last_name_len: usize) -> tempfile::TempDir {
	const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz01234567890-_";
	let folder = tempfile::tempdir().unwrap();
	let mut stream = key_stream(seed, MIB).into_iter();
	for index in 0..count {
		let len = if index + 1 == count {
			last_name_len
		} else {
			name_len
		};
		let name: String = stream
			.by_ref()
			.take(len)
			.map(|byte| ALPHABET[byte as usize % ALPHABET.len()] as char)
			.collect();
		std::fs::write(folder.path().join(name), b"x").unwrap();
	}
	folder
}

#[test]
fn large_folders_in_one_block() {
	let folder = files_named_by("hamt-unixfs-v1-2025", 4766, 11, 21);
	assert_eq!(
		folder_root(folder.path(), ImportOptions::unixfs_v1_2025()),
		"bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4"
	);
	let folder = files_named_by("hamt-unixfs-v0-2015", 4096, 30, 30);
	assert_eq!(
		folder_root(folder.path(), ImportOptions::unixfs_v0_2015()),
		"QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN"
	);
}

/// One byte more than fits.
#[test]
fn large_folders_in_shards() {
	let folder = files_named_by("hamt-unixfs-v1-2025", 4766, 11, 22);
	assert_eq!(
		folder_root(folder.path(), ImportOptions::unixfs_v1_2025()),
		"bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu"
	);
	let folder = files_named_by("hamt-unixfs-v0-2015", 4033, 31, 31);
	assert_eq!(
		folder_root(folder.path(), ImportOptions::unixfs_v0_2015()),
		"QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP"
	);
}
