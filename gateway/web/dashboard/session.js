/*
 * Session: one link to the gateway for the whole page, and the token it wants.
 *
 * The token is kept in sessionStorage, so that it outlives a reload and not the tab.
 */

import { connect } from "../client/uricast.js";

const STORED = "uricast-token";

/** What the data layer calls the connection, as the page shows it. */
const LINKS = {
	connected: "live",
	paused: "live",
	idle: "idle",
	connecting: "waiting",
	disconnected: "lost",
	closed: "lost",
};

export class Session {
	/**
	 * @askToken  asked for a token, with whether one was refused; resolves to it
	 * @onLink    told how the link is: idle, waiting, live, lost
	 */
	constructor({ askToken, onLink }) {
		this.askToken = askToken;
		this.onLink = onLink;
		this.token = sessionStorage.getItem(STORED) ?? "";
		this.watched = new Set();
		this.#connect();
	}

	/**
	 * Watches @uri until the function it returns is called. @onChange is told of each
	 * change of the subscription, which has value, state and error.
	 */
	watch(uri, onChange) {
		const watched = { uri, onChange };
		this.watched.add(watched);
		this.#subscribe(watched);
		return () => {
			this.watched.delete(watched);
			watched.subscription.close();
		};
	}

	/** The JSON that is at @path of the gateway; rejects with an Error that says why. */
	async get(path, signal) {
		const headers = this.token === "" ? {} : { Authorization: `Bearer ${this.token}` };
		const used = this.token;
		const response = await fetch(path, { headers, signal, cache: "no-store" });
		if (response.status === 401) {
			await this.#renewToken(used);
			return this.get(path, signal);
		}
		const body = await response.json().catch(() => null);
		if (response.ok && body !== null) return body;
		throw new Error(body?.error?.message ?? `it answered ${response.status}`);
	}

	#connect() {
		const token = this.token === "" ? undefined : this.token;
		const link = connect({ urls: new URL("/", location.href).href, token });
		this.link = link;
		link.onStatus((status) => {
			if (this.link !== link) return;
			this.onLink(LINKS[status.state]);
			if (status.error?.code === "unauthorized") this.#renewToken(token ?? "");
		});
	}

	#subscribe(watched) {
		const { uri, onChange } = watched;
		const tell = (...told) => onChange(told.at(-1));
		const callbacks = { content: tell, state: tell };
		watched.subscription = this.link.subscribe(uri, callbacks);
		onChange(watched.subscription);
	}

	/* Several may find out at once that @used is no token, or not enough. */
	#renewToken(used) {
		if (this.token !== used) return Promise.resolve();
		this.renewing ??= this.askToken(used !== "").then((token) => {
			this.renewing = null;
			this.token = token;
			sessionStorage.setItem(STORED, token);
			const former = this.link;
			this.#connect();
			for (const watched of this.watched) this.#subscribe(watched);
			former.close();
		});
		return this.renewing;
	}
}
