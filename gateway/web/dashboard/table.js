/*
 * Table: rows as a grid, only those in view in the page.
 *
 * A cell shows what is true as soon as it is known. Where rows stand is another matter:
 * while somebody points at them, or has one in focus, they stay where they are; what
 * would come, go or move waits, and is counted. Sorting thousands of rows is not done for
 * each change, either: only where a change touches the order, and then no more often than
 * it costs little.
 */

import {
	Virtualizer,
	defaultRangeExtractor,
	elementScroll,
	observeElementOffset,
	observeElementRect,
} from "@tanstack/virtual-core";

import { announce, make, oncePerFrame, setAttribute, setText } from "./dom.js";
import { cellText, count, counted } from "./format.js";
import { Order, differences } from "./order.js";
import { Columns, REGION, Rows, cellOf } from "./rows.js";

const ROW_HEIGHT = 30; // pixels, as in style.css
const HEAD_HEIGHT = 34;
const CHARACTER = 7.2; // pixels, of most
const COLUMNS_AT_FIRST = 12;
const FLASH_MS = 1400;
const ORDER_COST = 25; // times as long as ordering took, it is not done again
const SAMPLE = 500; // rows looked at for the columns

const stillness = matchMedia("(prefers-reduced-motion: reduce)");

function flash(element) {
	// Without motion: there, and gone.
	const easing = stillness.matches ? "steps(1, jump-end)" : "ease-out";
	element.animate(
		[{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }],
		{ duration: FLASH_MS, easing },
	);
}

export class Table {
	/**
	 * @events  onSort(column), onOpen(row, byKeyboard), onCounts(): numbers have changed
	 */
	constructor(events) {
		this.events = events;
		this.rows = new Rows();
		this.columns = new Columns();
		this.order = new Order();
		this.chosen = null; // names of the columns shown, or null: the first ones
		this.shown = []; // rows, in the order on the page
		this.waiting = 0; // differences between that and what would be right
		this.total = 0;
		this.openKey = null;
		this.focusKey = null;
		this.elements = new Map(); // row key to {element, cells, row, drawn value}
		this.pointed = false;
		this.unordered = false;
		this.orderNotBefore = 0;
		this.orderTimer = 0;
		this.layout = 0; // of the columns; what is drawn in another is drawn anew
		this.draw = oncePerFrame(() => this.#draw());
		this.#build();
	}

	dispose() {
		this.draw.cancel();
		clearTimeout(this.orderTimer);
		this.unmount();
	}

	/** To be called once it stands in the page. */
	mount() {
		this.unmount = this.virtualizer._didMount();
		this.virtualizer._willUpdate();
		this.draw();
	}

	// ---- what is shown ----

	/** Takes a new content, which must be a table. */
	take(uri, content) {
		const taken = this.rows.take(uri, content);
		const news = taken.moved ? this.rows.byKey.values() : taken.changed;
		if (this.columns.note(this.#sample(news), cellText)) this.#layOut();
		this.total = this.rows.byKey.size;
		if (taken.moved || taken.changed.some((row) => this.order.moves(row)))
			this.#orderSoon();
		this.draw();
	}

	/** How somebody wants to see it, which is done at once. */
	look({ sort, filter, columns }) {
		const other = sort !== this.order.sort || filter !== this.order.filter;
		const laid = this.chosen?.join() !== columns?.join();
		this.order.sort = sort;
		this.order.filter = filter;
		this.chosen = columns;
		if (laid || other) this.#layOut();
		if (other) this.applyNow();
	}

	/** Puts every row where it belongs. */
	applyNow() {
		this.unordered = true;
		this.#order(true);
	}

	/** Names of all columns, and those that are shown. */
	columnNames() {
		const all = [...this.columns.byName.keys()];
		const shown = this.chosen?.filter((name) => this.columns.byName.has(name));
		return { all, shown: shown?.length ? shown : all.slice(0, COLUMNS_AT_FIRST) };
	}

	/** The row that is open in the details: marked, and told from the others. */
	markOpen(key) {
		this.openKey = key;
		this.draw();
	}

	focusRow(key) {
		const index = this.shown.findIndex((row) => row.key === key);
		if (index >= 0) this.#focusAt(index);
	}

	// ---- order ----

	get #held() {
		return this.pointed || this.body.contains(document.activeElement);
	}

	#sample(rows) {
		const sample = [];
		for (const row of rows) {
			sample.push(row);
			if (sample.length === SAMPLE) break;
		}
		return sample;
	}

	#orderSoon() {
		this.unordered = true;
		clearTimeout(this.orderTimer);
		const wait = this.orderNotBefore - performance.now();
		if (wait <= 0) this.#order(false);
		else this.orderTimer = setTimeout(() => this.#order(false), wait);
	}

	#order(evenIfHeld) {
		clearTimeout(this.orderTimer);
		const begun = performance.now();
		const next = this.order.rowsOf(this.rows.byKey.values());
		if (evenIfHeld || !this.#held) {
			const first = this.shown.length === 0;
			const known = first ? null : new Set(this.shown.map((row) => row.key));
			this.shown = next;
			this.arrived = known && next.filter((row) => !known.has(row.key));
			this.unordered = false;
			this.#setWaiting(0);
		} else {
			// A row that was gone and has come back is another object.
			this.shown = this.shown.map((row) => this.rows.byKey.get(row.key) ?? row);
			this.#setWaiting(differences(this.shown, next));
		}
		const took = performance.now() - begun;
		this.orderNotBefore = performance.now() + (took < 2 ? 0 : ORDER_COST * took);
		this.virtualizer.setOptions(this.#options());
		this.virtualizer._willUpdate();
		this.events.onCounts();
		this.draw();
	}

	#setWaiting(waiting) {
		if (waiting > 0 && this.waiting === 0)
			announce("Changes are waiting until you leave the rows.");
		this.waiting = waiting;
	}

