/** Programs that run an exported file: ONNX Runtime and Cohort's own runtime where they are installed. */
import { scope, Tensor, threads } from '@cohort-ml/torch';
import type { Graph } from './onnx/graph.ts';
import { GraphProgram } from './onnx/interpreter.ts';
import { importOptional } from './importOptional.ts';
import { inputName } from './manifest.ts';

/** A model file, loaded by one program. */
export interface ModelRunner {
  /** With its version. */
  readonly program: string;
  /** Whether it is quick enough for all test images. */
  readonly isFast: boolean;
  /** Whether it reads the file, or computes the graph that the file was written from. */
  readonly readsFile: boolean;
  /**
   * @param pixels `[B, C, H, W]`, row by row
   * @param others vectors for the graph's other inputs, by name
   * @returns values of every output by name
   */
  run(
    pixels: Float32Array,
    shape: readonly number[],
    others?: Readonly<Record<string, Float32Array>>,
  ): Promise<ReadonlyMap<string, Float32Array>>;
  dispose(): Promise<void>;
}

/** Every program that is installed; where there is none, the graph is run on the engine's operators. */
export async function openRunners(file: Uint8Array, graph: Graph): Promise<ModelRunner[]> {
  const found = [await openOnnxRuntime(file), await openOwnRuntime(file)].filter((each) => each !== null);
  return found.length > 0 ? found : [openInterpreter(graph)];
}

/** ONNX Runtime for Node; null where it is not installed. */
export async function openOnnxRuntime(file: Uint8Array): Promise<ModelRunner | null> {
  const found = await importOptional('onnxruntime-node', () => import('onnxruntime-node'));
  if (found === null) return null;
  const { module: runtime, version } = found;
  const session = await runtime.InferenceSession.create(file, {
    intraOpNumThreads: threads(),
    interOpNumThreads: 1,
    // Warnings that the graph could be smaller are not for users.
    logSeverityLevel: 3,
  });
  return {
    program: `onnxruntime-node ${version}`,
    isFast: true,
    readsFile: true,
    run: async (pixels, shape, others = {}) => {
      const vectors = Object.entries(others).map(
        ([name, values]) => [name, new runtime.Tensor('float32', values, [values.length])] as const,
      );
      const images = new runtime.Tensor('float32', pixels, shape);
      const results = await session.run({ [inputName]: images, ...Object.fromEntries(vectors) });
      return new Map(
        Object.entries(results).map(([name, { data }]) => {
          if (!(data instanceof Float32Array)) throw new TypeError(`The output ${name} is not float32.`);
          return [name, data];
        }),
      );
    },
    dispose: () => session.release(),
  };
}

/** What is used of `@cohort-ml/runtime`. */
interface OwnRuntime {
  loadModel(file: Uint8Array): Promise<{
    run(
      pixels: Float32Array,
      shape: readonly number[],
    ): Readonly<Record<string, { readonly data: Float32Array }>>;
    dispose(): void;
  }>;
}

/** The package of Cohort's own runtime. */
export const ownRuntimeName = '@cohort-ml/runtime';

/** Cohort's own runtime; null where it is not installed. */
async function openOwnRuntime(file: Uint8Array): Promise<ModelRunner | null> {
  const found = await importOptional(ownRuntimeName, () => import(ownRuntimeName) as Promise<OwnRuntime>);
  if (found === null || typeof found.module.loadModel !== 'function') return null;
  const model = await found.module.loadModel(file);
  return {
    program: `${ownRuntimeName} ${found.version}`,
    isFast: false,
    readsFile: true,
    run: (pixels, shape) => {
      const results = model.run(pixels, shape);
      return Promise.resolve(new Map(Object.entries(results).map(([name, { data }]) => [name, data])));
    },
    dispose: () => {
      model.dispose();
      return Promise.resolve();
    },
  };
}

function openInterpreter(graph: Graph): ModelRunner {
  const program = new GraphProgram(graph);
  return {
    program: 'LibTorch, node by node',
    isFast: true,
    readsFile: false,
    run: (pixels, shape) =>
      Promise.resolve(
        scope(() => {
          const outputs = program.run(Tensor.fromTypedArray(pixels, shape));
          return new Map(
            Array.from(outputs, ([name, value]) => [name, Float32Array.from(value.toNumbers())] as const),
          );
        }),
      ),
    dispose: () => {
      program.dispose();
      return Promise.resolve();
    },
  };
}
