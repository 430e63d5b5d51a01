// Codex's SDK against a provider's data API: node codex-sdk.mjs http://127.0.0.1:7600
// The provider's block store must be empty, and take a MiB.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { Codex } from "@codex-storage/sdk-js";
import { NodeUploadStrategy } from "@codex-storage/sdk-js/node";

const data = new Codex(process.argv[2]).data;

/** What a call that must succeed gives. */
async function ok(promise) {
	const result = await promise;
	assert.equal(result.error, false, String(result.data?.message));
	return result.data;
}

const empty = await ok(data.space());
assert.deepEqual(await ok(data.cids()), { content: [] });

// The vector of Codex's own tests.
const known = await ok(data.upload(new NodeUploadStrategy("some file contents")).result);
assert.equal(known, "zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK");

const bytes = randomBytes(300_000);
const metadata = { filename: "random.bin", mimetype: "application/octet-stream" };
const cid = await ok(data.upload(new NodeUploadStrategy(Readable.from([bytes]), metadata)).result);
const { manifest } = await ok(data.fetchManifest(cid));
assert.equal(manifest.datasetSize, bytes.length);
assert.equal(manifest.blockSize, 65536);
assert.equal(manifest.protected, false);
assert.equal(manifest.filename, metadata.filename);
assert.equal(manifest.mimetype, metadata.mimetype);

const { content } = await ok(data.cids());
assert.deepEqual(content.map((item) => item.cid).sort(), [cid, known].sort());
assert.deepEqual(content.find((item) => item.cid === cid).manifest, manifest);

for (const download of ["localDownload", "networkDownloadStream"]) {
	const response = await ok(data[download](cid));
	assert.equal(response.headers.get("content-type"), metadata.mimetype);
	assert.match(response.headers.get("content-disposition"), /^attachment; filename="random.bin"/);
	assert.ok(bytes.equals(Buffer.from(await response.arrayBuffer())), download);
}
assert.equal((await ok(data.networkDownload(cid))).cid, cid);

const space = await ok(data.space());
assert.equal(space.quotaMaxBytes, empty.quotaMaxBytes);
assert.ok(space.totalBlocks >= 6 && space.quotaUsedBytes > bytes.length && space.quotaReservedBytes === 0);

// Refusals come with their status.
const refused = await data.upload(new NodeUploadStrategy("x", { mimetype: "hello/world" })).result;
assert.ok(refused.error && refused.data.code === 422, JSON.stringify(refused));
assert.match(refused.data.message, /The MIME type 'hello\/world' is not valid\./);

assert.equal(await ok(data.delete(cid)), "");
assert.equal(await ok(data.delete(cid)), "", "deleting twice is deleting once");
const gone = await data.localDownload(cid);
assert.ok(gone.error && gone.data.code === 404);
assert.deepEqual((await ok(data.cids())).content.map((item) => item.cid), [known]);
console.log("as Codex's SDK expects it");
