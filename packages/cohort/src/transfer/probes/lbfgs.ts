/**
 * Limited-memory BFGS with a strong-Wolfe line search (Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms
 * 7.4, 7.5, 3.5 and 3.6), for smooth problems of moderate size such as logistic regression.
 */

/** Value and gradient at a point. */
export interface Evaluation {
  readonly value: number;
  readonly gradient: Float64Array;
}

/** A smooth function; it must not keep or change the point. */
export type Objective = (point: Float64Array) => Evaluation;

/** When to stop, and how much to remember. */
export interface MinimiseOptions {
  /** Largest absolute entry of the gradient at which the minimum counts as reached; 1e-6 unless given. */
  readonly gradientTolerance?: number;
  /** 1,000 unless given. */
  readonly maximumIterations?: number;
  /** Pairs of steps and gradient changes that approximate the curvature; 10 unless given. */
  readonly memory?: number;
}

/** Where the search ended. */
export interface Minimum extends Evaluation {
  readonly point: Float64Array;
  readonly iterations: number;
  /** Whether the gradient came below the tolerance. */
  readonly hasConverged: boolean;
}

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** 1 / (step . change). */
  readonly rho: number;
}

interface Trial extends Evaluation {
  readonly length: number;
  readonly point: Float64Array;
  /** Derivative along the direction. */
  readonly slope: number;
}

/** Sufficient decrease and curvature, as usual for quasi-Newton directions. */
const DECREASE = 1e-4;
const CURVATURE = 0.9;
const MAXIMUM_TRIALS = 30;

/**
 * Minimises from `start`. It ends at the tolerance, after the most iterations, or where rounding leaves no further descent.
 * @throws RangeError where the function is not finite at the start
 */
export function minimise(objective: Objective, start: Float64Array, options: MinimiseOptions = {}): Minimum {
  const { gradientTolerance = 1e-6, maximumIterations = 1000, memory = 10 } = options;
  let point = Float64Array.from(start);
  let current = objective(point);
  if (!Number.isFinite(current.value)) {
    throw new RangeError(`minimise: the function is ${current.value} at the start.`);
  }
  const pairs: Pair[] = [];
  let iterations = 0;
  while (largest(current.gradient) > gradientTolerance && iterations < maximumIterations) {
    const direction = descentDirection(current.gradient, pairs);
    const firstLength = pairs.length === 0 ? Math.min(1, 1 / largest(current.gradient)) : 1;
    const taken = lineSearch(objective, point, current, direction, firstLength);
    if (taken === null) {
      if (pairs.length === 0) break;
      // The remembered curvature may mislead: once more along the gradient itself.
      pairs.length = 0;
      continue;
    }
    const step = difference(taken.point, point);
    const change = difference(taken.gradient, current.gradient);
    const curvature = dot(step, change);
    if (curvature > 1e-14 * dot(change, change)) {
      pairs.push({ step, change, rho: 1 / curvature });
      if (pairs.length > memory) pairs.shift();
    }
    point = Float64Array.from(taken.point);
    current = taken;
    iterations += 1;
  }
  const { value, gradient } = current;
  return { point, value, gradient, iterations, hasConverged: largest(gradient) <= gradientTolerance };
}

/** Two-loop recursion: minus the approximate inverse Hessian times the gradient. */
function descentDirection(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const factors = new Map<Pair, number>();
  for (const pair of pairs.toReversed()) {
    const factor = pair.rho * dot(pair.step, direction);
    factors.set(pair, factor);
    addScaled(direction, pair.change, -factor);
  }
  const last = pairs.at(-1);
  if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.change, last.change));
    for (let index = 0; index < direction.length; index += 1) direction[index] = scale * at(direction, index);
  }
  for (const pair of pairs) {
    addScaled(direction, pair.step, (factors.get(pair) ?? 0) - pair.rho * dot(pair.change, direction));
  }
  return direction;
}

/** A step that meets the strong Wolfe conditions, or decreases the function as far as could be found; null where nothing does. */
function lineSearch(
  objective: Objective,
  point: Float64Array,
  from: Evaluation,
  direction: Float64Array,
  firstLength: number,
): Trial | null {
  const slope = dot(from.gradient, direction);
  if (!(slope < 0)) return null;
  const origin: Trial = { ...from, length: 0, point, slope };
  const tryLength = (length: number): Trial => {
    const moved = Float64Array.from(point);
    addScaled(moved, direction, length);
    const found = objective(moved);
    return { ...found, length, point: moved, slope: dot(found.gradient, direction) };
  };
  const decreases = (trial: Trial): boolean => trial.value <= from.value + DECREASE * trial.length * slope;
  let before = origin;
  let length = firstLength;
  for (let count = 0; count < MAXIMUM_TRIALS; count += 1) {
    const trial = tryLength(length);
    if (!decreases(trial) || (count > 0 && trial.value >= before.value)) {
      return zoom(before, trial, { tryLength, decreases, slope });
    }
    if (Math.abs(trial.slope) <= -CURVATURE * slope) return trial;
    if (trial.slope >= 0) return zoom(trial, before, { tryLength, decreases, slope });
    before = trial;
    length *= 2;
  }
  return before.length > 0 ? before : null;
}

/** Narrows an interval that holds a good step: `low` has the least value so far that decreases enough. */
function zoom(
  from: Trial,
  to: Trial,
  tools: {
    readonly tryLength: (length: number) => Trial;
    readonly decreases: (trial: Trial) => boolean;
    readonly slope: number;
  },
): Trial | null {
  let [low, high] = [from, to];
  for (let count = 0; count < MAXIMUM_TRIALS; count += 1) {
    const trial = tools.tryLength(between(low, high));
    if (!tools.decreases(trial) || trial.value >= low.value) high = trial;
    else {
      if (Math.abs(trial.slope) <= -CURVATURE * tools.slope) return trial;
      if (trial.slope * (high.length - low.length) >= 0) high = low;
      low = trial;
    }
  }
  return low.length > 0 ? low : null;
}

/** The minimum of the parabola through both values and the slope at `low`, kept away from the ends. */
function between(low: Trial, high: Trial): number {
  const width = high.length - low.length;
  const curve = high.value - low.value - low.slope * width;
  const share = curve > 0 && Number.isFinite(curve) ? (-low.slope * width) / (2 * curve) : 0.5;
  return low.length + width * Math.min(0.9, Math.max(0.1, share));
}

function at(values: Float64Array, index: number): number {
  return values[index] ?? NaN;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += at(left, index) * at(right, index);
  return sum;
}

function addScaled(target: Float64Array, values: Float64Array, factor: number): void {
  for (let index = 0; index < target.length; index += 1) {
    target[index] = at(target, index) + factor * at(values, index);
  }
}

function difference(left: Float64Array, right: Float64Array): Float64Array {
  return left.map((value, index) => value - at(right, index));
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
