/**
 * uricast in a browser: subscribe to addresses, and their contents stay current.
 *
 * ```js
 * import { connect } from "http://127.0.0.1:7070/uricast.js";
 *
 * connect().subscribe("/nodes", { content: (nodes) => console.table(nodes) });
 * ```
 *
 * Contents are shared between everybody who asked for them: never change one. What a
 * change did not touch stays the same object (`===`), in every content of an address.
 *
 * What an address may be, and the codes of errors, are in docs/protocol.md; what a page
 * shows when things fail is in docs/browser.md.
 */

/** Opens nothing yet: the connection is made when something is subscribed to. */
export function connect(options?: ConnectOptions): Connection;

export interface ConnectOptions {
	/**
	 * Base URLs of gateways, `https://host/` or `https://host/prefix/`. Each attempt goes to
	 * the next of them, from a random one on. Default: where `uricast.js` came from; where it
	 * was bundled into something else, the page's origin.
	 */
	urls?: string | string[];
	/** For gateways with `--token-file`. A function is asked before each attempt. */
	token?: string | (() => string | Promise<string>);
	/** What may be used, best first. Default: all three, in this order. */
	transports?: Transport[];
	/** Whether a hidden page stops being interest. Default: true. */
	pauseWhenHidden?: boolean;
	/** For tests and unusual networks. */
	timing?: Partial<Timing>;
}

export type Transport = "websocket" | "sse" | "longpoll";

/** All in milliseconds. */
export interface Timing {
	/** A transport that has not opened, or a question that was not answered, by then has
	 * failed. 5000 */
	answer: number;
	/** A WebSocket that was silent for this long is asked for a sign of life; an event
	 * stream is dead after it and two times `answer`. 15000, as the gateway's comments. */
	silence: number;
	/** Longest wait before an attempt; each round through the transports doubles it. The wait
	 * is random between 0 and that. 1000 */
	retry: number;
	/** And it never gets longer than this. 15000 */
	retryMost: number;
	/** Without a connection for this long, everything is `disconnected`. 2000 */
	grace: number;
	/** With a lesser transport than the first, that one is tried again after this. 600000 */
	upgrade: number;
	/** How long a long-poll waits for a change. 30000 */
	wait: number;
}

/** One per page is enough; every view of the page shares it. */
export interface Connection {
	/**
	 * Watches an address until the subscription is closed. However many subscriptions there
	 * are to an address, the gateway has one; a later one has the value at once.
	 *
	 * The callbacks run after subscribe() has returned, never within it; several changes
	 * between two of their turns are told as one. What one of them throws is reported as an
	 * uncaught error and disturbs nobody else.
	 */
	subscribe<T = any>(
		address: string,
		callbacks?: Callbacks<T>,
		options?: SubscribeOptions,
	): Subscription<T>;

	/**
	 * The content now: the held one of an address that is subscribed to, else by one GET.
	 * Rejects with an {@link UricastError} where there is none.
	 */
	get<T = any>(address: string): Promise<T>;

	/**
	 * Loads what a piece of the page needs before it can be shown. An address is settled when
	 * it has a content (stale is one, too), or has failed to have one: refused, or not to be
	 * had from its upstream now, or not within `timeout` (30000 ms). Nothing stays subscribed:
	 * subscribe first, or use view().
	 *
	 * Resolves when all are settled and one at least has a content; rejects with an error of
	 * the code `load_failed` that has `failed`, where none has. `each` has a promise for each
	 * address. Loads of an address at the same time are one.
	 */
	require(addresses: string[], options?: { timeout?: number }): Load;

	/** A piece of the page that watches some addresses while it is shown. */
	view(options: ViewOptions): View;

	/** What is held of an address, subscribed to or not. The same object until it changes. */
	peek<T = any>(address: string): Snapshot<T>;

	/** How the connection is now. A new object with each change. */
	readonly status: ConnectionStatus;
	/** Tells of each change of `status`, until the function it returns is called. */
	onStatus(callback: (status: ConnectionStatus) => void): () => void;

	/** How many things this connection keeps: all 0 when everything has been released. */
	readonly sizes: { addresses: number; subscriptions: number; asked: number };

	/** Ends everything; what is subscribed to stays as it is. */
	close(): void;
}

export interface ConnectionStatus {
	/**
	 * `idle`: nothing was subscribed to yet; `paused`: the page is hidden; `connecting`: for
	 * the first time, or again; `connected`; `disconnected`: no gateway for `timing.grace`,
	 * and trying; `closed`.
	 */
	state: "idle" | "paused" | "connecting" | "connected" | "disconnected" | "closed";
	/** The one in use, or being tried. */
	transport?: Transport;
	/** The base URL of the gateway. */
	url?: string;
	/** Why, where it is `disconnected`. */
	error?: ErrorObject;
}

/**
 * `loading`: nothing is known yet. `fresh`: the content is confirmed. `stale`: it stands,
 * but could not be confirmed. `error`: there is none, and why. `gone`: the upstream says
 * that there is no such thing any more.
 */
export type State = "loading" | "fresh" | "stale" | "error" | "gone";

/** As gateways send it; `disconnected` is said by the page itself. */
export interface ErrorObject {
	code: string;
	message: string;
	/** When it began, and when the upstream is asked next: ISO 8601, UTC. */
	since?: string;
	retry_at?: string;
	/** What the upstream answered with. */
	status?: number;
	/** The right spelling, for `not_canonical`. */
	canonical?: string;
}

export class UricastError extends Error implements ErrorObject {
	code: string;
	since?: string;
	retry_at?: string;
	status?: number;
	canonical?: string;
	/** Which address it is about, and of several which failed. */
	address?: string;
	failed?: Map<string, ErrorObject>;
}

