/*
 * How long to wait before an attempt: anything up to a bound that doubles, so that the
 * clients of a gateway that died do not come back all at once.
 */
export function fullJitter(attempt, { retry, retryMost }, random = Math.random) {
	return random() * Math.min(retryMost, retry * 2 ** Math.min(attempt, 30));
}
