/*
 * Drives Chromium for dashboard.py: a person's hands and eyes. Reads one JSON array a line,
 * [page or null, method, ...arguments], and answers each with {"value"} or {"error"}.
 * Methods of a page are playwright's, by their path ("mouse.move"); without a page there
 * are open and errors.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import readline from "node:readline";

const require = createRequire(new URL("../../gateway/web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
	args: ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc"],
});
const pages = [];
const errors = [];

async function open(url, { storage, ...options }) {
	const context = await browser.newContext({
		viewport: { width: 1280, height: 800 },
		// The dashboard's policy forbids what axe does in the page.
		bypassCSP: options.bypassCSP ?? false,
		...options,
	});
	const page = await context.newPage();
	page.on("pageerror", (error) => errors.push(`${error.stack ?? error}`));
	page.on("console", (message) => {
		if (message.text().includes("Content Security Policy")) errors.push(message.text());
	});
	page.cdp = await context.newCDPSession(page);
	await page.goto(url);
	pages.push(page);
	return pages.length - 1;
}

/* What axe finds wrong, a line each. */
async function violations(page) {
	await page.evaluate(axe);
	const { violations } = await page.evaluate("axe.run()");
	return violations.flatMap(({ id, nodes }) =>
		nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`),
	);
}

async function answer([number, method, ...values]) {
	if (method === "open") return open(...values);
	if (method === "errors") return errors.splice(0);
	const page = pages[number];
	if (method === "violations") return violations(page);
	if (method === "close") return page.context().close();
	if (method === "cdp") return page.cdp.send(...values);
	const path = method.split(".");
	const name = path.pop();
	const object = path.reduce((inside, step) => inside[step], page);
	const value = await object[name](...values);
	return ["string", "number", "boolean"].includes(typeof value) || name === "evaluate"
		? value
		: null;
}

for await (const line of readline.createInterface({ input: process.stdin })) {
	let said;
	try {
		said = { value: (await answer(JSON.parse(line))) ?? null };
	} catch (error) {
		said = { error: error.message };
	}
	console.log(JSON.stringify(said));
}
await browser.close();
