/*
 * Resource: what this page holds of one address, and who wants to be told of it.
 *
 * Knows nothing of wires: it takes frames in the shape of a WebSocket's, whatever brought
 * them.
 */

import { applyPatch, share } from "./patch.js";

export const LOADING = { value: undefined, version: undefined, state: "loading", error: undefined };

export class Resource {
	subscriptions = new Set();
	interval; /* seconds, as granted */
	checkedAt; /* ms since 1970 */
	refused; /* why the gateway will not have it subscribed to, if so */
	snapshot = LOADING; /* what the page is shown */
	#said = LOADING; /* what gateways have said */
	#lost; /* why no gateway is heard of it now, if so */
	#unsettled = false; /* the next content says that the state is fresh */

	constructor(address, onChange) {
		this.address = address;
		this.onChange = onChange;
	}

	#wanting() {
		return [...this.subscriptions].filter((subscription) => subscription.active);
	}

	get wanted() {
		return this.#wanting().length > 0;
	}

	/* Seconds between polls that the page would like, or undefined. */
	get wish() {
		const least = Math.min(...this.#wanting().map(({ wish }) => wish ?? Infinity));
		return least < Infinity ? least : undefined;
	}

	/*
	 * The version to go on from. A gateway says only what is not fresh: what was not has to
	 * come whole, so that it is known whether it still is.
	 */
	get since() {
		return this.#said.state === "fresh" ? this.#said.version : undefined;
	}

	get version() {
		return this.#said.version;
	}

	#show() {
		const { value, version, state, error } = this.#said;
		const doubt = this.refused ?? this.#lost;
		const shown = { value, version, state, error };
		if (doubt !== undefined) {
			shown.state = version === undefined ? "error" : "stale";
			shown.error = doubt;
		}
		const before = this.snapshot;
		if (Object.keys(shown).every((key) => shown[key] === before[key])) return;
		this.snapshot = shown;
		this.onChange(this);
	}

	#say(news) {
		this.#said = { ...this.#said, ...news };
		this.#lost = undefined;
		this.#show();
	}

	// ---- what a transport says ----

	/* @since  the version that was shown; @interval  granted, if it was told */
	accepted(since, interval) {
		this.interval = interval;
		this.refused = undefined;
		this.#lost = undefined;
		this.#unsettled = since === undefined;
		this.#show();
	}

	refuse(error) {
		this.refused = error;
		this.#show();
	}

	lost(error) {
		this.#lost = error;
		this.#show();
	}

	checked(at) {
		this.checkedAt = at;
	}

	/* Whether @frame could be taken; else the content has to come whole. */
	take(frame) {
		if ("state" in frame) {
			this.#say({ state: frame.state, error: frame.error });
			return true;
		}
		if ("patch" in frame) return this.#patch(frame);
		const { version } = frame;
		this.#takeValue(
			version === this.version
				? this.#said.value
				: share(this.#said.value, frame.content, this.#identity()),
			version,
		);
		return true;
	}

	#patch({ base, version, patch }) {
		if (base !== this.version || base === undefined) return false;
		try {
			this.#takeValue(applyPatch(this.#said.value, patch), version);
			return true;
		} catch {
			return false;
		}
	}

	#takeValue(value, version) {
		const fresh = this.#unsettled || !["fresh", "stale"].includes(this.#said.state);
		this.#unsettled = false;
		this.checkedAt = Date.now();
		this.#say({ value, version, ...(fresh && { state: "fresh", error: undefined }) });
	}

	#identity() {
		return [...this.subscriptions].find(({ identity }) => identity)?.identity;
	}
}
