//! Folders to blocks and back to disk.

#![cfg(unix)]

use cairn_dag::{
	codec::dag_pb::{PbLink, PbNode},
	unixfs::{
		export::{file_to, tree, ExportError, ExportOptions, Exported, SymlinkPolicy},
		import::{ImportError, ImportOptions, Importer},
		list, ByteRange,
	},
	Block, BlockSink, Cid, Codec, MemoryBlocks,
};
use cairn_test_random::{below, bytes, rng};
use rand_core::RngCore;
use std::{
	collections::BTreeMap,
	fs,
	os::unix::fs::symlink,
	path::{Path, PathBuf},
};

fn import(path: &Path) -> (MemoryBlocks, Cid) {
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 64,
		max_links: 3,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut blocks, options).path(path).unwrap().root;
	(blocks, root)
}

#[derive(Debug, PartialEq)]
enum Entry {
	File(Vec<u8>),
	Folder,
	Link(PathBuf),
}

/// Everything below a folder.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Entry> {
	fn visit(root: &Path, path: &Path, out: &mut BTreeMap<PathBuf, Entry>) {
		for entry in fs::read_dir(path).unwrap() {
			let path = entry.unwrap().path();
			let kind = path.symlink_metadata().unwrap().file_type();
			let entry = if kind.is_symlink() {
				Entry::Link(fs::read_link(&path).unwrap())
			} else if kind.is_dir() {
				visit(root, &path, out);
				Entry::Folder
			} else {
				Entry::File(fs::read(&path).unwrap())
			};
			out.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
		}
	}
	let mut out = BTreeMap::new();
	visit(root, root, &mut out);
	out
}

fn random_tree(rng: &mut impl RngCore, path: &Path, depth: usize) {
	for index in 0..below(rng, 6) {
		let name = format!(
			"{}{index}",
			["file", ".hidden", "\u{e4}\u{1f424}", "with space"][below(rng, 4) as usize]
		);
		let path = path.join(name);
		match below(rng, 4) {
			0 if depth < 4 => {
				fs::create_dir(&path).unwrap();
				random_tree(rng, &path, depth + 1);
			}
			1 => symlink("file0", &path).unwrap(),
			_ => {
				let len = below(rng, 1000) as usize;
				fs::write(&path, bytes(rng, len)).unwrap();
			}
		}
	}
}

#[test]
fn random_trees_round_trip() {
	let mut rng = rng();
	for _ in 0..20 {
		let work = tempfile::tempdir().unwrap();
		let source = work.path().join("source");
		fs::create_dir(&source).unwrap();
		random_tree(&mut rng, &source, 0);
		let (blocks, root) = import(&source);
		let target = work.path().join("target");
		let exported = tree(&blocks, &root, &target, &ExportOptions::default()).unwrap();
		let found = snapshot(&target);
		assert_eq!(found, snapshot(&source));
		let count = |wanted: fn(&Entry) -> bool| found.values().filter(|entry| wanted(entry)).count() as u64;
		assert_eq!(exported.files, count(|entry| matches!(entry, Entry::File(_))));
		assert_eq!(
			exported.directories,
			1 + count(|entry| matches!(entry, Entry::Folder))
		);
		assert_eq!(exported.symlinks, count(|entry| matches!(entry, Entry::Link(_))));
		// The same again, from the copy.
		assert_eq!(import(&target).1, root);
		// Nothing else is left.
		assert_eq!(fs::read_dir(work.path()).unwrap().count(), 2);
	}
}

