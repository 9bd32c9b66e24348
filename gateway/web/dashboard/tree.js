/*
 * Tree: any JSON, opened and closed by hand. Only what has changed is drawn again, and
 * what is closed is not in the page at all.
 */

import { make, setAttribute, setText } from "./dom.js";
import { counted } from "./format.js";

const CHILDREN_AT_ONCE = 200;
const OPEN_AT_FIRST = 2; // levels
const FLASH_MS = 1400;

function isContainer(value) {
	return value !== null && typeof value === "object";
}

function entriesOf(value) {
	return Array.isArray(value)
		? value.map((entry, index) => [String(index), entry])
		: Object.entries(value);
}

function kindOf(value) {
	if (value === null) return "null";
	return Array.isArray(value) ? "array" : typeof value;
}

function summary(value) {
	const number = Array.isArray(value) ? value.length : Object.keys(value).length;
	return counted(number, Array.isArray(value) ? "entry" : "member").replace(
		"entrys",
		"entries",
	);
}

class Branch {
	constructor(name, value, level) {
		this.level = level;
		this.limit = CHILDREN_AT_ONCE;
		this.children = new Map();
		this.open = level <= OPEN_AT_FIRST;
		this.name = make("span", { class: "name" }, name);
		this.value = make("span", { class: "value" });
		this.line = make("span", { class: "line" }, this.name, this.value);
		this.element = make("li", { role: "treeitem", tabIndex: -1 }, this.line);
		this.element.branch = this;
		setAttribute(this.element, "aria-level", level);
		this.set(value, false);
	}

	set(value, live) {
		if (this.drawn && value === this.json) return;
		const changed = this.drawn;
		this.drawn = true;
		this.json = value;
		this.value.dataset.kind = kindOf(value);
		if (isContainer(value)) {
			setText(this.value, summary(value));
			setAttribute(this.element, "aria-expanded", this.open);
			this.#drawChildren(live);
			return;
		}
		this.#close();
		setAttribute(this.element, "aria-expanded", null);
		setText(this.value, typeof value === "string" ? value : JSON.stringify(value));
		if (changed && live)
			this.line.animate(
				[{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }],
				FLASH_MS,
			);
	}

	toggle(open = !this.open) {
		if (!isContainer(this.json)) return;
		this.open = open;
		setAttribute(this.element, "aria-expanded", open);
		this.#drawChildren(false);
	}

	#close() {
		this.list?.remove();
		this.list = null;
		this.more = null;
		this.children.clear();
	}

	#drawChildren(live) {
		if (!this.open) {
			this.#close();
			return;
		}
		if (!this.list) {
			this.list = make("ul", { role: "group" });
			this.element.append(this.list);
		}
		const entries = entriesOf(this.json);
		const seen = new Set();
		let before = this.list.firstChild;
		for (const [name, value] of entries.slice(0, this.limit)) {
			seen.add(name);
			let child = this.children.get(name);
			if (child === undefined) {
				child = new Branch(name, value, this.level + 1);
				this.children.set(name, child);
			} else {
				child.set(value, live);
			}
			if (child.element === before) before = before.nextSibling;
			else this.list.insertBefore(child.element, before);
		}
		for (const [name, child] of this.children)
			if (!seen.has(name)) {
				child.element.remove();
				this.children.delete(name);
			}
		this.#drawMore(entries.length);
	}

	#drawMore(length) {
		if (length <= this.limit) {
			this.more?.remove();
			this.more = null;
			return;
		}
		this.more ??= this.#makeMore();
		setText(this.more.firstChild, `${length - this.limit} more`);
		if (this.list.lastChild !== this.more) this.list.append(this.more);
	}

	/* An item of the tree, for the keys to reach it. */
	#makeMore() {
		const line = make("span", { class: "line" });
		const element = make("li", { role: "treeitem", tabIndex: -1, class: "more" }, line);
		const level = this.level + 1;
		setAttribute(element, "aria-level", level);
		element.branch = { element, level, json: null, toggle: () => this.#showMore() };
		return element;
	}

	/* Returns the first that was not there before. */
	#showMore() {
		const first = this.limit;
		this.limit += CHILDREN_AT_ONCE;
		this.#drawChildren(false);
		return this.list.children[first];
	}
}

export class Tree {
	constructor(label) {
		this.element = make("ul", { role: "tree", class: "tree", aria: { label } });
		this.element.addEventListener("click", (event) => {
			const branch = event.target.closest("[role=treeitem]")?.branch;
			if (branch && event.target.closest(".line")?.parentNode === branch.element) {
				this.#focus(branch.toggle() ?? branch.element);
			}
		});
		this.element.addEventListener("keydown", (event) => this.#onKey(event));
	}

	show(value, name = "content") {
		if (this.root === undefined) {
			this.root = new Branch(name, value, 1);
			this.root.element.tabIndex = 0;
			this.element.replaceChildren(this.root.element);
		} else {
			this.root.set(value, true);
		}
		// What had the focus may be gone: one must always be reachable.
		if (this.element.querySelector("[tabindex='0']") === null)
			this.root.element.tabIndex = 0;
	}

	#focus(element) {
		for (const other of this.element.querySelectorAll("[tabindex='0']"))
			other.tabIndex = -1;
		element.tabIndex = 0;
		element.focus();
	}

	#onKey(event) {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const { branch } = event.target;
		if (branch === undefined) return;
		const items = [...this.element.querySelectorAll("[role=treeitem]")];
		const at = items.indexOf(branch.element);
		const to = {
			ArrowDown: items[at + 1],
			ArrowUp: items[at - 1],
			Home: items[0],
			End: items.at(-1),
		}[event.key];
		if (to) this.#focus(to);
		else if (event.key === "ArrowRight" && isContainer(branch.json)) {
			if (branch.open) items[at + 1]?.branch.level > branch.level && this.#focus(items[at + 1]);
			else branch.toggle(true);
		} else if (event.key === "ArrowLeft") {
			if (isContainer(branch.json) && branch.open) branch.toggle(false);
			else {
				const parent = branch.element.parentNode.closest("[role=treeitem]");
				if (parent) this.#focus(parent);
			}
		} else if (event.key === "Enter" || event.key === " ")
			this.#focus(branch.toggle() ?? branch.element);
		else return;
		event.preventDefault();
	}
}
