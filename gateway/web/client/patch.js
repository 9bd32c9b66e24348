/*
 * RFC 6902 patches, applied with structural sharing: the containers on the way to a change
 * are copied, each once per patch; all else is the same object before and after.
 */

import { identityOf, keyOf } from "./identity.js";

export function isContainer(value) {
	return typeof value === "object" && value !== null;
}

// ---- pointers (RFC 6901) ----

function unescape(token) {
	if (/~(?![01])/.test(token)) throw new Error(`a ~ without 0 or 1 in ${token}`);
	return token.replaceAll("~1", "/").replaceAll("~0", "~");
}

// The document is a member of the draft, so that every place has something it is in.
function tokensOf(pointer) {
	if (typeof pointer !== "string" || (pointer !== "" && pointer[0] !== "/"))
		throw new Error(`no JSON pointer: ${pointer}`);
	return `document${pointer}`.split("/").map(unescape);
}

function indexIn(array, token, adding) {
	if (adding && token === "-") return array.length;
	if (!/^(0|[1-9]\d*)$/.test(token) || Number(token) >= array.length + (adding ? 1 : 0))
		throw new Error(`no place ${token} in an array of ${array.length}`);
	return Number(token);
}

/* The key of @token in @container; it must be there unless it is being added. */
function placeIn(container, token, adding = false) {
	if (Array.isArray(container)) return indexIn(container, token, adding);
	if (!isContainer(container)) throw new Error(`nothing has a member ${token} here`);
	if (!adding && !Object.hasOwn(container, token)) throw new Error(`no member ${token}`);
	return token;
}

// ---- the draft ----

/* An upstream's member may have this name; an assignment would set the prototype. */
function put(container, key, value) {
	if (key === "__proto__")
		Object.defineProperty(container, key, {
			value,
			configurable: true,
			enumerable: true,
			writable: true,
		});
	else container[key] = value;
}

class Draft {
	/* Copies made for this patch, which it may write to. */
	#own = new Set();

	constructor(document) {
		this.document = document;
	}

	#writable(container, key) {
		const child = container[key];
		if (!isContainer(child) || this.#own.has(child)) return child;
		const copy = Array.isArray(child) ? child.slice() : { ...child };
		this.#own.add(copy);
		put(container, key, copy);
		return copy;
	}

	/* What @pointer's last token is in, made writable, and that token. */
	#open(pointer) {
		const tokens = tokensOf(pointer);
		const last = tokens.pop();
		let container = this;
		for (const token of tokens)
			container = this.#writable(container, placeIn(container, token));
		return [container, last];
	}

	read(pointer) {
		let value = this;
		for (const token of tokensOf(pointer)) value = value[placeIn(value, token)];
		return value;
	}

	add(pointer, value) {
		const [container, token] = this.#open(pointer);
		const key = placeIn(container, token, true);
		if (Array.isArray(container)) container.splice(key, 0, value);
		else put(container, key, value);
	}

	replace(pointer, value) {
		const [container, token] = this.#open(pointer);
		put(container, placeIn(container, token), value);
	}

	remove(pointer) {
		if (pointer === "") throw new Error("the whole document cannot be removed");
		const [container, token] = this.#open(pointer);
		const key = placeIn(container, token);
		if (Array.isArray(container)) container.splice(key, 1);
		else delete container[key];
	}

	/* What stands in two places belongs to neither. */
	disown() {
		this.#own.clear();
	}
}

// ---- operations ----

function valueOf(operation) {
	if (!Object.hasOwn(operation, "value")) throw new Error(`${operation.op} without a value`);
	return operation.value;
}

const operations = {
	add: (draft, operation) => draft.add(operation.path, valueOf(operation)),
	replace: (draft, operation) => draft.replace(operation.path, valueOf(operation)),
	remove: (draft, operation) => draft.remove(operation.path),
	copy(draft, { from, path }) {
		draft.add(path, draft.read(from));
		draft.disown();
	},
	move(draft, { from, path }) {
		const value = draft.read(from);
		if (from === path) return;
		if (`${path}`.startsWith(`${from}/`)) throw new Error(`${from} moved into itself`);
		draft.remove(from);
		draft.add(path, value);
	},
	test(draft, operation) {
		if (!same(draft.read(operation.path), valueOf(operation)))
			throw new Error(`another value at ${operation.path}`);
	},
};

export function applyPatch(document, patch) {
	const draft = new Draft(document);
	for (const operation of patch) {
		if (!Object.hasOwn(operations, operation.op))
			throw new Error(`no operation: ${operation.op}`);
		operations[operation.op](draft, operation);
	}
	return draft.document;
}

// ---- comparing ----

function same(a, b) {
	if (!isContainer(a) || !isContainer(b)) return a === b;
	const keys = Object.keys(a);
	return (
		Array.isArray(a) === Array.isArray(b) &&
		keys.length === Object.keys(b).length &&
		keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
	);
}

/* Finds the row of @before that is the one at @index of @after. */
function matcher(before, after, identity) {
	const name = identityOf(after, identity);
	if (name === undefined) return (index) => before[index];
	let byKey;
	return (index) => {
		const key = keyOf(after[index], name);
		if (key === keyOf(before[index], name)) return before[index];
		byKey ??= new Map(before.map((row) => [keyOf(row, name), row]));
		return key === undefined ? before[index] : byKey.get(key);
	};
}

function shareArray(before, after, identity) {
	const match = matcher(before, after, identity);
	let all = before.length === after.length;
	for (let i = 0; i < after.length; i++) {
		after[i] = share(match(i), after[i], identity);
		all &&= after[i] === before[i];
	}
	return all ? before : after;
}

function shareObject(before, after, identity) {
	const keys = Object.keys(after);
	let all = Object.keys(before).length === keys.length;
	for (const key of keys) {
		const there = Object.hasOwn(before, key);
		if (there) put(after, key, share(before[key], after[key], identity));
		all &&= there && after[key] === before[key];
	}
	return all ? before : after;
}

/* Takes @after over: parts of it are replaced by those of @before that mean the same. */
export function share(before, after, identity) {
	if (!isContainer(before) || !isContainer(after)) return after;
	if (Array.isArray(before) !== Array.isArray(after)) return after;
	return (Array.isArray(after) ? shareArray : shareObject)(before, after, identity);
}
