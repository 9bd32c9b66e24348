/*
 * uricast in a browser: what a page imports. What each of these does stands in uricast.d.ts.
 */

import { Connection } from "./connection.js";
import { TRANSPORTS } from "./link.js";

export { failedRegions } from "./aggregate.js";
export { UricastError } from "./error.js";
export { applyPatch, share } from "./patch.js";
export { rowChanges, rowsOf } from "./rows.js";

const TIMING = {
	answer: 5000,
	silence: 15000,
	retry: 1000,
	retryMost: 15000,
	grace: 2000,
	upgrade: 600000,
	wait: 30000,
};

/* A gateway serves this file beside its other pages. */
function ownGateway() {
	const { url } = import.meta;
	return url?.endsWith("/uricast.js") ? new URL(".", url).href : `${location.origin}/`;
}

/* Relative to the page, and with the / at its end without which its last part is a file. */
function baseUrl(url) {
	return new URL(url.replace(/\/*$/, "/"), globalThis.location?.href).href;
}

export function connect(options = {}) {
	const { urls = ownGateway(), transports = Object.keys(TRANSPORTS), pauseWhenHidden = true } = options;
	const { token, timing } = options;
	for (const name of transports)
		if (!Object.hasOwn(TRANSPORTS, name)) throw new TypeError(`no transport: ${name}`);
	return new Connection({
		urls: [urls].flat().map(baseUrl),
		transports,
		pauseWhenHidden,
		token: async () => (typeof token === "function" ? token() : token),
		timing: { ...TIMING, ...timing },
	});
}
