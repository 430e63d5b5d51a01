// Blocks and the bytes in them.

import assert from 'node:assert/strict';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';

/** Everything that an iterable of byte arrays yields. */
export async function all(parts) {
	const collected = [];
	for await (const part of parts) {
		collected.push(part);
	}
	return Buffer.concat(collected);
}

/** Fails unless a block's bytes are what its CID says. */
export async function assertVerified(cid, bytes) {
	const expected = CID.create(cid.version, cid.code, await sha256.digest(bytes));
	assert.equal(cid.toString(), expected.toString());
}