	#release() {
		if (this.unordered && !this.#held) this.#order(false);
	}

	// ---- columns ----

	#layOut() {
		const { shown } = this.columnNames();
		this.layout++;
		this.shownColumns = shown.map((name) => this.columns.byName.get(name));
		const widths = this.shownColumns.map(
			({ width }) => `minmax(${Math.ceil(width * CHARACTER) + 20}px, ${width}fr)`,
		);
		this.element.style.setProperty("--columns", widths.join(" "));
		setAttribute(this.grid, "aria-colcount", shown.length);
		this.head.replaceChildren(...this.shownColumns.map((column) => this.#title(column)));
		this.draw();
	}

	#title(column) {
		const { sort } = this.order;
		const sorted =
			sort === column.name
				? "ascending"
				: sort === `-${column.name}`
					? "descending"
					: "none";
		const label = make("span", { class: "label" }, column.title);
		const button = make(
			"button",
			{
				class: "sort",
				data: { column: column.name },
				title: `Sort by ${column.title}`,
				on: { click: () => this.events.onSort(column.name) },
			},
			label,
		);
		return make(
			"div",
			{
				role: "columnheader",
				class: column.numeric ? "cell number" : "cell",
				aria: { sort: sorted },
			},
			button,
		);
	}

	// ---- the page ----

	#build() {
		this.head = make("div", { role: "row", class: "row head", aria: { rowindex: 1 } });
		this.body = make("div", { role: "rowgroup", class: "rows" });
		this.grid = make(
			"div",
			{ role: "grid", class: "grid", aria: { label: "Rows", readonly: "true" } },
			make("div", { role: "rowgroup", class: "heads" }, this.head),
			this.body,
		);
		this.empty = make("p", { class: "empty", hidden: true });
		this.element = make("div", { class: "scroller" }, this.grid, this.empty);
		this.body.addEventListener("pointerenter", () => {
			this.pointed = true;
		});
		this.body.addEventListener("pointerleave", () => {
			this.pointed = false;
			this.#release();
		});
		this.body.addEventListener("focusin", (event) => {
			this.focusKey = event.target.closest(".row").rowKey;
		});
		// The focus has gone on when this runs, or nowhere.
		this.body.addEventListener("focusout", () => queueMicrotask(() => this.#release()));
		this.body.addEventListener("click", (event) => this.#onClick(event));
		this.body.addEventListener("keydown", (event) => this.#onKey(event));
		this.virtualizer = new Virtualizer(this.#options());
	}

	#options() {
		return {
			count: this.shown.length,
			getScrollElement: () => this.element,
			estimateSize: () => ROW_HEIGHT,
			overscan: 6,
			scrollMargin: HEAD_HEIGHT,
			scrollPaddingStart: HEAD_HEIGHT,
			getItemKey: (index) => this.shown[index]?.key ?? index,
			rangeExtractor: (range) => this.#range(range),
			scrollToFn: elementScroll,
			observeElementRect,
			observeElementOffset,
			onChange: () => this.draw(),
		};
	}

	/* The row in focus stays in the page wherever it is, or the focus would be lost. */
	#range(range) {
		const indexes = defaultRangeExtractor(range);
		const at = this.#focusIndex();
		if (at < 0 || indexes.includes(at)) return indexes;
		return at < indexes[0] ? [at, ...indexes] : [...indexes, at];
	}

	#focusIndex() {
		if (this.focusKey === null) return -1;
		if (this.shown[this.focusedAt]?.key !== this.focusKey)
			this.focusedAt = this.shown.findIndex((row) => row.key === this.focusKey);
		return this.focusedAt;
	}

	#draw() {
		const items = this.virtualizer.getVirtualItems();
		const wanted = new Set(items.map((item) => this.shown[item.index]?.key));
		for (const [key, drawn] of this.elements)
			if (!wanted.has(key)) {
				drawn.element.remove();
				this.elements.delete(key);
			}
		this.body.style.height = `${this.shown.length * ROW_HEIGHT}px`;
		setAttribute(this.grid, "aria-rowcount", this.shown.length + 1);
		const tabStop = this.#focusIndex() >= 0 ? this.focusKey : this.shown[0]?.key;
		let before = this.body.firstChild;
		for (const item of items) {
			const row = this.shown[item.index];
			if (row === undefined) continue;
			const drawn = this.elements.get(row.key) ?? this.#makeRow(row);
			this.#drawRow(drawn, row, item, tabStop);
			if (drawn.element !== before) this.body.insertBefore(drawn.element, before);
			else before = before.nextSibling;
		}
		for (const row of this.arrived ?? []) {
			const drawn = this.elements.get(row.key);
			if (drawn !== undefined) flash(drawn.element);
		}
		this.arrived = null;
		this.#giveFocus();
		this.#drawEmpty();
	}

