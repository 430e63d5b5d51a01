// Cairn's command line, as a script uses it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs `cairn` and returns its result. `CAIRN_PROGRAM` says where it is. */
export function cairn(...args) {
	const program = process.env.CAIRN_PROGRAM;
	if (!program) {
		throw new Error('set CAIRN_PROGRAM to the `cairn` command line');
	}
	return JSON.parse(execFileSync(program, ['--json', '--yes', ...args], { encoding: 'utf8' }));
}

/** Calls `use` with a new folder, which is removed afterwards. */
export async function inFolder(use) {
	const folder = mkdtempSync(join(tmpdir(), 'cairn-interop-'));
	try {
		return await use(folder);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}
