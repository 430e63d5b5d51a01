// The client's side of a deal that is proposed on chain, with nothing but polkadot.js.
//
//   node propose-deal.mjs [--node URL] [--provider ADDRESS] [--client URI]
//
// or CAIRN_NODE, CAIRN_TEST_PROVIDER, CAIRN_TEST_CLIENT. The node must run a development chain, the
// client be one of its funded accounts (default //Alice).
//
// With a provider, the first proposal is left waiting for it. Without one, the script registers //Bob
// and also does the provider's side that needs no data: it accepts the proposal, publishes a second
// deal that the client signed as a browser wallet does, and waits until the chain ends both because
// they were never activated.
//
// Exits with 0 if every assertion holds, else with 1.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { Keyring } from '@polkadot/keyring';
import { stringToU8a, u8aConcat, u8aToHex, u8aWrapBytes } from '@polkadot/util';
import { blake2AsHex, blake2AsU8a, cryptoWaitReady, decodeAddress, randomAsU8a } from '@polkadot/util-crypto';
import { Refused, connect, finalized, only, submit, waitFor } from './chain.mjs';

/** Pallets of Cairn whose calls users may see in a wallet. */
const PALLETS = ['storageProvider', 'market', 'proofs', 'faucet'];
/** Domain of what a client signs. */
const DOMAIN = 'cairn/deal/v1';
/** Plancks per block. */
const PRICE = 1_000_000_000n;
/** Blocks from now to `start_by` in test mode: room for the transactions that come before. */
const START_WITHIN = 20;
/** Blocks by which the chain's housekeeping may be late. */
const LATENESS = 5;

const { values: options } = parseArgs({
	options: {
		node: { type: 'string', default: process.env.CAIRN_NODE ?? 'ws://127.0.0.1:9944' },
		provider: { type: 'string', default: process.env.CAIRN_TEST_PROVIDER },
		client: { type: 'string', default: process.env.CAIRN_TEST_CLIENT ?? '//Alice' },
	},
});

function step(text) {
	console.log(`\n== ${text}`);
}

/** Prints what each call says about itself; fails if one says nothing. */
function checkDocs(api) {
	const undocumented = [];
	const words = (docs) => docs.map((line) => line.toString().trim()).join(' ').trim();
	for (const pallet of PALLETS) {
		assert.ok(api.tx[pallet], `the chain has no pallet ${pallet}`);
		for (const [name, call] of Object.entries(api.tx[pallet])) {
			const docs = words(call.meta.docs);
			const fields = call.meta.args.map(({ name, type }) => `${name}: ${type}`).join(', ');
			console.log(`\n${pallet}.${name}(${fields})\n  ${docs}`);
			if (docs === '') {
				undocumented.push(`call ${pallet}.${name}`);
			}
		}
		for (const kind of ['events', 'errors']) {
			for (const [name, item] of Object.entries(api[kind][pallet] ?? {})) {
				if (words(item.meta.docs) === '') {
					undocumented.push(`${kind} ${pallet}.${name}`);
				}
			}
		}
	}
	assert.deepEqual(undocumented, [], 'calls, events and errors without docs');
}

/** Plancks held from `who` for `reason` of the market, by the balances pallet. */
async function held(api, who, reason) {
	const holds = await api.query.balances.holds(who);
	const hold = holds.find(({ id }) => id.isMarket && id.asMarket.type === reason);
	return hold ? hold.amount.toBigInt() : 0n;
}

/** Makes `pair` a provider unless it is one. */
async function ensureProvider(api, pair) {
	if ((await api.query.storageProvider.providers(pair.address)).isSome) {
		console.log(`${pair.address} is registered`);
		return;
	}
	const contact = { V1: { peer_id: '0x', addresses: [] } };
	const call = api.tx.storageProvider.registerStorageProvider(pair.address, pair.address, contact);
	const { events } = await submit(api, call, pair);
	assert.equal(only(events, 'storageProvider', 'ProviderRegistered').provider.toString(), pair.address);
	console.log(`registered ${pair.address}`);
}

/** A proposal for 2,000 bytes that nobody has, as polkadot.js takes it. */
function proposal(parameters, client, provider, startBy) {
	const duration = parameters.minDealDuration.toNumber();
	const total = PRICE * BigInt(duration);
	const ppm = parameters.minCollateralPpm.toBigInt();
	return {
		// CommP is below 2^254.
		piece: { commitment: u8aToHex(randomAsU8a(32).with(31, 0)), size_log2: 11, payload_size: 2000 },
		// Binary CIDv1 of a raw block: version, codec, SHA-256, 32 bytes.
		payload: { V1: { kind: 'Public', root: u8aToHex(u8aConcat([1, 0x55, 0x12, 0x20], randomAsU8a(32))) } },
		client,
		provider,
		tier: 'Hot',
		start_by: startBy,
		duration,
		price_per_block: PRICE,
		provider_collateral: (total * ppm + 999_999n) / 1_000_000n,
		nonce: u8aToHex(randomAsU8a(8)),
		label: 'polkadot.js',
	};
}

