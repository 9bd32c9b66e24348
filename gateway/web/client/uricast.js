/*
 * uricast in a browser: what a page imports. What each of these does stands in uricast.d.ts.
 */

import { Connection } from "./connection.js";

export { failedRegions } from "./aggregate.js";
export { UricastError } from "./error.js";
export { applyPatch, share } from "./patch.js";
export { rowChanges, rowsOf } from "./rows.js";

const TRANSPORTS = ["websocket", "sse", "longpoll"];

const TIMING = {
	open: 5000,
	silence: 15000,
	answer: 5000,
	streamSilence: 25000,
	retry: 1000,
	retryMost: 15000,
	grace: 2000,
	upgrade: 600000,
	wait: 30000,
};

/* A gateway serves this file beside its other pages. */
function ownGateway() {
	const { url } = import.meta;
	return /\/uricast\.js$/.test(url ?? "") ? new URL(".", url).href : `${location.origin}/`;
}

/* Relative to the page, and with the / at its end without which its last part is a file. */
function baseUrl(url) {
	const base = new URL(url, globalThis.location?.href);
	if (!base.pathname.endsWith("/")) base.pathname += "/";
	return base.href;
}

export function connect(options = {}) {
	const { urls = ownGateway(), transports = TRANSPORTS, pauseWhenHidden = true } = options;
	for (const name of transports)
		if (!TRANSPORTS.includes(name)) throw new TypeError(`no transport: ${name}`);
	return new Connection({
		urls: [urls].flat().map(baseUrl),
		transports,
		pauseWhenHidden,
		token: options.token,
		timing: { ...TIMING, ...options.timing },
	});
}
