// Measures one library for tests/bench/run diff: from the bytes of two texts to the text of
// their difference, again and again. Prints the median of µs of CPU, and bytes.
//
//     node measure.js DIRECTORY LIBRARY BEFORE AFTER SECONDS    (of DIRECTORY/node_modules)
"use strict";

const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");

const [directory, name, beforePath, afterPath, seconds] = process.argv.slice(2);

const entries = {
	"fast-json-patch": "index.js",
	jsondiffpatch: "lib/index.js",
	rfc6902: "index.js",
};

const differs = {
	"fast-json-patch": (library) => library.compare,
	rfc6902: (library) => library.createPatch,
	jsondiffpatch: (library) => {
		// Rows are told as uricast does by default.
		const objectHash = (row, index) => row.id ?? row.uuid ?? row.name ?? `#${index}`;
		const made = library.create({ objectHash });

		return (before, after) => made.diff(before, after);
	},
};

function cpuMicroseconds() {
	const { user, system } = process.cpuUsage();

	return user + system;
}

async function main() {
	const file = path.resolve(directory, "node_modules", name, entries[name]);
	const library = await import(pathToFileURL(file));
	const diff = differs[name](library.default ?? library);
	const before = fs.readFileSync(beforePath);
	const after = fs.readFileSync(afterPath);
	const end = cpuMicroseconds() + seconds * 1e6;
	const times = [];
	let text;

	do {
		const start = cpuMicroseconds();

		text = JSON.stringify(diff(JSON.parse(before), JSON.parse(after)));
		times.push(cpuMicroseconds() - start);
	} while (cpuMicroseconds() < end);
	times.sort((a, b) => a - b);
	const us = times[times.length >> 1];

	console.log(JSON.stringify({ us, bytes: Buffer.byteLength(text) }));
}

main();