#[test]
fn single_files_and_links() {
	let work = tempfile::tempdir().unwrap();
	let file = work.path().join("file");
	fs::write(&file, b"content").unwrap();
	let (blocks, root) = import(&file);
	let target = work.path().join("copy");
	let exported = tree(&blocks, &root, &target, &ExportOptions::default()).unwrap();
	assert_eq!(
		exported,
		Exported {
			files: 1,
			bytes: 7,
			..Exported::default()
		}
	);
	assert_eq!(fs::read(&target).unwrap(), b"content");
	// Not over anything, unless told so, and never a folder.
	let again = tree(&blocks, &root, &target, &ExportOptions::default());
	assert!(matches!(again, Err(ExportError::Exists { .. })));
	fs::write(&target, b"old").unwrap();
	let overwrite = ExportOptions {
		overwrite: true,
		..ExportOptions::default()
	};
	tree(&blocks, &root, &target, &overwrite).unwrap();
	assert_eq!(fs::read(&target).unwrap(), b"content");
	let folder = work.path().join("folder");
	fs::create_dir(&folder).unwrap();
	assert!(tree(&blocks, &root, &folder, &overwrite).is_err());
	let (folder_blocks, folder_root) = import(&folder);
	let onto_empty = tree(&folder_blocks, &folder_root, &folder, &overwrite);
	assert!(matches!(onto_empty, Err(ExportError::Exists { .. })));

	let link = work.path().join("link");
	symlink("file", &link).unwrap();
	let (blocks, root) = import(&link);
	let target = work.path().join("link copy");
	// It leads out of what is exported, which is nothing but the link.
	assert!(matches!(
		tree(&blocks, &root, &target, &ExportOptions::default()),
		Err(ExportError::UnsafeSymlink { .. })
	));
	let keep = ExportOptions {
		symlinks: SymlinkPolicy::Keep,
		..ExportOptions::default()
	};
	tree(&blocks, &root, &target, &keep).unwrap();
	assert_eq!(fs::read_link(&target).unwrap(), Path::new("file"));
}

#[test]
fn parts_of_files() {
	use std::os::unix::fs::PermissionsExt;
	let work = tempfile::tempdir().unwrap();
	let source = work.path().join("source");
	fs::write(&source, (0..200).collect::<Vec<u8>>()).unwrap();
	let (mut blocks, root) = import(&source);
	let target = work.path().join("part");
	let range = ByteRange::from(60..70);
	assert_eq!(file_to(&blocks, &root, &target, range, false).unwrap(), 10);
	assert_eq!(fs::read(&target).unwrap(), (60..70).collect::<Vec<u8>>());
	let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
	assert_eq!(mode(&target), mode(&source));
	assert!(matches!(
		file_to(&blocks, &root, &target, range, false),
		Err(ExportError::Exists { .. })
	));
	assert_eq!(file_to(&blocks, &root, &target, (0..1).into(), true).unwrap(), 1);
	assert_eq!(fs::read(&target).unwrap(), [0]);
	// What fails in the middle changes nothing.
	let last = *Block::encode(Codec::Raw, (192..200).collect::<Vec<u8>>()).cid();
	assert!(blocks.remove(&last).is_some());
	assert!(file_to(&blocks, &root, &target, ByteRange::ALL, true).is_err());
	assert_eq!(fs::read(&target).unwrap(), [0]);
	assert_eq!(fs::read_dir(work.path()).unwrap().count(), 2);
}

#[test]
fn imports_keep_to_what_can_be_exported() {
	let work = tempfile::tempdir().unwrap();
	let deep = work.path().join("1/2/3/4");
	fs::create_dir_all(&deep).unwrap();
	symlink("x", deep.join("link")).unwrap();
	fs::write(deep.join("file"), "").unwrap();
	// The root at depth 0, four folders below it, a link and a file: seven entries.
	let import = |max_depth, max_entries| {
		let options = ImportOptions {
			max_depth,
			max_entries,
			..ImportOptions::default()
		};
		let mut blocks = MemoryBlocks::new();
		let imported = Importer::new(&mut blocks, options).path(work.path())?;
		Ok::<_, ImportError>((blocks, imported.root))
	};
	let (blocks, root) = import(4, 7).unwrap();
	assert!(matches!(import(3, 7), Err(ImportError::TooDeep { path, limit: 3 }) if path == deep));
	assert!(matches!(
		import(4, 6),
		Err(ImportError::TooManyEntries { limit: 6 })
	));
	let target = tempfile::tempdir().unwrap();
	let export = |max_depth, max_entries| {
		let options = ExportOptions {
			max_depth,
			max_entries,
			..ExportOptions::default()
		};
		tree(&blocks, &root, &target.path().join("out"), &options)
	};
	assert!(export(3, 7).is_err() && export(4, 6).is_err());
	export(4, 7).unwrap();
}

