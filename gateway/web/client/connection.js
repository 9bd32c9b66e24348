/*
 * Connection: which addresses the page watches, and who is told what of them. How it comes
 * here is the link's affair.
 */

import { UricastError } from "./error.js";
import { getResource } from "./http.js";
import { DISCONNECTED, Link } from "./link.js";
import { load } from "./load.js";
import { LOADING, Resource } from "./resource.js";
import { Subscription } from "./subscription.js";
import { View } from "./view.js";
import { isHidden, listen } from "./visibility.js";

export class Connection {
	#resources = new Map(); /* by address */
	#news = new Set(); /* resources with something to tell */
	#asked = new Map(); /* GETs on their way, by address */
	#listeners = new Set(); /* of the status */
	#status = { state: "idle" };
	#options;
	#link;
	#unwatch = [];
	#unsynced = false; /* the link is to be told of other interest */
	#sweepTimer;

	constructor(options) {
		this.#options = options;
		this.#link = new Link(options, {
			resources: () => this.#wanted(),
			onStatus: (status) => this.#onStatus(status),
			onLost: (error) => this.#resources.forEach((resource) => resource.lost(error)),
			accepted: (address, ...terms) => this.#resources.get(address)?.accepted(...terms),
			refused: (address, error) => this.#resources.get(address)?.refuse(error),
			frame: (frame) => this.#resources.get(frame.uri)?.take(frame) ?? true,
			checked: (address, at) => this.#resources.get(address)?.checked(at),
		});
		this.#unwatch.push(listen(globalThis, "online", () => this.#link.hurry()));
		if (!options.pauseWhenHidden) return;
		const look = () => (isHidden() ? this.#link.pause() : this.#link.resume());
		this.#unwatch.push(listen(globalThis.document, "visibilitychange", look));
		if (isHidden()) look();
	}

	subscribe(address, callbacks, options) {
		if (typeof address !== "string" || address === "")
			throw new TypeError(`no address: ${address}`);
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
		return load(this, addresses, timeout);
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
			subscriptions: resources.flatMap(({ subscriptions }) => [...subscriptions]).length,
			asked: this.#asked.size,
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
			this.#unsynced = true;
			return;
		}
		this.#sweepTimer ??= setTimeout(() => this.#sweep());
	}

	ask(action, address) {
		return this.#link.ask(action, address);
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
		this.#status = status;
		for (const listener of [...this.#listeners]) listener(this.#status);
	}

	// ---- telling ----

	#tell(resource) {
		if (this.#news.size === 0) queueMicrotask(() => this.#deliver());
		this.#news.add(resource);
	}

	#deliver() {
		const news = [...this.#news];
		this.#news.clear();
		if (this.#unsynced) this.#link.sync();
		this.#unsynced = false;
		for (const { subscriptions } of news)
			for (const subscription of [...subscriptions]) subscription.deliver();
	}

	// ---- one look ----

	async #fetch(address) {
		const { urls, token } = this.#options;
		let error = DISCONNECTED;
		for (const url of urls) {
			try {
				const answer = await getResource(url, address, { token: await token() });
				if (answer.status === 200) return answer.content;
				({ error } = answer);
				break;
			} catch {
				/* No gateway: the next one may be there. */
			}
		}
		throw new UricastError({ ...error, address });
	}
}
