/** A model file ready to compute: shapes are planned when they are first seen. */
import { canShareMemory } from './environment.ts';
import {
  DisposedError,
  InferenceError,
  InputError,
  ModelFileError,
  UnsupportedOperatorError,
} from './errors.ts';
import { sizeOf } from './onnx/array.ts';
import { readModel, type Graph } from './onnx/model.ts';
import { operatorsFor, type Operators } from './plan/operators/index.ts';
import { planGraph, shapeText, type Plan } from './plan/plan.ts';
import { WeightStore, type Memory } from './plan/weights.ts';
import { bestKernels, startKernels, type Kernels } from './wasm/kernels.ts';

/** Values of one output, row-major, with the batch first. */
export interface ModelOutput {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** What a run is given besides the images. */
export interface RunOptions {
  /** Values of the graph's other inputs, by name. */
  readonly inputs?: Readonly<Record<string, ModelOutput>>;
  /** Objects with a lower score need no mask. */
  readonly least?: number;
}

/** A network that takes images and gives the outputs of its graph, on whatever computes it. */
export interface InferenceModel {
  readonly inputName: string;
  readonly inputShape: readonly (number | string)[];
  readonly outputNames: readonly string[];
  run(
    data: Float32Array,
    shape: readonly number[],
    options?: RunOptions,
  ): Record<string, ModelOutput> | Promise<Record<string, ModelOutput>>;
  dispose(): void;
}

/** How a model is loaded. */
export interface LoadOptions {
  /** Compiled kernels (`@cohort-ml/runtime/kernels.wasm`), where code may not be compiled at run time. */
  readonly kernels?: WebAssembly.Module;
  /**
   * Threads to compute with, 1 unless given. More are used by large layers only, with the same results to the bit; and where
   * memory cannot be shared, as in pages that are not cross-origin isolated, or `kernels` are given, there is one.
   */
  readonly threads?: number;
}

/** The most that `threads` may be. */
const mostThreads = 64;

/** Time that one step took. */
export interface StepTime {
  readonly name: string;
  readonly milliseconds: number;
}

const pageBytes = 65_536;
/** Growing takes time, so memory grows by 1 MiB at least. */
const fewestPages = 16;
/** The kernels' own constants lie below. */
const firstFreeByte = 65_536;
/** Input shapes that plans are kept for. */
const mostPlans = 4;

class KernelMemory implements Memory {
  readonly #memory: WebAssembly.Memory;
  #next = firstFreeByte;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  get used(): number {
    return this.#next;
  }

  reserve(bytes: number): number {
    const address = this.#next;
    this.#next += Math.ceil(bytes / 64) * 64;
    const missing = this.#next + pageBytes - this.#memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.max(Math.ceil(missing / pageBytes), fewestPages));
      } catch (error) {
        throw new InputError(
          `The model needs ${Math.ceil(this.#next / 2 ** 20)} MiB of memory, more than there is. Use a smaller image or network.`,
          { cause: error },
        );
      }
    }
    return address;
  }
}

/** A network in memory. It computes on the thread that calls it. */
export class Model implements InferenceModel {
  /** Name of the input. */
  readonly inputName: string;
  /** Sizes of the input; a size is a name where it is free. */
  readonly inputShape: readonly (number | string)[];
  /** Names of the outputs. */
  readonly outputNames: readonly string[];
  #graph: Graph | null;
  #kernels: Kernels | null;
  readonly #memory: KernelMemory;
  readonly #weights: WeightStore;
  readonly #operators: Operators;
  readonly #plans = new Map<string, Plan>();

  constructor(
    graph: Graph,
    kernels: Kernels,
    operators: Operators,
    memory = new KernelMemory(kernels.memory),
  ) {
    this.#graph = graph;
    this.#kernels = kernels;
    this.#operators = operators;
    this.#memory = memory;
    this.#weights = new WeightStore(this.#memory);
    this.inputName = graph.input.name;
    this.inputShape = graph.input.shape;
    this.outputNames = graph.outputs.map(({ name }) => name);
  }

  /** Threads that large layers are computed on. */
  get threads(): number {
    return this.#kernels?.threads ?? 1;
  }

  /** Bytes of weights and of values between operators. */
  get memoryBytes(): number {
    return this.#kernels === null ? 0 : this.#memory.used;
  }