/// Deeper than any stack holds: refused, not crashed.
#[test]
fn very_deep_folders_are_refused() {
	let work = tempfile::tempdir().unwrap();
	let mut deep = work.path().to_owned();
	while deep.as_os_str().len() < 3900 {
		deep.push("d");
	}
	fs::create_dir_all(&deep).unwrap();
	let result = Importer::new(&mut MemoryBlocks::new(), ImportOptions::default()).path(work.path());
	assert!(matches!(result, Err(ImportError::TooDeep { .. })), "{result:?}");
}

#[test]
fn files_are_left_out_of_folders_by_identity() {
	let work = tempfile::tempdir().unwrap();
	let path = |name: &str| work.path().join(name);
	fs::create_dir(path("sub")).unwrap();
	for name in ["kept", "dropped", "sub/dropped too"] {
		fs::write(path(name), name).unwrap();
	}
	let names = |root: &Path, left_out: &[PathBuf]| {
		let mut blocks = MemoryBlocks::new();
		let imported = Importer::new(&mut blocks, ImportOptions::default())
			.leave_out(left_out)
			.path(root)
			.unwrap();
		let names = list(&blocks, &imported.root)
			.unwrap()
			.into_iter()
			.map(|entry| entry.name);
		(names.collect::<Vec<_>>(), imported.files)
	};
	let left_out = [
		path("sub/../dropped"),
		path("sub/dropped too"),
		path("never there"),
	];
	assert_eq!(
		names(work.path(), &left_out),
		(vec!["kept".to_owned(), "sub".to_owned()], 1)
	);
	assert_eq!(names(work.path(), &[]).1, 3);
}

#[test]
fn wrapping_and_several_paths() {
	let work = tempfile::tempdir().unwrap();
	for (name, content) in [("b", "2"), ("a", "1")] {
		fs::write(work.path().join(name), content).unwrap();
	}
	let other = work.path().join("other");
	fs::create_dir(&other).unwrap();
	fs::write(other.join("a"), "3").unwrap();
	let path = |name: &str| work.path().join(name);
	let import = |paths: &[PathBuf], wrap| {
		let mut blocks = MemoryBlocks::new();
		Importer::new(&mut blocks, ImportOptions::default())
			.paths(paths, wrap)
			.map(|made| (blocks, made))
	};
	let names = |paths: &[PathBuf], wrap| {
		let (blocks, made) = import(paths, wrap).unwrap();
		let names = list(&blocks, &made.root)
			.unwrap()
			.into_iter()
			.map(|entry| entry.name);
		names.collect::<Vec<_>>()
	};
	assert_eq!(names(&[path("b"), path("a")], false), ["a", "b"]);
	assert_eq!(names(&[path("b")], true), ["b"]);
	assert_eq!(names(&[path("other")], false), ["a"]);
	assert_eq!(names(&[path("other/../other")], true), ["other"]);
	assert_eq!(
		import(&[path("b")], false).unwrap().1.root,
		*Block::encode(Codec::Raw, &b"2"[..]).cid()
	);
	let twice = import(&[path("a"), path("other/a")], false);
	assert!(matches!(twice, Err(ImportError::DuplicateName { name }) if name == "a"));
	assert!(matches!(import(&[], false), Err(ImportError::NoPaths)));
	assert!(matches!(
		import(&[path("absent")], false),
		Err(ImportError::Read { .. })
	));
	let visible = ImportOptions {
		hidden: false,
		..ImportOptions::default()
	};
	fs::write(other.join(".hidden"), "").unwrap();
	let mut blocks = MemoryBlocks::new();
	let made = Importer::new(&mut blocks, visible).path(&other).unwrap();
	assert_eq!(made.files, 1);
}

