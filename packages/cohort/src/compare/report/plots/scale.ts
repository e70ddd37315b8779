/** Scales of plots: from values to places, with round numbers at the ticks. */

/** From values to places along an axis. */
export interface Scale {
  readonly place: (value: number) => number;
  readonly ticks: readonly number[];
}

/** What a scale has to cover, and where it lies on the picture. */
export interface ScaleRange {
  readonly values: readonly number[];
  /** Places of the smallest and the largest value. */
  readonly from: number;
  readonly to: number;
}

/** An even scale a little wider than the values. */
export function linearScale({ values, from, to }: ScaleRange): Scale {
  const finite = values.filter(Number.isFinite);
  const lowest = finite.length === 0 ? 0 : Math.min(...finite);
  const highest = finite.length === 0 ? 1 : Math.max(...finite);
  // One value alone still needs an axis around it.
  const margin = highest > lowest ? (highest - lowest) * 0.06 : Math.abs(highest) * 0.05 || 1;
  const [low, high] = [lowest - margin, highest + margin];
  const step = roundStep((high - low) / 5);
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return {
    place: (value) => from + ((value - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: Math.max(0, count) }, (_, index) =>
      Number(((first + index) * step).toPrecision(12)),
    ),
  };
}

/** A scale by ratios, with a tick at every value. */
export function ratioScale({ values, from, to }: ScaleRange): Scale {
  const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  return {
    place: (value) =>
      high > low ? from + ((Math.log(value) - low) / (high - low)) * (to - from) : (from + to) / 2,
    ticks: [...new Set(values)].toSorted((left, right) => left - right),
  };
}

/** 1, 2 or 5 times a power of ten, near `step` and not below it. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5, 10].find((each) => each * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}
