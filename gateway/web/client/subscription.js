/*
 * Subscription: what one part of the page wants of an address, and what it was told.
 */

import { UricastError } from "./error.js";
import { LOADING } from "./resource.js";
import { rowChanges } from "./rows.js";
import { watchElement } from "./visibility.js";

/* What a callback throws is the page's own affair, and disturbs nobody else. */
function call(callback, ...values) {
	try {
		callback?.(...values);
	} catch (error) {
		queueMicrotask(() => {
			throw error;
		});
	}
}

export class Subscription {
	#resource;
	#connection;
	#callbacks;
	#told = LOADING;
	#paused = false;
	#outOfSight = false;
	#closed = false;
	#unwatch;

	constructor(connection, resource, callbacks = {}, options = {}) {
		this.#connection = connection;
		this.#resource = resource;
		this.#callbacks = callbacks;
		this.wish = options.interval;
		this.identity = options.identity;
		if (options.visible === undefined) return;
		/* Out of sight until the browser says otherwise, which it does with the next frame. */
		this.#outOfSight = true;
		this.#unwatch = watchElement(options.visible, (seen) => {
			this.#outOfSight = !seen;
			this.#connection.interestChanged(this.#resource);
		});
	}

	get address() {
		return this.#resource.address;
	}
	get value() {
		return this.#resource.snapshot.value;
	}
	get version() {
		return this.#resource.snapshot.version;
	}
	get state() {
		return this.#resource.snapshot.state;
	}
	get error() {
		return this.#resource.snapshot.error;
	}
	get checkedAt() {
		return this.#resource.checkedAt;
	}
	get interval() {
		return this.#resource.interval;
	}
	get active() {
		return !this.#paused && !this.#outOfSight && !this.#closed;
	}

	pause() {
		this.#paused = true;
		this.#connection.interestChanged(this.#resource);
	}

	resume() {
		this.#paused = false;
		this.#connection.interestChanged(this.#resource);
	}

	async refresh() {
		await this.#ask("refresh");
	}

	async status() {
		const { id, ok, uri, ...status } = await this.#ask("status");
		return status;
	}

	async #ask(action) {
		if (this.#closed)
			throw new UricastError({ code: "closed", message: "the subscription is closed" });
		return this.#connection.ask(action, this.address);
	}

	close() {
		if (this.#closed) return;
		this.#closed = true;
		this.#unwatch?.();
		this.#resource.subscriptions.delete(this);
		this.#connection.interestChanged(this.#resource);
	}

	/* Tells what is news to it. */
	deliver() {
		if (!this.active) return;
		const before = this.#told;
		const now = (this.#told = this.#resource.snapshot);
		const { content, rows, state } = this.#callbacks;
		if (now.version !== before.version) {
			call(content, now.value, this);
			if (rows)
				call(() => rows(rowChanges(before.value, now.value, this.identity), this));
		}
		if (now.state !== before.state || now.error !== before.error)
			call(state, now.state, now.error, this);
	}
}