/** What a client signs, and the hash that names the proposal. */
function identify(api, terms) {
	const encoded = api.createType(api.tx.market.proposeDeal.meta.args[0].type.toString(), terms).toU8a();
	const message = u8aConcat(stringToU8a(DOMAIN), api.genesisHash.toU8a(), encoded);
	return { message, hash: blake2AsHex(message) };
}

/** Proposes on chain and checks event, storage and holds. Returns the proposal's hash. */
async function propose(api, client, terms, parameters) {
	const total = PRICE * BigInt(terms.duration);
	const before = {
		escrow: await held(api, client.address, 'Escrow'),
		payment: await held(api, client.address, 'DealPayment'),
		deposit: await held(api, client.address, 'ProposalDeposit'),
	};
	const { events, block } = await submit(api, api.tx.market.proposeDeal(terms), client);
	const event = only(events, 'market', 'DealProposed');
	const hash = event.proposalHash.toHex();
	assert.equal(hash, identify(api, terms).hash, 'the hash follows from the terms');
	assert.equal(event.proposal.client.toString(), client.address);
	assert.equal(event.proposal.label.toUtf8(), 'polkadot.js');

	const waiting = (await api.query.market.proposals(hash)).unwrap();
	assert.equal(waiting.deposit.toBigInt(), parameters.proposalDeposit.toBigInt());
	assert.equal(waiting.proposal.toHex(), event.proposal.toHex());
	const used = (await api.query.market.usedProposals(hash)).unwrap();
	assert.equal(used.startBy.toNumber(), terms.start_by);
	assert.ok(used.deal.isNone, 'no deal yet');
	assert.equal(await held(api, client.address, 'Escrow'), before.escrow - total);
	assert.equal(await held(api, client.address, 'DealPayment'), before.payment + total);
	assert.equal(
		await held(api, client.address, 'ProposalDeposit'),
		before.deposit + parameters.proposalDeposit.toBigInt(),
	);
	console.log(`proposed ${hash} in block ${block}`);
	return hash;
}

/** Proposes, cancels and checks that everything is as before, but for the used nonce. */
async function proposeAndCancel(api, client, terms, parameters) {
	const escrow = await held(api, client.address, 'Escrow');
	const deposit = await held(api, client.address, 'ProposalDeposit');
	const hash = await propose(api, client, terms, parameters);

	const { events } = await submit(api, api.tx.market.cancelProposal(hash), client);
	const event = only(events, 'market', 'ProposalCancelled');
	assert.equal(event.proposalHash.toHex(), hash);
	assert.equal(event.refund.toBigInt(), PRICE * BigInt(terms.duration));
	assert.ok((await api.query.market.proposals(hash)).isNone);
	assert.equal(await held(api, client.address, 'Escrow'), escrow);
	assert.equal(await held(api, client.address, 'ProposalDeposit'), deposit);
	console.log(`cancelled ${hash}`);

	await refuses(api, api.tx.market.proposeDeal(terms), client, 'market.ProposalUsed');
	await refuses(api, api.tx.market.cancelProposal(hash), client, 'market.ProposalNotFound');
}

/** Sends a transaction that must be refused for `cause`. */
async function refuses(api, call, signer, cause) {
	await assert.rejects(submit(api, call, signer), (error) => {
		assert.ok(error instanceof Refused, error.stack);
		assert.equal(error.code, cause);
		return true;
	});
	console.log(`refused as it should be: ${cause}`);
}

/** The provider's escrow covers the collateral of `deals` deals. */
async function ensureEscrow(api, pair, amount) {
	const missing = amount - (await held(api, pair.address, 'Escrow'));
	if (missing > 0n) {
		await submit(api, api.tx.market.addBalance(missing), pair);
	}
}

