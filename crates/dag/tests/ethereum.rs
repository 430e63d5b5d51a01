//! Ethereum's blocks, tries, transactions and receipts.

#![cfg(feature = "ethereum")]

mod fixtures;

use cairn_dag::{
	codec::CodecError,
	walk::{follow, walk, PathError, Scope},
	Block, BlockSource, Cid, Codec, HashFunction,
};
use fixtures::{blocks, named_links, store, ETHEREUM};
use std::collections::HashMap;

fn keccak(data: &[u8]) -> String {
	hex::encode(HashFunction::Keccak256.digest(data).digest())
}

fn cid(codec: Codec, hash: &str) -> Cid {
	let hash = HashFunction::Keccak256.wrap(&hex::decode(hash).unwrap());
	Cid::new_v1(codec.code(), hash.unwrap())
}

fn block(codec: Codec, hash: &str) -> Block {
	let cid = cid(codec, hash);
	let found = store(ETHEREUM).get(&cid).unwrap();
	found.unwrap_or_else(|| panic!("{cid} is not among the fixtures"))
}

fn links(codec: Codec, hash: &str) -> HashMap<String, Cid> {
	named_links(&block(codec, hash)).into_iter().collect()
}

const GENESIS: &str = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";
const HOLESKY: &str = "b5f7f912443c940f21fd611f12828d75b534364ed9e95ca4e307729a4661bde4";
const HOODI: &str = "bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b";
const BLOCK_997522: &str = "79851e1adb52a8c5490da2df5d8c060b1cc44a3b6eeaada2e20edba5a8e84523";
const TRANSACTIONS_999998: &str = "6414d72a4c223bce7d1309869332b148670eb66af4e3b3ba6d1a55aa0bb3fd4f";

#[test]
fn every_fixture_is_read() {
	for block in blocks(ETHEREUM) {
		named_links(&block);
	}
}

#[test]
fn headers() {
	// The first block has neither parent, uncles, transactions nor receipts.
	let state = "d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544";
	assert_eq!(
		named_links(&block(Codec::EthBlock, GENESIS)),
		[("state".into(), cid(Codec::EthStateTrie, state))]
	);
	let second = "88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6";
	let state = "d67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3";
	assert_eq!(
		named_links(&block(Codec::EthBlock, second)),
		[
			("parent".into(), cid(Codec::EthBlock, GENESIS)),
			("state".into(), cid(Codec::EthStateTrie, state)),
		]
	);
	let expected = [
		(
			"parent",
			Codec::EthBlock,
			"8ad6d5cbe7ec75ed71d5153dd58f2fd413b17c398ad2a7d9309459ce884e6c9b",
		),
		(
			"uncles",
			Codec::EthBlockList,
			"08793b633d0b21b980107f3e3277c6693f2f3739e0c676a238cbe24d9ae6e252",
		),
		(
			"state",
			Codec::EthStateTrie,
			"11e5ea49ecbee25a9b8f267492a5d296ac09cf6179b43bc334242d052bac5963",
		),
		(
			"transactions",
			Codec::EthTxTrie,
			"7ab22cfcf6db5d1628ac888c25e6bc49aba2faaa200fc880f800f1db1e8bd3cc",
		),
		(
			"receipts",
			Codec::EthReceiptTrie,
			"a73a95d90de29c66220c8b8da825cf34ae969efc7f9a878d8ed893565e4b4676",
		),
	];
	assert_eq!(
		named_links(&block(Codec::EthBlock, BLOCK_997522)),
		expected.map(|(name, codec, hash)| (name.to_owned(), cid(codec, hash)))
	);
	// With a base fee, and with all that Cancun added.
	for genesis in [HOLESKY, HOODI] {
		let links = named_links(&block(Codec::EthBlock, genesis));
		assert_eq!(links.len(), 1, "{links:?}");
		assert_eq!(links[0].0, "state");
	}
}

