/* An error object of the gateway (see docs/protocol.md) as something to throw. */
export class UricastError extends Error {
	name = "UricastError";

	constructor({ message, ...more }) {
		super(message);
		Object.assign(this, more);
	}
}
