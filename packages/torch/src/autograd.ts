/** Differentiation: `backward`, `grad`, and switching recording off, each restored even when the body throws. */
import { buffer, reserveBuffer } from './callBuffer.ts';
import { ArgumentError } from './errors.ts';
import { checked, native } from './native.ts';
import { Tensor } from './tensor.ts';

/** Settings of `backward` and `grad`. */
export interface DifferentiationOptions {
  /** Gradients of the outputs; default ones (scalar outputs only). */
  gradients?: readonly Tensor[];
  /** Keep the graph for another pass. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Record the differentiation itself, for second derivatives. Default false. */
  createGraph?: boolean;
}

function writeLists(operation: string, ...lists: (readonly Tensor[])[]): void {
  reserveBuffer(lists.reduce((total, list) => total + list.length + 1, 0));
  let position = 0;
  for (const list of lists) {
    buffer[position++] = list.length;
    for (const tensor of list) {
      tensor.assertAlive(operation);
      buffer[position++] = tensor.handle;
    }
  }
}

function asList(tensors: Tensor | readonly Tensor[]): readonly Tensor[] {
  return tensors instanceof Tensor ? [tensors] : tensors;
}

/** Adds the gradient of `outputs` to `grad` of every leaf they depend on (or of `inputs` only). */
export function backward(
  outputs: Tensor | readonly Tensor[],
  options: DifferentiationOptions & { inputs?: readonly Tensor[] } = {},
): void {
  const { gradients = [], createGraph = false, retainGraph = createGraph, inputs = [] } = options;
  writeLists('backward', asList(outputs), gradients, inputs);
  checked('backward', native.backward(retainGraph, createGraph));
}

/** Outputs of a graph that shares no computed tensor with the others. */
export interface IndependentGraph {
  readonly outputs: readonly Tensor[];
  /** One an output, of its shape. */
  readonly gradients: readonly Tensor[];
}

/**
 * As `backward` on each of the graphs, several at a time, each with its share of the threads. Graphs that lead to the same
 * leaf would add to its gradient in any order: they must not.
 *
 * @param concurrency how many at a time, from 1
 */
export function backwardTogether(graphs: readonly IndependentGraph[], concurrency: number): void {
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new ArgumentError(
      'backwardTogether',
      `expected concurrency to be a whole number of at least 1, got ${concurrency}.`,
    );
  }
  if (graphs.length === 0) return;
  for (const { outputs, gradients } of graphs) {
    if (outputs.length === gradients.length) continue;
    throw new ArgumentError(
      'backwardTogether',
      `expected a gradient for every output, got ${gradients.length} for ${outputs.length}.`,
    );
  }
  writeLists('backwardTogether', ...graphs.flatMap(({ outputs, gradients }) => [outputs, gradients]));
  checked('backwardTogether', native.backwardTogether(graphs.length, Math.min(concurrency, graphs.length)));
}

/**
 * Gradients of `outputs` with respect to `inputs`, in their order, without touching any `grad`.
 *
 * @param options.allowUnused give null for inputs that the outputs do not depend on, instead of an error
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: DifferentiationOptions & { allowUnused: true },
): (Tensor | null)[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options?: DifferentiationOptions & { allowUnused?: false },
): Tensor[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: DifferentiationOptions & { allowUnused?: boolean } = {},
): (Tensor | null)[] {
  const { gradients = [], createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  writeLists('grad', asList(outputs), gradients, inputs);
  const count = checked('grad', native.grad(retainGraph, createGraph, allowUnused));
  return Array.from(buffer.subarray(0, count)).map((handle) => (handle < 0 ? null : new Tensor(handle)));
}

/**
 * `d (sum_i vectors_i . d outputs / d parameters_i) / d input` for every input, null where nothing depends on it: products
 * with second derivatives. Cheaper than two calls of `grad`, since the first derivatives' own values are left out where
 * nothing needs them.
 *
 * @param vectors one a parameter, of its shape
 */
export function gradOfGrad(
  outputs: Tensor | readonly Tensor[],
  parameters: readonly Tensor[],
  vectors: readonly Tensor[],
  inputs: readonly Tensor[],
): (Tensor | null)[] {
  if (vectors.length !== parameters.length) {
    throw new ArgumentError(
      'gradOfGrad',
      `expected a vector for every parameter, got ${vectors.length} for ${parameters.length}.`,
    );
  }
  writeLists('gradOfGrad', asList(outputs), parameters, vectors, inputs);
  const count = checked('gradOfGrad', native.gradOfGrad());
  return Array.from(buffer.subarray(0, count)).map((handle) => (handle < 0 ? null : new Tensor(handle)));
}

function withMode<Result>(
  operation: string,
  set: (enabled: boolean) => void,
  enabled: boolean,
  before: boolean,
  body: () => Result,
): Result {
  set(enabled);
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => undefined);
      throw new ArgumentError(
        operation,
        'the function returned a promise. The mode is restored when the function returns: await outside of it.',
      );
    }
    return result;
  } finally {
    set(before);
  }
}

function setGradMode(enabled: boolean): void {
  checked('setGradMode', native.setGradMode(enabled));
}

/** Runs `body` without recording for differentiation. */
export function noGrad<Result>(body: () => Result): Result {
  return withMode('noGrad', setGradMode, false, native.gradMode(), body);
}

/** Runs `body` with recording switched on, inside `noGrad` for instance. */
export function enableGrad<Result>(body: () => Result): Result {
  return withMode('enableGrad', setGradMode, true, native.gradMode(), body);
}

/** Whether operations are recorded now. */
export function isGradEnabled(): boolean {
  return native.gradMode();
}

let autocastEnabled = false;

/**
 * Runs `body` with convolutions, linear layers and matrix products in bfloat16, on LibTorch's own list of operators;
 * float32 weights stay as they are.
 *
 * @param enabled false switches autocast off inside an autocast body
 */
export function autocast<Result>(body: () => Result, enabled = true): Result {
  const set = (value: boolean): void => {
    autocastEnabled = value;
    checked('autocast', native.setAutocast(value));
  };
  return withMode('autocast', set, enabled, autocastEnabled, body);
}