#[test]
fn uncles() {
	let list = block(
		Codec::EthBlockList,
		"08793b633d0b21b980107f3e3277c6693f2f3739e0c676a238cbe24d9ae6e252",
	);
	let links = named_links(&list);
	let names: Vec<&str> = links.iter().map(|(name, _)| name.as_str()).collect();
	assert_eq!(
		names,
		[
			"0/parent",
			"0/state",
			"1/parent",
			"1/state",
			"1/transactions",
			"1/receipts"
		]
	);
	let parent = "ac74216bbdb0ebec6612ad5f26301ab50e588aabe75a804bc2068f83980eefc6";
	assert_eq!(links[0].1, cid(Codec::EthBlock, parent));
	// A list without uncles is one byte.
	assert!(named_links(&Block::encode_with(
		Codec::EthBlockList,
		HashFunction::Keccak256,
		&b"\xc0"[..]
	))
	.is_empty());
}

/// From a block's hash to an account, through the trie.
#[test]
fn accounts() {
	let store = store(ETHEREUM);
	let key = keccak(&hex::decode("000d836201318ec6899a67540690382780743280").unwrap());
	let nibble = |at: usize| &key[at..=at];
	let path = format!("state/{}/{}/{}/{}", nibble(0), nibble(1), nibble(2), nibble(3));
	let leaf = follow(&store, &cid(Codec::EthBlock, GENESIS), &path).unwrap();
	assert_eq!(leaf.blocks.len(), 5);
	// An account without code and storage has no links.
	assert_eq!(named_links(&store.get(&leaf.cid).unwrap().unwrap()), []);
	// Another nibble leads out of what is here.
	let other = if nibble(3) == "0" { "1" } else { "0" };
	let path = format!("state/{}/{}/{}/{other}", nibble(0), nibble(1), nibble(2));
	let elsewhere = follow(&store, &cid(Codec::EthBlock, GENESIS), &path);
	assert!(
		matches!(elsewhere, Err(PathError::NotFound { ref rest, .. }) if rest == other),
		"{elsewhere:?}"
	);
}

/// The deposit contract of Holesky's genesis: account, code and storage.
#[test]
fn contracts() {
	let store = store(ETHEREUM);
	let key = keccak(&[0x42; 20]);
	let leaf_key = &key[2..];
	let path = format!("state/{}/{}", &key[..1], &key[1..2]);
	let leaf = follow(&store, &cid(Codec::EthBlock, HOLESKY), &path).unwrap();
	let links = named_links(&store.get(&leaf.cid).unwrap().unwrap());
	let storage = cid(
		Codec::EthStorageTrie,
		"556a482068355939c95a3412bdb21213a301483edb1b64402fb66ac9f3583599",
	);
	assert_eq!(links[0], (format!("{leaf_key}/storage"), storage));
	assert_eq!(links[1].0, format!("{leaf_key}/code"));
	assert_eq!(links[1].1.codec(), 0x55);
	assert_eq!(links.len(), 2);
	// The account by itself is the same but for the key.
	let account = blocks(ETHEREUM)
		.into_iter()
		.find(|block| block.cid().codec() == Codec::EthAccount.code())
		.unwrap();
	assert_eq!(
		named_links(&account),
		[("storage".into(), storage), ("code".into(), links[1].1)]
	);
	// Slot 0x22, through the account.
	let mut slot = [0; 32];
	slot[31] = 0x22;
	let key = keccak(&slot);
	let full = format!("{path}/{leaf_key}/storage/{}/{}", &key[..1], &key[1..2]);
	let slot = follow(&store, &cid(Codec::EthBlock, HOLESKY), &full).unwrap();
	assert_eq!(slot.blocks.len(), 6);
	let slot = store.get(&slot.cid).unwrap().unwrap();
	assert_eq!(slot.cid().codec(), Codec::EthStorageTrie.code());
	assert_eq!(named_links(&slot), []);
}

