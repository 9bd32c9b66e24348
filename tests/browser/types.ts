/* Uses of the data layer, for the compiler to judge its types by. */

import { applyPatch, connect, rowChanges, UricastError } from "../../gateway/web/client/uricast.js";
import { useUricast } from "../../gateway/web/client/react.js";

interface Node {
	name: string;
	load: number;
}

const connection = connect({ urls: ["https://a/", "https://b/"], transports: ["sse"] });
const nodes = connection.subscribe<Node[]>(
	"/nodes",
	{
		content: (value) => value.map(({ load }) => load),
		rows: ({ changed }) => changed.map(({ key, before }) => [key, before]),
		state: (state, error) => (state === "stale" ? error?.code : undefined),
	},
	{ interval: 2.5, identity: "name" },
);
const name: string | undefined = nodes.value?.[0].name;
nodes.status().then(({ checked_at }) => checked_at);

connection
	.require(["/a", "/b"])
	.then(({ loaded, failed, complete }) => [loaded.get("/a"), failed.get("/b")?.code, complete])
	.catch((error: UricastError) => error.failed);
connection.view({ dependencies: () => ["compute/servers"], onError: ([first]) => first.region });

const { value } = useUricast<Node[]>("/nodes");
rowChanges(value, applyPatch(value, [{ op: "remove", path: "/0" }])).removed[0].row;

// @ts-expect-error: no such transport
connect({ transports: ["carrier pigeon"] });
// @ts-expect-error: an address is a text
connection.subscribe(1);

export { name };
