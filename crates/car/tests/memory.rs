//! What becomes of an archive takes some blocks' memory and a little for each block, however large it is. A file of
//! its own, because it counts what the whole process allocates.

#[path = "../../../tests/fuzz-targets/tests/memory/mod.rs"]
mod memory;

use cairn_car::{
	extract, join, pack_reader, salvage,
	split::{Part, PartSink},
	CarFile, CarReader, CarWriter, JoinOptions, PackOptions, ReadAt, ReadOptions, RootsFrom, SalvageOptions,
	SplitOptions, SplitStrategy, VerifyOptions, Version,
};
use cairn_dag::{
	unixfs::{
		export::ExportOptions,
		import::{ImportOptions, Importer},
	},
	varint, Block, BlockSink, Cid, Codec, SinkError,
};
use memory::peak_of;
use std::{
	io::{self, Read, Seek, SeekFrom, Sink, Write},
	ops::Range,
};

/// Bytes of a leaf, as the importer has them by default.
const LEAF: u64 = 256 << 10;
/// Bytes of the smaller archive's content; the larger one has four times as many.
const SMALL: u64 = 32 << 20;

/// More than any operation takes beside what grows with the number of blocks: a leaf or two, and a node with links to
/// 1,024 others as it is read.
const FIXED: usize = 1 << 20;
/// What a CID may take in a set: two slots and a third of 97 bytes when the set has just grown, and half as much again
/// while it does; a third more, because the smaller archive may be lucky and the larger one not.
const IN_SET: usize = 450;
/// The same of a block's 40 bytes in an index: a list that doubles, and what it takes to sort it.
const IN_INDEX: usize = 200;
/// What a block may take after it has passed.
const PER_BLOCK: usize = IN_SET + IN_INDEX;

/// The content of a file no two leaves of which are the same: each begins with its number.
fn fill(mut position: u64, mut out: &mut [u8]) {
	while !out.is_empty() {
		let (leaf, within) = (position / LEAF, (position % LEAF) as usize);
		let len = out.len().min(LEAF as usize - within);
		let (now, rest) = out.split_at_mut(len);
		now.fill(0);
		let number = leaf.to_be_bytes();
		for (byte, number) in now.iter_mut().zip(number.iter().skip(within)) {
			*byte = *number;
		}
		out = rest;
		position += len as u64;
	}
}

/// That content, of a length.
struct Content {
	position: u64,
	len: u64,
}

impl Read for Content {
	fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
		let len = (out.len() as u64).min(self.len - self.position) as usize;
		fill(self.position, &mut out[..len]);
		self.position += len as u64;
		Ok(len)
	}
}

/// An archive of a file, a CARv1, that is made while it is read.
struct Generated {
	root: Cid,
	header: Vec<u8>,
	sections: Vec<Section>,
	size: u64,
	/// Bytes that are zeros instead of what they should be.
	damaged: Vec<Range<u64>>,
}

struct Section {
	offset: u64,
	/// Length and CID.
	head: Vec<u8>,
	data: Data,
}

enum Data {
	Leaf { position: u64, len: u64 },
	Node(Vec<u8>),
}

/// Notes where each block of an import comes from.
#[derive(Default)]
struct Recorder {
	blocks: Vec<(Cid, Data)>,
	position: u64,
}

impl BlockSink for Recorder {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		let data = if block.cid().codec() == Codec::Raw.code() {
			let len = block.data().len() as u64;
			self.position += len;
			let position = self.position - len;
			Data::Leaf { position, len }
		} else {
			Data::Node(block.data().to_vec())
		};
		self.blocks.push((*block.cid(), data));
		Ok(())
	}
}

impl Generated {
	fn new(len: u64) -> Self {
		let mut recorder = Recorder::default();
		let imported = Importer::new(&mut recorder, ImportOptions::default())
			.reader(Content { position: 0, len })
			.unwrap();
		let root = imported.root;
		let (header, _) = CarWriter::new(Vec::new(), &[root]).unwrap().finish().unwrap();
		let mut size = header.len() as u64;
		let mut sections = Vec::new();
		for (cid, data) in recorder.blocks {
			let cid = cid.to_bytes();
			let len = match &data {
				Data::Leaf { len, .. } => *len,
				Data::Node(bytes) => bytes.len() as u64,
			};
			let mut head = Vec::new();
			varint::encode(cid.len() as u64 + len, &mut head);
			head.extend_from_slice(&cid);
			let offset = size;
			size += head.len() as u64 + len;
			sections.push(Section { offset, head, data });
		}
		Self {
			root,
			header,
			sections,
			size,
			damaged: Vec::new(),
		}
	}

