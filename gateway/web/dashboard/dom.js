/**
 * Makes an element. @settings are properties; `class`, `data`, `aria` and `on` are
 * spelled as in HTML. Children are nodes or texts; null is left out.
 */
export function make(name, settings = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(settings)) {
		if (key === "class") element.className = value;
		else if (key === "data") Object.assign(element.dataset, value);
		else if (key === "on")
			for (const [type, listener] of Object.entries(value))
				element.addEventListener(type, listener);
		else if (key === "aria")
			for (const [aria, said] of Object.entries(value))
				element.setAttribute(`aria-${aria}`, said);
		else if (key === "role" || key === "for") element.setAttribute(key, value);
		else element[key] = value;
	}
	element.append(...children.filter((child) => child !== null));
	return element;
}

/** Writes only what differs: a live page mostly repeats itself. */
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
	if (value === null) element.removeAttribute(name);
	else if (element.getAttribute(name) !== String(value))
		element.setAttribute(name, value);
}

let saying = 0;

/** Has a screen reader say @text when it is done with what it says. */
export function announce(text) {
	clearTimeout(saying);
	saying = setTimeout(() => {
		document.getElementById("told").textContent = text;
	}, 300);
}

/** Calls @draw once in the next animation frame, however often it is asked for. */
export function oncePerFrame(draw) {
	let asked = 0;
	const ask = () => {
		asked ||= requestAnimationFrame(() => {
			asked = 0;
			draw();
		});
	};
	ask.cancel = () => {
		cancelAnimationFrame(asked);
		asked = 0;
	};
	return ask;
}
