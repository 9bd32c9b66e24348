/*
 * Whether anybody is looking: at the page, and at an element of it. Outside of a browser,
 * somebody always is.
 */

export function isHidden() {
	return globalThis.document?.visibilityState === "hidden";
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

/* Calls back at an event of @target, if there is one; returns how to stop that. */
export function listen(target, type, callback) {
	target?.addEventListener?.(type, callback);
	return () => target?.removeEventListener?.(type, callback);
}
