/* The parts of the data layer that need no browser. */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { fullJitter } from "../../gateway/web/client/backoff.js";
import { Resource } from "../../gateway/web/client/resource.js";
import {
	applyPatch,
	failedRegions,
	rowChanges,
	rowsOf,
	share,
} from "../../gateway/web/client/uricast.js";

const require = createRequire(new URL("../../gateway/web/package.json", import.meta.url));
const rfc6902 = require("rfc6902");

// ---- patches ----

/* From RFC 6902, section 4 and its table of errors, and RFC 6901: [what, document, patch,
 * result]; a patch that has to fail has none. */
const CASES = [
	["add a member", { a: 1 }, [{ op: "add", path: "/b", value: 2 }], { a: 1, b: 2 }],
	["add replaces a member", { a: 1 }, [{ op: "add", path: "/a", value: 2 }], { a: 2 }],
	["add into an array", [1, 3], [{ op: "add", path: "/1", value: 2 }], [1, 2, 3]],
	["add at the end by its index", [1], [{ op: "add", path: "/1", value: 2 }], [1, 2]],
	["add at the end by -", [1], [{ op: "add", path: "/-", value: [2] }], [1, [2]]],
	["add beyond the end", [1], [{ op: "add", path: "/2", value: 2 }]],
	["add to the empty array", { a: [] }, [{ op: "add", path: "/a/0", value: 0 }], { a: [0] }],
	["add the whole document", { a: 1 }, [{ op: "add", path: "", value: 7 }], 7],
	["add below nothing", {}, [{ op: "add", path: "/a/b", value: 1 }]],
	["add below a number", { a: 1 }, [{ op: "add", path: "/a/b", value: 1 }]],
	["add below null", { a: null }, [{ op: "add", path: "/a/b", value: 1 }]],
	["add null", {}, [{ op: "add", path: "/a", value: null }], { a: null }],
	["add without a value", {}, [{ op: "add", path: "/a" }]],
	["remove a member", { a: 1, b: 2 }, [{ op: "remove", path: "/a" }], { b: 2 }],
	["remove an element", [1, 2, 3], [{ op: "remove", path: "/1" }], [1, 3]],
	["remove what is not there", { a: 1 }, [{ op: "remove", path: "/b" }]],
	["remove past the end", [1], [{ op: "remove", path: "/1" }]],
	["remove -", [1], [{ op: "remove", path: "/-" }]],
	["remove the document", { a: 1 }, [{ op: "remove", path: "" }]],
	["replace a member", { a: 1 }, [{ op: "replace", path: "/a", value: [] }], { a: [] }],
	["replace an element", [1, 2], [{ op: "replace", path: "/0", value: 9 }], [9, 2]],
	["replace the document", [1], [{ op: "replace", path: "", value: { a: 1 } }], { a: 1 }],
	["replace what is not there", {}, [{ op: "replace", path: "/a", value: 1 }]],
	["replace without a value", { a: 1 }, [{ op: "replace", path: "/a" }]],
	["move", { a: { b: 1 }, c: {} }, [{ op: "move", from: "/a/b", path: "/c/d" }], { a: {}, c: { d: 1 } }],
	["move in an array", [1, 2, 3], [{ op: "move", from: "/0", path: "/2" }], [2, 3, 1]],
	["move to where it is", { a: 1 }, [{ op: "move", from: "/a", path: "/a" }], { a: 1 }],
	["move into itself", { a: { b: 1 } }, [{ op: "move", from: "/a", path: "/a/b" }]],
	["move what is not there", {}, [{ op: "move", from: "/a", path: "/b" }]],
	["move to a name that begins alike", { a: 1 }, [{ op: "move", from: "/a", path: "/ab" }], { ab: 1 }],
	["copy", { a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
	["copy into itself", { a: { b: 1 } }, [{ op: "copy", from: "/a", path: "/a/c" }], { a: { b: 1, c: { b: 1 } } }],
	[
		"a copy is another",
		{ a: [1] },
		[
			{ op: "add", path: "/a/0", value: 0 },
			{ op: "copy", from: "/a", path: "/b" },
			{ op: "add", path: "/b/-", value: 2 },
			{ op: "remove", path: "/a/0" },
		],
		{ a: [1], b: [0, 1, 2] },
	],
	["test a text", { a: "x" }, [{ op: "test", path: "/a", value: "x" }], { a: "x" }],
	["test another", { a: "x" }, [{ op: "test", path: "/a", value: "y" }]],
	["test an object in any order", { a: 1, b: [2] }, [{ op: "test", path: "", value: { b: [2], a: 1 } }], { a: 1, b: [2] }],
	["test for a member too many", { a: {} }, [{ op: "test", path: "/a", value: { b: 1 } }]],
	["test an array's order", [1, 2], [{ op: "test", path: "", value: [2, 1] }]],
	["test an object for an array", { a: {} }, [{ op: "test", path: "/a", value: [] }]],
	["test a number for a text", { a: 10 }, [{ op: "test", path: "/a", value: "10" }]],
	["test null", { a: null }, [{ op: "test", path: "/a", value: null }], { a: null }],
	["test what is not there", {}, [{ op: "test", path: "/a", value: null }]],
	["a test that fails undoes all", { a: 1 }, [{ op: "replace", path: "/a", value: 2 }, { op: "test", path: "/a", value: 1 }]],
	["~1 is a slash", { "a/b": 1 }, [{ op: "replace", path: "/a~1b", value: 2 }], { "a/b": 2 }],
	["~0 is a tilde", { "a~b": 1 }, [{ op: "replace", path: "/a~0b", value: 2 }], { "a~b": 2 }],
	["~01 is ~1", { "~1": 1 }, [{ op: "remove", path: "/~01" }], {}],
	["~2 is nothing", { "~2": 1 }, [{ op: "remove", path: "/~2" }]],
	["the empty name", { "": 1 }, [{ op: "replace", path: "/", value: 2 }], { "": 2 }],
	["a pointer without a slash", { a: 1 }, [{ op: "remove", path: "a" }]],
	["no pointer", { a: 1 }, [{ op: "remove" }]],
	["an index with a zero before it", [1, 2], [{ op: "remove", path: "/01" }]],
	["an index that is a name", [1], [{ op: "remove", path: "/length" }]],
	["a negative index", [1], [{ op: "remove", path: "/-1" }]],
	["an index of an object is a name", { 0: "a" }, [{ op: "remove", path: "/0" }], {}],
	["a name all objects inherit", {}, [{ op: "remove", path: "/toString" }]],
	["an unknown operation", {}, [{ op: "spin", path: "" }]],
	["an operation all objects inherit", {}, [{ op: "toString", path: "" }]],
	["nothing", { a: 1 }, [], { a: 1 }],
	["several", [], [{ op: "add", path: "/-", value: {} }, { op: "add", path: "/0/a", value: 1 }], [{ a: 1 }]],
];

for (const [what, document, patch, result] of CASES)
	test(`patch: ${what}`, () => {
		const before = JSON.stringify([document, patch]);
		if (result === undefined) assert.throws(() => applyPatch(document, patch));
		else assert.deepEqual(applyPatch(document, patch), result);
		assert.equal(JSON.stringify([document, patch]), before, "nothing was written to");
	});

test("a member named __proto__ is a member", () => {
	const document = JSON.parse('{"__proto__":{"a":1}}');
	const path = "/__proto__/a";
	const after = applyPatch(document, [{ op: "replace", path, value: 2 }]);
	assert.equal(JSON.stringify(after), '{"__proto__":{"a":2}}');
	assert.equal(after.a, undefined);
	assert.equal({}.a, undefined);
	assert.equal(JSON.stringify(document), '{"__proto__":{"a":1}}');
});

test("a patch shares what it does not touch, and copies an array once", () => {
	const before = { rows: Array.from({ length: 10000 }, (_, id) => ({ id, at: { x: 0 } })), other: {} };
	const patch = Array.from({ length: 100 }, (_, n) => ({ op: "replace", path: `/rows/${n * 100}/at/x`, value: 1 }));
	const at = performance.now();
	const after = applyPatch(before, patch);
	const took = performance.now() - at;
	assert.equal(after.other, before.other);
	assert.equal(after.rows.filter((row, n) => row !== before.rows[n]).length, 100);
	assert.equal(before.rows[0].at.x, 0);
	assert.ok(took < 100, `${took} ms: an array of 10 000 a hundred times would take more`);
});

/* A small random document. */
function grow(random, depth = 0) {
	const kind = Math.floor(random() * (depth > 2 ? 2 : 4));
	if (kind === 0) return Math.floor(random() * 3);
	if (kind === 1) return ["", "a", "b/c", "~"][Math.floor(random() * 4)];
	const children = Array.from({ length: Math.floor(random() * 4) }, () => grow(random, depth + 1));
	if (kind === 2) return children;
	return Object.fromEntries(children.map((child, n) => [["id", "a/b", "~c", ""][n], child]));
}

function generator(seed) {
	return () => (seed = (seed * 48271) % 2147483647) / 2147483647;
}

test("patches that another library makes lead to where they should, and nothing is written to", () => {
	const random = generator(7);
	for (let n = 0; n < 2000; n++) {
		const [before, after] = [grow(random), grow(random)];
		const patch = rfc6902.createPatch(before, after);
		const texts = JSON.stringify([before, patch]);
		assert.deepEqual(applyPatch(before, patch), after, texts);
		assert.equal(JSON.stringify([before, patch]), texts);
	}
});

test("what is shared of two documents means the same as the second", () => {
	const random = generator(11);
	for (let n = 0; n < 2000; n++) {
		const [before, after] = [grow(random), grow(random)];
		const text = JSON.stringify(before);
		const shared = share(before, structuredClone(after));
		assert.deepEqual(shared, after, JSON.stringify([before, after]));
		assert.equal(JSON.stringify(before), text);
		assert.equal(share(before, structuredClone(before)), before);
	}
});

test("rows that moved are shared by their identity", () => {
	const before = [{ id: 1 }, { id: 2, n: [1] }];
	const after = share(before, [{ id: 3 }, { id: 1 }, { id: 2, n: [1] }]);
	assert.equal(after[1], before[0]);
	assert.equal(after[2], before[1]);
});

// ---- rows ----

test("rows are the elements, those of the only array, or those of all regions", () => {
	const rows = [{ id: 1 }];
	const row = (key, region) => ({ key, region, row: rows[0] });
	assert.deepEqual(rowsOf(rows), [row("1")]);
	assert.deepEqual(rowsOf({ servers: rows, links: "x" }), [row("1")]);
	assert.deepEqual(rowsOf({ a: rows, b: rows }), []);
	assert.deepEqual(rowsOf([{ x: 1 }]), [{ key: "0", region: undefined, row: { x: 1 } }]);
	assert.deepEqual(rowsOf(undefined), []);
	assert.deepEqual(rowsOf("text"), []);
	const regions = {
		dfw: { state: "fresh", version: "1", content: { servers: rows } },
		ord: { state: "error", error: { code: "no_poller" } },
	};
	assert.deepEqual(rowsOf({ complete: false, regions }), [row("dfw/1", "dfw")]);
	assert.deepEqual(failedRegions({ complete: false, regions }), [
		{ region: "ord", state: "error", error: { code: "no_poller" } },
	]);
});

test("rows are added, removed and changed by identity, wherever they stand", () => {
	const [a, b, c] = [{ uuid: "a" }, { uuid: "b", n: 1 }, { uuid: "c" }];
	const other = { uuid: "b", n: 2 };
	const keys = ({ added, removed, changed }) =>
		[added, removed, changed].map((rows) => rows.map(({ key }) => key).join());
	assert.deepEqual(keys(rowChanges(undefined, [a, b])), ["a,b", "", ""]);
	assert.deepEqual(keys(rowChanges([a, b], [b, a])), ["", "", ""]);
	assert.deepEqual(keys(rowChanges([a, b], [c, other, a])), ["c", "", "b"]);
	assert.deepEqual(keys(rowChanges([a, b], [])), ["", "a,b", ""]);
	assert.equal(rowChanges([b], [other]).changed[0].before, b);
	assert.deepEqual(keys(rowChanges([{ n: 1, k: "x" }], [{ n: 1, k: "y" }], "k")), ["y", "x", ""]);
});

test("a region that goes takes its rows along", () => {
	const region = (content) => ({ state: "fresh", content });
	const before = { complete: true, regions: { dfw: region([{ id: 1 }]), ord: region([{ id: 1 }]) } };
	const after = { complete: true, regions: { dfw: before.regions.dfw } };
	const { added, removed, changed } = rowChanges(before, after);
	assert.deepEqual([added, changed], [[], []]);
	assert.deepEqual(removed.map(({ key, region: name }) => [key, name]), [["ord/1", "ord"]]);
});

// ---- a resource ----

function resource() {
	const it = new Resource("/a", () => {});
	const shown = () => [it.snapshot.state, it.snapshot.error?.code, it.snapshot.value];
	return { it, shown };
}

test("a state is what was said last, and a content confirms only what was just subscribed to", () => {
	const { it, shown } = resource();
	it.accepted(undefined, 5);
	assert.ok(it.take({ version: "1", content: 1 }));
	assert.deepEqual(shown(), ["fresh", undefined, 1]);
	assert.equal(it.since, "1");
	it.take({ state: "stale", error: { code: "no_poller" } });
	it.take({ version: "2", content: 2 });
	assert.deepEqual(shown(), ["stale", "no_poller", 2]);
	assert.equal(it.since, undefined, "its state has to be said again");
	it.accepted(undefined);
	it.take({ version: "2", content: 2 });
	assert.deepEqual(shown(), ["fresh", undefined, 2]);
});

test("a loss hides what was said until a gateway is heard again", () => {
	const { it, shown } = resource();
	it.take({ version: "1", content: 1 });
	it.lost({ code: "disconnected" });
	assert.deepEqual(shown(), ["stale", "disconnected", 1]);
	it.accepted("1");
	assert.deepEqual(shown(), ["fresh", undefined, 1]);
});

test("a patch of another base, or one that fails, changes nothing and says so", () => {
	const { it, shown } = resource();
	const patch = [{ op: "replace", path: "/n", value: 2 }];
	assert.equal(it.take({ base: "1", version: "2", patch }), false);
	it.take({ version: "1", content: { n: 1 } });
	assert.equal(it.take({ base: "0", version: "2", patch }), false);
	assert.equal(it.take({ base: "1", version: "2", patch: [{ op: "remove", path: "/x" }] }), false);
	assert.deepEqual(shown(), ["fresh", undefined, { n: 1 }]);
	assert.equal(it.take({ base: "1", version: "2", patch }), true);
	assert.deepEqual(shown(), ["fresh", undefined, { n: 2 }]);
});

// ---- waits ----

test("waits are spread between nothing and a bound that doubles up to the most", () => {
	const timing = { retry: 1000, retryMost: 15000 };
	const most = [0, 1, 2, 3, 4, 5, 1000].map((attempt) => fullJitter(attempt, timing, () => 1));
	assert.deepEqual(most, [1000, 2000, 4000, 8000, 15000, 15000, 15000]);
	assert.equal(fullJitter(3, timing, () => 0), 0);
});