  /**
   * Every output for a batch of inputs. Images are computed one by one: none depends on the others.
   *
   * @param data values `[N, C, H, W]` in row-major order
   * @throws {InputError} where data or shape do not fit the model
   * @throws {DisposedError} after `dispose`
   */
  run(data: Float32Array, shape: readonly number[]): Record<string, ModelOutput> {
    const one = this.#checkInput(data, shape);
    const plan = this.#plan(one);
    const [batch = 1] = shape;
    const size = sizeOf(one);
    const results = plan.outputs.map(({ shape: [, ...rest] }) => new Float32Array(batch * sizeOf(rest)));
    for (let image = 0; image < batch; image++) {
      this.#runOne(
        plan,
        data.subarray(image * size, (image + 1) * size),
        plan.steps.map(({ run }) => run),
      );
      for (const [index, { tensor }] of plan.outputs.entries()) {
        const result = results[index];
        if (result === undefined) continue;
        const length = result.length / batch;
        result.set(new Float32Array(this.#memory.buffer, tensor.address, length), image * length);
      }
    }
    return Object.fromEntries(
      plan.outputs.map(({ name, shape: [, ...rest] }, index) => [
        name,
        { data: results[index] ?? new Float32Array(), shape: [batch, ...rest] },
      ]),
    );
  }

  /** The time of every step for one image, in order. */
  profile(data: Float32Array, shape: readonly number[]): StepTime[] {
    const plan = this.#plan(this.#checkInput(data, shape));
    const times: StepTime[] = [];
    const timed = plan.steps.map(({ name, run }) => () => {
      const start = performance.now();
      run();
      times.push({ name, milliseconds: performance.now() - start });
    });
    this.#runOne(plan, data.subarray(0, sizeOf(plan.input.shape)), timed);
    return times;
  }

  /** Gives the memory back. Calling it again does nothing. */
  dispose(): void {
    this.#kernels?.stop?.();
    this.#kernels = null;
    this.#graph = null;
    this.#plans.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #runOne(plan: Plan, values: Float32Array, steps: readonly (() => void)[]): void {
    new Float32Array(this.#memory.buffer, plan.input.address, values.length).set(values);
    for (const run of steps) run();
  }

  /** Checks an input and returns the shape of one image. */
  #checkInput(data: Float32Array, shape: readonly number[]): number[] {
    if (this.#kernels === null) throw new DisposedError('model');
    const whole = shape.every((size) => Number.isInteger(size) && size > 0);
    const [, ...expected] = this.inputShape;
    const fits =
      whole &&
      shape.length === expected.length + 1 &&
      expected.every((size, index) => typeof size === 'string' || size === shape[index + 1]);
    if (!fits) {
      throw new InputError(
        `The input has the shape ${shapeText(shape)}; the model takes ${shapeText(this.inputShape)}. Pass whole batches of that shape.`,
      );
    }
    if (data.length !== sizeOf(shape)) {
      throw new InputError(
        `The input has ${data.length} values, but the shape ${shapeText(shape)} needs ${sizeOf(shape)}. Pass them all in row-major order.`,
      );
    }
    return [1, ...shape.slice(1)];
  }

  #plan(shape: readonly number[]): Plan {
    if (this.#graph === null || this.#kernels === null) throw new DisposedError('model');
    const key = shape.join('x');
    const known = this.#plans.get(key);
    if (known) return known;
    if (this.#plans.size >= mostPlans) {
      throw new InputError(
        `The model was already used with ${mostPlans} sizes of image. Load it again for more, or resize the images.`,
      );
    }
    const plan = planSafely(this.#graph, shape, this.#kernels, this.#weights, this.#memory, this.#operators);
    this.#plans.set(key, plan);
    return plan;
  }
}

/** A damaged graph may fail anywhere: whatever is no error of ours is told as a damaged file. */
function planSafely(
  graph: Graph,
  shape: readonly number[],
  kernels: Kernels,
  weights: WeightStore,
  memory: Memory,
  operators: Operators,
): Plan {
  try {
    return planGraph(graph, shape, kernels, weights, memory, operators);
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw new ModelFileError(
      'The graph of the model makes no sense. The file is damaged: copy or export it again.',
      {
        cause: error,
      },
    );
  }
}

/**
 * Loads an ONNX file that `cohort export` wrote, or one with the same operators.
 *
 * @throws {ModelFileError} for a damaged file
 * @throws {UnsupportedOperatorError} for an operator that is not known
 */
export async function loadModel(file: Uint8Array | ArrayBuffer, options: LoadOptions = {}): Promise<Model> {
  const [model] = await loadModels(file, options, (graph) => {
    const { length } = graph.otherInputs;
    if (length === 0) return [graph];
    throw new UnsupportedOperatorError('Graph', `with ${length + 1} inputs is not supported`);
  });
  if (model === undefined) throw new ModelFileError('The model has no parts. Copy or export it again.');
  return model;
}

/**
 * Loads a file as models that share kernels and memory, so that they must compute one after the other.
 *
 * @param split the graphs of the models, from that of the file
 * @throws as {@link loadModel}
 */
export async function loadModels(
  file: Uint8Array | ArrayBuffer,
  options: LoadOptions,
  split: (graph: Graph) => readonly Graph[],
): Promise<Model[]> {
  // A view of plain bytes: Node's Buffer has a `slice` of its own that does not copy.
  const bytes =
    file instanceof Uint8Array
      ? new Uint8Array(file.buffer, file.byteOffset, file.byteLength)
      : new Uint8Array(file);
  const graphs = split(readModel(bytes));
  const [kernels, ...operators] = await Promise.all([chooseKernels(options), ...graphs.map(operatorsFor)]);
  const memory = new KernelMemory(kernels.memory);
  return graphs.map((graph, index) => new Model(graph, kernels, operators[index] ?? new Map(), memory));
}

async function chooseKernels({ kernels, threads = 1 }: LoadOptions): Promise<Kernels> {
  if (!Number.isInteger(threads) || threads < 1 || threads > mostThreads) {
    throw new InputError(
      `\`threads\` is a whole number from 1 to ${mostThreads}, not ${threads}. Leave it out for one thread.`,
    );
  }
  if (threads > 1 && kernels === undefined && canShareMemory()) {
    const { startThreadedKernels } = await import('./threads/pool.ts');
    const threaded = await startThreadedKernels(bestKernels(), threads);
    if (threaded !== null) return threaded;
  }
  return startKernels(kernels);
}
