// A trustless gateway as IPFS's clients use it.
//
//   node gateway.mjs --gateway URL --file CID=PATH --folder CID=PATH [--helia]
//
// The gateway has the file and the folder under these CIDs; the paths are the same on disk, to compare with. The folder
// has a file below a folder. Nothing but the gateway is asked: no router, no peer, no other gateway.
//
//   without --helia  plain HTTP; @ipld/car reads the CARs, ipfs-unixfs-exporter makes files of them, trusting nothing else
//   with --helia     helia's trustless gateway client, and @helia/verified-fetch
//
// Exits with 0 if everything arrives and is right, else with 1.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { CarBlockIterator } from '@ipld/car';
import { MemoryBlockstore } from 'blockstore-core/memory';
import { exporter } from 'ipfs-unixfs-exporter';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { all, assertVerified } from './blocks.mjs';
import { assertSameTree, exportedTree, isFile, treeOnDisk } from './trees.mjs';

const RAW = 'application/vnd.ipld.raw';
const CAR = 'application/vnd.ipld.car';
/** A CID that no test stores anything under. */
const ABSENT = CID.createV1(0x55, await sha256.digest(Buffer.from('nobody stores this')));

const { values: options } = parseArgs({
	options: {
		gateway: { type: 'string' },
		file: { type: 'string' },
		folder: { type: 'string' },
		helia: { type: 'boolean', default: false },
	},
});

/** `CID=PATH` as an object to fetch. */
function object(option) {
	const [cid, path] = options[option].split(/=(.*)/s);
	return { cid: CID.parse(cid), path };
}

const file = object('file');
const folder = object('folder');
const bytes = readFileSync(file.path);
/** Paths of files in the folder: of each folder a few. */
const inFolder = Object.values(
	Object.groupBy(
		[...treeOnDisk(folder.path)].filter(([, what]) => isFile(what)).map(([path]) => path),
		(path) => dirname(path),
	),
).flatMap((paths) => paths.slice(0, 5));

/** First and last byte of parts of a file of `size` bytes, the whole file last: helia keeps the blocks that it has had. */
function ranges(size) {
	const middle = Math.floor(size / 2);
	return [
		[0, 0],
		[middle, middle + 1],
		[middle - 1000, middle + 300_000],
		[size - 1, size - 1],
		[0, size - 1],
	];
}

const escaped = (path) => path.split('/').map(encodeURIComponent).join('/');

async function get(path, accept) {
	const response = await fetch(`${options.gateway}/ipfs/${path}`, { headers: accept ? { accept } : {} });
	assert.equal(response.status, 200, `${response.status} for ${path}: ${await statusText(response)}`);
	return response;
}

const statusText = async (response) => (response.ok ? '' : await response.text());

/** A block must come as it is. */
async function checkBlock(cid, how) {
	const response = await (how === 'accept' ? get(cid, RAW) : get(`${cid}?format=raw`));
	assert.equal(response.headers.get('content-type'), RAW);
	const body = new Uint8Array(await response.arrayBuffer());
	await assertVerified(cid, body);
}

/** The blocks of a CAR, each of which must be what its CID says, and their CIDs in their order. */
async function car(path, accept) {
	const response = await get(path, accept);
	const type = response.headers.get('content-type');
	assert.ok(type.startsWith(`${CAR}; version=1; order=dfs`), type);
	const iterator = await CarBlockIterator.fromIterable(response.body);
	assert.equal(iterator.version, 1);
	const [store, cids] = [new MemoryBlockstore(), []];
	for await (const { cid, bytes } of iterator) {
		await assertVerified(cid, bytes);
		cids.push(cid.toString());
		store.put(cid, bytes);
	}
	return { store, cids, type };
}

async function plainHttp() {
	for (const how of ['accept', 'query']) {
		await checkBlock(file.cid, how);
		await checkBlock(folder.cid, how);
	}
	assert.equal((await fetch(`${options.gateway}/ipfs/${ABSENT}?format=raw`)).status, 404);
	console.log('raw blocks: verified');

	for (const { cid, path } of [file, folder]) {
		const { store, cids } = await car(`${cid}?format=car`);
		assertSameTree(await exportedTree(cid, store), treeOnDisk(path));
		assert.equal(new Set(cids).size, cids.length, 'each block once');
		// The same by content negotiation, with blocks as often as they occur.
		const again = await car(cid, `${CAR}; version=1; order=dfs; dups=y`);
		assert.ok(again.type.endsWith('dups=y'), again.type);
		assert.deepEqual([...new Set(again.cids)], cids);
		assertSameTree(await exportedTree(cid, again.store), treeOnDisk(path));
		const one = await car(`${cid}?format=car&dag-scope=block`);
		assert.deepEqual(one.cids, [cid.toString()]);
	}
	console.log('CARs of a file and a folder: the same trees');

	for (const path of inFolder) {
		const { store } = await car(`${folder.cid}/${escaped(path)}?format=car&dag-scope=entity`);
		// From the root on, by nothing but the blocks that came.
		const entry = await exporter(`${folder.cid}/${path}`, store);
		assert.ok((await all(entry.content())).equals(readFileSync(join(folder.path, path))), path);
	}
	console.log('CARs of files by their paths: the same files');

	const whole = (await car(`${file.cid}?format=car`)).cids.length;
	for (const [first, last] of ranges(bytes.length)) {
		const path = `${file.cid}?format=car&dag-scope=entity&entity-bytes=${first}:${last}`;
		const { store, cids } = await car(path);
		const entry = await exporter(file.cid, store);
		const part = await all(entry.content({ offset: first, length: last - first + 1 }));
		assert.ok(part.equals(bytes.subarray(first, last + 1)), path);
		assert.ok(last - first + 1 === bytes.length ? cids.length === whole : cids.length < whole, 'only what is needed');
	}
	console.log('CARs of ranges: the same bytes');
}

