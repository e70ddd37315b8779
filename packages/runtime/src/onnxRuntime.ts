/** ONNX Runtime as a backend in place of our own kernels: onnxruntime-web, or whatever has its interface. */
import { hasFileSystem } from './environment.ts';
import { DisposedError, EnvironmentError, InputError, ModelFileError } from './errors.ts';
import type { InferenceModel, ModelOutput, RunOptions } from './model.ts';

interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** With the `shape` of every tensor; since 1.20. */
  readonly inputMetadata?: readonly object[];
  run(feeds: Record<string, unknown>): Promise<Readonly<Record<string, unknown>>>;
  release(): Promise<void>;
}

/** What is used of the modules `onnxruntime-web/wasm`, `onnxruntime-web` and `onnxruntime-node`. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(file: Uint8Array): Promise<OnnxSession> };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
}

/** Loads onnxruntime-web. @throws {EnvironmentError} where it is not installed */
async function importOnnxRuntime(): Promise<OnnxRuntime> {
  const name = hasFileSystem() ? 'onnxruntime-web' : 'onnxruntime-web/wasm';
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as OnnxRuntime;
  } catch (error) {
    throw new EnvironmentError(
      'onnxruntime-web could not be loaded. Run `npm install onnxruntime-web`, and pass the module itself as `backend` where a bundler or a page without an import map must find it; or leave `backend` out.',
      { cause: error },
    );
  }
}

class OnnxModel implements InferenceModel {
  readonly inputName: string;
  readonly inputShape: readonly (number | string)[];
  readonly outputNames: readonly string[];
  readonly #runtime: OnnxRuntime;
  #session: OnnxSession | null;
  /** Runs one after the other: a session takes one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(runtime: OnnxRuntime, session: OnnxSession) {
    this.#runtime = runtime;
    this.#session = session;
    this.inputName = session.inputNames[0] ?? '';
    const [metadata = {}] = session.inputMetadata ?? [];
    this.inputShape = 'shape' in metadata ? (metadata.shape as (number | string)[]) : [];
    this.outputNames = session.outputNames;
  }

  run(
    data: Float32Array,
    shape: readonly number[],
    { inputs = {} }: RunOptions = {},
  ): Promise<Record<string, ModelOutput>> {
    const result = this.#last.then(async () => {
      if (this.#session === null) throw new DisposedError('model');
      const given = [[this.inputName, { data, shape }] as const, ...Object.entries(inputs)];
      const feeds = given.map(
        ([name, own]) => [name, new this.#runtime.Tensor('float32', own.data, own.shape)] as const,
      );
      const outputs = await this.#session.run(Object.fromEntries(feeds));
      return Object.fromEntries(
        Object.entries(outputs).map(([name, tensor]) => [name, floatOutput(name, tensor)]),
      );
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  dispose(): void {
    const session = this.#session;
    this.#session = null;
    if (session !== null) void this.#last.then(() => session.release());
  }
}

function floatOutput(name: string, tensor: unknown): ModelOutput {
  const { data, dims } = tensor as { data: unknown; dims: readonly number[] };
  if (!(data instanceof Float32Array)) {
    throw new InputError(`The output ${name} is not float32. Export the network with \`cohort export\`.`);
  }
  return { data, shape: dims };
}

/**
 * Loads a model file with ONNX Runtime.
 *
 * @throws {EnvironmentError} where onnxruntime-web is wanted and not installed
 * @throws {ModelFileError} where ONNX Runtime refuses the file
 */
export async function loadWithOnnxRuntime(
  file: Uint8Array,
  backend: 'onnxruntime-web' | OnnxRuntime,
): Promise<InferenceModel> {
  const runtime = backend === 'onnxruntime-web' ? await importOnnxRuntime() : backend;
  try {
    return new OnnxModel(runtime, await runtime.InferenceSession.create(file));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ModelFileError(
      `ONNX Runtime could not load the model: ${reason}. Copy or export the file again, or leave \`backend\` out.`,
      { cause: error },
    );
  }
}
