// Content that follows from a seed.

import { createHash } from 'node:crypto';

/** `size` bytes that depend on `seed`: SHA-256 of the seed and a counter, again and again. */
export function content(seed, size) {
	const bytes = Buffer.alloc(size);
	for (let counter = 0, offset = 0; offset < size; counter += 1, offset += 32) {
		const number = Buffer.alloc(8);
		number.writeBigUInt64BE(BigInt(counter));
		createHash('sha256').update(seed).update(number).digest().copy(bytes, offset);
	}
	return bytes;
}
