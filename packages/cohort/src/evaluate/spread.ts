/** Picks evenly spaced images: a split may be sorted by class, so that its first images would belong to only a few classes. */

/** Whether image `position` of `total` is one of about `wanted` that are spread evenly: the share of those picked reaches the next whole number there. */
export function isPicked(position: number, wanted: number, total: number): boolean {
  const pickedBy = (count: number): number => Math.floor((count * Math.min(wanted, total)) / total);
  return pickedBy(position + 1) > pickedBy(position);
}

/** Positions of those that are picked, ascending: `wanted` of them, or all where there are fewer. */
export function pickedPositions(wanted: number, total: number): Int32Array {
  const positions = Array.from({ length: total }, (_, position) => position);
  return Int32Array.from(positions.filter((position) => isPicked(position, wanted, total)));
}
