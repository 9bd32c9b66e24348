/*
 * Place: what is looked at, kept in the address bar's hash, so that it can be sent to
 * somebody and outlives a reload.
 *
 *   #/?uri=/nodes&sort=-load&filter=web&columns=name,load
 *   #/fleet?prefix=compute/
 */

/* A link may have been typed by hand. */
function decode(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

export function readPlace(hash = location.hash) {
	const [path, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
	const parameters = new URLSearchParams(query);
	const columns = parameters.get("columns");
	return {
		page: path === "/fleet" ? "fleet" : "watch",
		uri: parameters.get("uri") ?? "",
		sort: parameters.get("sort") ?? "",
		filter: parameters.get("filter") ?? "",
		columns: columns === null ? null : columns.split(",").map(decode),
		prefix: parameters.get("prefix") ?? "",
	};
}

export function hashOf(place) {
	const parameters = [];
	// Slashes and commas stay readable; URLSearchParams reads them as they are.
	const encode = (value) => encodeURIComponent(value).replace(/%2F|%2C/g, decode);
	const add = (name, value) => {
		if (value) parameters.push(`${name}=${encode(value)}`);
	};
	if (place.page === "fleet") {
		add("prefix", place.prefix);
	} else {
		add("uri", place.uri);
		add("sort", place.sort);
		add("filter", place.filter);
		if (place.columns) add("columns", place.columns.map(encodeURIComponent).join(","));
	}
	const path = place.page === "fleet" ? "#/fleet" : "#/";
	return parameters.length ? `${path}?${parameters.join("&")}` : path;
}

/** Changes how the same thing is looked at: no new entry in the history. */
export function amendPlace(change) {
	const hash = hashOf({ ...readPlace(), ...change });
	if (hash !== location.hash) history.replaceState(null, "", hash);
}
