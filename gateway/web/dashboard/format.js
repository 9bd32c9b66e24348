const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

export function count(number) {
	return numbers.format(number);
}

/** "1 row", "3 rows". */
export function counted(number, word) {
	return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** A length of time in one unit, from "now" to "3 d". */
export function duration(ms) {
	if (ms < 1000) return "now";
	const units = [
		[86400000, "d"],
		[3600000, "h"],
		[60000, "min"],
		[1000, "s"],
	];
	const [size, name] = units.find(([least]) => ms >= least);
	return `${Math.floor(ms / size)} ${name}`;
}

export function ago(ms) {
	return ms < 1000 ? "now" : `${duration(ms)} ago`;
}

/** "500 ms", "2.5 s", "10 min": an interval, exactly. */
export function interval(ms) {
	if (ms < 1000) return `${ms} ms`;
	if (ms >= 60000 && ms % 60000 === 0) return `${ms / 60000} min`;
	return `${numbers.format(ms / 1000)} s`;
}

/** What a cell shows of any JSON value. */
export function cellText(value) {
	if (value === undefined) return "";
	if (value === null) return "null";
	if (typeof value === "string") return value;
	if (typeof value !== "object") return String(value);
	if (!Array.isArray(value)) return JSON.stringify(value);
	return value.map((entry) => cellText(entry)).join(", ");
}