/// Twelve transactions in a trie of branches and an extension-free root.
#[test]
fn transaction_tries() {
	let store = store(ETHEREUM);
	let root = cid(Codec::EthTxTrie, TRANSACTIONS_999998);
	let nodes: Vec<Block> = walk(&store, root, Scope::All).map(Result::unwrap).collect();
	assert_eq!(nodes.len(), 14);
	assert!(nodes
		.iter()
		.all(|node| node.cid().codec() == Codec::EthTxTrie.code()));
	// The keys are RLP of the indices: 0x80 for the first, 0x01 to 0x0b for the others.
	assert_eq!(
		links(Codec::EthTxTrie, TRANSACTIONS_999998)
			.into_keys()
			.collect::<std::collections::BTreeSet<_>>(),
		["0".to_owned(), "8".to_owned()].into()
	);
	assert_eq!(follow(&store, &root, "0/b").unwrap().blocks.len(), 2);
	assert!(matches!(
		follow(&store, &root, "0/c"),
		Err(PathError::NotFound { .. })
	));
}

#[test]
fn receipts_of_the_simplest_block() {
	for root in [
		"056b23fbba480696b65fe5a59b8f2148a1299103c4f57df839233af2cf4ca2d2",
		"f78dfb743fbd92ade140711c8bbc542b5e307f0ab7984eff35d751969fe57efa",
	] {
		assert!(links(Codec::EthReceiptTrie, root).is_empty());
	}
}

/// From the receipts roots of two blocks to receipts with logs, through branches and an extension.
#[test]
fn receipts_with_logs() {
	let store = store(ETHEREUM);
	// The keys are RLP of the indices: 0x05, and 0x820107.
	for (root, path, nodes, receipt) in [
		(
			"fd5e397a84884641f53c496804f24b5276cbb8c5c9cfc2342246be8e3ce5ad02",
			"0/5",
			2,
			"077ee54bf041f35a52ecb8b676a42b4220216dbd9d07278d65445c83aae47ef8",
		),
		(
			"d128e3a57142d2bf15bc0cbcac7ad54f40750d571b5c3097e425882c10c9ba66",
			"8/2/01/0/7",
			5,
			"91e7fe8709198cc083d01b92efa8ac6087ed07a6ed164bcc018ad80b2a31bae6",
		),
	] {
		let found = follow(&store, &cid(Codec::EthReceiptTrie, root), path).unwrap();
		assert_eq!(found.blocks.len(), nodes);
		let leaf = store.get(&found.cid).unwrap().unwrap();
		assert_eq!(named_links(&leaf), []);
		// The leaf has the rest of the key, which is none, and the receipt, which is a block by itself.
		let receipt = block(Codec::EthReceipt, receipt);
		assert_eq!(named_links(&receipt), []);
		assert!(leaf.data().ends_with(receipt.data()));
		refused(Codec::EthReceipt, &receipt.data()[..receipt.data().len() - 1]);
	}
}

fn refused(codec: Codec, bytes: &[u8]) -> &'static str {
	let mut links = Vec::new();
	match codec.links(bytes, &mut links) {
		Err(CodecError::Malformed { codec: name, reason }) => {
			assert_eq!(name, codec.name());
			assert_eq!(links, []);
			assert!(codec.validate(bytes).is_err());
			reason
		}
		other => panic!("{}: {other:?} for {}", codec.name(), hex::encode(bytes)),
	}
}

/// Every prefix of every fixture is refused, and so is whatever follows it.
#[test]
fn cut_off_or_trailing() {
	for block in blocks(ETHEREUM) {
		let codec = Codec::of(block.cid()).unwrap();
		for len in 0..block.data().len() {
			refused(codec, &block.data()[..len]);
		}
		let longer = [block.data(), b"\0"].concat();
		refused(codec, &longer);
	}
}

