// How long helia takes to fetch a file over Bitswap: TCP, Noise and Yamux on the loopback interface, blocks in memory on
// both sides.
//
//   node bench-helia-bitswap.mjs BYTES                  from another helia, in a process of its own
//   node bench-helia-bitswap.mjs BYTES MULTIADDR CID    from the peer at the address, who has a file of BYTES bytes
//
// Prints one JSON object, `{"bytes", "seconds"}`. The time runs from the request for the file, over a connection that is
// there, to its last byte.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { unixfs } from '@helia/unixfs';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import { startNode } from './helia-node.mjs';
import { importerOptions } from './profiles.mjs';

/** Bytes that are made at once. */
const PART = 1 << 20;

/** How long the file may take, in milliseconds. */
const PATIENCE = 600_000;

async function* randomBytes(size) {
	for (let left = size; left > 0; left -= PART) {
		yield randomFillSync(new Uint8Array(Math.min(left, PART)));
	}
}

/** Has a file of `size` bytes; tells the process that forked this one where, and serves it until that goes. */
async function serve(size) {
	const node = await startNode();
	const cid = await unixfs(node).addByteStream(randomBytes(size), importerOptions('default'));
	const [address] = node.libp2p.getMultiaddrs();
	process.send({ address: address.toString(), cid: cid.toString() });
	process.once('disconnect', () => process.exit(0));
}

/** The seconds that fetching takes. */
async function fetch(address, cid, size) {
	const node = await startNode();
	try {
		const signal = AbortSignal.timeout(PATIENCE);
		const peer = multiaddr(address);
		await node.libp2p.dial(peer, { signal });
		const start = performance.now();
		// A session asks one peer for blocks; without one, helia asks all that it is connected to.
		const blockstore = node.blockstore.createSession(CID.parse(cid), { providers: [peer] });
		let received = 0;
		for await (const part of unixfs({ blockstore }).cat(CID.parse(cid), { signal })) {
			received += part.byteLength;
		}
		const seconds = (performance.now() - start) / 1000;
		assert.equal(received, size);
		return seconds;
	} finally {
		await node.stop();
	}
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'serve') {
	await serve(Number(rest[0]));
} else if (Number(first) > 0 && (rest.length === 0 || rest.length === 2)) {
	const bytes = Number(first);
	let [address, cid] = rest;
	let server;
	if (!address) {
		server = fork(import.meta.filename, ['serve', first]);
		[{ address, cid }] = await once(server, 'message');
	}
	const seconds = await fetch(address, cid, bytes);
	console.log(JSON.stringify({ bytes, seconds }));
	server?.disconnect();
} else {
	throw new Error('say BYTES, or BYTES MULTIADDR CID');
}
