// How files become blocks: the importer's options for what Cairn calls profiles.

import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { balanced, trickle } from 'ipfs-unixfs-importer/layout';

const KIB = 1024;
const MIB = 1024 * KIB;

/** By the profile's name; crates/dag/tests/unixfs_roots.rs has the same table. */
export const PROFILES = {
	// `ipfs add --cid-version=1 --raw-leaves`.
	default: { chunkSize: 256 * KIB, maxLinks: 174, rawLeaves: true, cidVersion: 1, directorySize: 'links' },
	'unixfs-v1-2025': { chunkSize: MIB, maxLinks: 1024, rawLeaves: true, cidVersion: 1, directorySize: 'block' },
	'unixfs-v0-2015': { chunkSize: 256 * KIB, maxLinks: 174, rawLeaves: false, cidVersion: 0, directorySize: 'links' },
};

/** What the importer is told for a profile, some of whose options may be replaced. */
export function importerOptions(profile, replaced = {}) {
	const options = { ...PROFILES[profile], ...replaced };
	const layout = options.layout === 'trickle' ? trickle : balanced;
	return {
		chunker: fixedSize({ chunkSize: options.chunkSize }),
		layout: layout({ maxChildrenPerNode: options.maxLinks }),
		rawLeaves: options.rawLeaves,
		cidVersion: options.cidVersion,
		shardSplitStrategy: `${options.directorySize}-bytes`,
		shardSplitThresholdBytes: options.maxDirectorySize ?? 256 * KIB,
		// As IPFS does it in Go: a trickle tree has a root even over a single leaf, and leaves of their own type.
		reduceSingleLeafToSelf: options.layout !== 'trickle',
		leafType: options.layout === 'trickle' ? 'raw' : 'file',
	};
}
