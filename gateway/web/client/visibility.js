/*
 * Whether anybody is looking: at the page, and at an element of it. Outside of a browser,
 * somebody always is.
 */

export function isHidden() {
	return globalThis.document?.visibilityState === "hidden";
}

/* Calls back when the page is hidden or shown; returns how to stop that. */
export function watchPage(callback) {
	const { document } = globalThis;
	const onChange = () => callback(isHidden());
	document?.addEventListener("visibilitychange", onChange);
	return () => document?.removeEventListener("visibilitychange", onChange);
}

/* Calls back with whether @element can be seen, first with the next frame. */
export function watchElement(element, callback) {
	if (globalThis.IntersectionObserver === undefined) {
		queueMicrotask(() => callback(true));
		return () => {};
	}
	const observer = new IntersectionObserver((entries) => {
		callback(entries.at(-1).isIntersecting);
	});
	observer.observe(element);
	return () => observer.disconnect();
}

/* Calls back when the network is said to be there again. */
export function watchNetwork(callback) {
	globalThis.addEventListener?.("online", callback);
	return () => globalThis.removeEventListener?.("online", callback);
}
