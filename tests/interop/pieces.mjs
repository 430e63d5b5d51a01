// Piece commitments as implementations of Filecoin's in JavaScript and in Rust compiled to Wasm compute them.
//
//   CAIRN_PROGRAM=.../cairn node pieces.mjs table     compares them with `cairn car commp` for a table of sizes
//   node pieces.mjs download URL PIECE_CID            fails unless what is at the URL has that piece CID, of either version
//
// Exits with 0 if everything is as expected, else with 1.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Piece } from '@web3-storage/data-segment';
import { digest as hashPayload } from '@web3-storage/data-segment/multihash';
import { create as createHasher } from 'fr32-sha2-256-trunc254-padded-binary-tree-multihash';
import { content } from './content.mjs';
import { cairn, inFolder } from './program.mjs';

/** Bytes of payload that fill 128 bytes of a piece. */
const QUAD = 127;

/** Payload sizes: tiny ones, and those around the sizes at which a piece doubles and at which padding begins. */
const SIZES = [
	1,
	31,
	32,
	63,
	64,
	65,
	126,
	QUAD,
	QUAD + 1,
	2 * QUAD,
	2 * QUAD + 1,
	3 * QUAD,
	...[10, 17].flatMap((power) => [2 ** power - 1, 2 ** power, 2 ** power + 1]),
	...[8, 11].flatMap((power) => [QUAD * 2 ** power - 1, QUAD * 2 ** power, QUAD * 2 ** power + 1]),
	1_500_000,
	10_000_000,
];

/** Piece CIDs of both versions, and what they say. */
function piece(payload) {
	const found = Piece.fromDigest(hashPayload(payload));
	const { link, root, size } = found.toInfo();

	const hasher = createHasher();
	// In parts that begin and end anywhere.
	for (let offset = 0; offset < payload.length; offset += 1_000_003) {
		hasher.write(payload.subarray(offset, offset + 1_000_003));
	}
	const multihash = new Uint8Array(hasher.multihashByteLength());
	hasher.digestInto(multihash, 0, true);
	hasher.free();
	assert.deepEqual(multihash, found.link.multihash.bytes, 'the implementations differ');

	return {
		v2: found.toString(),
		v1: link.toString(),
		commitment: `0x${Buffer.from(root).toString('hex')}`,
		paddedSize: Number(size),
	};
}

/** Cairn's piece of a file must be the libraries'. */
function compare(name, file, payload) {
	const expected = piece(payload);
	const found = cairn('car', 'commp', file);
	assert.deepEqual(
		{
			v2: found.piece_cid,
			v1: found.piece_cid_v1,
			commitment: found.commitment,
			paddedSize: found.padded_size,
		},
		expected,
		name,
	);
	assert.equal(found.payload_size, payload.length);
	console.log(`${name}: ${expected.v2}, ${expected.v1}`);
}

async function table() {
	await inFolder((folder) => {
		const file = join(folder, 'file');
		const payloads = [
			...SIZES.map((size) => [`${size} bytes`, content('piece', size)]),
			...[QUAD, 1_500_000].map((size) => [`${size} zeros`, Buffer.alloc(size)]),
		];
		for (const [name, payload] of payloads) {
			writeFileSync(file, payload);
			compare(name, file, payload);
		}
	});
}

async function download(url, expected) {
	const response = await fetch(url);
	assert.equal(response.status, 200);
	const { v2, v1 } = piece(new Uint8Array(await response.arrayBuffer()));
	assert.ok([v2, v1].includes(expected), `${url} is ${v2}, ${v1}, not ${expected}`);
	console.log(`${url} is ${expected}`);
}

switch (process.argv[2]) {
	case 'table':
		await table();
		break;
	case 'download':
		await download(process.argv[3], process.argv[4]);
		break;
	default:
		throw new Error('say table, or download URL PIECE_CID');
}
