/*
 * What tells the rows of an array apart: a member of theirs, as in the fleet's own diff.
 */

const NAMES = ["id", "uuid", "name"];

/* The key of @row as a string or number, or undefined where it has none. */
export function keyOf(row, name) {
	const key = row?.[name];
	return typeof key === "string" || typeof key === "number" ? key : undefined;
}

/* The name of the identifying member, or undefined where the rows have none. */
export function identityOf(rows, wanted) {
	const names = wanted === undefined ? NAMES : [wanted];
	return names.find((name) => rows.length > 0 && keyOf(rows[0], name) !== undefined);
}
