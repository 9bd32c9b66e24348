/*
 * Link: the way to the gateways. Finds one that answers over a transport that works, and
 * another one when it is lost.
 *
 * A transport is made for one attempt. It is silent once it is closed; until then it has a
 * context:
 *
 *   url, token(), timing
 *   resources()             what is to be watched: Resource by address
 *   worked()                a gateway has answered
 *   ended(error)            it is of no more use; error is the gateway's, if it gave one
 *   accepted(address, since, interval), refused(address, error), checked(address, atMs)
 *   frame(frame)            false: it does not fit, the content has to come whole
 *
 * It has sync() (other resources are to be watched, at first: some) and close(), and where it
 * is a connection that stays, open() before all else, pause(), resume() and
 * ask(action, address).
 */

import { fullJitter } from "./backoff.js";
import { UricastError } from "./error.js";
import { LongPollTransport } from "./transport_longpoll.js";
import { SseTransport } from "./transport_sse.js";
import { NO_WEBSOCKET, WebSocketTransport } from "./transport_websocket.js";

export const TRANSPORTS = {
	websocket: WebSocketTransport,
	sse: SseTransport,
	longpoll: LongPollTransport,
};

export const DISCONNECTED = { code: "disconnected", message: "no gateway can be reached" };

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
	#patience; /* how many of those there may be */
	#attempt = 0; /* rounds through the transports since anything worked */
	#works = false; /* a gateway has answered over this transport */
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
		this.#patience = Math.max(2, urls.length);
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
		if (this.#works && this.#transport.pause) this.#transport.pause();
		else this.#abandon();
		this.#tell("paused");
	}

	resume() {
		if (!this.#paused) return;
		this.#paused = false;
		this.#attempt = 0;
		if (this.#transport === null) {
			this.#begin();
			return;
		}
		this.#tell("connected");
		this.#transport.resume();
	}

	async ask(action, address) {
		const answer = (await this.#transport?.ask?.(action, address)) ?? { error: NO_WEBSOCKET };
		if (answer.error) throw new UricastError({ ...answer.error, address });
		return answer;
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
		const transport = this.#transport ? this.#names[this.#choice] : undefined;
		const url = this.#transport ? this.#url() : undefined;
		this.#events.onStatus({ state, transport, url, error });
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
		this.#transport?.close();
		this.#transport = null;
		this.#works = false;
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
		this.#transport = new Transport({
			...this.#events,
			url: this.#url(),
			token: this.#token,
			timing: this.#timing,
			worked: () => this.#worked(),
			ended: (error) => this.#ended(error),
		});
		this.#tellTrying();
		try {
			this.#transport.open?.();
			this.#transport.sync();
		} catch {
			this.#ended(); /* such as a WebSocket without TLS from a page with it */
		}
	}

	#worked() {
		if (this.#works) return;
		this.#works = true;
		this.#attempt = this.#failures = 0;
		this.lostError = undefined;
		clearTimeout(this.#graceTimer);
		this.#graceTimer = undefined;
		this.#tell("connected");
		if (this.#choice > 0)
			this.#upgradeTimer = setTimeout(() => this.#upgrade(), this.#timing.upgrade);
	}

	#ended(error) {
		/* A gateway may be down, or a proxy in the way: each gateway is asked before it is
		 * the transport that is blamed. */
		if (!this.#works && ++this.#failures >= this.#patience) {
			this.#failures = 0;
			this.#choice = (this.#choice + 1) % this.#names.length;
			if (this.#choice === 0) this.#attempt++;
		}
		this.#abandon();
		clearTimeout(this.#upgradeTimer);
		this.#gateway++;
		if (this.#paused || this.#closed) return;
		this.#retryTimer = setTimeout(
			() => this.#begin(),
			fullJitter(this.#attempt, this.#timing),
		);
		this.#graceTimer ??= setTimeout(() => this.#lost(), this.#timing.grace);
		/* One that is about to stop is as good as gone: the next may be there. */
		if (error && error.code !== "draining") this.#lost(error);
		else this.#tellTrying();
	}

	#lost(error = this.lostError ?? DISCONNECTED) {
		if (error.code !== this.lostError?.code) {
			this.lostError = { ...error, since: new Date().toISOString() };
			this.#events.onLost(this.lostError);
		}
		this.#tellTrying();
	}

	/* One attempt; if it fails, it is the next transport's turn again. */
	#upgrade() {
		this.#abandon();
		this.#choice = 0;
		this.#failures = this.#patience - 1;
		this.#begin();
	}
}
