//! Files to blocks and back.

use cairn_dag::{
	codec::dag_pb::{PbLink, PbNode},
	unixfs::{
		export,
		import::{ImportError, ImportOptions, Importer},
		list, stat, ByteRange, FileChunks, Kind, NodeError, ReadError, Stat,
	},
	Block, BlockSink, BlockSource, Cid, Codec, MemoryBlocks, NullSink, SinkError, SourceError,
};
use cairn_test_random::{below, bytes, rng};
use std::io::{self, Read};

fn small() -> ImportOptions {
	ImportOptions {
		chunk_size: 16,
		max_links: 3,
		..ImportOptions::default()
	}
}

fn import(data: &[u8], options: ImportOptions) -> (MemoryBlocks, Cid) {
	let mut blocks = MemoryBlocks::new();
	let imported = Importer::new(&mut blocks, options).reader(data).unwrap();
	assert_eq!(imported.content_size, data.len() as u64);
	(blocks, imported.root)
}

fn read(source: &impl BlockSource, root: &Cid, range: impl Into<ByteRange>) -> Result<Vec<u8>, ReadError> {
	let mut out = Vec::new();
	for chunk in FileChunks::new(source, *root, range.into()) {
		let chunk = chunk?;
		assert!(!chunk.is_empty());
		out.extend_from_slice(&chunk);
	}
	Ok(out)
}

#[test]
fn round_trip_at_every_edge() {
	let mut rng = rng();
	let links = 3 * 16;
	let edges = [
		0,
		1,
		15,
		16,
		17,
		links - 1,
		links,
		links + 1,
		3 * links,
		3 * links + 1,
		9 * links + 5,
		5000,
	];
	for raw_leaves in [true, false] {
		for len in edges {
			let data = bytes(&mut rng, len);
			let (blocks, root) = import(
				&data,
				ImportOptions {
					raw_leaves,
					..small()
				},
			);
			assert_eq!(read(&blocks, &root, ByteRange::ALL).unwrap(), data, "{len} bytes");
			let size = data.len() as u64;
			assert_eq!(
				stat(&blocks, &root).unwrap(),
				Stat {
					kind: Kind::File,
					size
				}
			);
			for _ in 0..50 {
				let start = below(&mut rng, size + 1);
				let end = below(&mut rng, size + 20);
				let expected = data
					.get(start as usize..end.min(size) as usize)
					.unwrap_or_default();
				assert_eq!(
					read(&blocks, &root, start..end).unwrap(),
					expected,
					"{len} bytes, {start}..{end}"
				);
				let mut out = Vec::new();
				let range = ByteRange { start, end: None };
				assert_eq!(
					export::file(&blocks, &root, &mut out, range).unwrap(),
					size - start
				);
				assert_eq!(out, data[start as usize..]);
			}
			let beyond = read(&blocks, &root, size + 1..size + 2);
			assert!(matches!(beyond, Err(ReadError::OutOfRange { size: s, .. }) if s == size));
		}
	}
}

#[test]
fn default_chunks_and_more_than_one_level() {
	let mut rng = rng();
	let chunk = 256 * 1024;
	for len in [chunk - 1, chunk, chunk + 1, 3 * chunk] {
		let data = bytes(&mut rng, len);
		let (blocks, root) = import(&data, ImportOptions::default());
		assert_eq!(read(&blocks, &root, ByteRange::ALL).unwrap(), data);
		let expected = if len <= chunk { 1 } else { len.div_ceil(chunk) + 1 };
		assert_eq!(blocks.len(), expected);
	}
	// More than 174 leaves: 174 under one node, 26 under another, and the root.
	let data = bytes(&mut rng, 200 * 64);
	let options = ImportOptions {
		chunk_size: 64,
		..ImportOptions::default()
	};
	let (blocks, root) = import(&data, options);
	assert_eq!(blocks.len(), 203);
	assert_eq!(read(&blocks, &root, ByteRange::ALL).unwrap(), data);
}

#[test]
fn equal_chunks_are_one_block() {
	let (blocks, root) = import(&[7; 16 * 27], small());
	// One leaf, one node over three, one over three of those, and the root over three of those.
	assert_eq!(blocks.len(), 4);
	assert_eq!(read(&blocks, &root, ByteRange::ALL).unwrap(), [7; 16 * 27]);
	assert_eq!(read(&blocks, &root, 20..50).unwrap(), [7; 30]);
}

