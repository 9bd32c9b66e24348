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

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class LongPollTransport {
	#context;
	#loops = new Map(); /* AbortController by address */
	#free = SLOTS;
	#waiting = []; /* for a slot; called when there is one */

	constructor(context) {
		this.#context = context;
	}

	close() {
		this.#keep(new Map());
	}

	sync() {
		const wanted = this.#context.resources();
		this.#keep(wanted);
		for (const [address, resource] of wanted)
			if (!this.#loops.has(address)) this.#follow(address, resource);
	}

	#keep(wanted) {
		for (const [address, loop] of this.#loops)
			if (!wanted.has(address)) {
				loop.abort();
				this.#loops.delete(address);
			}
	}

	async #follow(address, resource) {
		const loop = new AbortController();
		this.#loops.set(address, loop);
		/* Without waiting at first: that the gateway is there is to be known soon. */
		for (let wait; !loop.signal.aborted; wait = this.#wait()) {
			const answer = await this.#ask(resource, wait, loop);
			if (loop.signal.aborted) return;
			if (!answer || answer.status === 401) this.#context.ended(answer?.error);
			else if (this.#take(address, answer)) await sleep(PAUSE);
		}
	}

	/* In seconds; not for long where others wait for a slot. */
	#wait() {
		return this.#loops.size > SLOTS ? 1 : Math.ceil(this.#context.timing.wait / 1000);
	}

	async #ask({ address, version }, wait, loop) {
		while (this.#free === 0) await new Promise((resolve) => this.#waiting.push(resolve));
		this.#free--;
		const { url, token, ended } = this.#context;
		const { signal } = loop;
		const timer = setTimeout(ended, (wait ?? 30) * 1000 + SLACK);
		try {
			return await getResource(url, address, {
				token: await token(),
				etag: version,
				wait,
				signal,
			});
		} catch {
			/* No gateway. */
		} finally {
			clearTimeout(timer);
			this.#free++;
			this.#waiting.shift()?.();
		}
	}

	/* Returns whether to leave it alone for a while. */
	#take(uri, { status, version, content, state, error }) {
		const { accepted, frame, refused, worked } = this.#context;
		const isBad = status >= 400;
		worked();
		if (error?.code === "no_content") return false;
		if (isBad && (status < 500 || error.code.startsWith("too_many")) && status !== 410) {
			refused(uri, error);
			this.sync();
			return false;
		}
		accepted(uri, version);
		if (status === 200) frame({ uri, version, content });
		frame({ uri, state: status === 410 ? "gone" : (state ?? "error"), error });
		return isBad;
	}
}
