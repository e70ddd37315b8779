/**
 * Where a step's time goes, seen from our side of the dispatcher: LibTorch's own profiler cannot be switched on through an
 * operator, so that every operator is timed where it is called. That covers forward pass, losses and optimizer by operator;
 * the backward pass runs inside one native call and is one number (oneDNN's own words divide it further, profile.ts).
 */
import { ops, Tensor } from '@cohort-ml/torch';
import type { RunningWork } from './work/running.ts';

/** Times of some steps together, in milliseconds. */
export interface StepProfile {
  readonly steps: number;
  readonly totalMs: number;
  /** Inside the method's terms: forward pass and losses. */
  readonly forwardMs: number;
  readonly optimizerMs: number;
  /** What is left: the backward pass. */
  readonly backwardMs: number;
  /** Operators that were called from the forward pass and losses, the costliest first. */
  readonly forward: readonly OperatorTime[];
  /** The same of the optimizer. */
  readonly optimizer: readonly OperatorTime[];
}

/** An operator with all of its calls. */
export interface OperatorTime {
  readonly name: string;
  readonly calls: number;
  readonly ms: number;
}

type Callable = (...given: unknown[]) => unknown;
type Times = Map<string, { calls: number; ms: number }>;

/** Runs and times steps. @throws {TypeError} for work that has no backward pass. */
export async function profileSteps(work: RunningWork, steps: number): Promise<StepProfile> {
  if (work.parts === undefined) throw new TypeError('profile: expected a training step, got other work');
  const { method, optimizer, takeNetworksInTurn } = work.parts;
  takeNetworksInTurn();
  const forward: Times = new Map();
  const updates: Times = new Map();
  let current: Times | undefined;
  let depth = 0;
  let [forwardMs, optimizerMs] = [0, 0];

  const timed = (name: string, call: Callable): Callable =>
    function (this: unknown, ...given: unknown[]): unknown {
      // An operator's wrapper may call another one; the outer one counts.
      if (current === undefined || depth > 0) return call.apply(this, given);
      depth += 1;
      const begin = performance.now();
      try {
        return call.apply(this, given);
      } finally {
        depth -= 1;
        const entry = current.get(name) ?? { calls: 0, ms: 0 };
        current.set(name, { calls: entry.calls + 1, ms: entry.ms + performance.now() - begin });
      }
    };
  const restore = [wrapAll(ops, timed), wrapAll(Tensor.prototype, timed)];
  const terms = method.terms.bind(method);
  const step = optimizer.step.bind(optimizer);
  Object.assign(method, {
    terms: (...given: Parameters<typeof terms>) => {
      current = forward;
      const begin = performance.now();
      try {
        return terms(...given);
      } finally {
        forwardMs += performance.now() - begin;
        current = undefined;
      }
    },
  });
  Object.assign(optimizer, {
    step: () => {
      current = updates;
      const begin = performance.now();
      try {
        step();
      } finally {
        optimizerMs += performance.now() - begin;
        current = undefined;
      }
    },
  });
  const begin = performance.now();
  try {
    for (let count = 0; count < steps; count += 1) await work.run();
  } finally {
    for (const undo of restore) undo();
    Object.assign(method, { terms });
    Object.assign(optimizer, { step });
  }
  const totalMs = performance.now() - begin;
  return {
    steps,
    totalMs,
    forwardMs,
    optimizerMs,
    backwardMs: totalMs - forwardMs - optimizerMs,
    forward: sorted(forward),
    optimizer: sorted(updates),
  };
}

/** Puts a timing wrapper around every operator of an object; returns what takes them off again. */
function wrapAll(target: object, timed: (name: string, call: Callable) => Callable): () => void {
  const before = Object.entries(Object.getOwnPropertyDescriptors(target)).filter(
    ([name, { value }]) => typeof value === 'function' && name !== 'constructor' && !notOperators.has(name),
  );
  for (const [name, descriptor] of before) {
    Object.defineProperty(target, name, { ...descriptor, value: timed(name, descriptor.value as Callable) });
  }
  return () => {
    for (const [name, descriptor] of before) Object.defineProperty(target, name, descriptor);
  };
}

/** Methods of tensors that are housekeeping. */
const notOperators = new Set(['dispose', 'leaveScopes', 'assertAlive', 'toString']);

function sorted(times: Times): OperatorTime[] {
  return Array.from(times, ([name, { calls, ms }]) => ({ name, calls, ms })).sort(
    (left, right) => right.ms - left.ms,
  );
}