	fn blocks(&self) -> usize {
		self.sections.len()
	}

	/// Without its header, and with holes where every tenth block begins.
	fn damage(&mut self) {
		self.damaged.push(0..self.header.len() as u64);
		let hit = self.sections.iter().step_by(10).skip(1);
		self.damaged
			.extend(hit.map(|section| section.offset..section.offset + 1000));
	}

	/// As many bytes as there are in one piece from `offset` on.
	fn read_some(&self, out: &mut [u8], offset: u64) -> usize {
		let copy = |from: &[u8], at: u64, out: &mut [u8]| {
			let from = &from[at as usize..];
			let len = from.len().min(out.len());
			out[..len].copy_from_slice(&from[..len]);
			len
		};
		if offset < self.header.len() as u64 {
			return copy(&self.header, offset, out);
		}
		let next = self.sections.partition_point(|section| section.offset <= offset);
		let Section {
			offset: start,
			head,
			data,
		} = &self.sections[next - 1];
		let within = offset - start;
		let Some(within) = within.checked_sub(head.len() as u64) else {
			return copy(head, within, out);
		};
		match data {
			Data::Node(bytes) => copy(bytes, within, out),
			Data::Leaf { position, len } => {
				let len = out.len().min((len - within) as usize);
				fill(position + within, &mut out[..len]);
				len
			}
		}
	}

	/// The same from its start.
	fn reader(&self) -> impl Read + '_ {
		Reader {
			archive: self,
			position: 0,
		}
	}
}

impl ReadAt for Generated {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		if offset + out.len() as u64 > self.size {
			return Err(io::ErrorKind::UnexpectedEof.into());
		}
		let mut done = 0;
		while done < out.len() {
			done += self.read_some(&mut out[done..], offset + done as u64);
		}
		for hole in &self.damaged {
			let from = hole.start.max(offset);
			let to = hole.end.min(offset + out.len() as u64);
			if from < to {
				out[(from - offset) as usize..(to - offset) as usize].fill(0);
			}
		}
		Ok(())
	}

	fn size(&self) -> io::Result<u64> {
		Ok(self.size)
	}
}

struct Reader<'a> {
	archive: &'a Generated,
	position: u64,
}

impl Read for Reader<'_> {
	fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
		let len = (out.len() as u64).min(self.archive.size - self.position) as usize;
		self.archive.read_exact_at(&mut out[..len], self.position)?;
		self.position += len as u64;
		Ok(len)
	}
}

/// Takes what is written, and keeps nothing but the position.
#[derive(Default)]
struct Nowhere {
	position: u64,
}

impl Write for Nowhere {
	fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
		self.position += bytes.len() as u64;
		Ok(bytes.len())
	}

	fn flush(&mut self) -> io::Result<()> {
		Ok(())
	}
}

impl Seek for Nowhere {
	fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
		self.position = match to {
			SeekFrom::Start(position) => position,
			SeekFrom::Current(by) => self.position.checked_add_signed(by).unwrap(),
			SeekFrom::End(_) => return Err(io::ErrorKind::Unsupported.into()),
		};
		Ok(self.position)
	}
}

/// Parts of which nothing is kept.
struct NoParts;

impl PartSink for NoParts {
	type Out = Sink;

	fn begin(&mut self, _: u64) -> io::Result<Sink> {
		Ok(io::sink())
	}

	fn finish(&mut self, _: Sink, _: &Part) -> io::Result<()> {
		Ok(())
	}
}

