//! Files and folders to archives and back.

use cairn_car::{
	extract, pack, pack_reader, pack_to_file, verify, CarFile, CarReader, CarWriter, ExtractError,
	IndexCheck, IndexFormat, PackError, PackOptions, ReadOptions, VerifyOptions, Version,
};
use cairn_dag::{
	unixfs::{export::ExportOptions, import::ImportOptions, FileChunks},
	HashFunction, NullSink,
};
use cairn_test_random::{bytes, rng};
use std::{
	fs,
	io::{Cursor, Read},
	path::Path,
};

fn options() -> PackOptions {
	let import = ImportOptions {
		chunk_size: 100,
		max_links: 4,
		..ImportOptions::default()
	};
	PackOptions {
		import,
		..PackOptions::default()
	}
}

fn full() -> VerifyOptions {
	VerifyOptions {
		dag: true,
		..VerifyOptions::default()
	}
}

#[test]
fn a_folder_round_trips() {
	let mut rng = rng();
	let work = tempfile::tempdir().unwrap();
	let source = work.path().join("source");
	fs::create_dir_all(source.join("deep/er")).unwrap();
	let large = bytes(&mut rng, 10_000);
	fs::write(source.join("large"), &large).unwrap();
	fs::write(source.join("deep/copy of large"), &large).unwrap();
	fs::write(source.join("deep/er/empty"), "").unwrap();
	for format in [IndexFormat::Sorted, IndexFormat::MultihashSorted] {
		let car = work.path().join(format!("{format:?}.car"));
		let mut last = 0;
		let options = PackOptions {
			index: format,
			..options()
		};
		let packed = pack_to_file(&[&source], &car, &options, &mut |progress| {
			last = progress.content_bytes
		})
		.unwrap();
		assert_eq!((packed.content_size, last), (20_000, 20_000));
		assert_eq!((packed.files, packed.directories), (3, 3));
		// The copy is all duplicates: 100 leaves and their parents.
		assert_eq!(packed.duplicates, 100 + 25 + 7 + 2 + 1);
		assert_eq!(packed.car_size, fs::metadata(&car).unwrap().len());
		let archive = CarFile::open(&car, ReadOptions::default()).unwrap();
		assert_eq!(archive.roots(), [packed.root]);
		assert_eq!(archive.payload(), (51, packed.payload_size));
		let verified = verify(archive.source(), &full()).unwrap();
		assert_eq!((verified.version, verified.blocks), (Version::V2, packed.blocks));
		assert_eq!(verified.index, IndexCheck::Matches(format));
		let target = work.path().join(format!("{format:?}"));
		let exported = extract(&archive, &target, &ExportOptions::default()).unwrap();
		assert_eq!((exported.files, exported.bytes), (3, 20_000));
		assert_eq!(fs::read(target.join("deep/copy of large")).unwrap(), large);
		assert_eq!(fs::read(target.join("deep/er/empty")).unwrap(), b"");
		assert!(matches!(
			extract(&archive, &target, &ExportOptions::default()),
			Err(ExtractError::Export(
				cairn_dag::unixfs::export::ExportError::Exists { .. }
			))
		));
	}
	// Temporary files are gone.
	assert_eq!(fs::read_dir(work.path()).unwrap().count(), 5);
}

/// It would otherwise read what it writes until the disk is full.
#[test]
fn an_archive_in_the_packed_folder_is_left_out() {
	let work = tempfile::tempdir().unwrap();
	fs::write(work.path().join("file"), "content").unwrap();
	let car = work.path().join("out.car");
	let pack = || pack_to_file(&[work.path()], &car, &options(), &mut |_| {}).unwrap();
	let first = pack();
	assert_eq!(first.files, 1);
	// Nor is the archive that it replaces.
	assert_eq!(pack(), first);
	let elsewhere = tempfile::tempdir().unwrap();
	let packed = pack_to_file(
		&[work.path()],
		&elsewhere.path().join("out.car"),
		&options(),
		&mut |_| {},
	);
	assert_eq!(packed.unwrap().files, 2);
	// Named by the user it is a file like any other.
	let named = pack_to_file(&[&car], &car, &options(), &mut |_| {}).unwrap();
	assert_eq!((named.files, named.content_size), (1, first.car_size));
}