#[test]
fn other_forms_of_the_same() {
	let account = Codec::EthAccount;
	let hash = format!("a0{}", "11".repeat(32));
	let account_of = |nonce: &str, balance: &str| {
		let payload = format!("{nonce}{balance}{hash}{hash}");
		hex::decode(format!("f8{:02x}{payload}", payload.len() / 2)).unwrap()
	};
	assert!(account.validate(&account_of("80", "80")).is_ok());
	assert!(account.validate(&account_of("01", "8203e8")).is_ok());
	for (nonce, balance, reason) in [
		("00", "80", "a number has leading zeros"),
		("8101", "80", "a single byte with a header"),
		("820001", "80", "a number has leading zeros"),
		("b80101", "80", "a length is not in its shortest form"),
		("89010101010101010101", "80", "a number is too large"),
		("80", "c0", "a list instead of a string"),
	] {
		assert_eq!(
			refused(account, &account_of(nonce, balance)),
			reason,
			"{nonce} {balance}"
		);
	}
	// A list's length in too many bytes, and one that does not fit in memory.
	assert_eq!(
		refused(account, &[&[0xf9, 0x00, 0x44][..], &[0; 68]].concat()),
		"a length is not in its shortest form"
	);
	refused(account, &[0xff; 40]);
	refused(account, &[0xbf; 40]);
}

#[test]
fn tries_that_are_none() {
	let trie = Codec::EthStorageTrie;
	assert!(trie.validate(b"\x80").is_ok());
	for (bytes, reason) in [
		("c0", "a node of neither 2 nor 17 items"),
		("c180", "a node of neither 2 nor 17 items"),
		("81ff", "a node that is a string"),
		("c28020", "a key without a prefix"),
		("c2c020", "a key that is a list"),
		("c24101", "a key's prefix is unknown"),
		("c20101", "a key's prefix is not padded with zero"),
		("c20001", "an extension by nothing"),
		("c21180", "an extension that leads nowhere"),
		("c41182aabb", "a child that is not a hash"),
		("c23100", "a number has leading zeros"),
		("c231c0", "a value that is a list"),
		("c331c180", "a value that is a list"),
	] {
		assert_eq!(refused(trie, &hex::decode(bytes).unwrap()), reason, "{bytes}");
	}
	// A leaf inside an extension inside an extension, as deep as 31 bytes per child allow.
	let mut inner = vec![0xc2, 0x31, 0x01];
	loop {
		let outer = [&[0xc0 + inner.len() as u8 + 1, 0x11][..], &inner].concat();
		if outer.len() > 34 {
			break;
		}
		inner = outer;
		assert!(trie.validate(&inner).is_ok(), "{}", hex::encode(&inner));
	}
	let outer = [&[0xc0 + inner.len() as u8 + 1, 0x11][..], &inner].concat();
	assert_eq!(refused(trie, &outer), "a child too large to stand in its parent");
	// Eighteen items.
	refused(trie, &[&[0xc0 + 18][..], &[0x80; 18]].concat());
}

#[test]
fn transactions_and_receipts_that_are_none() {
	for type_only in 0..=0x7f {
		assert_eq!(refused(Codec::EthTx, &[type_only]), "a type without a payload");
		assert_eq!(
			refused(Codec::EthReceipt, &[type_only]),
			"a type without a payload"
		);
	}
	// Of types that nobody knows yet only the type is known.
	assert!(Codec::EthTx.validate(b"\x55anything").is_ok());
	assert!(Codec::EthReceipt.validate(b"\x55anything").is_ok());
	refused(Codec::EthTx, b"\x02\xc0");
	refused(Codec::EthReceipt, b"\x02\xc0");
	let receipt = |status: &str, logs: &str| {
		let payload = format!("{status}80b90100{}{logs}", "00".repeat(256));
		let bytes = format!("f9{:04x}{payload}", payload.len() / 2);
		hex::decode(bytes).unwrap()
	};
	let hash = format!("a0{}", "22".repeat(32));
	let log = format!("94{}e1{hash}8464617461", "33".repeat(20));
	let logs = format!("f83e f83c {log}").replace(' ', "");
	assert_eq!(log.len() / 2, 60);
	for status in ["80", "01", &hash] {
		assert!(Codec::EthReceipt.validate(&receipt(status, "c0")).is_ok());
		assert!(Codec::EthReceipt.validate(&receipt(status, &logs)).is_ok());
	}
	assert_eq!(
		refused(Codec::EthReceipt, &receipt("02", "c0")),
		"a status that is neither 0, 1 nor a hash"
	);
	assert_eq!(
		refused(Codec::EthReceipt, &receipt("01", "c1c0")),
		"a field is missing"
	);
}
