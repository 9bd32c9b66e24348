/*
 * Connection: which addresses the page watches, and who is told what of them. How it comes
 * here is the link's affair.
 */

import { UricastError } from "./error.js";
import { getResource } from "./http.js";
import { Link } from "./link.js";
import { load } from "./load.js";
import { LOADING, Resource } from "./resource.js";
import { Subscription } from "./subscription.js";
import { View } from "./view.js";
import { isHidden, watchNetwork, watchPage } from "./visibility.js";

export class Connection {
	#resources = new Map(); /* by address */
	#news = new Set(); /* resources with something to tell */
	#asked = new Map(); /* GETs on their way, by address */
	#loads = new Map(); /* likewise; see load.js */
	#listeners = new Set(); /* of the status */
	#status = Object.freeze({ state: "idle" });
	#options;
	#link;
	#unwatch = [];
	#syncing = false;
	#sweepTimer;

	constructor(options) {
		this.#options = options;
		this.#link = new Link(options, {
			resources: () => this.#wanted(),
			onStatus: (status) => this.#onStatus(status),
			onLost: (error) => this.#resources.forEach((resource) => resource.lost(error)),
			accepted: (address, terms) => this.#resources.get(address)?.accepted(terms),
			refused: (address, error) => this.#resources.get(address)?.refuse(error),
			frame: (frame) => this.#resources.get(frame.uri)?.take(frame) ?? true,
			checked: (address, at) => this.#onChecked(address, at),
		});
		this.#unwatch.push(watchNetwork(() => this.#link.hurry()));
		if (!options.pauseWhenHidden) return;
		this.#unwatch.push(watchPage((hidden) => this.#onHidden(hidden)));
		if (isHidden()) this.#link.pause();
	}

	subscribe(address, callbacks, options) {
		if (typeof address !== "string" || address === "")
			throw new TypeError("an address is a string, and not empty");
		let resource = this.#resources.get(address);
		if (resource === undefined) {
			resource = new Resource(address, (changed) => this.#tell(changed));
			if (this.#link.lostError) resource.lost(this.#link.lostError);
			this.#resources.set(address, resource);
		}
		const subscription = new Subscription(this, resource, callbacks, options);
		resource.subscriptions.add(subscription);
		this.interestChanged(resource);
		return subscription;
	}

	async get(address) {
		const resource = this.#resources.get(address);
		if (resource?.wanted && resource.version !== undefined) return resource.snapshot.value;
		if (!this.#asked.has(address)) {
			const value = this.#fetch(address);
			this.#asked.set(address, value);
			const done = () => this.#asked.delete(address);
			value.then(done, done);
		}
		return this.#asked.get(address);
	}

	require(addresses, { timeout } = {}) {
		return load(this, this.#loads, addresses, timeout);
	}

	view(options) {
		return new View(this, options);
	}

	peek(address) {
		return this.#resources.get(address)?.snapshot ?? LOADING;
	}

	get status() {
		return this.#status;
	}

	onStatus(callback) {
		this.#listeners.add(callback);
		return () => this.#listeners.delete(callback);
	}

	get sizes() {
		const resources = [...this.#resources.values()];
		return {
			addresses: resources.length,
			subscriptions: resources.reduce((sum, { subscriptions }) => sum + subscriptions.size, 0),
			asked: this.#asked.size,
			loads: this.#loads.size,
		};
	}

	close() {
		for (const unwatch of this.#unwatch) unwatch();
		clearTimeout(this.#sweepTimer);
		this.#link.close();
	}

	// ---- what subscriptions say ----

	/* Interest that grew is said at once, with what else is said in this turn. What shrank
	 * may be back with the next turn, as when one view follows another. */
	interestChanged(resource) {
		if (resource.wanted) {
			this.#tell(resource);
			this.#syncSoon();
			return;
		}
		this.#sweepTimer ??= setTimeout(() => this.#sweep());
	}

	ask(action, address) {
		return this.#link.ask(action, address);
	}

	#syncSoon() {
		if (this.#syncing) return;
		this.#syncing = true;
		queueMicrotask(() => {
			this.#syncing = false;
			this.#link.sync();
		});
	}

	#sweep() {
		this.#sweepTimer = undefined;
		for (const [address, { subscriptions }] of this.#resources)
			if (subscriptions.size === 0) this.#resources.delete(address);
		/* There may be room now for what was too much. */
		for (const resource of this.#resources.values())
			if (resource.refused?.code.startsWith("too_many")) resource.refuse(undefined);
		this.#link.sync();
	}

	#wanted() {
		const wanted = [...this.#resources].filter(
			([, resource]) => resource.wanted && !resource.refused,
		);
		return new Map(wanted);
	}

	// ---- what the link says ----

	#onStatus(status) {
		if (JSON.stringify(status) === JSON.stringify(this.#status)) return;
		/* Another gateway may know, or have room for, what was refused. */
		if (status.state === "connecting")
			for (const resource of this.#resources.values()) resource.refuse(undefined);
		this.#status = Object.freeze(status);
		for (const listener of [...this.#listeners]) listener(this.#status);
	}

	#onChecked(address, at) {
		const resource = this.#resources.get(address);
		if (resource && at !== undefined) resource.checkedAt = at;
	}

	#onHidden(hidden) {
		if (hidden) this.#link.pause();
		else this.#link.resume();
	}

	// ---- telling ----

	#tell(resource) {
		if (this.#news.size === 0) queueMicrotask(() => this.#deliver());
		this.#news.add(resource);
	}

	#deliver() {
		const news = [...this.#news];
		this.#news.clear();
		for (const { subscriptions } of news)
			for (const subscription of [...subscriptions]) subscription.deliver();
	}

	// ---- one look ----

	async #fetch(address) {
		const { urls, token } = this.#options;
		const start = Math.floor(Math.random() * urls.length);
		for (let i = 0; i < urls.length; i++) {
			const shown = typeof token === "function" ? await token() : token;
			const url = urls[(start + i) % urls.length];
			const answer = await getResource(url, address, { token: shown }).catch(() => null);
			if (answer?.error && answer.status !== 200)
				throw new UricastError({ ...answer.error, address });
			if (answer) return answer.content;
		}
		throw new UricastError({
			code: "disconnected",
			message: "no gateway can be reached",
			address,
		});
	}
}