/** Accepts the proposal, publishes one signed by a wallet, and lets both lapse. */
async function acceptPublishLapse(api, client, provider, hash, terms, signedTerms) {
	const total = PRICE * BigInt(terms.duration);
	await ensureEscrow(api, provider, terms.provider_collateral + signedTerms.provider_collateral);
	await ensureEscrow(api, client, total);

	step('The provider accepts the proposal');
	const accepted = await submit(api, api.tx.market.acceptDeals([hash]), provider);
	const first = only(accepted.events, 'market', 'DealPublished');
	assert.equal(first.proposalHash.toHex(), hash);
	console.log(`deal ${first.deal}`);

	step('The provider publishes a deal that the client signed as a browser wallet does');
	const { message, hash: signedHash } = identify(api, signedTerms);
	const signature = { Sr25519: client.sign(u8aWrapBytes(message)) };
	const forged = { Sr25519: client.sign(u8aWrapBytes(blake2AsU8a(message))) };
	const publish = (client_signature) =>
		api.tx.market.publishStorageDeals([{ proposal: signedTerms, client_signature }]);
	await refuses(api, publish(forged), provider, 'market.WrongSignature');
	const published = await submit(api, publish(signature), provider);
	const second = only(published.events, 'market', 'DealPublished');
	assert.equal(second.proposalHash.toHex(), signedHash);
	await refuses(api, publish(signature), provider, 'market.ProposalUsed');

	const deal = (await api.query.market.deals(second.deal)).unwrap();
	assert.equal(deal.client.toString(), client.address);
	assert.equal(deal.pricePerBlock.toBigInt(), PRICE);
	assert.ok(deal.state.isPublished && deal.state.asPublished.sector.isNone);
	// The same by the runtime API that tools use.
	const view = (await api.call.marketApi.deal(second.deal)).unwrap();
	assert.equal(view.deal.proposalHash.toHex(), signedHash);
	assert.equal((await api.call.marketApi.dealOfProposal(hash)).unwrap().toString(), first.deal.toString());
	console.log(`deal ${second.deal}`);

	step('Neither is activated by its start_by: the chain ends both, the client is compensated');
	const deals = [
		[first.deal, terms],
		[second.deal, signedTerms],
	];
	for (const [id, { start_by, provider_collateral }] of deals) {
		const ends = ({ deal }) => deal.eq(id);
		const { data, number } = await waitFor(api, 'market', 'DealNotStarted', ends, start_by + 1, LATENESS);
		assert.equal(data.refund.toBigInt(), total);
		assert.equal(data.compensation.toBigInt(), provider_collateral);
		assert.equal(data.burnt.toBigInt(), 0n);
		assert.ok((await api.query.market.deals(id)).isNone);
		console.log(`deal ${id} ended in block ${number}`);
	}
}

async function main(api) {
	const keyring = new Keyring({ type: 'sr25519', ss58Format: api.registry.chainSS58 });
	const client = keyring.addFromUri(options.client);
	const bob = options.provider === undefined ? keyring.addFromUri('//Bob') : undefined;
	const provider = bob?.address ?? keyring.encodeAddress(decodeAddress(options.provider));
	const chain = await api.rpc.system.chain();
	console.log(`${chain} at ${options.node}, runtime ${api.runtimeVersion.specVersion}`);

	step('Every call is documented');
	checkDocs(api);

	step('The provider is registered');
	if (bob) {
		await ensureProvider(api, bob);
	}
	assert.ok((await api.query.storageProvider.providers(provider)).isSome, `${provider} is no provider`);
	const parameters = (await api.query.storageProvider.parameters()).unwrap();

	step('The client adds to its escrow');
	const total = PRICE * BigInt(parameters.minDealDuration.toNumber());
	const escrow = await held(api, client.address, 'Escrow');
	const amount = 2n * total;
	const added = await submit(api, api.tx.market.addBalance(amount), client);
	assert.equal(only(added.events, 'market', 'BalanceAdded').amount.toBigInt(), amount);
	assert.equal(await held(api, client.address, 'Escrow'), escrow + amount);
	assert.equal((await api.call.marketApi.escrow(client.address)).toBigInt(), escrow + amount);
	console.log(`${escrow + amount} plancks in escrow`);

	step('The client proposes a deal and cancels it');
	const startBy = async () =>
		(await finalized(api)) + (bob ? START_WITHIN : Math.min(1_000, parameters.maxStartDelay.toNumber() - 10));
	const terms = async () => proposal(parameters, client.address, provider, await startBy());
	await proposeAndCancel(api, client, await terms(), parameters);

	step('The client proposes another one');
	const second = await terms();
	const hash = await propose(api, client, second, parameters);
	const waiting = await api.call.marketApi.proposalsFor(provider, 256);
	assert.ok(waiting.some(([waitingHash]) => waitingHash.eq(hash)), 'the provider sees the proposal');

	if (bob) {
		await acceptPublishLapse(api, client, bob, hash, second, await terms());
	}
	console.log('\nEverything is as it should be.');
}

await cryptoWaitReady();
let api;
try {
	api = await connect(options.node);
	await main(api);
} catch (error) {
	console.error(error);
	process.exitCode = 1;
} finally {
	await api?.disconnect();
}
