/*
 * Fleet: who is in it and what it watches, from GET /fleet, asked for again every two
 * seconds while somebody can see it.
 */

import { make, oncePerFrame, setText } from "./dom.js";
import { ago, count, counted, duration, interval } from "./format.js";
import { amendPlace, hashOf, readPlace } from "./place.js";

const EVERY_MS = 2000;
const LIMIT = 200;

/** A table of @columns: [title, text or node of an entry, class]. Rows are kept by key. */
class List {
	constructor(title, columns, keyOf) {
		this.columns = columns;
		this.keyOf = keyOf;
		this.rows = new Map();
		this.body = make("tbody");
		const heads = columns.map(([name, , kind = ""]) =>
			make("th", { scope: "col", class: kind }, name),
		);
		this.count = make("span", { class: "dim" });
		const id = `list-${title.toLowerCase()}`;
		this.heading = make("h2", { id }, title, " ", this.count);
		this.element = make(
			"section",
			{ class: "list" },
			this.heading,
			make(
				"div",
				{ class: "wide", tabIndex: 0, role: "region", aria: { labelledby: id } },
				make(
					"table",
					{},
					make("thead", {}, make("tr", {}, ...heads)),
					this.body,
				),
			),
		);
	}

	show(entries, total) {
		const seen = new Set();
		let before = this.body.firstChild;
		for (const entry of entries) {
			const key = this.keyOf(entry);
			seen.add(key);
			const row = this.rows.get(key) ?? this.#makeRow(key);
			this.columns.forEach(([, valueOf], index) => {
				const cell = row.cells[index];
				const value = valueOf(entry);
				if (typeof value === "string") setText(cell, value);
				else if (!cell.firstChild?.isEqualNode(value)) cell.replaceChildren(value);
			});
			if (row === before) before = before.nextSibling;
			else this.body.insertBefore(row, before);
		}
		for (const [key, row] of this.rows)
			if (!seen.has(key)) {
				row.remove();
				this.rows.delete(key);
			}
		setText(
			this.count,
			total > entries.length
				? `${count(entries.length)} of ${count(total)}`
				: count(total),
		);
	}

	#makeRow(key) {
		const cells = this.columns.map(([, , kind = ""]) => make("td", { class: kind }));
		const row = make("tr", {}, ...cells);
		this.rows.set(key, row);
		return row;
	}
}

function pill(text, state) {
	return make("span", { class: "pill", data: { state } }, text);
}

const LIVES = { alive: "fine", late: "stale", buried: "error" };

function life(session) {
	return pill(session.life, LIVES[session.life]);
}

function lease({ lease_left_ms: left }) {
	return left > 0 ? `${(left / 1000).toFixed(1)} s` : "–";
}

function told(number) {
	return number === undefined ? "–" : count(number);
}

const HEALTHS = {
	fine: "fine",
	waiting: "waiting",
	gone: "gone",
	overdue: "stale",
	stale: "stale",
	error: "error",
	unowned: "error",
};

/* As the gateway chose them, but those of the same health by name: they stay in place. */
function worstFirst(a, b) {
	const healths = Object.keys(HEALTHS);
	const health = healths.indexOf(b.health) - healths.indexOf(a.health);
	return health || (a.address < b.address ? -1 : 1);
}

export class FleetPage {
	constructor(session) {
		this.session = session;
		this.former = null; // picture, for the rates
		this.timer = 0;
		this.draw = oncePerFrame(() => this.#draw());
		this.onVisible = () => this.#ask();
		this.#build();
	}

	#since(instant) {
		return Date.parse(this.picture.now) - Date.parse(instant);
	}

