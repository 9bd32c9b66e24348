/*
 * Subscription: what one part of the page wants of an address, and what it was told.
 */

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
	#seen = true;
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
		this.#seen = false;
		this.#unwatch = watchElement(options.visible, (seen) => {
			this.#seen = seen;
			this.#changed();
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
		return !this.#paused && this.#seen && !this.#closed;
	}

	#changed() {
		this.#connection.interestChanged(this.#resource);
	}

	pause() {
		this.#paused = true;
		this.#changed();
	}

	resume() {
		this.#paused = false;
		this.#changed();
	}

	async refresh() {
		await this.#connection.ask("refresh", this.address);
	}

	async status() {
		const { id, ok, uri, ...status } = await this.#connection.ask("status", this.address);
		return status;
	}

	close() {
		if (this.#closed) return;
		this.#closed = true;
		this.#unwatch?.();
		this.#resource.subscriptions.delete(this);
		this.#changed();
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
