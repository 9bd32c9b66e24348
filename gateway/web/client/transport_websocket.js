/*
 * WebSocket: one connection for everything, which carries patches, and questions too.
 */

import { UricastError } from "./error.js";

/* What a gateway takes unless it is configured otherwise (docs/protocol.md, Limits), with
 * some room: messages a second and at once, addresses and bytes in one of them. */
const MESSAGES = 40;
const ADDRESSES = 50;
const CHARACTERS = 16384;

/* Parts @addresses into what fits one message each. */
function* messagefuls(addresses) {
	let some = [];
	let length = 0;
	for (const address of addresses) {
		if (some.length === ADDRESSES || length + address.length > CHARACTERS) {
			yield some;
			some = [];
			length = 0;
		}
		some.push(address);
		length += address.length;
	}
	if (some.length > 0) yield some;
}

function isoToMs(text) {
	return text === undefined ? undefined : Date.parse(text);
}

export class WebSocketTransport {
	#context;
	#socket;
	#sent = new Map(); /* what the gateway was asked to watch: { wish, whole } by address */
	#asked = new Map(); /* what was asked and not answered: { uris, answer } by id */
	#lastId = 0;
	#open = false;
	#paused = false;
	#credit = MESSAGES;
	#queue = []; /* of messages that would be too many at once */
	#queueTimer;
	#watchdog; /* of the opening, then of an answer, then of silence */
	#again; /* asks once more for what was too much before */

	constructor(context) {
		this.#context = context;
	}

	open() {
		const url = new URL("ws", this.#context.url);
		url.protocol = url.protocol.replace("http", "ws");
		this.#socket = new WebSocket(url, "uricast.v1");
		this.#watch(this.#context.timing.open, () => this.#end());
		this.#socket.onopen = () => this.#onOpen();
		this.#socket.onmessage = ({ data }) => this.#onMessage(data);
		this.#socket.onclose = () => this.#end();
	}

	async #onOpen() {
		const token = await this.#context.token();
		if (this.#socket.readyState !== WebSocket.OPEN) return;
		this.#open = true;
		if (token !== undefined)
			this.#send({ action: "authenticate", token }, (answer) => {
				if (answer.error) this.#end(answer.error);
			});
		this.sync();
	}

	close() {
		clearTimeout(this.#watchdog);
		clearTimeout(this.#queueTimer);
		clearTimeout(this.#again);
		const socket = this.#socket;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close();
		const error = { code: "disconnected", message: "the connection was lost" };
		for (const { answer } of this.#asked.values()) answer({ error });
		this.#asked.clear();
	}

	#end(error) {
		this.#context.ended(error);
	}

	// ---- signs of life ----

	#watch(ms, onSilence) {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(onSilence, ms);
	}

	#awaitAnswer() {
		this.#watch(this.#context.timing.answer, () => this.#end());
	}

	/* A page does not see the gateway's pings: after a silence it asks something itself. */
	#onHeard() {
		if (this.#asked.size > 0) this.#awaitAnswer();
		else this.#watch(this.#context.timing.silence, () => this.#askForLife());
	}

	#askForLife() {
		if (this.#paused || this.#sent.size === 0) return;
		const [uris] = messagefuls(this.#sent.keys());
		this.#send({ action: "status", uris }, ({ uris: entries = [] }) => {
			for (const [index, { checked_at }] of entries.entries())
				this.#context.checked(uris[index], isoToMs(checked_at));
		});
	}

	// ---- sending ----

	#send(message, answer = () => {}) {
		const id = ++this.#lastId;
		if (this.#asked.size === 0) this.#awaitAnswer();
		this.#asked.set(id, { uris: message.uris, answer });
		this.#queue.push(JSON.stringify({ ...message, id }));
		this.#flush();
	}

	#flush() {
		while (this.#queue.length > 0 && this.#credit > 0) {
			this.#credit--;
			this.#socket.send(this.#queue.shift());
		}
		if (this.#credit === MESSAGES) return;
		this.#queueTimer ??= setTimeout(() => {
			this.#queueTimer = undefined;
			this.#credit = MESSAGES;
			this.#flush();
		}, 1000);
	}

	ask(action, address) {
		return new Promise((resolve, reject) => {
			if (!this.#open || this.#paused) {
				reject(
					new UricastError({
						code: "not_available",
						message: "there is no connection now",
						address,
					}),
				);
				return;
			}
			this.#send({ action, uris: [address] }, ({ uris, error }) => {
				const entry = uris?.[0] ?? { error };
				if (entry.error) reject(new UricastError({ ...entry.error, address }));
				else resolve(entry);
			});
		});
	}

	// ---- what is watched ----

	pause() {
		this.#paused = true;
		clearTimeout(this.#again);
		this.#send({ action: "pause" });
	}

	resume() {
		this.#paused = false;
		this.#unsubscribe();
		this.#send({ action: "resume" });
		this.sync();
	}

	sync() {
		if (!this.#open || this.#paused) return;
		this.#unsubscribe();
		this.#subscribe();
	}

	#unsubscribe() {
		const wanted = this.#context.resources();
		const gone = [...this.#sent.keys()].filter((address) => !wanted.has(address));
		for (const address of gone) this.#sent.delete(address);
		for (const uris of messagefuls(gone)) this.#send({ action: "unsubscribe", uris });
	}

	/* Those that have the same to be said of them go in one message. */
	#subscribe() {
		const alike = new Map();
		for (const [address, { since, wish }] of this.#context.resources()) {
			if (this.#sent.has(address) && this.#sent.get(address).wish === wish) continue;
			const wishes = { since, interval: wish };
			const key = JSON.stringify(wishes);
			if (!alike.has(key)) alike.set(key, { wishes, addresses: [] });
			alike.get(key).addresses.push(address);
		}
		for (const { wishes, addresses } of alike.values())
			for (const uris of messagefuls(addresses)) this.#subscribeTo(uris, wishes);
	}

	#subscribeTo(uris, { since, interval }) {
		for (const address of uris) this.#sent.set(address, { wish: interval });
		const message = { action: "subscribe", uris, mode: "patch", since, interval };
		this.#send(message, ({ uris: entries, error }) => {
			for (const [index, address] of uris.entries())
				this.#onSubscribed(address, since, entries?.[index] ?? { error });
		});
	}

	#onSubscribed(address, since, { interval, error }) {
		if (error === undefined) {
			this.#context.accepted(address, { interval, since });
			return;
		}
		this.#sent.delete(address);
		if (error.code === "rate_limited") {
			clearTimeout(this.#again);
			this.#again = setTimeout(() => this.sync(), 1000);
		} else if (error.code !== "disconnected") {
			this.#context.refused(address, error);
		}
	}

	// ---- receiving ----

	#onMessage(data) {
		const message = JSON.parse(data);
		const asked = this.#asked.get(message.id);
		this.#asked.delete(message.id);
		asked?.answer(message);
		if (this.#socket.onmessage === null) return; /* the answer has ended it */
		this.#context.worked();
		this.#onHeard();
		if (message.id === undefined && message.uri !== undefined) this.#onFrame(message);
	}

	#onFrame(frame) {
		const sent = this.#sent.get(frame.uri);
		if (sent === undefined) return;
		if ("content" in frame) sent.whole = false;
		if (sent.whole || this.#context.frame(frame)) return;
		/* What comes until the content does would not fit either. */
		this.#subscribeTo([frame.uri], { interval: sent.wish });
		this.#sent.get(frame.uri).whole = true;
	}
}
