/* The dashboard: which page is shown, the link to the gateway, and its token. */

import { setText } from "./dom.js";
import { FleetPage } from "./fleet.js";
import { readPlace } from "./place.js";
import { Session } from "./session.js";
import { WatchPage } from "./watch.js";

const LINKS = { idle: "", live: "live", waiting: "connecting", lost: "reconnecting" };

const dialog = document.getElementById("token-dialog");

/** Asks for a token until it is given; @wrong is said where one was refused. */
function askToken(wrong) {
	const input = document.getElementById("token");
	setText(document.getElementById("token-wrong"), wrong ? "That token is not valid." : "");
	input.value = "";
	if (!dialog.open) dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener(
			"close",
			() => resolve(input.value === "" ? askToken(false) : input.value),
			{ once: true },
		);
	});
}

const session = new Session({
	askToken,
	onLink(state) {
		const link = document.getElementById("link");
		link.dataset.state = state;
		setText(link, LINKS[state]);
	},
});

let page = null;
let shown = "";

function show() {
	const place = readPlace();
	const identity = JSON.stringify([place.page, place.uri]);
	if (identity === shown) return;
	shown = identity;
	page?.dispose();
	page = place.page === "fleet" ? new FleetPage(session) : new WatchPage(session);
	const main = document.getElementById("page");
	const focused = main.contains(document.activeElement);
	main.replaceChildren(page.element);
	if (focused) main.focus();
	for (const name of ["watch", "fleet"]) {
		const link = document.getElementById(`nav-${name}`);
		if (name === place.page) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
	page.mount();
}

addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
	const typing = event.target.closest?.("input, textarea, select");
	if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey)
		return;
	event.preventDefault();
	page.focusFilter();
});
show();
