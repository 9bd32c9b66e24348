import type { Connection, Snapshot } from "./uricast.js";

export interface UseUricastOptions {
	/** Default: one for the page, made by `connect()` when it is first needed. */
	connection?: Connection;
	/** Seconds between two polls this page would like. */
	interval?: number;
}

/**
 * Subscribes to @address while the component is mounted; null or undefined watches nothing.
 * The result is the same object until something of it changes.
 */
export function useUricast<T = any>(
	address: string | null | undefined,
	options?: UseUricastOptions,
): Snapshot<T>;
