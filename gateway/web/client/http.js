/*
 * One resource by plain HTTP: GET /resource.
 */

export function resourceUrl(base, query) {
	return `${base}resource?${query}`;
}

export function authorization(token) {
	return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/* The header is cut where the error is long. */
function errorIn(header) {
	try {
		return JSON.parse(header) ?? undefined;
	} catch {
		return undefined;
	}
}

/*
 * Resolves with what a gateway answers: `status`, `error` where it is one, and of a content
 * `version`, `content` (not with 304), `state` and its `error`. Rejects where no gateway
 * could be understood, or it is about to stop.
 *
 * @etag  the version held; @wait  seconds to wait for another
 */
export async function getResource(base, address, { token, etag, wait, signal } = {}) {
	const headers = authorization(token);
	if (etag !== undefined) headers["If-None-Match"] = `"${etag}"`;
	if (wait !== undefined) headers.Prefer = `wait=${wait}`;
	const url = resourceUrl(base, `uri=${encodeURIComponent(address)}`);
	const response = await fetch(url, { headers, signal, cache: "no-store" });
	const { status } = response;
	if (status !== 200 && status !== 304) {
		const { error } = await response.json();
		if (!error || error.code === "draining") throw new Error(`${status}`);
		return { status, error };
	}
	const said = (name) => response.headers.get(name);
	const answer = {
		status,
		version: said("ETag").slice(1, -1) /* there is one, if this is a gateway */,
		state: said("Uricast-State") ?? "fresh",
		error: errorIn(said("Uricast-Error")),
	};
	if (status === 200)
		answer.content = await (said("Content-Type").startsWith("application/json")
			? response.json()
			: response.text());
	return answer;
}
