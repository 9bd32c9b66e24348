/*
 * Server-sent events: one stream for all addresses, which begins anew when they change.
 * Read with fetch() and not with EventSource, which can show no token and says nothing of
 * why it failed.
 */

import { authorization, resourceUrl } from "./http.js";

/* Yields the data of each event, and "" for what only shows that it lives. */
async function* eventsOf(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { value, done } = await reader.read();
		if (done) return;
		/* Only what is new can hold the end of an event. */
		let end = (rest + value).indexOf("\n\n", rest.length - 1);
		rest += value;
		yield "";
		for (; end >= 0; end = rest.indexOf("\n\n")) {
			yield dataOf(rest.slice(0, end));
			rest = rest.slice(end + 2);
		}
	}
}

function dataOf(event) {
	const lines = event.split("\n").filter((line) => line.startsWith("data: "));
	return lines.map((line) => line.slice(6)).join("\n");
}

export class SseTransport {
	#context;
	#stream = new AbortController(); /* of the one that is open */
	#purpose; /* what it was opened for */
	#watchdog;

	constructor(context) {
		this.#context = context;
	}

	sync() {
		const resources = [...this.#context.resources().values()];
		const purpose = JSON.stringify(resources.map(({ address, wish }) => [address, wish]));
		if (purpose === this.#purpose) return;
		this.close();
		this.#purpose = purpose;
		if (resources.length > 0) this.#follow(resources);
	}

	close() {
		clearTimeout(this.#watchdog);
		this.#stream.abort();
	}

	#watch(ms) {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(this.#context.ended, ms);
	}

	async #follow(resources) {
		this.#stream = new AbortController();
		const { signal } = this.#stream;
		this.#watch(this.#context.timing.answer);
		let error;
		try {
			error = await this.#read(resources, signal);
		} catch {
			/* A stream that was cut is one that has ended. */
		}
		if (!signal.aborted) this.#context.ended(error);
	}

	/* Returns at its end, with the gateway's error if it gave one. */
	async #read(resources, signal) {
		const { url, token, timing, worked, accepted, refused, frame } = this.#context;
		const headers = { Accept: "text/event-stream", ...authorization(await token()) };
		const since = resources.map((resource) => resource.since);
		const response = await fetch(resourceUrl(url, queryFor(resources, since)), {
			headers,
			signal,
			cache: "no-store",
		});
		if (response.status !== 200) {
			const { uri, error } = await response.json();
			if (uri === undefined || signal.aborted) return error;
			/* There is no stream if one of its addresses is refused: on without that one. */
			worked();
			refused(uri, error);
			this.sync();
			return undefined;
		}
		let begun = false;
		for await (const data of eventsOf(response.body)) {
			if (signal.aborted) return undefined;
			this.#watch(timing.silence + 2 * timing.answer);
			if (!begun) {
				worked();
				resources.forEach(({ address }, index) => accepted(address, since[index]));
			}
			begun = true;
			if (data === "" || frame(JSON.parse(data))) continue;
			/* A stream begun anew has as a whole what does not fit. */
			this.#purpose = undefined;
			this.sync();
		}
		return undefined;
	}
}

function queryFor(resources, since) {
	const query = new URLSearchParams(resources.map(({ address }) => ["uri", address]));
	const interval = Math.min(...resources.map(({ wish }) => wish ?? Infinity));
	query.append("mode", "patch");
	query.append("last-event-id", since.map((version) => version ?? 0));
	if (interval < Infinity) query.append("interval", interval);
	return query;
}
