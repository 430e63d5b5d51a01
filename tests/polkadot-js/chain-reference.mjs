// Writes the book's chain reference from the runtime's metadata: what wallets read is what the book says.
//
//   node chain-reference.mjs           writes docs/src/reference/pallets/*.md
//   node chain-reference.mjs --check   fails if they differ from what would be written
//
// Reads crates/chain-client/metadata.scale; needs no node.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Metadata, TypeRegistry } from '@polkadot/types';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = `${ROOT}docs/src/reference/pallets`;
const HEADER = '<!-- Written by tests/polkadot-js/chain-reference.mjs from the metadata. Do not edit. -->\n\n';

/** Cairn's pallets and what the page says of each before the tables. */
const PALLETS = {
	StorageProvider: 'Providers, their sectors, deadlines, partitions and faults.',
	Market: 'Escrow, proposals, deals and settlement.',
	Proofs: 'Registered proof types and their verification.',
	Randomness: 'The beacon. No calls: the runtime feeds it from the relay chain\'s state proof with every block.',
	Faucet: 'Free funds. On test networks only.',
};
const APIS = ['StorageProviderApi', 'MarketApi'];
/** Crates whose types the types' page explains. */
const OWN_CRATES = /^(cairn_primitives|pallet_market|pallet_storage_provider|pallet_proofs|pallet_randomness)$/;
/** Enums that have tables of their own, and containers. */
const NOT_EXPLAINED = /^(Call|Event|Error|HoldReason)$/;

function load() {
	const registry = new TypeRegistry();
	const bytes = readFileSync(`${ROOT}crates/chain-client/metadata.scale`);
	// The registry warns of transaction extensions that it does not know; nothing here signs.
	const { warn } = console;
	console.warn = () => {};
	const metadata = new Metadata(registry, `0x${bytes.toString('hex')}`);
	registry.setMetadata(metadata);
	console.warn = warn;
	return { lookup: registry.lookup, metadata: metadata.asLatest };
}

const { lookup, metadata } = load();
const mentioned = new Set();

/** A type's name as Rust would show it, without paths. Remembers types to explain. */
function typeName(id) {
	const { path, def, params } = lookup.getSiType(id);
	const last = path.length > 0 ? path[path.length - 1].toString() : '';
	if (last === 'BoundedVec' || last === 'WeakBoundedVec') {
		const [inner] = params;
		return `Vec<${typeName(inner.type.unwrap())}>`;
	}
	if (last === 'Option') {
		return `Option<${typeName(params[0].type.unwrap())}>`;
	}
	if (last !== '') {
		if (OWN_CRATES.test(path[0].toString()) && !NOT_EXPLAINED.test(last)) {
			mentioned.add(id.toNumber());
		}
		return last;
	}
	if (def.isPrimitive) {
		return def.asPrimitive.type.toLowerCase();
	}
	if (def.isSequence) {
		return `Vec<${typeName(def.asSequence.type)}>`;
	}
	if (def.isArray) {
		return `[${typeName(def.asArray.type)}; ${def.asArray.len}]`;
	}
	if (def.isTuple) {
		return `(${def.asTuple.map(typeName).join(', ')})`;
	}
	if (def.isCompact) {
		return `Compact<${typeName(def.asCompact.type)}>`;
	}
	throw new Error(`type ${id} has no name`);
}

/** Documentation as Markdown paragraphs. */
function paragraphs(docs) {
	return docs.map((line) => line.toString().trim()).join('\n').trim();
}

/** Documentation in one table cell. */
function cell(docs) {
	return docs
		.map((line) => line.toString().trim())
		.join(' ')
		.trim()
		.replaceAll('|', '\\|');
}

/** A table without the columns that are empty in every row. */
function table(head, rows) {
	if (rows.length === 0) {
		return '';
	}
	const used = head.map((_, i) => rows.some((row) => `${row[i]}` !== ''));
	const line = (cells) => `| ${cells.filter((_, i) => used[i]).join(' | ')} |\n`;
	return `${line(head)}${line(head.map(() => '---'))}${rows.map(line).join('')}\n`;
}

function variants(id) {
	return [...lookup.getSiType(id).def.asVariant.variants].sort((a, b) => a.index.toNumber() - b.index.toNumber());
}

function fieldName({ name }, index) {
	return name.isSome ? name.unwrap().toString() : `${index}`;
}

function calls(pallet) {
	if (pallet.calls.isNone) {
		return '';
	}
	const texts = variants(pallet.calls.unwrap().type).map(({ name, index, fields, docs }) => {
		const args = fields.map((field, i) => `${fieldName(field, i)}: ${typeName(field.type)}`).join(', ');
		return `### ${name}\n\n\`${name}(${args})\`, index ${index}.\n\n${paragraphs(docs)}\n\n`;
	});
	return `## Calls\n\n${texts.join('')}`;
}

function events(pallet) {
	if (pallet.events.isNone) {
		return '';
	}
	const rows = variants(pallet.events.unwrap().type).map(({ name, index, fields, docs }) => {
		const parts = fields.map((field, i) => {
			const about = cell(field.docs).replace(/\.$/, '');
			return `\`${fieldName(field, i)}: ${typeName(field.type)}\`${about ? ` (${about})` : ''}`;
		});
		return [index, `\`${name}\``, cell(docs), parts.join('; ')];
	});
	return `## Events\n\n${table(['#', 'event', 'meaning', 'fields'], rows)}`;
}

