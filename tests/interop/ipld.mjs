// Blocks that the JavaScript codecs make of values, and the links in them.
//
//   node ipld.mjs           writes crates/dag/tests/golden/ipld.json
//   node ipld.mjs --check   fails if it differs from what would be written
//
// The values are those of the codecs' own tests and of the IPLD specifications' fixtures.

import * as dagCbor from '@ipld/dag-cbor';
import * as dagJson from '@ipld/dag-json';
import * as dagPb from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { golden } from './golden.mjs';

const V0 = CID.parse('QmRgutAxd8t7oGkSm4wmeuByG6M51wcTso6cubDdQtuEfL');
const V1 = CID.parse('bafyreifepiu23okq5zuyvyhsoiazv2icw2van3s7ko6d3ixl5jx2yj2yhu');
const RAW = CID.parse('zdj7Wd8AMwqnhJGQCbFxBVodGSBG84TM7Hs1rcJuQMwTyfEDS');
const IDENTITY = CID.parse('bafkqabiaaebagba');

const bytes = (text) => new TextEncoder().encode(text);

/** Values of the IPLD data model. */
const VALUES = [
	null,
	true,
	false,
	0,
	-1,
	23,
	24,
	255,
	256,
	65_535,
	65_536,
	4_294_967_295,
	4_294_967_296,
	Number.MAX_SAFE_INTEGER,
	Number.MIN_SAFE_INTEGER,
	18_446_744_073_709_551_615n,
	-18_446_744_073_709_551_616n,
	-1.5,
	0.5,
	8.940696716308594e-8,
	'',
	'\u00fc\u{1f41f}"\\\n',
	'a'.repeat(300),
	new Uint8Array(),
	bytes('asdf'),
	new Uint8Array(256).map((_, index) => index),
	[],
	{},
	[[[[[]]]]],
	V0,
	V1,
	RAW,
	IDENTITY,
	[V0, [V1, 1, RAW]],
	{ b: 1, a: 2, aa: 3, '': 4, '\u00fc': 5 },
	{ '/': true },
	{ '/': V1 },
	{ bytes: 'text' },
	{
		someKey: 'someValue',
		link: V0,
		links: [V0, V0],
		nested: { hello: 'world', link: V0 },
		bytes: bytes('asdf'),
	},
	{ plain: 'olde string', bytes: bytes('deadbeef'), '\u{1f41f}': [{ '0': V1 }, { a: { b: { c: RAW } } }] },
];

/** Nodes of dag-pb. */
const NODES = [
	{ Links: [] },
	{ Data: new Uint8Array(), Links: [] },
	{ Data: bytes('some data'), Links: [] },
	{ Links: [{ Hash: V0 }] },
	{ Links: [{ Hash: V1, Name: '' }] },
	{ Links: [{ Hash: RAW, Name: 'a', Tsize: 0 }] },
	{ Data: bytes('d'), Links: [{ Hash: IDENTITY, Name: '\u{1f41f}', Tsize: Number.MAX_SAFE_INTEGER }] },
	{
		Data: bytes('hello'),
		Links: [
			{ Hash: V0, Name: '', Tsize: 1 },
			{ Hash: V1, Name: '', Tsize: 2 },
			{ Hash: V0, Name: 'a', Tsize: 3 },
			{ Hash: V1, Name: 'b' },
		],
	},
];

/** The links of a value, in the order of its encoding, with the way to each. */
function links(value, keys, way = []) {
	const cid = CID.asCID(value);
	if (cid) {
		return [{ path: way.join('/'), cid: cid.toString() }];
	}
	if (value === null || typeof value !== 'object' || value instanceof Uint8Array) {
		return [];
	}
	const entries = Array.isArray(value)
		? value.map((element, index) => [String(index), element])
		: keys(Object.keys(value)).map((key) => [key, value[key]]);
	return entries.flatMap(([key, element]) => links(element, keys, [...way, key]));
}

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
/** dag-cbor sorts shorter keys first, dag-json does not. */
const CBOR_KEYS = (keys) => keys.sort((a, b) => Buffer.byteLength(a) - Buffer.byteLength(b) || byBytes(a, b));
const JSON_KEYS = (keys) => keys.sort(byBytes);

async function block(codec, value, links) {
	const encoded = codec.encode(value);
	const cid = CID.createV1(codec.code, await sha256.digest(encoded));
	return { cid: cid.toString(), block: Buffer.from(encoded).toString('hex'), links };
}

const entries = [];
for (const value of VALUES) {
	entries.push(await block(dagCbor, value, links(value, CBOR_KEYS)));
	entries.push(await block(dagJson, value, links(value, JSON_KEYS)));
}
for (const node of NODES) {
	const inOrder = node.Links.map(({ Hash, Name }) => ({ path: Name ?? '', cid: Hash.toString() }));
	entries.push(await block(dagPb, node, inOrder));
}
golden('ipld.json', entries);