/** Finds nobody. Helia asks the gateways that it knows when its routers are done, and waits for ever if it has none. */
const NOBODY = {
	name: 'nobody',
	async *findProviders() {},
};

/** Helia without libp2p, on the gateway alone. */
async function heliaNode() {
	const { createHeliaLight } = await import('helia');
	const { withHTTP } = await import('@helia/http');
	return withHTTP(createHeliaLight({ routers: [NOBODY] }), {
		delegatedRouters: [],
		recursiveGateways: [options.gateway],
		allowInsecure: true,
		allowLocal: true,
	}).start();
}

async function helia() {
	const { unixfs } = await import('@helia/unixfs');
	const node = await heliaNode();
	try {
		const fs = unixfs(node);
		for (const [first, last] of ranges(bytes.length)) {
			const part = await all(fs.cat(file.cid, { offset: first, length: last - first + 1 }));
			assert.ok(part.equals(bytes.subarray(first, last + 1)));
		}
		for (const path of inFolder) {
			const found = await all(fs.cat(folder.cid, { path }));
			assert.ok(found.equals(readFileSync(join(folder.path, path))), path);
		}
		assertSameTree(await exportedTree(folder.cid, node.blockstore), treeOnDisk(folder.path));
		const absent = all(fs.cat(ABSENT, { signal: AbortSignal.timeout(30_000) }));
		await assert.rejects(absent, { name: 'LoadBlockFailedError' });
	} finally {
		await node.stop();
	}
	console.log("helia's trustless gateway client: the same file and folder");

	// A session asks one gateway for all blocks below a root.
	const other = await heliaNode();
	try {
		const session = other.blockstore.createSession(folder.cid);
		assertSameTree(await exportedTree(folder.cid, session), treeOnDisk(folder.path));
	} finally {
		await other.stop();
	}
	console.log('a session of it: the same folder');
}

async function verifiedFetch() {
	const { createVerifiedFetch } = await import('@helia/verified-fetch');
	const fetch = await createVerifiedFetch({
		gateways: [options.gateway],
		routers: [],
		allowInsecure: true,
		allowLocal: true,
		// Neither listens nor looks for anybody.
		libp2pConfig: { addresses: { listen: [] }, transports: [], peerDiscovery: [], services: {} },
	});
	try {
		const body = async (response) => Buffer.from(await response.arrayBuffer());
		for (const [first, last] of ranges(bytes.length)) {
			const part = await fetch(`ipfs://${file.cid}`, { headers: { range: `bytes=${first}-${last}` } });
			assert.equal(part.status, 206);
			assert.equal(part.headers.get('content-range'), `bytes ${first}-${last}/${bytes.length}`);
			assert.ok((await body(part)).equals(bytes.subarray(first, last + 1)));
		}
		const response = await fetch(`ipfs://${file.cid}`);
		assert.equal(response.status, 200);
		assert.ok((await body(response)).equals(bytes));
		for (const path of inFolder) {
			const found = await fetch(`ipfs://${folder.cid}/${escaped(path)}`);
			assert.equal(found.status, 200, path);
			assert.ok((await body(found)).equals(readFileSync(join(folder.path, path))), path);
		}
		assert.equal((await fetch(`ipfs://${folder.cid}/no such file`)).status, 404);
		const archive = await fetch(`ipfs://${folder.cid}`, { headers: { accept: CAR } });
		assert.equal(archive.status, 200);
		const store = new MemoryBlockstore();
		for await (const { cid, bytes } of await CarBlockIterator.fromIterable(archive.body)) {
			store.put(cid, bytes);
		}
		assertSameTree(await exportedTree(folder.cid, store), treeOnDisk(folder.path));
	} finally {
		await fetch.stop();
	}
	console.log('@helia/verified-fetch: the same file, ranges, folder');
}

if (options.helia) {
	await helia();
	await verifiedFetch();
} else {
	await plainHttp();
}