	#build() {
		const sessionColumns = [
			["session", ({ session }) => make("code", {}, session)],
			["life", life],
			["lease", lease, "number"],
			["host", (s) => (s.host ? `${s.host}${s.pid ? `:${s.pid}` : ""}` : "–")],
			["version", (s) => s.version || "–"],
			["up", (s) => (s.started ? duration(this.#since(s.started)) : "–"), "number"],
			["resources", (s) => told(s.resources), "number"],
		];
		const bySession = ({ session }) => session;
		this.gateways = new List(
			"Gateways",
			[
				...sessionColumns,
				["clients", (s) => told(s.clients), "number"],
				["subscriptions", (s) => told(s.subscriptions), "number"],
			],
			bySession,
		);
		this.pollers = new List(
			"Pollers",
			[
				...sessionColumns,
				["polls/s", (s) => this.#rate(s, "polls"), "number"],
				["commits/s", (s) => this.#rate(s, "commits"), "number"],
			],
			bySession,
		);
		this.providers = new List(
			"Providers",
			[
				["provider", ({ name }) => name],
				["resources", (p) => count(p.resources), "number"],
				[
					"unwell",
					(p) => (p.unwell ? pill(count(p.unwell), "stale") : "0"),
					"number",
				],
				[
					"down for",
					(p) => (p.down ? pill(counted(p.down, "poller"), "error") : "–"),
				],
				["interval", (p) => (p.interval ? interval(p.interval * 1000) : "–"), "number"],
			],
			({ name }) => name,
		);
		this.resources = new List(
			"Resources",
			[
				[
					"address",
					({ address }) =>
						make(
							"a",
							{ href: hashOf({ page: "watch", uri: address }) },
							address,
						),
					"address",
				],
				["state", (r) => pill(r.health === "fine" ? r.state : r.health, HEALTHS[r.health])],
				["checked", (r) => (r.checked_at ? ago(this.#since(r.checked_at)) : "–"), "number"],
				["changed", (r) => (r.changed_at ? ago(this.#since(r.changed_at)) : "–"), "number"],
				["interval", (r) => (r.interval ? interval(r.interval * 1000) : "–"), "number"],
				["viewers", (r) => count(r.viewers), "number"],
				["owner", (r) => (r.owner ? make("code", {}, r.owner) : "nobody")],
				["error", (r) => r.error?.message ?? r.error?.code ?? "", "message"],
			],
			({ address }) => address,
		);
		this.tiles = make("dl", { class: "tiles" });
		this.prefix = make("input", {
			id: "prefix",
			type: "search",
			placeholder: "/nodes or compute/",
			value: readPlace().prefix,
			autocomplete: "off",
			spellcheck: false,
		});
		this.prefix.addEventListener("input", () => {
			amendPlace({ prefix: this.prefix.value });
			this.#ask();
		});
		this.trouble = make("p", { class: "banner", role: "status", hidden: true });
		this.resources.heading.after(
			make(
				"div",
				{ class: "tools" },
				make("label", { for: "prefix", class: "dim" }, "Beginning with"),
				this.prefix,
			),
		);
		this.element = make(
			"div",
			{ class: "fleet" },
			make("h1", { class: "unseen" }, "Fleet"),
			this.trouble,
			this.tiles,
			this.resources.element,
			this.gateways.element,
			this.pollers.element,
			this.providers.element,
		);
	}

	mount() {
		document.addEventListener("visibilitychange", this.onVisible);
		this.#ask();
	}

	dispose() {
		document.removeEventListener("visibilitychange", this.onVisible);
		clearTimeout(this.timer);
		this.draw.cancel();
		this.disposed = true;
	}

	focusFilter() {
		this.prefix.focus();
	}

	async #ask() {
		clearTimeout(this.timer);
		if (this.disposed || document.visibilityState !== "visible") return;
		const asked = (this.asked = Symbol("ask"));
		const prefix = encodeURIComponent(this.prefix.value);
		let wrong = null;
		try {
			const picture = await this.session.get(`/fleet?limit=${LIMIT}&prefix=${prefix}`);
			if (this.asked !== asked || this.disposed) return;
			if (this.picture?.now !== picture.now) this.former = this.picture;
			this.picture = picture;
		} catch (error) {
			wrong = error;
		}
		if (this.asked !== asked || this.disposed) return;
		this.trouble.hidden = wrong === null;
		if (wrong) setText(this.trouble, `The gateway does not tell: ${wrong.message}`);
		this.draw();
		this.timer = setTimeout(() => this.#ask(), EVERY_MS);
	}

	/* Between the two last pictures; a session tells its counts once a second. */
	#rate(session, name) {
		const former = this.former?.pollers.find((s) => s.session === session.session);
		if (former?.[name] === undefined || session[name] === undefined) return "–";
		const seconds =
			(Date.parse(this.picture.now) - Date.parse(this.former.now)) / 1000;
		return count(Math.max(0, session[name] - former[name]) / seconds);
	}

	#draw() {
		const { picture } = this;
		if (!picture) return;
		const { summary } = picture;
		this.#drawTiles(picture);
		this.gateways.show(picture.gateways, picture.gateways_total);
		this.pollers.show(picture.pollers, picture.pollers_total);
		this.providers.show(picture.providers, picture.providers.length);
		this.resources.show(picture.resources.toSorted(worstFirst), summary.resources);
	}

	#drawTiles({ summary, gateways, pollers }) {
		const alive = (sessions) => sessions.filter((s) => s.life === "alive").length;
		const unwell = summary.resources - (summary.health.fine ?? 0);
		const tiles = [
			["resources", count(summary.resources), ""],
			["not fine", count(unwell), unwell ? "stale" : ""],
			["viewers", count(summary.viewers), ""],
			["gateways", count(alive(gateways)), alive(gateways) ? "" : "error"],
			["pollers", count(alive(pollers)), alive(pollers) ? "" : "error"],
		];
		while (this.tiles.childElementCount < tiles.length)
			this.tiles.append(make("div", {}, make("dt"), make("dd")));
		tiles.forEach(([name, value, state], index) => {
			const [term, said] = this.tiles.children[index].children;
			setText(term, name);
			setText(said, value);
			said.dataset.state = state;
		});
	}
}
