/*
 * Drives Chromium for Python, which has no driver in Debian: reads one JSON object a line,
 * {"id", "do", …}, and answers each with {"id", "value"} or {"id", "error"}.
 */

import readline from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../gateway/web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
	args: [
		"--no-sandbox",
		"--disable-gpu",
		"--disable-quic",
		"--no-first-run",
		"--disable-background-networking",
		"--disable-component-update",
		"--disable-sync",
		"--js-flags=--expose-gc",
	],
});
const context = await browser.newContext();
const pages = [];
const said = [];

const actions = {
	async open({ url }) {
		const page = await context.newPage();
		page.on("pageerror", (error) => said.push(`${error.stack ?? error}`));
		await page.goto(url);
		pages.push(page);
		return pages.length - 1;
	},
	evaluate: ({ page, script, argument }) =>
		pages[page].evaluate(
			([text, value]) => new Function("argument", `return (async () => { ${text} })()`)(value),
			[script, argument],
		),
	/* Errors that no page has caught, since the last time. */
	errors: async () => said.splice(0),
	close: ({ page }) => pages[page].close(),
	async end() {
		await browser.close();
	},
};

for await (const line of readline.createInterface({ input: process.stdin })) {
	const { id, do: action, ...more } = JSON.parse(line);
	actions[action](more).then(
		(value) => console.log(JSON.stringify({ id, value })),
		(error) => console.log(JSON.stringify({ id, error: error.message })),
	);
}
await browser.close();
