//! git's objects.

#![cfg(feature = "git")]

mod fixtures;

use cairn_dag::{
	codec::{
		git::{split, ObjectKind},
		CodecError,
	},
	walk::{follow, walk, Order, Scope, WalkError},
	Block, BlockError, BlockSource, Cid, Codec, HashFunction,
};
use fixtures::{blocks, named_links, store, GIT};

fn cid(id: &str) -> Cid {
	let hash = HashFunction::Sha1.wrap(&hex::decode(id).unwrap());
	Cid::new_v1(Codec::GitRaw.code(), hash.unwrap())
}

fn object(id: &str) -> Block {
	store(GIT).get(&cid(id)).unwrap().expect("a fixture")
}

fn links(id: &str) -> Vec<(String, Cid)> {
	named_links(&object(id))
}

fn expected(links: &[(&str, &str)]) -> Vec<(String, Cid)> {
	links
		.iter()
		.map(|(name, id)| ((*name).to_owned(), cid(id)))
		.collect()
}

const MERGE: &str = "a8e3eaf97180987d299a4ec3078154082ce28f76";
const FIRST: &str = "3ffac316775aabf607043379c789908ddb783e12";
const FIRST_TREE: &str = "b753cd2f6fa38c1c4905b553847428772101d51f";

#[test]
fn every_fixture_is_read() {
	let mut kinds = Vec::new();
	for block in blocks(GIT) {
		named_links(&block);
		let (kind, content) = split(block.data()).unwrap();
		assert!(block.data().ends_with(content));
		kinds.push(kind);
	}
	for kind in [
		ObjectKind::Blob,
		ObjectKind::Tree,
		ObjectKind::Commit,
		ObjectKind::Tag,
	] {
		assert!(kinds.contains(&kind), "{kind}");
	}
}