function errors(pallet) {
	if (pallet.errors.isNone) {
		return '';
	}
	const rows = variants(pallet.errors.unwrap().type).map(({ name, index, docs }) => [index, `\`${name}\``, cell(docs)]);
	return `## Errors\n\n${table(['#', 'error', 'meaning'], rows)}`;
}

function storage(pallet) {
	if (pallet.storage.isNone) {
		return '';
	}
	const rows = pallet.storage
		.unwrap()
		.items.filter(({ name }) => !name.toString().startsWith(':'))
		.map(({ name, type, docs }) => {
			const [key, value] = type.isMap
				? [typeName(type.asMap.key), typeName(type.asMap.value)]
				: ['', typeName(type.asPlain)];
			return [`\`${name}\``, key && `\`${key}\``, `\`${value}\``, cell(docs)];
		});
	return `## Storage\n\n${table(['item', 'key', 'value', 'what'], rows)}`;
}

function constants(pallet) {
	const rows = pallet.constants.map(({ name, type, value, docs }) => {
		const decoded = lookup.registry.createType(lookup.getTypeDef(type).type, value.toU8a(true));
		return [`\`${name}\``, `\`${typeName(type)}\``, decoded.toString(), cell(docs)];
	});
	return rows.length > 0 ? `## Constants\n\n${table(['constant', 'type', 'value', 'what'], rows)}` : '';
}

function viewFunctions(pallet) {
	const rows = pallet.viewFunctions.map(({ name, inputs, output, docs }) => {
		const args = inputs.map((input) => `${input.name}: ${typeName(input.type)}`).join(', ');
		return [`\`${name}(${args})\``, `\`${typeName(output)}\``, cell(docs)];
	});
	return rows.length > 0 ? `## View functions\n\n${table(['function', 'result', 'what'], rows)}` : '';
}

function snake(name) {
	return name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase();
}

function kebab(name) {
	return snake(name).replaceAll('_', '-');
}

function palletPage(name) {
	const pallet = metadata.pallets.find((pallet) => pallet.name.toString() === name);
	if (!pallet) {
		throw new Error(`the runtime has no pallet ${name}`);
	}
	const parts = [calls, events, errors, storage, constants, viewFunctions].map((part) => part(pallet));
	return `# ${name}\n\n${PALLETS[name]} Pallet ${pallet.index} of the runtime.\n\n${parts.join('')}`;
}

function apiPage() {
	const parts = APIS.map((name) => {
		const api = metadata.apis.find((api) => api.name.toString() === name);
		const rows = api.methods.map(({ name: method, inputs, output, docs }) => {
			const args = inputs.map((input) => `${input.name}: ${typeName(input.type)}`).join(', ');
			return [`\`${method}(${args})\``, `\`${typeName(output)}\``, cell(docs)];
		});
		return `## ${name}\n\n${paragraphs(api.docs)}\n\n${table(['function', 'result', 'what'], rows)}`;
	});
	return (
		'# Runtime APIs\n\nComposed reads, called with `state_call` (`MarketApi_deal`) or as ' +
		'`api.call.marketApi.deal` in polkadot.js. What a prover reads and what the verifier checks come from the ' +
		`same functions.\n\n${parts.join('')}`
	);
}

/** One type with its fields. Names the types that it mentions in turn. */
function explain(id) {
	const { path, def, docs } = lookup.getSiType(id);
	const fields = (list) =>
		list.map((field, i) => [`\`${fieldName(field, i)}\``, `\`${typeName(field.type)}\``, cell(field.docs)]);
	let body;
	if (def.isComposite) {
		body = table(['field', 'type', 'what'], fields(def.asComposite.fields));
	} else {
		const rows = variants(id).flatMap((variant) => [
			[variant.index, `\`${variant.name}\``, '', cell(variant.docs)],
			...fields(variant.fields).map(([name, type, what]) => ['', `— ${name}`, type, what]),
		]);
		body = table(['#', 'variant', 'type', 'what'], rows);
	}
	const about = `\`${path.join('::')}\`. ${paragraphs(docs)}`.trim();
	return `## ${path[path.length - 1]}\n\n${about}\n\n${body}`;
}

function typesPage() {
	const explained = new Map();
	for (;;) {
		const next = [...mentioned].find((id) => !explained.has(id));
		if (next === undefined) {
			break;
		}
		explained.set(next, explain(next));
	}
	const texts = [...explained.values()].sort((a, b) => (a < b ? -1 : 1));
	return (
		'# Types\n\nTypes of calls, events, storage and runtime APIs. Encoding is SCALE, fields in this order. ' +
		`Amounts (u128) are plancks, times (u32) block numbers.\n\n${[...new Set(texts)].join('')}`
	);
}

const pages = Object.fromEntries(Object.keys(PALLETS).map((name) => [`${kebab(name)}.md`, palletPage(name)]));
pages['runtime-apis.md'] = apiPage();
// Last: it explains what the others mention.
pages['types.md'] = typesPage();

const check = process.argv.includes('--check');
for (const [file, text] of Object.entries(pages)) {
	const path = `${FOLDER}/${file}`;
	const content = `${HEADER}${text.trimEnd()}\n`;
	if (!check) {
		writeFileSync(path, content);
	} else if (readFileSync(path, 'utf8') !== content) {
		console.error(`${path} differs from the metadata: run node tests/polkadot-js/chain-reference.mjs`);
		process.exitCode = 1;
	}
}