export interface Snapshot<T = any> {
	/** undefined where there is no content. */
	readonly value: T | undefined;
	/** Compare for equality only. */
	readonly version: string | undefined;
	readonly state: State;
	readonly error: ErrorObject | undefined;
}

export interface Callbacks<T = any> {
	/** There is a new content: the first, and each after it. */
	content?(value: T, subscription: Subscription<T>): void;
	/** The same by rows: all are `added` at first. */
	rows?(changes: RowChanges, subscription: Subscription<T>): void;
	/** The state, or its error, is another. It is `loading` before the first call. */
	state?(state: State, error: ErrorObject | undefined, subscription: Subscription<T>): void;
}

export interface SubscribeOptions {
	/** Seconds between two polls this page would like; the shortest of all that watch counts. */
	interval?: number;
	/** The member that tells rows apart. Default: the first of `id`, `uuid`, `name` there is. */
	identity?: string;
	/** Counts as interest, and is told of changes, only while this is within the window. */
	visible?: Element;
}

export interface Subscription<T = any> extends Snapshot<T> {
	readonly address: string;
	/** When the upstream was last known to say this, ms since 1970. Current after status(). */
	readonly checkedAt: number | undefined;
	/** Seconds between two polls, as the gateway granted it, if it said so: see status(). */
	readonly interval: number | undefined;
	/** No interest of this one from now on, and no callbacks. */
	pause(): void;
	/** Takes pause() back; what has changed meanwhile is told at once. */
	resume(): void;
	/** Has the upstream asked now, for everybody; once a second. WebSockets only. */
	refresh(): Promise<void>;
	/** Asks the gateway how fresh this is. WebSockets only. */
	status(): Promise<Status>;
	/** Never calls back again. */
	close(): void;
}

export interface Status {
	state?: State;
	version?: string;
	/** Seconds between two polls, by its owner's last word. */
	interval?: number;
	/** ISO 8601, UTC: when the upstream last confirmed it, and since when it is what it is. */
	checked_at?: string;
	changed_at?: string;
}

// ---- loads and views ----

export interface LoadResult {
	/** Values by address. */
	loaded: Map<string, any>;
	/** Errors by address. */
	failed: Map<string, ErrorObject>;
	/** Everything that is wrong, regions of aggregates one by one. */
	failures: Failure[];
	/** None is loading any more. */
	settled: boolean;
	/** Nothing is wrong: all are loaded, and every region of them. */
	complete: boolean;
}

export interface Load extends Promise<LoadResult> {
	/** A promise of the content for each address. */
	each: Map<string, Promise<any>>;
}

/** One address, or one region of an aggregate, that is not as it should be. */
export interface Failure {
	address: string;
	/** Of an aggregate such as `compute/servers`. */
	region?: string;
	/** `stale` ones have a content. */
	state: "stale" | "error" | "gone";
	error: ErrorObject;
}

export interface ViewOptions {
	/** Addresses. A function is asked at each enter(). */
	dependencies: string[] | (() => string[]);
	/** Once after each enter(), when everything is settled and something of it has loaded. */
	onLoaded?(result: LoadResult): void;
	/** What is wrong, whenever that is something else than before; empty when all is well. */
	onError?(failures: Failure[]): void;
	/** A dependency has a new content; from onLoaded on. */
	onChange?(address: string, value: any): void;
	/** The view counts as interest only while this is within the window. */
	element?: Element;
	/** Exits when it aborts. */
	signal?: AbortSignal;
	interval?: number;
}

export interface View {
	/** Subscribes to the dependencies; an entered view stays as it is. Returns the view. */
	enter(): View;
	/** Releases everything. May be entered again. */
	exit(): void;
	/** The same as exit(). */
	close(): void;
	readonly entered: boolean;
	/** By address, while entered. */
	readonly subscriptions: Map<string, Subscription>;
	/** How it is now, settled or not. */
	readonly result: LoadResult;
}

/**
 * What is wrong with regions of an aggregate's content; empty for any other value.
 */
export function failedRegions(
	value: any,
): { region: string; state: "stale" | "error" | "gone"; error: ErrorObject }[];

// ---- rows ----

/** One row of a table. */
export interface Row<T = any> {
	/** Its identity as text, behind `REGION/` in an aggregate; its place where it has none. */
	key: string;
	/** Of an aggregate. */
	region?: string;
	/** The object in the content, the same one as long as nothing in it changes. */
	row: T;
}

export interface RowChanges<T = any> {
	added: Row<T>[];
	removed: Row<T>[];
	changed: (Row<T> & { before: T })[];
}

/**
 * The rows of a content: of an array its elements; of an object the elements of its only
 * array of objects (`{"servers":[…]}`); of an aggregate those of all regions. Else none.
 */
export function rowsOf(value: any, identity?: string): Row[];

/**
 * What happened to rows between two contents of an address. Costs a comparison of
 * references for each row that is where it was. Another order alone is no change.
 */
export function rowChanges(before: any, after: any, identity?: string): RowChanges;

// ---- patches ----

export type Operation =
	| { op: "add" | "replace" | "test"; path: string; value: any }
	| { op: "remove"; path: string }
	| { op: "move" | "copy"; path: string; from: string };

/**
 * The document that a patch (RFC 6902) makes of @document, which stays as it is. What the
 * patch does not touch is shared between the two. Throws where the patch does not fit.
 */
export function applyPatch(document: any, patch: Operation[]): any;

/**
 * @after, but with every part of @before in it that means the same: for contents that came
 * whole. Returns @before itself where all is the same.
 */
export function share<T>(before: any, after: T, identity?: string): T;