fn split(archive: &CarFile<&Generated>, strategy: SplitStrategy) {
	let options = SplitOptions {
		strategy,
		..SplitOptions::new(8 << 20)
	};
	let split = cairn_car::split(archive, &options, &mut NoParts).unwrap();
	assert!(split.parts.len() > 3);
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_does_not_grow_with_the_archive() {
	let (small, large) = (Generated::new(SMALL), Generated::new(4 * SMALL));
	type Operation = (&'static str, fn(&Generated));
	let operations: [Operation; 9] = [
		("writing", |archive| {
			let content = Content {
				position: 0,
				len: archive.sections.iter().map(Section::content).sum(),
			};
			let packed = pack_reader(content, Nowhere::default(), &PackOptions::default(), &mut |_| {});
			assert_eq!(packed.unwrap().root, archive.root);
		}),
		("reading", |archive| {
			let blocks = CarReader::new(archive.reader()).unwrap();
			assert_eq!(blocks.map(Result::unwrap).count(), archive.blocks());
		}),
		("indexing", |archive| {
			let file = CarFile::new(archive, ReadOptions::default()).unwrap();
			assert_eq!(file.index().len(), archive.blocks());
			file.index().write(Default::default(), &mut io::sink()).unwrap();
		}),
		("verifying", |archive| {
			let options = VerifyOptions {
				dag: true,
				..VerifyOptions::default()
			};
			let verified = cairn_car::verify(archive, &options).unwrap();
			assert_eq!(verified.blocks, archive.blocks() as u64);
		}),
		("splitting in order", |archive| {
			split(
				&CarFile::new(archive, ReadOptions::default()).unwrap(),
				SplitStrategy::Simple,
			);
		}),
		("splitting by walking", |archive| {
			split(
				&CarFile::new(archive, ReadOptions::default()).unwrap(),
				SplitStrategy::Treewalk,
			);
		}),
		("joining", |archive| {
			let joined = join(
				[Ok(archive.reader())],
				Nowhere::default(),
				&JoinOptions::default(),
			);
			assert_eq!(joined.unwrap().written.blocks, archive.blocks() as u64);
		}),
		("extracting", |archive| {
			let folder = tempfile::tempdir().unwrap();
			let file = CarFile::new(archive, ReadOptions::default()).unwrap();
			let extracted = extract(&file, &folder.path().join("file"), &ExportOptions::default());
			assert_eq!(extracted.unwrap().files, 1);
		}),
		("salvaging", |archive| {
			let salvaged = salvage(archive, Nowhere::default(), &SalvageOptions::default()).unwrap();
			assert_eq!(salvaged.written.blocks, archive.blocks() as u64);
		}),
	];
	assert_eq!(
		CarFile::new(&small, ReadOptions::default()).unwrap().version(),
		Version::V1
	);
	for (what, run) in operations {
		check(what, run, PER_BLOCK, [&small, &large]);
	}
	let (mut small, mut large) = (small, large);
	small.damage();
	large.damage();
	// Where the roots are lost, blocks and links are remembered to guess them.
	check(
		"salvaging what is damaged",
		salvage_damaged,
		PER_BLOCK + 2 * IN_SET,
		[&small, &large],
	);
}

fn salvage_damaged(archive: &Generated) {
	let salvaged = salvage(archive, Nowhere::default(), &SalvageOptions::default()).unwrap();
	assert_eq!(salvaged.roots_from, RootsFrom::Guess);
	let lost = archive.damaged.len() - 1;
	assert_eq!(salvaged.written.blocks as usize, archive.blocks() - lost);
	assert!(!salvaged.gave_up);
}

/// Runs an operation on an archive and on one of four times its size.
fn check(what: &str, run: fn(&Generated), per_block: usize, archives: [&Generated; 2]) {
	let [few, many] = archives.map(Generated::blocks);
	let [one, four] = archives.map(|archive| peak_of(|| run(archive)));
	println!("{what}: {one} bytes for {few} blocks, {four} for {many}");
	let more = per_block * (many - few);
	assert!(
		four <= one + more,
		"{what}: {one} bytes, {four} for four times as much"
	);
	assert!(four <= FIXED + per_block * many, "{what}: {four}");
}

impl Section {
	/// Bytes of the file's content.
	fn content(&self) -> u64 {
		match &self.data {
			Data::Leaf { len, .. } => *len,
			Data::Node(_) => 0,
		}
	}
}
