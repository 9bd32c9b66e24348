/*
 * Long-polls: a request for each address that is answered when there is something new.
 */

import { getResource } from "./http.js";

/* A browser has six connections to a host at most (HTTP/1.1), and the page needs some. */
const SLOTS = 4;

/* How long a failing address is left alone, and how much longer than what it may wait an
 * answer may take, in ms. */
const PAUSE = 2000;
const SLACK = 10000;

export class LongPollTransport {
	#context;
	#requests = new Map(); /* AbortController by address */
	#turns = new Map(); /* when an address may be asked again, in ms; in the order to ask */
	#known = new Set(); /* addresses that were answered over this connection */
	#timer;

	constructor(context) {
		this.#context = context;
	}

	open() {
		this.sync();
	}

	pause() {
		this.#stop();
	}

	resume() {
		this.#known.clear();
		this.sync();
	}

	close() {
		this.#stop();
	}

	#stop() {
		clearTimeout(this.#timer);
		for (const request of this.#requests.values()) request.abort();
		this.#requests.clear();
		this.#turns.clear();
	}

	sync() {
		const wanted = this.#context.resources();
		for (const [address, request] of this.#requests)
			if (!wanted.has(address)) {
				request.abort();
				this.#requests.delete(address);
			}
		for (const address of this.#turns.keys())
			if (!wanted.has(address)) this.#turns.delete(address);
		for (const address of wanted.keys())
			if (!this.#turns.has(address) && !this.#requests.has(address))
				this.#turns.set(address, 0);
		this.#askNext();
	}

	#askNext() {
		const now = performance.now();
		clearTimeout(this.#timer);
		for (const [address, at] of this.#turns) {
			if (this.#requests.size === SLOTS) return;
			if (at > now) continue;
			this.#turns.delete(address);
			this.#ask(address);
		}
		if (this.#turns.size === 0) return;
		const next = Math.min(...this.#turns.values());
		this.#timer = setTimeout(() => this.#askNext(), Math.max(0, next - now));
	}

	/* Not at all at first: that the gateway is there is to be known soon. In seconds. */
	#waitOf(address) {
		if (!this.#known.has(address)) return undefined;
		const crowded = this.#context.resources().size > SLOTS;
		return crowded ? 1 : Math.max(1, Math.round(this.#context.timing.wait / 1000));
	}

	async #ask(address) {
		const resource = this.#context.resources().get(address);
		const request = new AbortController();
		const wait = this.#waitOf(address);
		const patience = (wait ?? 30) * 1000 + SLACK;
		const timer = setTimeout(() => request.abort(), patience);
		this.#requests.set(address, request);
		let answer;
		try {
			answer = await getResource(this.#context.url, address, {
				token: await this.#context.token(),
				etag: resource.version,
				wait,
				signal: request.signal,
			});
		} catch {
			/* No gateway, or one that is silent. */
		}
		clearTimeout(timer);
		if (this.#requests.get(address) !== request) return; /* nobody wants it any more */
		this.#requests.delete(address);
		if (answer === undefined || answer.status === 401) {
			this.#context.ended(answer?.error);
			return;
		}
		this.#known.add(address);
		this.#turns.set(address, performance.now() + this.#take(address, answer));
		this.sync();
	}

	/* Returns how long to leave it alone, in ms. */
	#take(uri, answer) {
		const { status, version, content, state, error } = answer;
		const { accepted, frame, refused, worked } = this.#context;
		worked();
		if (status === 200 || status === 304) {
			accepted(uri, { since: version });
			if (status === 200) frame({ uri, version, content });
			frame({ uri, state, error });
			return 0;
		}
		if (error.code === "no_content") return 0;
		if ([410, 502, 503].includes(status) && error.code !== "too_many_addresses") {
			accepted(uri, { since: version });
			frame({ uri, state: status === 410 ? "gone" : "error", error });
			return PAUSE;
		}
		refused(uri, error);
		return 0;
	}
}