#[test]
fn blocks_come_after_what_they_link_to() {
	struct Ordered(MemoryBlocks);
	impl BlockSink for Ordered {
		fn put(&mut self, block: Block) -> Result<(), SinkError> {
			for link in cairn_dag::links(&block).unwrap() {
				assert!(self.0.has(&link).unwrap());
			}
			self.0.put(block)
		}
	}
	let data = bytes(&mut rng(), 3000);
	let mut sink = Ordered(MemoryBlocks::new());
	let imported = Importer::new(&mut sink, small()).reader(&data[..]).unwrap();
	let total: u64 = sink.0.iter().map(|block| block.data().len() as u64).sum();
	assert_eq!((imported.blocks, imported.dag_size), (sink.0.len() as u64, total));
}

#[test]
fn short_reads_and_interrupts_change_nothing() {
	struct Dribble<'a>(&'a [u8], u32);
	impl Read for Dribble<'_> {
		fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
			self.1 += 1;
			if self.1.is_multiple_of(3) {
				return Err(io::ErrorKind::Interrupted.into());
			}
			let len = out.len().min(self.0.len()).min(5);
			out[..len].copy_from_slice(&self.0[..len]);
			self.0 = &self.0[len..];
			Ok(len)
		}
	}
	let data = bytes(&mut rng(), 1000);
	let (_, root) = import(&data, small());
	let imported = Importer::new(&mut NullSink, small())
		.reader(Dribble(&data, 0))
		.unwrap();
	assert_eq!(imported.root, root);
}

#[test]
fn progress_is_reported() {
	let mut seen = Vec::new();
	Importer::new(&mut NullSink, small())
		.on_progress(|progress| seen.push((progress.content_bytes, progress.files)))
		.reader(&[0; 40][..])
		.unwrap();
	assert_eq!(seen, [(16, 0), (32, 0), (40, 0), (40, 1)]);
}

#[test]
fn senseless_options_are_refused() {
	for options in [
		ImportOptions {
			chunk_size: 0,
			..small()
		},
		ImportOptions {
			chunk_size: usize::MAX,
			..small()
		},
		ImportOptions {
			max_links: 1,
			..small()
		},
		ImportOptions {
			max_links: 20_000,
			..small()
		},
		ImportOptions {
			hash: cairn_dag::HashFunction::Blake3,
			..ImportOptions::unixfs_v0_2015()
		},
		ImportOptions {
			hash: cairn_dag::HashFunction::Sha1,
			..small()
		},
		ImportOptions {
			max_directory_size: 3 * 1024 * 1024,
			..small()
		},
	] {
		let result = Importer::new(&mut NullSink, options).reader(&b""[..]);
		assert!(matches!(result, Err(ImportError::InvalidOptions { .. })));
	}
}

#[test]
fn failing_sinks_and_sources_are_reported() {
	struct Full;
	impl BlockSink for Full {
		fn put(&mut self, _: Block) -> Result<(), SinkError> {
			Err(SinkError::new("full"))
		}
	}
	let result = Importer::new(&mut Full, small()).reader(&b"x"[..]);
	assert!(matches!(result, Err(ImportError::Sink(_))));
	struct Broken;
	impl BlockSource for Broken {
		fn get(&self, _: &Cid) -> Result<Option<Block>, SourceError> {
			Err(SourceError::new("broken"))
		}
	}
	let (_, root) = import(b"x", small());
	assert!(matches!(
		read(&Broken, &root, ByteRange::ALL),
		Err(ReadError::Source(_))
	));
}

#[test]
fn any_missing_block_is_an_error_where_it_is_needed() {
	let data = bytes(&mut rng(), 500);
	let (blocks, root) = import(&data, small());
	for block in blocks.iter() {
		let mut partial = blocks.clone();
		partial.remove(block.cid());
		let result = read(&partial, &root, ByteRange::ALL);
		assert!(matches!(result, Err(ReadError::Missing { cid }) if cid == *block.cid()));
	}
	// A range needs no more than its own blocks.
	let (last, _) = import(&data[496..], small());
	let mut partial = blocks.clone();
	partial.remove(last.iter().next().unwrap().cid());
	assert_eq!(read(&partial, &root, 0..496).unwrap(), data[..496]);
}

/// A dag-pb file node as its protobuf bytes.
fn file_node(sizes: &[u64], children: &[Cid]) -> Block {
	let mut data = vec![0x08, 0x02, 0x18];
	cairn_dag::varint::encode(sizes.iter().sum(), &mut data);
	for size in sizes {
		data.push(0x20);
		cairn_dag::varint::encode(*size, &mut data);
	}
	let links = children
		.iter()
		.map(|cid| PbLink {
			cid: *cid,
			name: None,
			tsize: None,
		})
		.collect();
	Block::encode(
		Codec::DagPb,
		PbNode {
			links,
			data: Some(data.into()),
		}
		.encode(),
	)
}

