/* One table, as the dashboard has it, and three ways to keep it current. */

import { connect } from "../../gateway/web/client/uricast.js";
import { Table } from "../../gateway/web/dashboard/table.js";

const ADDRESS = "/rows";

const ways = {
	/* What uricast.js does: patches, and unchanged rows stay the same objects. */
	patches(take, { gateway }) {
		connect({ urls: gateway }).subscribe(ADDRESS, { content: take });
	},
	/* The whole content on each change, all of it new. */
	whole(take, { gateway }) {
		const socket = new WebSocket(`${gateway.replace("http", "ws")}ws`);
		socket.onopen = () =>
			socket.send(JSON.stringify({ action: "subscribe", uri: ADDRESS }));
		socket.onmessage = ({ data }) => take(JSON.parse(data).content);
	},
	/* No uricast at all: the upstream, as often as it changes. */
	async polling(take, { upstream, intervalMs }) {
		for (;;) {
			const due = performance.now() + intervalMs;
			take(await (await fetch(`${upstream}${ADDRESS}`)).json());
			const wait = Math.max(0, due - performance.now());
			await new Promise((resolve) => setTimeout(resolve, wait));
		}
	},
};

const quiet = { onSort() {}, onOpen() {}, onCounts() {} };

globalThis.begin = (way, options) => {
	const table = new Table(quiet);
	globalThis.takes = 0;
	table.look({ sort: "", filter: "", columns: null });
	document.querySelector(".content").replaceChildren(table.element);
	table.mount();
	ways[way]((content) => {
		globalThis.takes++;
		table.take(ADDRESS, content);
	}, options);
};

/* Times between frames, in ms, for @ms. */
globalThis.frames = (ms) =>
	new Promise((resolve) => {
		const times = [];
		const begun = performance.now();
		let last = begun;
		const next = () => {
			const now = performance.now();
			times.push(now - last);
			last = now;
			if (now - begun < ms) requestAnimationFrame(next);
			else resolve(times);
		};
		requestAnimationFrame(next);
	});