/// A header may have thousands of roots; each walked by itself would take hours.
#[test]
fn many_roots_over_one_dag_are_verified_in_one_walk() {
	let mut rng = rng();
	let mut archive = Cursor::new(Vec::new());
	let content = bytes(&mut rng, 400_000);
	let packed = pack_reader(&content[..], &mut archive, &options(), &mut |_| {}).unwrap();
	let once = CarReader::new(&archive.get_ref()[..]).unwrap();
	let mut writer = CarWriter::new(Vec::new(), &vec![packed.root; 20_000]).unwrap();
	for block in once {
		writer.put(&block.unwrap()).unwrap();
	}
	let (archive, _) = writer.finish().unwrap();
	let verified = verify(&archive[..], &full()).unwrap();
	assert_eq!((verified.roots.len(), verified.blocks), (20_000, packed.blocks));
}

#[test]
fn sizes_at_the_edges() {
	let mut rng = rng();
	for len in [0, 1, 99, 100, 101, 399, 400, 401, 1600, 1601, 20_000] {
		let data = bytes(&mut rng, len);
		let mut out = Cursor::new(Vec::new());
		let packed = pack_reader(&data[..], &mut out, &options(), &mut |_| {}).unwrap();
		let out = out.into_inner();
		assert_eq!(packed.car_size, out.len() as u64);
		let archive = CarFile::new(&out[..], ReadOptions::default()).unwrap();
		verify(&out[..], &full()).unwrap();
		let read: Vec<u8> = FileChunks::new(&archive, packed.root, Default::default())
			.flat_map(|chunk| chunk.unwrap().to_vec())
			.collect();
		assert_eq!(read, data, "{len}");
		let range = FileChunks::new(&archive, packed.root, (len as u64 / 3..len as u64 / 2).into());
		let read: Vec<u8> = range.flat_map(|chunk| chunk.unwrap().to_vec()).collect();
		assert_eq!(read, data[len / 3..len / 2]);
	}
}

#[test]
fn every_kind_of_root_fits() {
	let imports = [
		ImportOptions::default(),
		ImportOptions::unixfs_v0_2015(),
		ImportOptions::unixfs_v1_2025(),
		ImportOptions {
			hash: HashFunction::Sha2_512,
			..ImportOptions::default()
		},
		ImportOptions {
			hash: HashFunction::Blake2b256,
			..ImportOptions::default()
		},
		ImportOptions {
			hash: HashFunction::Blake3,
			..ImportOptions::default()
		},
		// CIDv0 nodes over raw leaves: a small file's root is a raw leaf's CIDv1.
		ImportOptions {
			raw_leaves: true,
			..ImportOptions::unixfs_v0_2015()
		},
	];
	for import in imports {
		for len in [10, 3000] {
			let import = ImportOptions {
				chunk_size: 1000,
				..import.clone()
			};
			let mut out = Cursor::new(Vec::new());
			let options = PackOptions {
				import,
				..PackOptions::default()
			};
			pack_reader(&vec![1; len][..], &mut out, &options, &mut |_| {}).unwrap();
			verify(&out.into_inner()[..], &full()).unwrap();
		}
	}
}

#[test]
fn the_same_input_gives_the_same_archive_and_the_importers_root() {
	let work = tempfile::tempdir().unwrap();
	for name in ["b", "a"] {
		fs::write(work.path().join(name), name.repeat(1000)).unwrap();
	}
	let paths = ["b", "a"].map(|name| work.path().join(name));
	let archive = || {
		let mut out = Cursor::new(Vec::new());
		let packed = pack(&paths, &mut out, &options(), &mut |_| {}).unwrap();
		(packed, out.into_inner())
	};
	assert_eq!(archive(), archive());
	let imported = cairn_dag::unixfs::import::Importer::new(&mut NullSink, options().import)
		.paths(&paths, false)
		.unwrap();
	assert_eq!(archive().0.root, imported.root);
}

#[test]
fn a_failed_pack_leaves_the_destination_alone() {
	struct Broken;
	impl Read for Broken {
		fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
			Err(std::io::Error::other("broken"))
		}
	}
	let failed = pack_reader(Broken, Cursor::new(Vec::new()), &options(), &mut |_| {});
	assert!(matches!(failed, Err(PackError::Import(_))));
	let work = tempfile::tempdir().unwrap();
	let car = work.path().join("out.car");
	fs::write(&car, "before").unwrap();
	let failed = pack_to_file(&[Path::new("/absent/file")], &car, &options(), &mut |_| {});
	assert!(matches!(failed, Err(PackError::Import(_))));
	assert_eq!(fs::read(&car).unwrap(), b"before");
	assert_eq!(fs::read_dir(work.path()).unwrap().count(), 1);
	let nowhere = work.path().join("absent/out.car");
	let failed = pack_to_file(&[&car], &nowhere, &options(), &mut |_| {});
	assert!(matches!(failed, Err(PackError::Destination { .. })));
}