#[test]
fn what_cannot_be_imported() {
	use std::os::unix::{ffi::OsStrExt, net::UnixListener};
	let work = tempfile::tempdir().unwrap();
	let import = |path: &Path| Importer::new(&mut MemoryBlocks::new(), ImportOptions::default()).path(path);
	let folder = work.path().join("odd name");
	fs::create_dir(&folder).unwrap();
	fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
	assert!(matches!(import(&folder), Err(ImportError::NotUtf8 { .. })));
	let folder = work.path().join("socket");
	fs::create_dir(&folder).unwrap();
	let _listener = UnixListener::bind(folder.join("s")).unwrap();
	assert!(matches!(import(&folder), Err(ImportError::SpecialFile { .. })));
}

/// A folder made by hand.
fn folder(blocks: &mut MemoryBlocks, entries: &[(&str, Cid)]) -> Cid {
	let links = entries
		.iter()
		.map(|(name, cid)| PbLink {
			cid: *cid,
			name: Some((*name).into()),
			tsize: None,
		})
		.collect();
	let data = Some((&b"\x08\x01"[..]).into());
	put(
		blocks,
		Block::encode(Codec::DagPb, PbNode { links, data }.encode()),
	)
}

fn put(blocks: &mut MemoryBlocks, block: Block) -> Cid {
	let cid = *block.cid();
	blocks.put(block).unwrap();
	cid
}

fn link_to(blocks: &mut MemoryBlocks, target: &str) -> Cid {
	let mut data = vec![0x08, 0x04, 0x12];
	cairn_dag::varint::encode(target.len() as u64, &mut data);
	data.extend_from_slice(target.as_bytes());
	put(
		blocks,
		Block::encode(
			Codec::DagPb,
			PbNode {
				links: vec![],
				data: Some(data.into()),
			}
			.encode(),
		),
	)
}

#[test]
fn hostile_names_are_refused_and_nothing_is_left() {
	let mut blocks = MemoryBlocks::new();
	let file = put(&mut blocks, Block::encode(Codec::Raw, &b"evil"[..]));
	for name in [
		"",
		".",
		"..",
		"/",
		"a/b",
		"../a",
		"/etc/passwd",
		"a/",
		"a\0b",
		"./a",
		"//",
	] {
		let inner = folder(&mut blocks, &[("ok", file), (name, file)]);
		let root = folder(&mut blocks, &[("inner", inner)]);
		let work = tempfile::tempdir().unwrap();
		let result = tree(
			&blocks,
			&root,
			&work.path().join("out"),
			&ExportOptions::default(),
		);
		assert!(
			matches!(result, Err(ExportError::UnsafeName { .. })),
			"{name:?}: {result:?}"
		);
		assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0, "{name:?}");
	}
	// Odd, but plain.
	let root = folder(
		&mut blocks,
		&[
			("...", file),
			(" ", file),
			("\\", file),
			("..a", file),
			("-rf", file),
		],
	);
	let work = tempfile::tempdir().unwrap();
	assert_eq!(
		tree(
			&blocks,
			&root,
			&work.path().join("out"),
			&ExportOptions::default()
		)
		.unwrap()
		.files,
		5
	);
}

#[test]
fn a_link_and_a_folder_of_one_name_cannot_redirect_writes() {
	let work = tempfile::tempdir().unwrap();
	let outside = work.path().join("outside");
	fs::create_dir(&outside).unwrap();
	let mut blocks = MemoryBlocks::new();
	let file = put(&mut blocks, Block::encode(Codec::Raw, &b"evil"[..]));
	let inner = folder(&mut blocks, &[("planted", file)]);
	let link = link_to(&mut blocks, outside.to_str().unwrap());
	let link_to_file = link_to(&mut blocks, outside.join("planted").to_str().unwrap());
	let keep = ExportOptions {
		symlinks: SymlinkPolicy::Keep,
		..ExportOptions::default()
	};
	for entries in [
		[("x", link), ("x", inner)],
		[("x", link_to_file), ("x", file)],
		[("x", file), ("x", file)],
	] {
		let root = folder(&mut blocks, &entries);
		let result = tree(&blocks, &root, &work.path().join("out"), &keep);
		assert!(matches!(result, Err(ExportError::Write { .. })), "{result:?}");
		assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
		assert_eq!(fs::read_dir(work.path()).unwrap().count(), 1);
	}
}

