/*
 * Watch: one address, live. A table where its content is one, else a tree.
 */

import { Details } from "./details.js";
import { announce, make, oncePerFrame, setText } from "./dom.js";
import { ago, counted } from "./format.js";
import { amendPlace, hashOf, readPlace } from "./place.js";
import { REGION, isTable, regionsIn } from "./rows.js";
import { Table } from "./table.js";
import { Tree } from "./tree.js";

const SUGGESTIONS = 200;
const ASK_EVERY = 4; // seconds between two questions to the gateway

export class WatchPage {
	constructor(session) {
		this.session = session;
		this.place = readPlace();
		this.resource = null; // what the data layer says of the address now
		this.drawn = undefined; // the content that is in the page
		this.view = null; // Table or Tree
		this.draw = oncePerFrame(() => this.#draw());
		this.#build();
	}

	mount() {
		const { uri } = this.place;
		this.#suggest();
		this.clock = setInterval(() => this.#tick(), 1000);
		if (uri === "") return;
		document.title = `${uri} – uricast`;
		this.stop = this.session.watch(uri, (resource) => {
			this.resource = resource;
			this.draw();
		});
	}

	dispose() {
		this.disposed = true;
		document.title = "uricast";
		clearInterval(this.clock);
		this.stop?.();
		this.draw.cancel();
		this.view?.dispose?.();
	}

	focusFilter() {
		(this.filter.closest("[hidden]") ? this.address : this.filter).focus();
	}

	// ---- the parts ----

	#build() {
		this.suggestions = make("datalist", { id: "suggestions" });
		this.address = make("input", {
			id: "address",
			value: this.place.uri,
			placeholder: "/nodes or compute/dfw/servers",
			autocomplete: "off",
			spellcheck: false,
			required: true,
		});
		this.address.setAttribute("list", "suggestions");
		const form = make(
			"form",
			{ class: "address", role: "search" },
			make("label", { for: "address" }, "Address"),
			this.address,
			make("button", { class: "primary" }, "Watch"),
			this.suggestions,
		);
		form.addEventListener("submit", (event) => {
			event.preventDefault();
			location.hash = hashOf({ page: "watch", uri: this.address.value.trim() });
		});
		this.state = make("span", { class: "pill", role: "status" });
		this.times = make("span", { class: "dim" });
		this.regions = make("span", { class: "regions" });
		this.trouble = make("p", { class: "banner", role: "status", hidden: true });
		this.watched = make("section", { class: "watched", hidden: true });
		this.content = make("div", { class: "content" });
		this.details = new Details(() => this.#closeDetails());
		this.element = make(
			"div",
			{ class: "watch" },
			make("h1", { class: "unseen" }, this.place.uri || "Watch"),
			form,
			make(
				"div",
				{ class: "status", hidden: this.place.uri === "" },
				this.state,
				this.times,
				this.regions,
				this.#makeTools(),
			),
			this.trouble,
			this.watched,
			make("div", { class: "beside" }, this.content, this.details.element),
		);
	}

	#makeTools() {
		this.counts = make("span", { class: "dim counts" });
		this.waiting = make("button", {
			class: "waiting",
			title: "Put the rows where they belong now",
			hidden: true,
			on: { click: () => this.view.applyNow() },
		});
		this.filter = make("input", {
			id: "filter",
			type: "search",
			value: this.place.filter,
			placeholder: "Filter ( / )",
			autocomplete: "off",
			spellcheck: false,
			aria: { label: "Filter the rows" },
		});
		this.filter.addEventListener("input", () => this.#look({ filter: this.filter.value }));
		this.columnList = make("div", { class: "menu", role: "group", aria: { label: "Columns" } });
		this.columns = make(
			"details",
			{ class: "columns" },
			make("summary", {}, "Columns"),
			this.columnList,
		);
		this.columns.addEventListener("toggle", () => this.#listColumns());
		this.columns.addEventListener("keydown", (event) => {
			if (event.key !== "Escape") return;
			this.columns.open = false;
			this.columns.firstChild.focus();
		});
		this.outside = (event) => {
			if (!this.columns.contains(event.target)) this.columns.open = false;
		};
		this.columns.addEventListener("toggle", () => {
			const listen = this.columns.open ? "addEventListener" : "removeEventListener";
			document[listen]("pointerdown", this.outside);
		});
		this.tools = make(
			"div",
			{ class: "tools", hidden: true },
			this.waiting,
			this.counts,
			this.filter,
			this.columns,
		);
		return this.tools;
	}

	// ---- how it is looked at ----

	/* Sort, filter or columns are other: in the address bar, and in the table. */
	#look(change) {
		Object.assign(this.place, change);
		amendPlace(this.place);
		this.view?.look?.(this.place);
		this.#drawCounts();
	}

	/* Up, down, and as the upstream has it. */
	#sortBy(name) {
		const { sort } = this.place;
		const next = sort === name ? `-${name}` : sort === `-${name}` ? "" : name;
		this.#look({ sort: next });
		const said = { [name]: "ascending", [`-${name}`]: "descending" }[next];
		announce(said ? `Sorted by ${name}, ${said}` : "In the upstream's order");
		this.content.querySelector(`[data-column="${CSS.escape(name)}"]`)?.focus();
	}

	#listColumns() {
		if (!this.columns.open || !(this.view instanceof Table)) return;
		const { all, shown } = this.view.columnNames();
		const boxes = all.map((name) => {
			const box = make("input", { type: "checkbox", checked: shown.includes(name) });
			box.addEventListener("change", () => {
				const columns = all.filter((_, index) => boxes[index].firstChild.checked);
				if (columns.length === 0) box.checked = true;
				else this.#look({ columns });
			});
			return make("label", {}, box, name === REGION ? "region" : name);
		});
		this.columnList.replaceChildren(...boxes);
	}

