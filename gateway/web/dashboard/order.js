/*
 * Order: which rows are shown, and where. Knows nothing of the page.
 *
 * Plain arrays: a table library makes an object of each row first, which for 10 000 rows
 * takes ten times as long as sorting them.
 */

import { cellText } from "./format.js";
import { cellOf } from "./rows.js";

const collator = new Intl.Collator(undefined, { numeric: true });

function isNothing(value) {
	return value === undefined || value === null;
}

/** Numbers, then texts and what else there is, as it reads. */
function compare(a, b) {
	if (a === b) return 0;
	if (typeof a === "number" && typeof b === "number") return a - b;
	if (typeof a === "number") return -1;
	if (typeof b === "number") return 1;
	return collator.compare(cellText(a), cellText(b));
}

/** What the filter looks at: all of a row, in lower case. Kept while the value stands. */
function textOf(row) {
	if (row.textOf !== row.value) {
		row.textOf = row.value;
		row.text = Object.values(row.value).map(cellText).join("\n").toLowerCase();
		if (row.region !== null) row.text += `\n${row.region.toLowerCase()}`;
	}
	return row.text;
}

export class Order {
	sort = ""; // a column, with - before it when the largest come first
	filter = "";

	get #column() {
		return this.sort.replace(/^-/, "");
	}

	/** The rows to be shown of @rows (an iterable), in their order. */
	rowsOf(rows) {
		const shown = [];
		for (const row of rows) {
			row.matched = this.#matches(row);
			row.sortedBy = this.sort === "" ? undefined : cellOf(row, this.#column);
			if (row.matched) shown.push(row);
		}
		if (this.sort === "") return shown;
		const sign = this.sort[0] === "-" ? -1 : 1;
		// What has nothing there comes last in both directions.
		return shown.sort(({ sortedBy: a }, { sortedBy: b }) => {
			if (isNothing(a) || isNothing(b)) return isNothing(a) - isNothing(b);
			return sign * compare(a, b);
		});
	}

	/** Whether a row whose value has changed may be shown elsewhere, or not at all. */
	moves(row) {
		if (this.sort !== "" && row.sortedBy !== cellOf(row, this.#column)) return true;
		return this.filter !== "" && row.matched !== this.#matches(row);
	}

	#matches(row) {
		return this.filter === "" || textOf(row).includes(this.filter.toLowerCase());
	}
}

/** How many of @rows would have to move for the others to be in their order already. */
function movesIn(places) {
	// Length of the longest run that is in order, wherever its members are (patience sort).
	const ends = [];
	for (const place of places) {
		let low = 0;
		let high = ends.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (ends[middle] < place) low = middle + 1;
			else high = middle;
		}
		ends[low] = place;
	}
	return places.length - ends.length;
}

/** How many rows come, go or move between two lists of rows. */
export function differences(shown, next) {
	const places = new Map(next.map((row, index) => [row.key, index]));
	const kept = [];
	for (const { key } of shown) {
		const place = places.get(key);
		if (place !== undefined) kept.push(place);
	}
	return shown.length - kept.length + (next.length - kept.length) + movesIn(kept);
}
