// How long helia takes to import a file to UnixFS.
//
//   node bench-unixfs-import.mjs FILE PROFILE files FOLDER    every block a file below the folder, which is new
//   node bench-unixfs-import.mjs FILE PROFILE discarded       blocks are hashed and thrown away
//
// Prints one JSON object: `{"root", "bytes", "seconds", "peakMemory"}`, the last in bytes. The time is that of the import
// alone: Node.js and its modules are loaded before.

import { createReadStream, statSync } from 'node:fs';
import { unixfs } from '@helia/unixfs';
import { BlackHoleBlockstore } from 'blockstore-core/black-hole';
import { FsBlockstore } from 'blockstore-fs';
import { PROFILES, importerOptions } from './profiles.mjs';

/** Bytes that are read at once: a multiple of every profile's chunks, so that none is put together from parts. */
const READ = 1 << 20;

async function store(kind, folder) {
	if (kind === 'files' && folder) {
		const blocks = new FsBlockstore(folder);
		await blocks.open();
		return blocks;
	}
	if (kind === 'discarded') {
		return new BlackHoleBlockstore();
	}
	throw new Error('say FILE PROFILE files FOLDER, or FILE PROFILE discarded');
}

const [file, profile, kind, folder] = process.argv.slice(2);
if (!PROFILES[profile]) {
	throw new Error(`profiles are ${Object.keys(PROFILES).join(', ')}`);
}
const blockstore = await store(kind, folder);
const start = performance.now();
const stream = createReadStream(file, { highWaterMark: READ });
const root = await unixfs({ blockstore }).addByteStream(stream, importerOptions(profile));
const seconds = (performance.now() - start) / 1000;
console.log(
	JSON.stringify({
		root: root.toString(),
		bytes: statSync(file).size,
		seconds,
		// In KiB.
		peakMemory: process.resourceUsage().maxRSS * 1024,
	}),
);
