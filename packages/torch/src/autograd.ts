/** Differentiation: `backward`, `grad`, and modes of recording, each restored even when the body throws. */
import { buffer, reserveBuffer } from './callBuffer.ts';
import { ArgumentError } from './errors.ts';
import { checked, native } from './native.ts';
import { Tensor } from './tensor.ts';

/** Settings of `backward` and `grad`. */
export interface DifferentiationOptions {
  /** One gradient per output, of its shape and dtype. Default: ones, for scalar outputs only. */
  gradients?: readonly Tensor[];
  /** Keeps the graph for another pass. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Records the differentiation itself, for second derivatives. Default: false. */
  createGraph?: boolean;
}

/** Writes lists of tensors into the call buffer, each behind its length. */
export function writeLists(operation: string, ...lists: (readonly Tensor[])[]): void {
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

/**
 * Adds the gradient of the sum of `outputs`, weighted by `gradients`, to `grad` of every leaf that they depend on, or only of `inputs`.
 *
 * @param outputs floating tensors; scalars unless `gradients` are given
 * @throws {DisposedTensorError} when a tensor was released
 * @throws {OperatorError} when an output is no scalar and has no gradient, does not require gradients, or its graph was freed
 */
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
  /** One per output, of its shape. */
  readonly gradients: readonly Tensor[];
}

/**
 * Calls `backward` on each of the graphs, several at a time, each with its share of the threads. Graphs must not lead to the same
 * leaf: they would add to its gradient in any order.
 *
 * @param concurrency how many at a time, from 1
 * @throws {ArgumentError} for a concurrency that is not a whole number from 1, or when outputs and gradients do not pair up
 * @throws {DisposedTensorError} when a tensor was released
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
 * Gradients of the sum of `outputs`, weighted by `gradients`, with respect to `inputs`; no tensor's `grad` changes.
 *
 * @param outputs floating tensors; scalars unless `options.gradients` are given
 * @param options.allowUnused null for inputs that the outputs do not depend on, instead of an error
 * @returns one gradient per input, in order and of its shape
 * @throws {DisposedTensorError} when a tensor was released
 * @throws {OperatorError} when an input is unused, does not require gradients, or a graph was freed
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
 * Products with second derivatives: `d (sum_i vectors_i . d outputs / d parameters_i) / d input` for every input. This is cheaper
 * than two calls of `grad`, since values of the first derivatives that nothing needs are not computed.
 *
 * @param vectors one per parameter, of its shape
 * @returns one product per input, of its shape; null if nothing depends on the input
 * @throws {ArgumentError} when there is not one vector per parameter
 * @throws {DisposedTensorError} when a tensor was released
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

/**
 * Runs `body` without recording for differentiation.
 *
 * @throws {ArgumentError} when `body` returns a promise
 */
export function noGrad<Result>(body: () => Result): Result {
  return withMode('noGrad', setGradMode, false, native.gradMode(), body);
}

/**
 * Runs `body` with recording on, for example inside `noGrad`.
 *
 * @throws {ArgumentError} when `body` returns a promise
 */
export function enableGrad<Result>(body: () => Result): Result {
  return withMode('enableGrad', setGradMode, true, native.gradMode(), body);
}

/** Whether operations are being recorded. */
export function isGradEnabled(): boolean {
  return native.gradMode();
}

let autocastEnabled = false;

/**
 * Runs `body` with convolutions, linear layers and matrix products in bfloat16, as in LibTorch's own list of operators; float32
 * weights stay float32.
 *
 * @param enabled false turns autocast off inside an autocast body
 * @throws {ArgumentError} when `body` returns a promise
 */
export function autocast<Result>(body: () => Result, enabled = true): Result {
  const set = (value: boolean): void => {
    autocastEnabled = value;
    checked('autocast', native.setAutocast(value));
  };
  return withMode('autocast', set, enabled, autocastEnabled, body);
}
