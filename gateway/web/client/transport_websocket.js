/*
 * WebSocket: one connection for everything, which carries patches, and questions too.
 */

/* What a gateway takes unless it is configured otherwise (docs/protocol.md, Limits), with
 * some room: messages a second and at once, addresses in one of them. */
const MESSAGES = 40;
const ADDRESSES = 30;

export const NO_WEBSOCKET = { code: "not_available", message: "there is no WebSocket now" };

/* Parts @addresses into what fits one message each. */
function messagefuls(addresses) {
	const first = addresses.slice(0, ADDRESSES);
	return first.length === 0 ? [] : [first, ...messagefuls(addresses.slice(ADDRESSES))];
}

export class WebSocketTransport {
	#context;
	#socket;
	#sent = new Map(); /* what the gateway was asked to watch: { wish, whole } by address */
	#asked = new Map(); /* what was asked and not answered: { text, answer } by id */
	#lastId = 0;
	#open = false;
	#paused = false;
	#credit = MESSAGES;
	#queue = []; /* of messages that would be too many at once */
	#queueTimer;
	#watchdog; /* for an answer that is due, else for silence */

	constructor(context) {
		this.#context = context;
	}

	open() {
		const url = this.#context.url.replace("http", "ws");
		this.#socket = new WebSocket(`${url}ws`, "uricast.v1");
		this.#watch();
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
		const socket = this.#socket;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close();
		for (const { answer } of this.#asked.values()) answer({ error: NO_WEBSOCKET });
		this.#asked.clear();
	}

	#end(error) {
		this.#context.ended(error);
	}

	// ---- signs of life ----

	/* A page does not see the gateway's pings: after a silence it asks something itself. */
	#watch() {
		const { answer, silence } = this.#context.timing;
		const isDue = !this.#open || this.#asked.size > 0;
		clearTimeout(this.#watchdog);
		this.#watchdog = isDue
			? setTimeout(() => this.#end(), answer)
			: setTimeout(() => this.#askForLife(), silence);
	}

	#askForLife() {
		if (this.#paused || this.#sent.size === 0) return;
		const [uris] = messagefuls([...this.#sent.keys()]);
		this.#send({ action: "status", uris }, ({ uris: entries = [] }) => {
			for (const { uri, checked_at } of entries)
				if (checked_at) this.#context.checked(uri, Date.parse(checked_at));
		});
	}

	// ---- sending ----

	#send(message, answer = () => {}) {
		const id = ++this.#lastId;
		const text = JSON.stringify({ ...message, id });
		this.#asked.set(id, { text, answer });
		if (this.#asked.size === 1) this.#watch();
		this.#queue.push(text);
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

	async ask(action, address) {
		if (!this.#open || this.#paused) return { error: NO_WEBSOCKET };
		return new Promise((resolve) => {
			this.#send({ action, uris: [address] }, ({ uris, error }) =>
				resolve(uris?.[0] ?? { error }),
			);
		});
	}

	// ---- what is watched ----

	pause() {
		this.#paused = true;
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
			const key = `${since} ${wish}`;
			if (!alike.has(key)) alike.set(key, { since, wish, addresses: [] });
			alike.get(key).addresses.push(address);
		}
		for (const { since, wish, addresses } of alike.values())
			for (const uris of messagefuls(addresses)) this.#subscribeTo(uris, wish, since);
	}

	#subscribeTo(uris, interval, since) {
		for (const uri of uris) this.#sent.set(uri, { wish: interval });
		const message = { action: "subscribe", uris, mode: "patch", since, interval };
		this.#send(message, ({ uris: entries, error }) => {
			for (const [index, uri] of uris.entries()) {
				const { interval: granted, ...entry } = entries?.[index] ?? { error };
				if (!entry.error) this.#context.accepted(uri, since, granted);
				else if (entry.error !== NO_WEBSOCKET) {
					this.#sent.delete(uri);
					this.#context.refused(uri, entry.error);
				}
			}
		});
	}

	// ---- receiving ----

	#onMessage(data) {
		const message = JSON.parse(data);
		const asked = this.#asked.get(message.id);
		if (asked && message.error?.code === "rate_limited") {
			this.#credit = 0;
			this.#queue.unshift(asked.text);
			this.#flush();
		} else {
			this.#asked.delete(message.id);
			asked?.answer(message);
		}
		if (this.#socket.onmessage === null) return; /* the answer has ended it */
		this.#context.worked();
		this.#watch();
		if (message.id === undefined && message.uri !== undefined) this.#onFrame(message);
	}

	#onFrame(frame) {
		const sent = this.#sent.get(frame.uri);
		if (sent === undefined) return;
		if ("content" in frame) sent.whole = false;
		if (sent.whole || this.#context.frame(frame)) return;
		/* What comes until the content does would not fit either. */
		this.#subscribeTo([frame.uri], sent.wish);
		this.#sent.get(frame.uri).whole = true;
	}
}
