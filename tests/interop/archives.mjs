// Archives that Cairn and @ipld/car write for each other.
//
//   CAIRN_PROGRAM=.../cairn node archives.mjs
//
// For a table of files and folders: ipfs-unixfs-importer gives them the root CID that Cairn gives them; @ipld/car reads
// Cairn's CARv2 in every way it knows, and ipfs-unixfs-exporter makes the same tree of its blocks; Cairn verifies, lists,
// indexes and extracts the CARv1 that @ipld/car writes, and @ipld/car reads Cairn's indexed form of it.
//
// Exits with 0 if all of that holds, else with 1.

import assert from 'node:assert/strict';
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { CarBlockIterator, CarBufferReader, CarCIDIterator, CarIndexedReader, CarIndexer, CarReader, CarWriter } from '@ipld/car';
import { MemoryBlockstore } from 'blockstore-core/memory';
import { CID } from 'multiformats/cid';
import { all, assertVerified } from './blocks.mjs';
import { importerOptions } from './profiles.mjs';
import { cairn, inFolder } from './program.mjs';
import { assertSameSet, assertSameTree, exportedTree, imported, isFile, treeOnDisk, write } from './trees.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Cairn's profiles by the importer's; Cairn reads objects of the last but makes none. */
const PROFILES = { default: 'ipfs', 'unixfs-v1-2025': 'unixfs-v1-2025', 'unixfs-v0-2015': undefined };

const FOLDER = [
	{ path: 'empty', size: 0 },
	{ path: 'one', size: 1 },
	{ path: 'empty folder/' },
	{ path: 'sub/a chunk', size: 256 * KIB },
	{ path: 'sub/chunks', size: 700_001 },
	{ path: 'sub/deeper/the same chunks', seed: 'sub/chunks', size: 700_001 },
	{ path: 'sub/link', link: 'deeper/the same chunks' },
	{ path: 'na\u00efve \u{1f41f} name', size: 33 },
	{ path: 'Z', size: 2 * MIB + 1 },
];

/** Links of this many names are more than a folder holds in one block. */
const SHARDED = Array.from({ length: 1200 }, (_, index) => ({
	path: `${String(index).padStart(6, '0')}-${'n'.repeat(193)}`,
	size: index % 7,
}));

/** Objects by their names: entries as `write` takes them; a file's path is empty. */
const OBJECTS = {
	...Object.fromEntries(
		[0, 1, 127, 256 * KIB, 256 * KIB + 1, MIB, 5 * MIB + 3].map((size) => [
			`a file of ${size} bytes`,
			[{ path: '', seed: 'file', size }],
		]),
	),
	'an empty folder': [{ path: './' }],
	'a folder': FOLDER,
	'a sharded folder': SHARDED,
};

/** Bytes of a file of the disk, as they are read. */
const bytesOf = (path) => createReadStream(path, { highWaterMark: 10_007 });

/** Reads an archive in each way that @ipld/car offers; returns its blocks in their order. */
async function read(archive, version, root) {
	const iterator = await CarBlockIterator.fromIterable(bytesOf(archive));
	assert.equal(iterator.version, version);
	assert.deepEqual((await iterator.getRoots()).map(String), [root]);
	const blocks = [];
	for await (const { cid, bytes } of iterator) {
		await assertVerified(cid, bytes);
		blocks.push({ cid, bytes });
	}
	const cids = blocks.map(({ cid }) => cid.toString());
	assert.equal(new Set(cids).size, cids.length, 'each block once');

	const only = [];
	for await (const cid of await CarCIDIterator.fromIterable(bytesOf(archive))) {
		only.push(cid.toString());
	}
	assert.deepEqual(only, cids);

	const whole = CarBufferReader.fromBytes(readFileSync(archive));
	assert.equal(whole.version, version);
	assert.deepEqual(whole.cids().map(String), cids);
	const streamed = await CarReader.fromIterable(bytesOf(archive));
	assert.ok(await streamed.has(CID.parse(root)));

	// Positions of blocks in the file, and blocks by them.
	const file = await open(archive);
	try {
		const places = await CarIndexer.fromIterable(bytesOf(archive));
		let index = 0;
		for await (const place of places) {
			const block = await CarReader.readRaw(file, place);
			assert.ok(block.cid.equals(blocks[index].cid));
			assert.deepEqual(block.bytes, blocks[index].bytes);
			index += 1;
		}
		assert.equal(index, blocks.length);
	} finally {
		await file.close();
	}
	const indexed = await CarIndexedReader.fromFile(archive);
	for (const { cid, bytes } of blocks.toReversed().slice(0, 50)) {
		assert.deepEqual((await indexed.get(cid)).bytes, bytes);
	}
	await indexed.close();
	return blocks;
}