	#openRow(row, byKeyboard) {
		this.details.open(row, byKeyboard);
		this.view.markOpen(row.key);
	}

	#closeDetails() {
		const { row } = this.details;
		const inside = this.details.element.contains(document.activeElement);
		this.details.hide();
		this.view?.markOpen?.(null);
		if (inside && row) this.view?.focusRow?.(row.key);
	}

	// ---- drawing ----

	#draw() {
		const { resource } = this;
		if (this.disposed || !resource) return;
		const { value } = resource;
		if (value !== undefined && value !== this.drawn) {
			this.drawn = value;
			this.changedAt = Date.now();
			this.#drawContent(value);
		}
		this.#drawState(resource);
		this.#drawTimes();
		this.#drawRegions(this.#regions());
		this.#drawTrouble();
	}

	/* Of an aggregate: [name, how it is]. */
	#regions() {
		const { value } = this.resource;
		return Object.entries((value !== undefined && regionsIn(this.place.uri, value)) || {});
	}

	#drawContent(content) {
		const { uri } = this.place;
		const table = isTable(uri, content);
		if (this.view === null || this.view instanceof Table !== table)
			this.#useView(table ? this.#makeTable() : new Tree("Content"));
		if (table) this.view.take(uri, content);
		else this.view.show(content, uri);
		this.details.draw();
		this.#drawCounts();
	}

	#makeTable() {
		const table = new Table({
			onSort: (name) => this.#sortBy(name),
			onOpen: (row, byKeyboard) => this.#openRow(row, byKeyboard),
			onCounts: () => this.#drawCounts(),
		});
		table.look(this.place);
		return table;
	}

	#useView(view) {
		this.#closeDetails();
		this.view?.dispose?.();
		this.view = view;
		this.tools.hidden = !(view instanceof Table);
		this.content.replaceChildren(view.element);
		view.mount?.();
	}

	#drawCounts() {
		if (!(this.view instanceof Table)) return;
		const { waiting } = this.view;
		setText(this.counts, this.view.countText);
		this.waiting.hidden = waiting === 0;
		setText(this.waiting, `${counted(waiting, "change")} waiting`);
	}

	#drawState({ state }) {
		setText(this.state, state);
		this.state.dataset.state = state;
	}

	/* What is wrong, a line each: of the whole, and of regions. */
	#drawTrouble() {
		const { state, error } = this.resource;
		const ill = this.#regions().filter(([, region]) => region.error);
		const lines = ill.map(([name, region]) => `${name}: ${sentence(region.error)}`);
		if (error) lines.unshift(sentence(error));
		const states = [state, ...ill.map(([, region]) => region.state)];
		this.trouble.hidden = lines.length === 0;
		this.trouble.dataset.state = states.includes("error") ? "error" : "stale";
		setText(this.trouble, lines.join("\n"));
	}

	/* Unchanged polls are told to nobody, so the gateway is asked. */
	#tick() {
		this.seconds = (this.seconds ?? 0) + 1;
		const ask = this.seconds % ASK_EVERY === 0 && document.visibilityState === "visible";
		if (ask && this.resource)
			this.resource.status().catch(() => {}); // not over every transport
		else if (ask && this.place.uri === "") this.#suggest();
		this.#drawTimes();
		if (this.resource) this.#drawTrouble();
	}

	#drawTimes() {
		const said = [];
		const { checkedAt } = this.resource ?? {};
		if (checkedAt) said.push(`checked ${ago(Date.now() - checkedAt)}`);
		if (this.changedAt) said.push(`changed ${ago(Date.now() - this.changedAt)}`);
		setText(this.times, said.join(", "));
	}

	#drawRegions(wanted) {
		while (this.regions.childElementCount > wanted.length)
			this.regions.lastChild.remove();
		while (this.regions.childElementCount < wanted.length)
			this.regions.append(make("span", { class: "pill" }));
		wanted.forEach(([name, { state, error }], index) => {
			const pill = this.regions.children[index];
			setText(pill, state === "fresh" ? name : `${name}: ${state}`);
			pill.dataset.state = state;
			pill.title = error ? sentence(error) : `${name} is ${state}`;
		});
	}

	// ---- what could be watched ----

	async #suggest() {
		let picture;
		try {
			picture = await this.session.get(`/fleet?limit=${SUGGESTIONS}`);
		} catch {
			return; // an address can be typed all the same
		}
		if (this.disposed) return;
		const addresses = picture.resources.map(({ address }) => address).sort();
		this.suggestions.replaceChildren(
			...addresses.map((address) => make("option", { value: address })),
		);
		if (this.place.uri !== "") return;
		this.watched.hidden = false;
		const named = addresses.join("\n");
		if (named === this.named) return; // a link in focus stays
		this.named = named;
		const links = addresses.map((uri) =>
			make("li", {}, make("a", { href: hashOf({ page: "watch", uri }) }, uri)),
		);
		this.watched.replaceChildren(
			make("h2", {}, "Watched now"),
			links.length
				? make("ul", {}, ...links)
				: make("p", { class: "dim" }, "Nobody watches anything yet. Type an address."),
		);
	}
}

/**
 * "node.example.com answered 503 – since 14:03:12, next try at 14:03:42". Later tries that
 * fail alike are told to nobody: of them nothing is said.
 */
function sentence({ code, message, since, retry_at }) {
	const time = (instant) => new Date(instant).toLocaleTimeString();
	const parts = [];
	if (since) parts.push(`since ${time(since)}`);
	if (Date.parse(retry_at) > Date.now()) parts.push(`next try at ${time(retry_at)}`);
	return `${message ?? code}${parts.length ? ` – ${parts.join(", ")}` : ""}`;
}
