// Golden files: what another implementation answered, kept for tests that run without it.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../crates/dag/tests/golden/', import.meta.url));

/** Writes `entries` to a golden file, one per line, or with `--check` fails if it differs from them. */
export function golden(name, entries) {
	const text = `[\n${entries.map((entry) => JSON.stringify(entry)).join(',\n')}\n]\n`;
	const path = FOLDER + name;
	if (!process.argv.includes('--check')) {
		writeFileSync(path, text);
		console.log(`wrote ${path}: ${entries.length} entries`);
	} else if (readFileSync(path, 'utf8') !== text) {
		console.error(`${path} is not what is computed now`);
		process.exitCode = 1;
	} else {
		console.log(`${path}: ${entries.length} entries, as computed now`);
	}
}
