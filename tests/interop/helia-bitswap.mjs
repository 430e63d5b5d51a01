// A helia node that speaks Bitswap with one peer.
//
//   node helia-bitswap.mjs serve PATH...
//
// adds each file or folder and serves its blocks until standard input ends. Prints one JSON object per line: for each path
// `{"path", "cid"}`, then `{"multiaddr"}`.
//
//   node helia-bitswap.mjs fetch MULTIADDR CID=PATH...
//
// connects to the peer, fetches the file or folder under each CID, once on its own and once in a Bitswap session, and
// compares it with what is at the path. Exits with 0 if everything arrives and is the same, else with 1.

import assert from 'node:assert/strict';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import { startNode } from './helia-node.mjs';
import { importerOptions } from './profiles.mjs';
import { assertSameTree, exportedTree, imported, treeOnDisk } from './trees.mjs';

/** How long an object may take, in milliseconds. */
const PATIENCE = 60_000;

async function serve(paths) {
	const node = await startNode();
	for (const path of paths) {
		const cid = await imported(path, node.blockstore, importerOptions('default'));
		console.log(JSON.stringify({ path, cid: cid.toString() }));
	}
	const [address] = node.libp2p.getMultiaddrs();
	console.log(JSON.stringify({ multiaddr: address.toString() }));
	for await (const _ of process.stdin) {
		// Nothing is expected: its end is.
	}
	await node.stop();
}

async function fetch(address, objects) {
	for (const object of objects) {
		const [cid, path] = object.split(/=(.*)/s);
		for (const inSession of [false, true]) {
			// A node each time: the blocks of one that has them would come from itself.
			const node = await startNode();
			try {
				const signal = AbortSignal.timeout(PATIENCE);
				const peer = multiaddr(address);
				await node.libp2p.dial(peer, { signal });
				const root = CID.parse(cid);
				const blocks = inSession ? node.blockstore.createSession(root, { providers: [peer] }) : node.blockstore;
				assertSameTree(await exportedTree(root, blocks, { signal }), treeOnDisk(path));
			} finally {
				await node.stop();
			}
			console.log(`${cid}${inSession ? ' in a session' : ''}: the same as ${path}`);
		}
	}
}

const [command, ...rest] = process.argv.slice(2);
if (command === 'serve' && rest.length > 0) {
	await serve(rest);
} else if (command === 'fetch' && rest.length > 1) {
	await fetch(rest[0], rest.slice(1));
} else {
	throw new Error('say serve PATH..., or fetch MULTIADDR CID=PATH...');
}