#[test]
fn commits() {
	assert_eq!(
		links(MERGE),
		expected(&[
			("tree", "58791fd6f3e0ffef6f6fe752ee4db47e1d429c64"),
			("parents/0", "b2c04dabd757fb5e43fd95f042ceac461c8e42ca"),
			("parents/1", "c40fd5a70feef6bda8b7ee917d5fcf974fa7f581"),
		])
	);
	assert_eq!(links(FIRST), expected(&[("tree", FIRST_TREE)]));
	// What looks like a parent in a message is none; a signature's lines are no headers.
	assert_eq!(
		links("454e2c00339c963b31d503c512482b72852d12d4"),
		expected(&[
			("tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
			("parents/0", "e83c5163316f89bfbde7d9ab23ca2e25604af290"),
		])
	);
	assert_eq!(
		links("e83c5163316f89bfbde7d9ab23ca2e25604af290"),
		expected(&[("tree", "2b5bfdf7798569e0b59b16eb9602d5fa572d6038")])
	);
	assert_eq!(
		links("1da177e4c3f41524e886b7f1b8a0c1fc7321cac2"),
		expected(&[("tree", "0bba044c4ce775e45a88a51686b5d9f90697ea9d")])
	);
}

#[test]
fn trees_without_submodules() {
	let root = links(FIRST_TREE);
	assert_eq!(
		root,
		expected(&[
			("dir.txt", "63d8dbd40c23542e740659a7168a0ce3138ea748"),
			("dir", "903f3bd0fcebe3603512c4c52440c33aaab40e86"),
			("hello.txt", "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"),
		])
	);
	assert!(object(FIRST_TREE)
		.data()
		.windows(7)
		.any(|bytes| bytes == b"module\0"));
	assert_eq!(
		links("903f3bd0fcebe3603512c4c52440c33aaab40e86")
			.into_iter()
			.map(|(name, _)| name)
			.collect::<Vec<_>>(),
		["link", "run", "sub"]
	);
	assert_eq!(links("4b825dc642cb6eb9a060e54bf8d69288fbee4904"), []);
	assert_eq!(links("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), []);
}

#[test]
fn tags() {
	let store = store(GIT);
	let tags: Vec<Block> = blocks(GIT)
		.into_iter()
		.filter(|block| split(block.data()).unwrap().0 == ObjectKind::Tag)
		.collect();
	assert_eq!(tags.len(), 2);
	for tag in tags {
		let target = follow(&store, tag.cid(), "object").unwrap();
		let kind = split(store.get(&target.cid).unwrap().unwrap().data()).unwrap().0;
		assert!(matches!(kind, ObjectKind::Commit | ObjectKind::Tree));
	}
}

/// What `git rev-list --objects` lists for the merge.
#[test]
fn a_history_is_a_dag() {
	let store = store(GIT);
	for order in [Order::DepthFirst, Order::BreadthFirst] {
		let walked: Vec<Block> = walk(&store, cid(MERGE), Scope::All)
			.order(order)
			.collect::<Result<_, _>>()
			.unwrap();
		let count = |wanted| {
			let kinds = walked.iter().map(|block| split(block.data()).unwrap().0);
			kinds.filter(|kind| *kind == wanted).count()
		};
		assert_eq!(
			[
				count(ObjectKind::Commit),
				count(ObjectKind::Tree),
				count(ObjectKind::Blob),
				count(ObjectKind::Tag)
			],
			[4, 6, 7, 0]
		);
	}
	let x = follow(&store, &cid(MERGE), "/parents/1/parents/0/tree/dir/sub/x").unwrap();
	assert_eq!(x.cid, cid("c1b0730e0133447badcfd47fd144e254807b06e1"));
	assert_eq!(x.blocks.len(), 6);
	// git's own history is not here.
	let elsewhere = walk(
		&store,
		cid("e83c5163316f89bfbde7d9ab23ca2e25604af290"),
		Scope::All,
	)
	.nth(1);
	assert!(matches!(elsewhere, Some(Err(WalkError::Missing { .. }))));
}

#[test]
fn other_bytes_are_refused() {
	for block in blocks(GIT) {
		let mut bytes = block.data().to_vec();
		let last = bytes.len() - 1;
		bytes[last] ^= 1;
		assert_eq!(
			Block::new(*block.cid(), bytes),
			Err(BlockError::HashMismatch { cid: *block.cid() })
		);
		for len in 0..block.data().len() {
			assert!(Codec::GitRaw.validate(&block.data()[..len]).is_err());
		}
	}
}

#[test]
fn malformed_objects() {
	let object =
		|kind: &str, content: &[u8]| [format!("{kind} {}\0", content.len()).as_bytes(), content].concat();
	let id = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
	let people = "author A <a> 1 +0000\ncommitter A <a> 1 +0000\n";
	let commit = |text: &str| object("commit", text.as_bytes());
	let tree = |text: &[u8]| object("tree", text);
	assert!(Codec::GitRaw
		.validate(&commit(&format!("tree {id}\n{people}")))
		.is_ok());
	assert!(Codec::GitRaw
		.validate(&tree(&[&b"100644 a\0"[..], &[7; 20]].concat()))
		.is_ok());
	// Old repositories have such modes.
	assert!(Codec::GitRaw
		.validate(&tree(&[&b"0100664 a\0"[..], &[7; 20]].concat()))
		.is_ok());
	for (bytes, reason) in [
		(b"".to_vec(), "no header"),
		(b"blob 3".to_vec(), "no header"),
		(b"blob\0abc".to_vec(), "a header without a size"),
		(b"blub 3\0abc".to_vec(), "unknown type of object"),
		(b"blob 2\0abc".to_vec(), "the size is not that of the content"),
		(b"blob 4\0abc".to_vec(), "the size is not that of the content"),
		(b"blob 03\0abc".to_vec(), "a size that is not a number"),
		(b"blob +3\0abc".to_vec(), "a size that is not a number"),
		(b"blob \0".to_vec(), "a size that is not a number"),
		(b"blob -0\0".to_vec(), "a size that is not a number"),
		(
			b"blob 99999999999999999999\0".to_vec(),
			"a size that is not a number",
		),
		(tree(b"100644"), "an entry without a mode"),
		(tree(b"100644 a"), "an entry without a name"),
		(
			tree(&[&b"100644 \0"[..], &[7; 20]].concat()),
			"an entry without a name",
		),
		(
			tree(&[&b"100644 a\0"[..], &[7; 19]].concat()),
			"an entry without an id",
		),
		(
			tree(&[&b"1x0644 a\0"[..], &[7; 20]].concat()),
			"an entry's mode is not a number",
		),
		(
			tree(&[&b"108644 a\0"[..], &[7; 20]].concat()),
			"an entry's mode is not a number",
		),
		(
			tree(&[&b"+100644 a\0"[..], &[7; 20]].concat()),
			"an entry's mode is not a number",
		),
		(
			tree(&[&b" a\0"[..], &[7; 20]].concat()),
			"an entry's mode is not a number",
		),
		(commit(""), "a commit without a tree"),
		(commit(people), "a commit without a tree"),
		(commit(&format!("tree {id}")), "a line is cut off"),
		(commit(&format!("tree {id}\n")), "a commit without an author"),
		(
			commit(&format!("tree {id}0\n{people}")),
			"an object's id is not 40 hexadecimal digits",
		),
		(
			commit(&format!("tree {}\n{people}", &id[1..])),
			"an object's id is not 40 hexadecimal digits",
		),
		(
			commit(&format!("tree {id}\nparent {}x\n{people}", &id[1..])),
			"an object's id is not 40 hexadecimal digits",
		),
		(
			commit(&format!("tree {id}\nauthor A\n")),
			"a commit without a committer",
		),
		(object("tag", b"type commit\n"), "a tag without an object"),
		(
			object("tag", format!("object {id}\ntype car\ntag x\n").as_bytes()),
			"a tag of an unknown type of object",
		),
		(
			object("tag", format!("object {id}\ntype commit\n").as_bytes()),
			"a tag without a name",
		),
	] {
		let mut links = Vec::new();
		assert_eq!(
			Codec::GitRaw.links(&bytes, &mut links),
			Err(CodecError::Malformed {
				codec: "git-raw",
				reason
			}),
			"{}",
			String::from_utf8_lossy(&bytes)
		);
		assert_eq!(links, []);
	}
}
