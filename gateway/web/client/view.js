/*
 * View: a piece of the page that watches some addresses from its enter() to its exit().
 */

import { resultOf } from "./load.js";
import { listen, watchElement } from "./visibility.js";

export class View {
	subscriptions = new Map();
	#connection;
	#options;
	#entered = false;
	#loaded = false; /* onLoaded was called */
	#failures = "[]"; /* as they were told last */
	#unwatch;

	constructor(connection, options) {
		this.#connection = connection;
		this.#options = options;
	}

	get entered() {
		return this.#entered;
	}

	get result() {
		return resultOf(this.subscriptions);
	}

	enter() {
		const { dependencies, element, signal } = this.#options;
		if (this.#entered || signal?.aborted) return this;
		this.#entered = true;
		this.#loaded = false;
		this.#failures = "[]";
		this.#unwatch = [listen(signal, "abort", this.exit)];
		const addresses = typeof dependencies === "function" ? dependencies() : dependencies;
		for (const address of new Set(addresses)) this.#subscribe(address);
		if (element) this.#watch(element);
		return this;
	}

	exit = () => {
		if (!this.#entered) return;
		this.#entered = false;
		for (const unwatch of this.#unwatch) unwatch();
		for (const subscription of this.subscriptions.values()) subscription.close();
		this.subscriptions.clear();
	};

	close = this.exit;

	#subscribe(address) {
		const { interval, onChange } = this.#options;
		const look = () => this.#entered && this.#look();
		const content = (value) => {
			const wasLoaded = this.#loaded;
			look();
			if (wasLoaded && this.#entered) onChange?.(address, value);
		};
		this.subscriptions.set(
			address,
			this.#connection.subscribe(address, { content, state: look }, { interval }),
		);
	}

	/* Out of sight until the browser says otherwise, which it does with the next frame. */
	#watch(element) {
		const show = (seen) => {
			for (const subscription of this.subscriptions.values())
				if (seen) subscription.resume();
				else subscription.pause();
		};
		show(false);
		this.#unwatch.push(watchElement(element, show));
	}

	#look() {
		const { result } = this;
		const failures = JSON.stringify(result.failures);
		if (result.settled && !this.#loaded && result.loaded.size > 0) {
			this.#loaded = true;
			this.#options.onLoaded?.(result);
		}
		if (failures === this.#failures || !this.#entered) return;
		this.#failures = failures;
		this.#options.onError?.(result.failures);
	}
}
