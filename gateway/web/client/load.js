/*
 * Loads: waiting until addresses have a content, or have failed to have one.
 */

import { failedRegions, hasContent } from "./aggregate.js";
import { UricastError } from "./error.js";

/* Why there is no content, of a snapshot; undefined where there is one, or not yet. */
function failureOf({ state, error, version, value }) {
	if (state === "error" || state === "gone") return error;
	if (version === undefined || hasContent(value)) return undefined;
	return { code: "load_failed", message: "every region has failed" };
}

function isLoading({ state, version }) {
	return state === "loading" && version === undefined;
}

/* What is wrong with an address, and with regions of it: see Failure in uricast.d.ts. */
function failuresOf(address, { state, error, value }) {
	const regions = failedRegions(value).map((region) => ({ address, ...region }));
	return error ? [{ address, state, error }, ...regions] : regions;
}

/* How @subscriptions, by address, are now: a LoadResult, and whether it is `settled`. */
export function resultOf(subscriptions) {
	const result = { loaded: new Map(), failed: new Map(), failures: [], settled: true };
	for (const [address, subscription] of subscriptions) {
		const failure = failureOf(subscription);
		if (isLoading(subscription)) result.settled = false;
		else if (failure) result.failed.set(address, failure);
		else result.loaded.set(address, subscription.value);
		result.failures.push(...failuresOf(address, subscription));
	}
	result.complete = result.settled && result.failures.length === 0;
	return result;
}

const TIMED_OUT = { code: "no_content", message: "no content came in time" };

/* Resolves with the snapshot that settles @address. */
function settle(connection, address, timeout) {
	return new Promise((resolve) => {
		const finish = (snapshot) => {
			clearTimeout(timer);
			subscription.close();
			resolve(snapshot);
		};
		const look = () => {
			const snapshot = connection.peek(address);
			if (!isLoading(snapshot)) finish(snapshot);
		};
		const subscription = connection.subscribe(address, { content: look, state: look });
		const timer = setTimeout(() => {
			finish({ ...connection.peek(address), state: "error", error: TIMED_OUT });
		}, timeout);
	});
}

function valueOrThrow(address, snapshot) {
	const error = failureOf(snapshot);
	if (error) throw new UricastError({ ...error, address });
	return snapshot.value;
}

async function all(settled) {
	const result = resultOf(new Map(await Promise.all(settled)));
	if (result.loaded.size > 0 || settled.length === 0) return result;
	const failed = [...result.failed].map(([address, { message }]) => `${address}: ${message}`);
	throw new UricastError({
		code: "load_failed",
		message: failed.join("; "),
		failed: result.failed,
	});
}

export function load(connection, addresses, timeout = 30000) {
	const each = new Map();
	const settled = [...new Set(addresses)].map(async (address) => {
		const snapshot = settle(connection, address, timeout);
		const value = snapshot.then((last) => valueOrThrow(address, last));
		value.catch(() => {}); /* whoever looks at the whole need not look at this */
		each.set(address, value);
		return [address, await snapshot];
	});
	return Object.assign(all(settled), { each });
}
