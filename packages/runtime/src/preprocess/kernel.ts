/**
 * The weights of the resampler, in fixed point. They are computed with nothing but IEEE 754's exact operations (`+ - * /`,
 * comparison, `Math.floor`), since `Math.sin` may differ in its last digit between JavaScript engines.
 */

/** Interpolation filter; each is stretched by the reduction factor, so that reducing averages instead of skipping pixels. */
export type ResizeFilter = 'lanczos3' | 'triangle';

/** Every filter, the default first. */
export const RESIZE_FILTERS = ['lanczos3', 'triangle'] as const satisfies readonly ResizeFilter[];

/** Weights are multiples of 1 / 16384. */
export const WEIGHT_BITS = 14;
const ONE = 1 << WEIGHT_BITS;

/** What each output position along one axis is made of. */
export interface AxisWeights {
  /** First input position of each output position, `[outputs]`. */
  readonly first: Int32Array;
  /** Weights of `taps` input positions from `first` on, `[outputs, taps]`; each row sums to 16384 exactly. */
  readonly weights: Int16Array;
  readonly taps: number;
}

/** Where one axis of the output lies in the input. */
export interface AxisMapping {
  /** Input positions there are. */
  readonly inputs: number;
  readonly outputs: number;
  /** Input position of the output's edge; positions are edges of pixels, so pixel k reaches from k to k + 1. */
  readonly start: number;
  /** Input pixels per output pixel. */
  readonly scale: number;
}

/**
 * The weights along one axis. Output `i` is centred at `start + (i + 0.5) * scale`; the filter is widened by `scale` where
 * that is above 1. Positions outside of the input are left out and the rest is normalised.
 */
export function axisWeights(mapping: AxisMapping, filter: ResizeFilter): AxisWeights {
  const { inputs, outputs, start, scale } = mapping;
  const stretch = scale > 1 ? scale : 1;
  const reach = SUPPORT[filter] * stretch;
  const kernel = KERNELS[filter];
  const taps = Math.min(inputs, Math.floor(2 * reach) + 2);
  const first = new Int32Array(outputs);
  const weights = new Int16Array(outputs * taps);
  const exact = new Float64Array(taps);
  for (let output = 0; output < outputs; output += 1) {
    const centre = start + (output + 0.5) * scale;
    const low = Math.max(0, Math.min(inputs - taps, Math.floor(centre - reach)));
    first[output] = low;
    let sum = 0;
    for (let tap = 0; tap < taps; tap += 1) {
      const value = kernel((low + tap + 0.5 - centre) / stretch);
      exact[tap] = value;
      sum += value;
    }
    quantise(exact, sum, weights.subarray(output * taps, (output + 1) * taps));
  }
  return { first, weights, taps };
}

/** Rounds to multiples of 1 / 16384; what rounding lost or added goes to the largest weight, so that flat areas stay exact. */
function quantise(exact: Float64Array, sum: number, weights: Int16Array): void {
  let left = ONE;
  let largest = 0;
  for (let tap = 0; tap < weights.length; tap += 1) {
    const weight = Math.floor(((exact[tap] ?? 0) / sum) * ONE + 0.5);
    weights[tap] = weight;
    left -= weight;
    if (weight > (weights[largest] ?? 0)) largest = tap;
  }
  weights[largest] = (weights[largest] ?? 0) + left;
}

const SUPPORT: Readonly<Record<ResizeFilter, number>> = { lanczos3: 3, triangle: 1 };

const KERNELS: Readonly<Record<ResizeFilter, (position: number) => number>> = {
  lanczos3: (position) => {
    const distance = Math.abs(position);
    return distance < 3 ? sinc(distance) * sinc(distance / 3) : 0;
  },
  triangle: (position) => {
    const distance = Math.abs(position);
    return distance < 1 ? 1 - distance : 0;
  },
};

/** sin(pi x) / (pi x) for x from 0 to 3; exactly 1 at 0 and exactly 0 at 1, 2 and 3. */
function sinc(x: number): number {
  return x === 0 ? 1 : sineOfPi(x) / (Math.PI * x);
}

/** sin(pi x), x >= 0: reduced to at most a quarter turn, then its Taylor series, whose error there is below 1e-16. */
function sineOfPi(x: number): number {
  const turns = Math.floor(x);
  const part = x - turns;
  const angle = Math.PI * (part > 0.5 ? 1 - part : part);
  const square = angle * angle;
  let term = angle;
  let sum = angle;
  for (let factor = 2; factor <= 22; factor += 2) {
    term = (-term * square) / (factor * (factor + 1));
    sum += term;
  }
  return turns % 2 === 0 ? sum : -sum;
}
