/*
 * A hook for React: see react.d.ts.
 */

import { useCallback, useSyncExternalStore } from "react";
import { connect } from "./uricast.js";

const NOTHING = Object.freeze({ state: "loading" });

let shared;

export function useUricast(address, { connection = (shared ??= connect()), interval } = {}) {
	const subscribe = useCallback(
		(notify) => {
			if (!address) return () => {};
			const callbacks = { content: notify, state: notify };
			const subscription = connection.subscribe(address, callbacks, { interval });
			return () => subscription.close();
		},
		[connection, address, interval],
	);
	const peek = () => (address ? connection.peek(address) : NOTHING);
	return useSyncExternalStore(subscribe, peek, () => NOTHING);
}