async function stored(blocks) {
	const store = new MemoryBlockstore();
	for (const { cid, bytes } of blocks) {
		await store.put(cid, bytes);
	}
	return store;
}

/** Writes a CARv1 with @ipld/car. */
async function writeArchive(archive, root, blocks) {
	const { writer, out } = await CarWriter.create([CID.parse(root)]);
	const written = finished(Readable.from(out).pipe(createWriteStream(archive)));
	for (const block of blocks) {
		await writer.put(block);
	}
	await writer.close();
	await written;
}

/** The blocks of a store, in the order in which they were put. */
async function blocksOf(store) {
	const blocks = [];
	for (const cid of store.order) {
		blocks.push({ cid, bytes: new Uint8Array(await all(store.get(cid))) });
	}
	return blocks;
}

/** A block store that knows in which order blocks came first, and under which CIDs. */
class OrderedBlockstore extends MemoryBlockstore {
	order = [];

	put(cid, bytes, options) {
		if (!this.has(cid)) {
			this.order.push(cid);
		}
		return super.put(cid, bytes, options);
	}
}

const names = (blocks) => blocks.map(({ cid }) => cid.toString());

/** What Cairn packs must be the importer's blocks, and the same tree when the exporter unpacks it. */
async function checkCreated(folder, source, profile, { root, blocks }) {
	const archive = join(folder, 'cairn.car');
	const created = cairn('car', 'create', source, '--output', archive, '--profile', profile);
	assert.equal(created.root, root);
	const ours = await read(archive, 2, root);
	assert.equal(ours.length, created.blocks);
	assertSameSet(names(ours), names(blocks));
	assertSameTree(await exportedTree(CID.parse(root), await stored(ours)), treeOnDisk(source));
}

/** Cairn must read what @ipld/car writes of the importer's blocks. */
async function checkWritten(folder, source, { root, blocks }) {
	const archive = join(folder, 'ipld.car');
	await writeArchive(archive, root, blocks);
	const verified = cairn('car', 'verify', archive);
	assert.deepEqual(verified.roots, [root]);
	assert.equal(verified.version, 1);
	assert.equal(verified.blocks, blocks.length);

	const tree = treeOnDisk(source);
	const files = [...tree.values()].filter(isFile).length;
	const listed = cairn('car', 'ls', archive).entries.filter(({ kind }) => kind === 'file');
	assert.equal(listed.length, files);
	const copy = join(folder, 'copy');
	assert.equal(cairn('car', 'extract', archive, '--output', copy).files, files);
	assertSameTree(treeOnDisk(copy), tree);

	const indexed = join(folder, 'indexed.car');
	cairn('car', 'index', archive, '--output', indexed);
	assert.equal(cairn('car', 'verify', indexed).index, 'matches');
	assert.deepEqual(names(await read(indexed, 2, root)), names(blocks));
}

async function check(folder, name, entries, profile) {
	const source = write(join(folder, 'source'), entries);
	const store = new OrderedBlockstore();
	const root = (await imported(source, store, importerOptions(profile))).toString();
	const theirs = { root, blocks: await blocksOf(store) };
	if (PROFILES[profile]) {
		await checkCreated(folder, source, PROFILES[profile], theirs);
	}
	await checkWritten(folder, source, theirs);
	console.log(`${name}, ${profile}: ${root}, ${theirs.blocks.length} blocks`);
}

for (const [name, entries] of Object.entries(OBJECTS)) {
	for (const profile of Object.keys(PROFILES)) {
		await inFolder((folder) => check(folder, name, entries, profile));
	}
}
