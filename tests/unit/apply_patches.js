// Applies patches for property_diff.py: each line of standard input is [document, patch],
// each line of the answer the patched document, or {"failed": why}.
//
//     node apply_patches.js DIRECTORY LIBRARY    (of DIRECTORY/node_modules)
'use strict';

const path = require('path');
const readline = require('readline');

const [directory, name] = process.argv.slice(2);
const library = require(path.resolve(directory, 'node_modules', name));

function withFastJsonPatch(document, patch) {
	return library.applyPatch(document, patch, true).newDocument;
}

function withRfc6902(document, patch) {
	const errors = library.applyPatch(document, patch).filter((error) => error !== null);

	if (errors.length > 0)
		throw errors[0];
	return document;
}

const apply = name === 'rfc6902' ? withRfc6902 : withFastJsonPatch;

readline.createInterface({input: process.stdin}).on('line', (line) => {
	const [document, patch] = JSON.parse(line);
	let result;

	try {
		result = apply(document, patch);
	} catch (error) {
		result = {failed: String(error)};
	}
	process.stdout.write(JSON.stringify(result) + '\n');
});