#[test]
fn lies_about_sizes_are_found() {
	let leaf = Block::encode(Codec::Raw, &b"abc"[..]);
	let mut blocks = MemoryBlocks::new();
	blocks.put(leaf.clone()).unwrap();
	for claimed in [0, 2, 4, u64::MAX / 4] {
		let root = file_node(&[claimed, 3], &[*leaf.cid(), *leaf.cid()]);
		blocks.put(root.clone()).unwrap();
		assert!(matches!(
			read(&blocks, root.cid(), ByteRange::ALL),
			Err(ReadError::SizeMismatch { actual: 3, claimed: c, .. }) if c == claimed
		));
	}
}

#[test]
fn other_things_in_a_file_are_refused() {
	let mut blocks = MemoryBlocks::new();
	let folder = Block::encode(Codec::DagPb, &b"\x0a\x02\x08\x01"[..]);
	let shards = Block::encode(Codec::DagPb, &b"\x0a\x02\x08\x05"[..]);
	let link = Block::encode(Codec::DagPb, &b"\x0a\x05\x08\x04\x12\x01x"[..]);
	let plain = Block::encode(Codec::DagPb, &b"\x0a\x01x"[..]);
	for block in [&folder, &shards, &link, &plain] {
		blocks.put(block.clone()).unwrap();
		let root = file_node(&[0], &[*block.cid()]);
		blocks.put(root.clone()).unwrap();
		assert!(read(&blocks, root.cid(), ByteRange::ALL).is_err());
	}
	assert!(matches!(
		read(&blocks, folder.cid(), ByteRange::ALL),
		Err(ReadError::NotAFile {
			kind: Kind::Directory,
			..
		})
	));
	assert!(matches!(
		read(&blocks, link.cid(), ByteRange::ALL),
		Err(ReadError::NotAFile {
			kind: Kind::Symlink,
			..
		})
	));
	assert!(matches!(
		read(&blocks, plain.cid(), ByteRange::ALL),
		Err(ReadError::Node {
			error: NodeError::NotUnixFs { .. },
			..
		})
	));
	assert_eq!(list(&blocks, folder.cid()).unwrap(), []);
	assert!(matches!(
		list(&blocks, shards.cid()),
		Err(ReadError::Node {
			error: NodeError::NotUnixFs { .. },
			..
		})
	));
	assert!(matches!(
		list(&blocks, link.cid()),
		Err(ReadError::NotADirectory {
			kind: Kind::Symlink,
			..
		})
	));
	assert_eq!(
		stat(&blocks, link.cid()).unwrap(),
		Stat {
			kind: Kind::Symlink,
			size: 1
		}
	);
}

#[test]
fn trees_without_end_are_refused() {
	// A chain of single links, and a node with two equal children per level: 2^200 leaves.
	for width in [1, 2] {
		let mut blocks = MemoryBlocks::new();
		let leaf = Block::encode(Codec::Raw, &b""[..]);
		let mut cid = *leaf.cid();
		blocks.put(leaf).unwrap();
		for _ in 0..200 {
			let node = file_node(&vec![0; width], &vec![cid; width]);
			cid = *node.cid();
			blocks.put(node).unwrap();
		}
		assert!(matches!(
			read(&blocks, &cid, ByteRange::ALL),
			Err(ReadError::TooDeep { .. })
		));
	}
}

/// Not too deep, but 2^100 visits of nothing for a reader that takes every link.
#[test]
fn trees_without_content_are_read_once() {
	let mut blocks = MemoryBlocks::new();
	let leaf = Block::encode(Codec::Raw, &b""[..]);
	let mut cid = *leaf.cid();
	blocks.put(leaf).unwrap();
	for _ in 0..100 {
		let node = file_node(&[0, 0], &[cid, cid]);
		cid = *node.cid();
		blocks.put(node).unwrap();
	}
	assert_eq!(read(&blocks, &cid, ByteRange::ALL).unwrap(), b"");
	let content = Block::encode(Codec::Raw, &b"x"[..]);
	let root = file_node(&[0, 1, 0], &[cid, *content.cid(), cid]);
	blocks.put(content).unwrap();
	blocks.put(root.clone()).unwrap();
	assert_eq!(read(&blocks, root.cid(), ByteRange::ALL).unwrap(), b"x");
}

#[test]
fn a_small_range_of_an_endless_file_is_quick() {
	let mut blocks = MemoryBlocks::new();
	let leaf = Block::encode(Codec::Raw, &b"ab"[..]);
	let (mut cid, mut size) = (*leaf.cid(), 2u64);
	blocks.put(leaf).unwrap();
	for _ in 0..60 {
		let node = file_node(&[size, size], &[cid, cid]);
		(cid, size) = (*node.cid(), size * 2);
		blocks.put(node).unwrap();
	}
	assert_eq!(stat(&blocks, &cid).unwrap().size, 1 << 61);
	assert_eq!(read(&blocks, &cid, (1 << 60) - 1..(1 << 60) + 2).unwrap(), b"bab");
}
