/*
 * Aggregates: contents such as that of `compute/servers`, which a gateway makes of all regions.
 */

/* [name, region] pairs, or undefined where @value is no aggregate. */
export function regionsOf(value) {
	if (typeof value?.complete !== "boolean" || typeof value.regions !== "object")
		return undefined;
	const regions = Object.entries(value.regions ?? {});
	return regions.every(([, region]) => typeof region?.state === "string")
		? regions
		: undefined;
}

export function failedRegions(value) {
	return (regionsOf(value) ?? [])
		.filter(([, { state }]) => state !== "fresh")
		.map(([region, { state, error }]) => ({ region, state, error }));
}

/* Whether there is something to show: of an aggregate, in one region at least. */
export function hasContent(value) {
	const regions = regionsOf(value);
	return regions === undefined || regions.some(([, region]) => "content" in region);
}
