/*
 * RFC 6902 patches, applied with structural sharing: the containers on the way to a change
 * are copied, each once per patch; all else is the same object before and after.
 */

import { identityOf, keyOf } from "./identity.js";

export function isContainer(value) {
	return typeof value === "object" && value !== null;
}

function unfit(part) {
	throw new Error(`the patch does not fit: ${part}`);
}

// ---- pointers (RFC 6901) ----

function unescape(token) {
	if (/~(?![01])/.test(token)) unfit(token);
	return token.replaceAll("~1", "/").replaceAll("~0", "~");
}

/* The document is a member of the draft, so that every place has something it is in. */
function tokensOf(pointer) {
	if (typeof pointer !== "string" || (pointer !== "" && pointer[0] !== "/"))
		unfit(pointer);
	return `document${pointer}`.split("/").map(unescape);
}

/* The key of @token in @container; it must be there unless it is being @added. */
function placeIn(container, token, added) {
	if (Array.isArray(container)) {
		if (added && token === "-") return container.length;
		const end = container.length + (added ? 1 : 0);
		if (/^(0|[1-9]\d*)$/.test(token) && Number(token) < end) return Number(token);
	} else if (isContainer(container) && (added || Object.hasOwn(container, token))) {
		return token;
	}
	return unfit(token);
}

// ---- operations ----

/* An upstream's member may have this name; an assignment would set the prototype. */
function put(container, key, value) {
	if (key !== "__proto__") container[key] = value;
	else {
		const descriptor = { value, configurable: true, enumerable: true, writable: true };
		Object.defineProperty(container, key, descriptor);
	}
}

export function applyPatch(document, patch) {
	const draft = { document };
	const own = new Set(); /* copies made for this patch, which it may write to */

	const read = (pointer) =>
		tokensOf(pointer).reduce((value, token) => value[placeIn(value, token)], draft);

	/* What the last token of @pointer is in, made writable, and the key there. */
	const open = (pointer, added) => {
		const tokens = tokensOf(pointer);
		const last = tokens.pop();
		let container = draft;
		for (const token of tokens) {
			const key = placeIn(container, token);
			let child = container[key];
			if (isContainer(child) && !own.has(child)) {
				child = Array.isArray(child) ? [...child] : { ...child };
				own.add(child);
				put(container, key, child);
			}
			container = child;
		}
		return [container, placeIn(container, last, added)];
	};

	const add = (pointer, value) => {
		const [container, key] = open(pointer, true);
		if (Array.isArray(container)) container.splice(key, 0, value);
		else put(container, key, value);
	};

	const remove = (pointer) => {
		const [container, key] = open(pointer);
		if (container === draft) unfit(pointer);
		if (Array.isArray(container)) container.splice(key, 1);
		else delete container[key];
	};

	const operations = {
		add: ({ path, value }) => add(path, value),
		remove: ({ path }) => remove(path),
		replace: ({ path, value }) => put(...open(path), value),
		copy({ from, path }) {
			add(path, read(from));
			own.clear(); /* what stands in two places belongs to neither */
		},
		move({ from, path }) {
			const value = read(from);
			if (from === path) return;
			if (`${path}`.startsWith(`${from}/`)) unfit(path);
			remove(from);
			add(path, value);
		},
		test({ path, value }) {
			const there = read(path);
			if (share(there, value) !== there) unfit(path);
		},
	};

	for (const operation of patch) {
		const { op, value } = operation;
		if (!Object.hasOwn(operations, op)) unfit(op);
		if (value === undefined && /^(add|replace|test)$/.test(op))
			unfit(op);
		operations[op](operation);
	}
	return draft.document;
}

// ---- sharing ----

/* Returns what finds the part of @before that corresponds to one of @after. */
function matcher(before, after, identity) {
	const name = Array.isArray(after) ? identityOf(after, identity) : undefined;
	if (name === undefined)
		return (key) => (Object.hasOwn(before, key) ? before[key] : undefined);
	const rows = new Map(before.map((row) => [keyOf(row, name), row]));
	return (index) => {
		const key = keyOf(after[index], name);
		return key === keyOf(before[index], name) ? before[index] : rows.get(key);
	};
}

/* Takes @after over: parts of it are replaced by those of @before that mean the same. */
export function share(before, after, identity) {
	if (
		!isContainer(before) ||
		!isContainer(after) ||
		Array.isArray(before) !== Array.isArray(after)
	)
		return after;
	const match = matcher(before, after, identity);
	const keys = Object.keys(after);
	let all = keys.length === Object.keys(before).length;
	for (const key of keys) {
		put(after, key, share(match(key), after[key], identity));
		all &&= Object.hasOwn(before, key) && after[key] === before[key];
	}
	return all ? before : after;
}