	#drawEmpty() {
		const none = this.shown.length === 0;
		this.empty.hidden = !none;
		if (none)
			setText(
				this.empty,
				this.total === 0
					? "The list is empty."
					: `None of ${counted(this.total, "row")} matches the filter.`,
			);
	}

	#makeRow(row) {
		const element = make("div", { role: "row", class: "row" });
		element.rowKey = row.key;
		const drawn = { element, cells: [], layout: -1, value: undefined };
		this.elements.set(row.key, drawn);
		return drawn;
	}

	#drawRow(drawn, row, item, tabStop) {
		const { element } = drawn;
		if (drawn.start !== item.start) {
			drawn.start = item.start;
			element.style.transform = `translateY(${item.start - HEAD_HEIGHT}px)`;
			setAttribute(element, "aria-rowindex", item.index + 2);
			element.classList.toggle("odd", item.index % 2 === 1);
		}
		if (drawn.layout !== this.layout) this.#drawCells(drawn, row);
		else if (drawn.value !== row.value) this.#redrawCells(drawn, row);
		if (drawn.live !== row.live) {
			drawn.live = row.live;
			element.classList.toggle("gone", !row.live);
			setAttribute(element, "aria-label", row.live ? null : `removed: ${row.key}`);
		}
		setAttribute(element, "aria-selected", row.key === this.openKey);
		const stop = row.key === tabStop ? 0 : -1;
		if (element.tabIndex !== stop || drawn.start === undefined) element.tabIndex = stop;
	}

	#drawCells(drawn, row) {
		drawn.layout = this.layout;
		drawn.value = row.value;
		drawn.cells = this.shownColumns.map(({ name, numeric }, index) => {
			const text = cellText(cellOf(row, name));
			const cell = make("div", { role: "gridcell", class: "cell" }, text);
			setAttribute(cell, "aria-colindex", index + 1);
			if (numeric) cell.classList.add("number");
			if (name === REGION) cell.classList.add("region");
			if (cellOf(row, name) === null) cell.classList.add("dim");
			return cell;
		});
		drawn.element.replaceChildren(...drawn.cells);
	}

	#redrawCells(drawn, row) {
		const former = drawn.value;
		drawn.value = row.value;
		this.shownColumns.forEach(({ name }, index) => {
			if (name === REGION || former[name] === row.value[name]) return;
			const cell = drawn.cells[index];
			const text = cellText(row.value[name]);
			if (cell.textContent === text) return;
			cell.textContent = text;
			cell.classList.toggle("dim", row.value[name] === null);
			flash(cell);
		});
	}

	// ---- pointing and keys ----

	#onClick(event) {
		const element = event.target.closest(".row");
		const row = this.shown.find(({ key }) => key === element?.rowKey);
		if (row === undefined || !getSelection().isCollapsed) return;
		element.focus({ preventScroll: true });
		this.events.onOpen(row, false);
	}

	#onKey(event) {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const at = this.#focusIndex();
		const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_HEIGHT) - 2);
		const to = {
			ArrowDown: at + 1,
			ArrowUp: at - 1,
			PageDown: at + page,
			PageUp: at - page,
			Home: 0,
			End: this.shown.length - 1,
		}[event.key];
		if (to !== undefined) {
			this.#focusAt(Math.min(Math.max(to, 0), this.shown.length - 1));
		} else if (event.key === "Enter" || event.key === " ") {
			const row = this.shown[at];
			if (row !== undefined) this.events.onOpen(row, true);
		} else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
			this.element.scrollBy({ left: event.key === "ArrowLeft" ? -120 : 120 });
		} else if (event.key === "Escape") {
			document.activeElement.blur();
		} else {
			return;
		}
		event.preventDefault();
	}

	#focusAt(index) {
		const row = this.shown[index];
		if (row === undefined) return;
		this.focusKey = row.key;
		this.focusWanted = true;
		this.virtualizer.scrollToIndex(index, { align: "auto" });
		this.#draw();
	}

	/* Where it has to be scrolled to, the row is not in the page before. */
	#giveFocus() {
		const drawn = this.elements.get(this.focusKey);
		if (!this.focusWanted || drawn === undefined) return;
		this.focusWanted = false;
		drawn.element.focus({ preventScroll: true });
	}

	/** "12 of 340 rows" */
	get countText() {
		const shown = this.shown.length;
		if (this.order.filter === "") return counted(this.total, "row");
		return `${count(shown)} of ${counted(this.total, "row")}`;
	}
}
