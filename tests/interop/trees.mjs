// Files and folders: on disk, and as the libraries import and export them.
//
// A tree maps the path of each entry, from the tree's top on, to `folder`, `link to TARGET`, or the size and SHA-256
// of a file. The top's own path is the empty one.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { exporter, recursive } from 'ipfs-unixfs-exporter';
import { importer } from 'ipfs-unixfs-importer';
import { all } from './blocks.mjs';
import { content } from './content.mjs';

/** Writes entries `{path, seed, size}`, `{path, link}`, or `{path: 'folder/'}` below `top`. */
export function write(top, entries) {
	for (const { path, seed = path, size, link } of entries) {
		const target = join(top, path);
		mkdirSync(dirname(target), { recursive: true });
		if (link !== undefined) {
			symlinkSync(link, target);
		} else if (path.endsWith('/')) {
			mkdirSync(target, { recursive: true });
		} else {
			writeFileSync(target, content(seed, size));
		}
	}
	return top;
}

/** `top` and everything below it, with what each is. */
function* onDisk(top, path = top) {
	const stat = lstatSync(path);
	yield { path, stat };
	if (stat.isDirectory()) {
		for (const name of readdirSync(path).sort()) {
			yield* onDisk(top, join(path, name));
		}
	}
}

function describeFile(bytes) {
	return `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Whether a tree says that an entry is a file. */
export const isFile = (what) => / bytes, /.test(what);

/** The tree at a path of the disk. */
export function treeOnDisk(top) {
	const tree = new Map();
	for (const { path, stat } of onDisk(top)) {
		const what = stat.isSymbolicLink()
			? `link to ${readlinkSync(path)}`
			: stat.isDirectory()
				? 'folder'
				: describeFile(readFileSync(path));
		tree.set(relative(top, path), what);
	}
	return tree;
}

/** The tree below a CID as the library exports it from a block store, with the library's options. */
export async function exportedTree(root, blocks, options) {
	const tree = new Map();
	for await (const { cid, path } of recursive(root, blocks, options)) {
		const entry = await exporter(cid, blocks, options);
		const what = entry.unixfs?.type === 'symlink'
			? `link to ${Buffer.from(entry.unixfs.data)}`
			: entry.type === 'directory'
				? 'folder'
				: describeFile(await all(entry.content(options)));
		tree.set(path.split('/').slice(1).join('/'), what);
	}
	return tree;
}

/** Imports a path of the disk into a block store, and returns its root CID. */
export async function imported(top, blocks, options) {
	function* candidates() {
		for (const { path, stat } of onDisk(top)) {
			// A path, if only one, makes the importer give every entry its CID, the top's last.
			const name = join('top', relative(top, path));
			if (stat.isSymbolicLink()) {
				yield { path: name, link: readlinkSync(path) };
			} else if (stat.isDirectory()) {
				// Others come with what is in them; named, they would leave the block of an empty folder behind.
				if (readdirSync(path).length === 0) {
					yield { path: name };
				}
			} else {
				yield { path: name, content: createReadStream(path) };
			}
		}
	}
	let last;
	for await (const result of importer(candidates(), blocks, options)) {
		last = result;
	}
	return last.cid;
}

/** Fails unless two trees are the same, saying where they differ. */
export function assertSameTree(found, expected) {
	assertSameSet(lines(found), lines(expected));
}

const lines = (tree) => [...tree].map(([path, what]) => `${path}: ${what}`);

/** Fails unless two lists have the same elements, perhaps in another order, saying which only one has. */
export function assertSameSet(found, expected) {
	const missing = [...new Set(expected).difference(new Set(found))];
	const unexpected = [...new Set(found).difference(new Set(expected))];
	assert.deepEqual({ missing, unexpected }, { missing: [], unexpected: [] });
	assert.equal(found.length, expected.length);
}
