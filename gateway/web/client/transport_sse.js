/*
 * Server-sent events: one stream for all addresses, which begins anew when they change.
 * Read with fetch() and not with EventSource, which can show no token and says nothing of
 * why it failed.
 */

import { authorization, jsonOf, resourceUrl } from "./http.js";

/* Of the query, in characters: a gateway takes a head of 16 KiB. */
const QUERY_MAX = 12000;

/* Several views come and go at once: a stream is for what they leave. In ms. */
const GATHER = 20;

const TOO_LONG = {
	code: "too_many_subscriptions",
	message: "an event stream has no room for more addresses",
};

/* Yields the data of each event, and undefined for what only shows that it lives. */
async function* eventsOf(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { value, done } = await reader.read();
		if (done) return;
		/* Only what is new can hold the end of a block. */
		const from = Math.max(0, rest.length - 1);
		rest += value;
		yield undefined;
		let end = rest.indexOf("\n\n", from);
		for (; end >= 0; end = rest.indexOf("\n\n")) {
			const data = dataOf(rest.slice(0, end));
			rest = rest.slice(end + 2);
			if (data !== "") yield data;
		}
	}
}

function dataOf(block) {
	return block
		.split("\n")
		.filter((line) => line.startsWith("data:"))
		.map((line) => line.slice(line[5] === " " ? 6 : 5))
		.join("\n");
}

export class SseTransport {
	#context;
	#stream; /* AbortController of the one that is open */
	#signature; /* of what it is for */
	#gather;
	#watchdog;

	constructor(context) {
		this.#context = context;
	}

	open() {
		this.#begin();
	}

	sync() {
		this.#gather ??= setTimeout(() => {
			this.#gather = undefined;
			if (this.#signature !== this.#signatureNow()) this.#begin();
		}, GATHER);
	}

	pause() {
		this.#stop();
		this.#signature = undefined;
	}

	resume() {
		this.#begin();
	}

	close() {
		this.#stop();
	}

	#stop() {
		clearTimeout(this.#gather);
		clearTimeout(this.#watchdog);
		this.#gather = undefined;
		this.#stream?.abort();
	}

	#watch(ms) {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(() => this.#context.ended(), ms);
	}

	#signatureNow() {
		const resources = [...this.#context.resources().values()];
		return JSON.stringify(resources.map(({ address, wish }) => [address, wish]));
	}

	#begin() {
		this.#stop();
		this.#signature = this.#signatureNow();
		const resources = this.#fitting();
		if (resources.length === 0) return;
		this.#watch(this.#context.timing.open);
		this.#stream = new AbortController();
		this.#follow(resources, this.#stream.signal);
	}

	/* As many as one stream has room for; the others are refused. */
	#fitting() {
		let length = 0;
		const fits = ({ address }) => {
			length += encodeURIComponent(address).length + 24;
			return length < QUERY_MAX;
		};
		const resources = [...this.#context.resources().values()];
		const fitting = resources.filter(fits);
		for (const resource of resources)
			if (!fitting.includes(resource)) this.#context.refused(resource.address, TOO_LONG);
		return fitting;
	}

	#query(resources) {
		const wishes = resources.map(({ wish }) => wish).filter((wish) => wish > 0);
		const parts = resources.map(({ address }) => `uri=${encodeURIComponent(address)}`);
		const versions = resources.map(({ since }) => since ?? "0");
		parts.push("mode=patch", `last-event-id=${versions.join(",")}`);
		if (wishes.length > 0) parts.push(`interval=${Math.min(...wishes)}`);
		return parts.join("&");
	}

	async #follow(resources, signal) {
		try {
			await this.#read(resources, signal);
		} catch {
			/* A stream that was cut is one that has ended. */
		}
		if (!signal.aborted) this.#context.ended();
	}

	async #read(resources, signal) {
		const { url, token, timing } = this.#context;
		const headers = { Accept: "text/event-stream", ...authorization(await token()) };
		const since = resources.map((resource) => resource.since);
		const response = await fetch(resourceUrl(url, this.#query(resources)), {
			headers,
			signal,
			cache: "no-store",
		});
		if (response.status !== 200) {
			await this.#onRefused(response, signal);
			return;
		}
		let begun = false;
		for await (const data of eventsOf(response.body)) {
			if (signal.aborted) return;
			this.#watch(timing.streamSilence);
			if (!begun) this.#onBegun(resources, since);
			begun = true;
			if (data !== undefined) this.#onEvent(JSON.parse(data));
		}
	}

	#onBegun(resources, since) {
		this.#context.worked();
		for (const [index, { address }] of resources.entries())
			this.#context.accepted(address, { since: since[index] });
	}

	/* There is no stream if one of its addresses is refused: it goes on without that one. */
	async #onRefused(response, signal) {
		const { uri, error } = (await jsonOf(response)) ?? {};
		if (signal.aborted) return;
		if (uri === undefined) {
			this.#context.ended(error);
			return;
		}
		this.#context.worked();
		this.#context.refused(uri, error);
		this.#begin();
	}

	#onEvent(frame) {
		/* Begun anew, the stream has what does not fit as a whole. */
		if (!this.#context.frame(frame)) this.#begin();
	}
}