#[test]
fn symbolic_links_by_policy() {
	let mut blocks = MemoryBlocks::new();
	let mut export = |target: &str, policy: SymlinkPolicy| {
		let link = link_to(&mut blocks, target);
		let inner = folder(&mut blocks, &[("link", link)]);
		let root = folder(&mut blocks, &[("inner", inner)]);
		let work = tempfile::tempdir().unwrap();
		let out = work.path().join("out");
		let options = ExportOptions {
			symlinks: policy,
			..ExportOptions::default()
		};
		tree(&blocks, &root, &out, &options).map(|_| fs::read_link(out.join("inner/link")).is_ok())
	};
	for target in ["x", "./x", "a/b", "../x", "..", "."] {
		assert!(export(target, SymlinkPolicy::Inside).unwrap(), "{target}");
	}
	for target in ["/", "/etc/passwd", "../..", "../../x", "a/../../../x", "x/.."] {
		let refused = export(target, SymlinkPolicy::Inside);
		assert!(
			matches!(refused, Err(ExportError::UnsafeSymlink { .. })),
			"{target}"
		);
		assert!(export(target, SymlinkPolicy::Keep).unwrap());
		assert!(!export(target, SymlinkPolicy::Skip).unwrap());
	}
	assert!(matches!(
		export("x", SymlinkPolicy::Refuse),
		Err(ExportError::UnsafeSymlink { .. })
	));
}

#[test]
fn limits_hold() {
	let mut blocks = MemoryBlocks::new();
	let file = put(&mut blocks, Block::encode(Codec::Raw, &b"1234"[..]));
	// Each folder holds the one below it twice: 2^30 files.
	let mut root = file;
	for _ in 0..30 {
		root = folder(&mut blocks, &[("a", root), ("b", root)]);
	}
	let limited = |options: ExportOptions| {
		let work = tempfile::tempdir().unwrap();
		let result = tree(&blocks, &root, &work.path().join("out"), &options);
		assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
		match result {
			Err(ExportError::Limit { limit }) => limit,
			other => panic!("{other:?}"),
		}
	};
	let default = ExportOptions::default();
	assert_eq!(
		limited(ExportOptions {
			max_entries: 100,
			..default.clone()
		}),
		"number of entries"
	);
	assert_eq!(
		limited(ExportOptions {
			max_bytes: 10,
			..default.clone()
		}),
		"bytes"
	);
	assert_eq!(
		limited(ExportOptions {
			max_depth: 10,
			..default
		}),
		"depth"
	);
}

#[test]
fn a_missing_block_leaves_nothing() {
	let mut blocks = MemoryBlocks::new();
	let file = put(&mut blocks, Block::encode(Codec::Raw, &b"x"[..]));
	let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
	let root = folder(&mut blocks, &[("a", file), ("b", absent)]);
	let work = tempfile::tempdir().unwrap();
	let result = tree(
		&blocks,
		&root,
		&work.path().join("out"),
		&ExportOptions::default(),
	);
	assert!(matches!(result, Err(ExportError::Read(_))));
	assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
}

#[test]
fn modes_follow_the_umask() {
	use std::os::unix::fs::PermissionsExt;
	let work = tempfile::tempdir().unwrap();
	let plain = work.path().join("plain");
	fs::create_dir(&plain).unwrap();
	fs::write(plain.join("file"), "").unwrap();
	let mut blocks = MemoryBlocks::new();
	let file = put(&mut blocks, Block::encode(Codec::Raw, &b""[..]));
	let root = folder(&mut blocks, &[("file", file)]);
	let out = work.path().join("out");
	tree(&blocks, &root, &out, &ExportOptions::default()).unwrap();
	tree(
		&blocks,
		&file,
		&work.path().join("file"),
		&ExportOptions::default(),
	)
	.unwrap();
	let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
	assert_eq!(mode(&out), mode(&plain));
	assert_eq!(mode(&out.join("file")), mode(&plain.join("file")));
	assert_eq!(mode(&work.path().join("file")), mode(&plain.join("file")));
}
