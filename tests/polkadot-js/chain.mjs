// A connection to a Cairn node and transactions whose outcome is known.

import { ApiPromise, WsProvider } from '@polkadot/api';

/** Milliseconds within which the node must answer. */
const CONNECT_TIMEOUT = 60_000;
/** Milliseconds within which a transaction must be in a block. */
const INCLUSION_TIMEOUT = 120_000;

/** Fails with `message` unless `promise` settles within `ms`. */
async function within(ms, message, promise) {
	let timer;
	const expired = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(message)), ms);
	});
	try {
		return await Promise.race([promise, expired]);
	} finally {
		clearTimeout(timer);
	}
}

/** Connects to the node at `url`. */
export async function connect(url) {
	const provider = new WsProvider(url, 1_000);
	// The library lists every RPC method that it does not know.
	const api = new ApiPromise({ provider, noInitWarn: true });
	// A node that is still starting refuses connections: the provider tries again each second.
	api.isReadyOrError.catch(() => {});
	try {
		return await within(CONNECT_TIMEOUT, `no node answers at ${url}`, api.isReady);
	} catch (error) {
		await api.disconnect();
		throw error;
	}
}

/** A transaction that a block includes but the runtime refuses. */
export class Refused extends Error {
	constructor(name, docs) {
		super(`${name}: ${docs}`);
		/** `pallet.Error`, or what the runtime says without a pallet. */
		this.code = name;
	}
}

/**
 * Signs and sends `call` as `signer`, waits until a block includes it and resolves to the block's
 * hash and the events of this transaction. Rejects with {@link Refused} if the runtime refuses it.
 */
export async function submit(api, call, signer) {
	const what = `${call.method.section}.${call.method.method}`;
	let unsubscribe = () => {};
	const included = new Promise((resolve, reject) => {
		call
			.signAndSend(signer, ({ status, events, dispatchError, isError }) => {
				if (dispatchError) {
					reject(refusal(api, dispatchError));
				} else if (isError) {
					reject(new Error(`${what} was dropped: ${status.type}`));
				} else if (status.isInBlock || status.isFinalized) {
					const block = (status.isInBlock ? status.asInBlock : status.asFinalized).toHex();
					resolve({ block, events: events.map(({ event }) => event) });
				}
			})
			.then((stop) => (unsubscribe = stop), reject);
	});
	try {
		return await within(INCLUSION_TIMEOUT, `${what} was not included in time`, included);
	} finally {
		unsubscribe();
	}
}

function refusal(api, error) {
	if (!error.isModule) {
		return new Refused(error.toString(), 'see the runtime');
	}
	const { section, name, docs } = api.registry.findMetaError(error.asModule);
	return new Refused(`${section}.${name}`, docs.join(' ').trim());
}

/** The data of the only event `pallet.name` among `events`. */
export function only(events, pallet, name) {
	const found = events.filter(({ section, method }) => section === pallet && method === name);
	if (found.length !== 1) {
		const seen = events.map(({ section, method }) => `${section}.${method}`).join(', ');
		throw new Error(`expected one ${pallet}.${name} among: ${seen}`);
	}
	return found[0].data;
}

/**
 * Looks for an event `pallet.name` for which `matches` holds in the finalized blocks from number `from`
 * on, as they come. Resolves to its data and the block's number; rejects after `blocks` blocks.
 */
export async function waitFor(api, pallet, name, matches, from, blocks) {
	for (let number = from; number < from + blocks; number += 1) {
		while ((await finalized(api)) < number) {
			await new Promise((resolve) => setTimeout(resolve, 250));
		}
		const at = await api.at(await api.rpc.chain.getBlockHash(number));
		for (const { event } of await at.query.system.events()) {
			if (event.section === pallet && event.method === name && matches(event.data)) {
				return { data: event.data, number };
			}
		}
	}
	throw new Error(`no ${pallet}.${name} in ${blocks} blocks from ${from} on`);
}

/** Number of the last finalized block. */
export async function finalized(api) {
	return (await api.rpc.chain.getHeader(await api.rpc.chain.getFinalizedHead())).number.toNumber();
}
