// Root CIDs that ipfs-unixfs-importer gives to a table of files and folders.
//
//   node unixfs.mjs           writes crates/dag/tests/golden/unixfs.json and unixfs-metadata.json
//   node unixfs.mjs --check   fails if they differ from what would be written
//
// crates/dag/tests/unixfs_roots.rs makes the same input from the descriptions in the file.

import { BlackHoleBlockstore } from 'blockstore-core/black-hole';
import { MemoryBlockstore } from 'blockstore-core/memory';
import { importer } from 'ipfs-unixfs-importer';
import { content } from './content.mjs';
import { golden } from './golden.mjs';
import { PROFILES, importerOptions } from './profiles.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;

/** The importer's candidates for an entry: `{file}`, `{folder}`, or `{many}` small files in a folder. */
function candidates({ file, folder, many }) {
	if (file) {
		return [{ content: [content(file.seed, file.size)] }];
	}
	if (folder) {
		return folder.map(({ path, seed, size, link }) => {
			if (link !== undefined) {
				return { path: `root/${path}`, link };
			}
			return path.endsWith('/')
				? { path: `root/${path.slice(0, -1)}` }
				: { path: `root/${path}`, content: [content(seed, size)] };
		});
	}
	return Array.from({ length: many.count }, (_, index) => ({
		path: `root/${many.prefix}${index}`,
		content: [Buffer.from(String(index))],
	}));
}

async function root(entry) {
	const options = importerOptions(entry.profile, entry.options);
	const imported = importer(candidates(entry), new BlackHoleBlockstore(), options);
	let last;
	for await (const result of imported) {
		last = result;
	}
	return { ...entry, root: last.cid.toString(), dagSize: Number(last.size) };
}

function table() {
	const entries = [];
	for (const profile of Object.keys(PROFILES)) {
		const { chunkSize } = PROFILES[profile];
		for (const size of [0, 1, 1000, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize + 7]) {
			entries.push({ profile, file: { seed: 'file', size } });
		}
		entries.push({
			profile,
			folder: [
				{ path: 'a.txt', seed: 'a', size: 10 },
				{ path: 'b/c.bin', seed: 'c', size: 2 * chunkSize + 1 },
				{ path: 'b/d/e', seed: 'e', size: 0 },
				{ path: '\u00e4 \u{1f41f}.txt', seed: 'fish', size: 33 },
				{ path: 'Z', seed: 'Z', size: 1 },
				{ path: 'link', link: 'b/c.bin' },
			],
		});
		entries.push({ profile, many: { count: 1000, prefix: 'small-' } });
		entries.push({ profile, many: { count: 7000, prefix: 'file-' } });
	}
	// Deep trees from small chunks, with the edges of every level.
	for (const layout of ['balanced', 'trickle']) {
		for (const rawLeaves of [true, false]) {
			for (const cidVersion of [0, 1]) {
				const options = { chunkSize: 16, maxLinks: 3, layout, rawLeaves, cidVersion };
				for (const chunks of [0, 1, 2, 3, 4, 5, 9, 10, 15, 16, 27, 28, 40, 64, 81, 82, 100, 243, 300, 500]) {
					entries.push({ profile: 'default', options, file: { seed: 'deep', size: 16 * chunks } });
				}
				entries.push({ profile: 'default', options, file: { seed: 'deep', size: 16 * 77 + 5 } });
			}
		}
	}
	for (const size of [1000, 2 * 256 * KIB, 4 * MIB]) {
		const options = { layout: 'trickle' };
		entries.push({ profile: 'default', options, file: { seed: 'trickle', size } });
		entries.push({ profile: 'unixfs-v0-2015', options, file: { seed: 'trickle', size } });
	}
	// Sharded down to any size, shards below shards included.
	for (const directorySize of ['links', 'block']) {
		for (const cidVersion of [0, 1]) {
			const options = { directorySize, cidVersion, maxDirectorySize: 0 };
			for (const count of [1, 2, 3, 20, 300, 2500]) {
				entries.push({ profile: 'default', options, many: { count, prefix: 'n' } });
			}
			entries.push({
				profile: 'default',
				options,
				// A file in each folder: the importer does not count the bytes of folders in it.
				folder: [
					{ path: 'x/y/z', seed: 'z', size: 1 },
					{ path: 'x/y/\u{1f41f}', seed: 'fish', size: 2 },
					{ path: 'x/w', seed: 'w', size: 300 },
					{ path: 'v', seed: 'v', size: 0 },
				],
			});
		}
	}
	return entries;
}

/** Blocks that carry permissions and times. */
async function withMetadata() {
	const entries = [];
	for (const metadata of [
		{},
		{ mode: 0o644 },
		{ mode: 0o4755 },
		{ mtime: { secs: 0n } },
		{ mtime: { secs: 1_700_000_000n, nsecs: 123_456_789 } },
		{ mtime: { secs: -5n, nsecs: 1 } },
		{ mode: 0o600, mtime: { secs: 2_000_000_000n } },
	]) {
		for (const candidate of [
			{ path: 'file', content: [Buffer.from('content')], ...metadata },
			{ path: 'folder', ...metadata },
			{ path: 'link', link: 'target', ...metadata },
		]) {
			const blocks = new MemoryBlockstore();
			let last;
			for await (const result of importer([candidate], blocks)) {
				last = result;
			}
			const parts = [];
			for await (const part of blocks.get(last.cid)) {
				parts.push(part);
			}
			entries.push({
				kind: candidate.path,
				// The library does not write what it takes for granted.
				mode: metadata.mode === 0o644 && candidate.path !== 'folder' ? undefined : metadata.mode,
				mtime: metadata.mtime && { seconds: Number(metadata.mtime.secs), nanoseconds: metadata.mtime.nsecs ?? 0 },
				cid: last.cid.toString(),
				block: Buffer.concat(parts).toString('hex'),
			});
		}
	}
	return entries;
}

const roots = [];
for (const entry of table()) {
	roots.push(await root(entry));
}
golden('unixfs.json', roots);
golden('unixfs-metadata.json', await withMetadata());
