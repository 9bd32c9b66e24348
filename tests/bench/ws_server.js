/*
 * A fan-out server as one would write it with node and ws: what Redis publishes on one
 * resource's channel goes to every client.
 *
 *   node ws_server.js NODE_MODULES PORT REDIS_PORT ADDRESS
 */

"use strict";

const net = require("net");
const [modules, port, redisPort, address] = process.argv.slice(2);
const { WebSocket, WebSocketServer } = require(`${modules}/ws`);

const server = new WebSocketServer({
	host: "127.0.0.1",
	port: Number(port),
	backlog: 16384,
	perMessageDeflate: false,
});
server.on("connection", (socket) => socket.on("error", () => socket.terminate()));

/* The message's header line ends with the lengths of content, patch and error. */
function fanOut(message) {
	const line = message.indexOf("\n");
	const fields = message.subarray(0, line).toString().split(" ");
	const content = message.subarray(line + 1, line + 1 + Number(fields[8]));
	const text = `{"uri":"${address}","version":"${fields[2]}","content":${content}}`;

	for (const client of server.clients)
		if (client.readyState === WebSocket.OPEN) client.send(text);
}

/* Takes whole replies of three bulk strings off @bytes; returns the rest. */
function takeReplies(bytes) {
	for (;;) {
		const words = [];
		let at = bytes.indexOf("\r\n") + 2;

		while (at > 1 && words.length < 3) {
			const end = bytes.indexOf("\r\n", at);
			const number = Number(bytes.subarray(at + 1, end));

			if (end < 0) return bytes;
			if (bytes[at] === 0x3a) {
				words.push(number);
				at = end + 2;
				continue;
			}
			if (bytes.length < end + 4 + number) return bytes;
			words.push(bytes.subarray(end + 2, end + 2 + number));
			at = end + 4 + number;
		}
		if (words.length < 3) return bytes;
		bytes = bytes.subarray(at);
		if (words[0].toString() === "message") fanOut(words[2]);
	}
}

const redis = net.connect(Number(redisPort), "127.0.0.1");
let rest = Buffer.alloc(0);

redis.on("data", (bytes) => {
	rest = takeReplies(Buffer.concat([rest, bytes]));
});
redis.write(`SUBSCRIBE uricast:change:${address}\r\n`);
process.on("SIGTERM", () => process.exit(0));
