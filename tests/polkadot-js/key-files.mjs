// Key files that Cairn writes open in polkadot.js, and the other way round.
//
//   node key-files.mjs read         opens CAIRN_KEY_FILE with CAIRN_PASSWORD as wallets do, prints the address
//   node key-files.mjs write        makes a key, writes it to CAIRN_KEY_FILE under CAIRN_PASSWORD, prints the address
//   node key-files.mjs round-trip   does both against CAIRN_PROGRAM, the `cairn` command line, in a folder of its own
//
// Exits with 0 if everything holds, else with 1.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady, mnemonicGenerate, signatureVerify } from '@polkadot/util-crypto';

/** Prefix of Cairn's addresses. */
const SS58_FORMAT = 42;

function needed(variable) {
	const value = process.env[variable];
	if (!value) {
		throw new Error(`set ${variable}`);
	}
	return value;
}

function keyring() {
	return new Keyring({ type: 'sr25519', ss58Format: SS58_FORMAT });
}

/** Opens a key file as a wallet does; the key must sign for the address that the file names. */
function read(path, password) {
	const json = JSON.parse(readFileSync(path, 'utf8'));
	const pair = keyring().createFromJson(json);
	assert.ok(pair.isLocked);
	assert.throws(() => pair.decodePkcs8(`not ${password}`), 'another password must not open the file');
	pair.decodePkcs8(password);
	assert.ok(!pair.isLocked);
	assert.equal(pair.type, 'sr25519');
	assert.equal(pair.address, json.address);
	const message = new TextEncoder().encode('a message');
	assert.ok(signatureVerify(message, pair.sign(message), pair.address).isValid);
	return pair;
}

/** Makes a key and writes it as wallets export it. */
function write(path, password) {
	const pair = keyring().addFromMnemonic(mnemonicGenerate(), { name: 'from polkadot.js' });
	writeFileSync(path, JSON.stringify(pair.toJson(password)), { mode: 0o600, flag: 'wx' });
	return pair;
}

/** Both directions against the command line. */
function roundTrip(program) {
	const folder = mkdtempSync(join(tmpdir(), 'cairn-key-files-'));
	const password = 'correct horse – battery';
	const cairn = (...args) => {
		const env = {
			...process.env,
			CAIRN_KEYSTORE: join(folder, 'keys'),
			CAIRN_PASSWORD: password,
			XDG_CONFIG_HOME: join(folder, 'config'),
		};
		delete env.CAIRN_ACCOUNT;
		return JSON.parse(execFileSync(program, ['--json', 'wallet', ...args], { env, encoding: 'utf8' }));
	};
	try {
		const created = cairn('new', 'from-cairn');
		const opened = read(created.file, password);
		assert.equal(opened.address, created.address);
		// The phrase leads to the same key as the file.
		assert.equal(keyring().addFromMnemonic(created.phrase).address, created.address);
		console.log(`polkadot.js opens what cairn wrote: ${opened.address}`);

		const exported = join(folder, 'exported.json');
		const pair = write(exported, password);
		const imported = cairn('import', 'from-polkadot-js', '--file', exported);
		assert.equal(imported.address, pair.address);
		// What cairn keeps of it opens here again.
		assert.equal(read(imported.file, password).address, pair.address);
		console.log(`cairn opens what polkadot.js wrote: ${imported.address}`);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

await cryptoWaitReady();
try {
	switch (process.argv[2]) {
		case 'read':
			console.log(read(needed('CAIRN_KEY_FILE'), needed('CAIRN_PASSWORD')).address);
			break;
		case 'write':
			console.log(write(needed('CAIRN_KEY_FILE'), needed('CAIRN_PASSWORD')).address);
			break;
		case 'round-trip':
			roundTrip(needed('CAIRN_PROGRAM'));
			break;
		default:
			throw new Error('say read, write or round-trip');
	}
} catch (error) {
	console.error(error);
	process.exitCode = 1;
}
