/*
 * One resource by plain HTTP: GET /resource.
 */

export function resourceUrl(base, query) {
	return `${new URL("resource", base)}?${query}`;
}

export function authorization(token) {
	return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/* The object of an answer in JSON, or undefined: a proxy on the way speaks otherwise. */
export async function jsonOf(response) {
	try {
		return await response.json();
	} catch {
		return undefined;
	}
}

function errorHeader(response) {
	try {
		return JSON.parse(response.headers.get("Uricast-Error"));
	} catch {
		return null;
	}
}

/*
 * Resolves with what a gateway answers: `status`, `error` where it is one, and of a content
 * `version`, `content` (not with 304), `state` and its `error`. Rejects where no gateway
 * could be understood.
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
		const body = await jsonOf(response);
		if (body?.error === undefined) throw new Error(`${url} answered ${status}`);
		return { status, error: body.error };
	}
	const version = response.headers.get("ETag")?.slice(1, -1);
	if (!version) throw new Error(`${url} is no gateway's`);
	const state = response.headers.get("Uricast-State") ?? "fresh";
	const answer = { status, version, state, error: errorHeader(response) ?? undefined };
	if (status === 304) return answer;
	const type = response.headers.get("Content-Type") ?? "";
	const isText = !type.startsWith("application/json");
	return { ...answer, content: await (isText ? response.text() : response.json()) };
}
