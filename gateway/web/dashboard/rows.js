/*
 * Rows: what of a content is a table. Pure.
 *
 * A list of objects is one, a small object with exactly one such list in it (as many APIs
 * answer) and an aggregate of either: rows of all regions, with a column that names
 * theirs. Anything else is shown as a tree.
 */

/** The column of an aggregate that names the region. */
export const REGION = "@region";

const WIDTH_MOST = 30; // characters of a column
const ENVELOPE_MOST = 4; // members of an object that is only there for the list in it
const KEY_NAMES = ["id", "uuid", "name"];

function isObject(value) {
	return value !== null && typeof value === "object" && !Array.isArray(value);
}

function isListOfObjects(value) {
	return Array.isArray(value) && value.every(isObject);
}

/** The list of rows in @content, or null. */
function listIn(content) {
	if (isListOfObjects(content)) return content;
	if (!isObject(content)) return null;
	const members = Object.values(content);
	const lists = members.filter(isListOfObjects).filter(({ length }) => length > 0);
	if (lists.length === 1 && members.length <= ENVELOPE_MOST) return lists[0];
	return members.length === 1 && isListOfObjects(members[0]) ? members[0] : null;
}

/** The regions of an aggregate by name, or null where @content is of another kind. */
export function regionsIn(uri, content) {
	if (uri.startsWith("/") || uri.includes(":") || !isObject(content)) return null;
	if (typeof content.complete !== "boolean" || !isObject(content.regions)) return null;
	return Object.values(content.regions).every(isObject) ? content.regions : null;
}

/** The lists that make the table: [{region, list}], or null where there is none. */
function listsOf(uri, content) {
	const regions = regionsIn(uri, content);
	if (regions === null) {
		const list = listIn(content);
		return list === null ? null : [{ region: null, list }];
	}
	const lists = [];
	for (const [region, { content: inside }] of Object.entries(regions)) {
		if (inside === undefined) continue;
		const list = listIn(inside);
		if (list === null) return null;
		lists.push({ region, list });
	}
	return lists;
}

export function isTable(uri, content) {
	return listsOf(uri, content) !== null;
}

/** The member whose values tell the rows of @list apart, or null. */
function keyNameOf(list) {
	return (
		KEY_NAMES.find((name) => {
			const seen = new Set();
			for (const row of list) {
				const key = row[name];
				if (typeof key !== "string" && typeof key !== "number") return false;
				seen.add(String(key));
			}
			return seen.size === list.length;
		}) ?? null
	);
}

/** What the row has in @column. */
export function cellOf(row, column) {
	return column === REGION ? row.region : row.value[column];
}

/**
 * The rows of one address over time. A row stays the same object as long as its key is
 * there; `value` is what it is now, and `live` whether it still is.
 */
export class Rows {
	byKey = new Map(); // in the content's order
	#parts = []; // {region, list, keyName, rows}, as last taken

	/**
	 * Takes a content that is a table. Returns the rows whose value is another, and whether
	 * rows have come, gone or moved.
	 */
	take(uri, content) {
		const lists = listsOf(uri, content);
		const changed = [];
		if (this.#replaceInPlace(lists, changed)) return { changed, moved: false };
		changed.length = 0;
		this.#takeAnew(lists, changed);
		return { changed, moved: true };
	}

	/* The usual case, and quick: unchanged rows are the same objects as before. */
	#replaceInPlace(lists, changed) {
		if (lists.length !== this.#parts.length) return false;
		const fits = lists.every(({ region, list }, at) => {
			const part = this.#parts[at];
			if (part.region !== region || part.list.length !== list.length) return false;
			if (part.list === list) return true;
			for (let i = 0; i < list.length; i++) {
				if (list[i] === part.list[i]) continue;
				const name = part.keyName;
				if (name !== null && list[i][name] !== part.list[i][name]) return false;
				changed.push([part.rows[i], list[i]]);
			}
			return true;
		});
		if (!fits) return false;
		lists.forEach(({ list }, at) => {
			this.#parts[at].list = list;
		});
		for (let i = 0; i < changed.length; i++) {
			const [row, value] = changed[i];
			row.value = value;
			changed[i] = row;
		}
		return true;
	}

	#takeAnew(lists, changed) {
		const former = this.byKey;
		this.byKey = new Map();
		this.#parts = lists.map(({ region, list }) => {
			const keyName = keyNameOf(list);
			const prefix = region === null ? "" : `${region}\n`;
			const rows = list.map((value, index) => {
				const key = prefix + (keyName === null ? index : value[keyName]);
				const row = former.get(key) ?? { key, region, value, live: true };
				if (row.value !== value) {
					row.value = value;
					changed.push(row);
				}
				this.byKey.set(key, row);
				return row;
			});
			return { region, list, keyName, rows };
		});
		for (const [key, row] of former) if (!this.byKey.has(key)) row.live = false;
	}
}

/** What columns the rows have, in the order in which they were first seen. */
export class Columns {
	byName = new Map(); // name to {name, title, numeric, width in characters}

	/** Looks at @rows; true where columns are other than before. */
	note(rows, textOf) {
		let grown = false;
		const note = (name, value) => {
			let column = this.byName.get(name);
			if (column === undefined) {
				const title = name === REGION ? "region" : name;
				column = { name, title, numeric: true, width: title.length + 3 };
				this.byName.set(name, column);
				grown = true;
			}
			if (value === null || value === undefined) return;
			const width = Math.min(textOf(value).length, WIDTH_MOST);
			if (width > column.width || (column.numeric && typeof value !== "number")) {
				column.width = Math.max(width, column.width);
				column.numeric &&= typeof value === "number";
				grown = true;
			}
		};
		for (const row of rows) {
			if (row.region !== null) note(REGION, row.region);
			for (const name in row.value) note(name, row.value[name]);
		}
		return grown;
	}
}
