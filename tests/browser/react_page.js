/* What the hook's tests run: React, and a component that shows one address. */

import { createElement, StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useUricast } from "../../gateway/web/client/react.js";
import { connect } from "../../gateway/web/client/uricast.js";

function Shown({ address, connection, rendered }) {
	const { value, state, error } = useUricast(address, { connection });
	rendered.push({ address, value, state });
	useEffect(() => {});
	return createElement("p", null, `${state} ${error?.code ?? ""} ${JSON.stringify(value)}`);
}

export { connect, createElement, createRoot, Shown, StrictMode };
