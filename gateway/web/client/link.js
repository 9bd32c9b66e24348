/*
 * Link: the way to the gateways. Finds one that answers over a transport that works, and
 * another one when it is lost.
 *
 * A transport is made for one attempt and is told, through its context, what to bring:
 *
 *   url, token, timing
 *   resources()             what is to be watched: Resource by address
 *   worked()                a gateway has answered
 *   ended(error)            it is of no more use; error is the gateway's, if it gave one
 *   accepted(address, …), refused(address, error), checked(address, atMs)
 *   frame(frame)            false: it does not fit, the content has to come whole
 *
 * It has open(), sync() (other resources are to be watched), pause(), resume(), close(), and
 * ask(action, address) where questions can be asked.
 */

import { fullJitter } from "./backoff.js";
import { UricastError } from "./error.js";
import { LongPollTransport } from "./transport_longpoll.js";
import { SseTransport } from "./transport_sse.js";
import { WebSocketTransport } from "./transport_websocket.js";

const TRANSPORTS = {
	websocket: WebSocketTransport,
	sse: SseTransport,
	longpoll: LongPollTransport,
};

const DISCONNECTED = { code: "disconnected", message: "no gateway can be reached" };

/* A connection that lasted for this long, in ms, was a good one. */
const GOOD_AFTER = 5000;

export class Link {
	#urls;
	#names;
	#token;
	#timing;
	#events;
	#transport = null;
	#paused = false;
	#closed = false;
	#gateway; /* index of the URL that is next, or in use */
	#choice = 0; /* index of the transport, likewise */
	#failures = 0; /* attempts with it since it last worked */
	#attempt = 0; /* since anything worked */
	#workedAt; /* ms, of this transport; undefined: it has not yet */
	#turn = 0; /* what an abandoned attempt says is not heard */
	#retryTimer;
	#graceTimer;
	#upgradeTimer;

	/* Why no gateway is heard, since more than the grace; or undefined. */
	lostError;

	/* @events: resources(), onStatus(status), onLost(error), and those of a transport */
	constructor({ urls, transports, token, timing }, events) {
		this.#urls = urls;
		this.#names = transports;
		this.#token = token;
		this.#timing = timing;
		this.#events = events;
		this.#gateway = Math.floor(Math.random() * urls.length);
	}

	/* Other resources are wanted than before. */
	sync() {
		if (this.#transport) this.#transport.sync();
		else if (this.#retryTimer === undefined) this.#begin();
	}

	/* The network may be back: there is no use in waiting. */
	hurry() {
		if (this.#retryTimer === undefined) return;
		this.#attempt = 0;
		this.#begin();
	}

	pause() {
		this.#paused = true;
		this.#stopTimers();
		if (this.#workedAt === undefined) this.#abandon();
		this.#transport?.pause();
		this.#tell("paused");
	}

	resume() {
		this.#paused = false;
		this.#attempt = 0;
		if (this.#transport === null) {
			this.#begin();
			return;
		}
		this.#tell("connected");
		this.#upgradeLater();
		this.#transport.resume();
	}

	async ask(action, address) {
		if (this.#transport?.ask) return this.#transport.ask(action, address);
		throw new UricastError({
			code: "not_available",
			message: `${action} needs a WebSocket, and there is none now`,
			address,
		});
	}

	close() {
		this.#closed = true;
		this.#stopTimers();
		this.#abandon();
		this.#tell("closed");
	}

	#url() {
		return this.#urls[this.#gateway % this.#urls.length];
	}

	#tell(state, error) {
		const status = { state };
		if (this.#transport) {
			status.transport = this.#names[this.#choice];
			status.url = this.#url();
		}
		if (error) status.error = error;
		this.#events.onStatus(status);
	}

	#tellTrying() {
		this.#tell(this.lostError ? "disconnected" : "connecting", this.lostError);
	}

	#stopTimers() {
		clearTimeout(this.#retryTimer);
		clearTimeout(this.#graceTimer);
		clearTimeout(this.#upgradeTimer);
		this.#retryTimer = this.#graceTimer = this.#upgradeTimer = undefined;
	}

	#abandon() {
		this.#turn++;
		this.#transport?.close();
		this.#transport = null;
		this.#workedAt = undefined;
	}

	// ---- attempts ----

	#begin() {
		clearTimeout(this.#retryTimer);
		this.#retryTimer = undefined;
		if (this.#closed || this.#paused) return;
		if (this.#events.resources().size === 0) {
			this.#stopTimers();
			this.#tell("idle");
			return;
		}
		this.#graceTimer ??= setTimeout(() => this.#lost(), this.#timing.grace);
		const Transport = TRANSPORTS[this.#names[this.#choice]];
		this.#transport = new Transport(this.#context(++this.#turn));
		this.#tellTrying();
		this.#transport.open();
	}

	#context(turn) {
		const context = {
			url: this.#url(),
			token: async () =>
				typeof this.#token === "function" ? this.#token() : this.#token,
			timing: this.#timing,
			resources: this.#events.resources,
		};
		const heard = {
			worked: () => this.#worked(),
			ended: (error) => this.#ended(error),
			accepted: this.#events.accepted,
			refused: this.#events.refused,
			checked: this.#events.checked,
			frame: this.#events.frame,
		};
		for (const [name, hear] of Object.entries(heard))
			context[name] = (...values) => turn !== this.#turn || hear(...values);
		return context;
	}

	#worked() {
		if (this.#workedAt !== undefined) return;
		this.#workedAt = performance.now();
		this.#failures = 0;
		this.lostError = undefined;
		clearTimeout(this.#graceTimer);
		this.#graceTimer = undefined;
		this.#tell("connected");
		this.#upgradeLater();
	}

	#ended(error) {
		const lasted = performance.now() - (this.#workedAt ?? NaN);
		const hadWorked = this.#workedAt !== undefined;
		this.#abandon();
		clearTimeout(this.#upgradeTimer);
		this.#gateway++;
		if (!hadWorked) this.#countFailure();
		if (lasted >= GOOD_AFTER) this.#attempt = 0;
		if (this.#paused || this.#closed) return;
		this.#retryTimer = setTimeout(
			() => this.#begin(),
			fullJitter(this.#attempt++, this.#timing),
		);
		this.#graceTimer ??= setTimeout(() => this.#lost(), this.#timing.grace);
		if (error) this.#lost(error);
		else this.#tellTrying();
	}

	/* A gateway may be down, or a proxy in the way: each gateway is asked before it is the
	 * transport that is blamed. */
	#countFailure() {
		if (++this.#failures < Math.max(2, this.#urls.length)) return;
		this.#failures = 0;
		this.#choice = (this.#choice + 1) % this.#names.length;
	}

	#lost(error = this.lostError ?? DISCONNECTED) {
		if (error.code !== this.lostError?.code) {
			this.lostError = { ...error, since: new Date().toISOString() };
			this.#events.onLost(this.lostError);
		}
		this.#tellTrying();
	}

	#upgradeLater() {
		clearTimeout(this.#upgradeTimer);
		if (this.#choice === 0) return;
		this.#upgradeTimer = setTimeout(() => this.#upgrade(), this.#timing.upgrade);
	}

	/* One attempt; if it fails, it is the next transport's turn again. */
	#upgrade() {
		this.#abandon();
		this.#choice = 0;
		this.#failures = Math.max(2, this.#urls.length) - 1;
		this.#begin();
	}
}
