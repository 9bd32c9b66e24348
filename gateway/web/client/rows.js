/*
 * Contents as tables: which rows there are, and what happened to them between two contents.
 *
 * Contents share what did not change (see patch.js), so that a row that is the same object
 * is the same row; only the others are looked up by their identity.
 */

import { regionsOf } from "./aggregate.js";
import { identityOf, keyOf } from "./identity.js";
import { isContainer } from "./patch.js";

function isTable(value) {
	return Array.isArray(value) && (value.length === 0 || isContainer(value[0]));
}

function arrayIn(content) {
	if (Array.isArray(content)) return content;
	const tables = isContainer(content) ? Object.values(content).filter(isTable) : [];
	return tables.length === 1 ? tables[0] : [];
}

/* The arrays of a content, by region; the only one of what is no aggregate by undefined. */
function arraysOf(value) {
	const regions = regionsOf(value);
	if (regions === undefined) return new Map([[undefined, arrayIn(value)]]);
	return new Map(regions.map(([name, { content }]) => [name, arrayIn(content)]));
}

function rowAt(rows, index, region, name) {
	const row = rows[index];
	const key = (name && keyOf(row, name)) ?? index;
	return { key: region === undefined ? `${key}` : `${region}/${key}`, region, row };
}

export function rowsOf(value, identity) {
	return [...arraysOf(value)].flatMap(([region, rows]) => {
		const name = identityOf(rows, identity);
		return rows.map((_, index) => rowAt(rows, index, region, name));
	});
}

/* The rows of @rows that are not at the same place of @others, too, by key. */
function unlike(rows, others, region, name) {
	const found = new Map();
	for (let i = 0; i < rows.length; i++) {
		if (rows[i] === others[i]) continue;
		const row = rowAt(rows, i, region, name);
		found.set(row.key, row);
	}
	return found;
}

function compare(changes, before, after, region, identity) {
	if (before === after) return;
	const name = identityOf(after, identity) ?? identityOf(before, identity);
	const removed = unlike(before, after, region, name);
	for (const [key, row] of unlike(after, before, region, name)) {
		const old = removed.get(key);
		removed.delete(key);
		if (old === undefined) changes.added.push(row);
		else if (old.row !== row.row) changes.changed.push({ ...row, before: old.row });
	}
	changes.removed.push(...removed.values());
}

export function rowChanges(before, after, identity) {
	const changes = { added: [], removed: [], changed: [] };
	const old = arraysOf(before);
	const now = arraysOf(after);
	for (const region of new Set([...old.keys(), ...now.keys()]))
		compare(changes, old.get(region) ?? [], now.get(region) ?? [], region, identity);
	return changes;
}
