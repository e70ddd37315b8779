/** Loads the native addon and gives its functions their types; the only file that knows where the addon lies. */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type { TypedArray } from './dtype.ts';
import {
  ArgumentError,
  DisposedTensorError,
  EngineLoadError,
  OperatorError,
  OutOfMemoryError,
} from './errors.ts';
import { locateAddon, setupCommand } from './setup/locateAddon.ts';

/** The addon's functions. Tensors are numbers (handles) here; lists travel in the call buffer. */
export interface NativeAddon {
  lastError(): { kind: 'argument' | 'disposed' | 'memory' | 'torch'; message: string };
  setBuffer(buffer: Float64Array): boolean | undefined;
  intern(text: string): number;
  internedString(id: number): string;
  findOperator(name: string): number;
  listOperators(): string;
  listSchemas(): string;
  call(): number;
  takeResults(): number;
  allowInternalOperators(allowed: boolean): boolean | undefined;
  fromBytes(array: TypedArray, dtypeCode: number): number | undefined;
  wrapBytes(array: TypedArray, dtypeCode: number): number | undefined;
  toBytes(handle: number, array: TypedArray): boolean | undefined;
  describe(handle: number): boolean | undefined;
  device(handle: number): string | undefined;
  item(handle: number): number | undefined;
  release(handle: number): boolean | undefined;
  alias(handle: number): number | undefined;
  liveTensors(): number;
  backward(retainGraph: boolean, createGraph: boolean): boolean | undefined;
  backwardTogether(count: number, concurrency: number): boolean | undefined;
  grad(retainGraph: boolean, createGraph: boolean, allowUnused: boolean): number | undefined;
  gradOfGrad(): number | undefined;
  setRequiresGrad(handle: number, value: boolean): boolean | undefined;
  gradientOf(handle: number): number | undefined;
  setGradient(handle: number, gradient: number): boolean | undefined;
  setData(handle: number, source: number): boolean | undefined;
  gradMode(): boolean;
  setGradMode(enabled: boolean): boolean | undefined;
  setAutocast(enabled: boolean): boolean | undefined;
  newGenerator(seed: number): number | undefined;
  releaseGenerator(handle: number): boolean | undefined;
  generatorState(handle: number): number | undefined;
  setGeneratorState(handle: number, state: number): boolean | undefined;
  seedDefaultGenerator(seed: number): boolean | undefined;
  threads(): number;
  setThreads(count: number): boolean | undefined;
  setDeterministic(enabled: boolean): boolean | undefined;
  engineInfo():
    | {
        version: string;
        config: string;
        parallel: string;
        cuda: boolean;
        onednn: boolean;
        cachingAllocator: boolean;
        kernels: string;
        convolution: string;
        kernelThreads: boolean;
      }
    | undefined;
  memory():
    { usedBytes: number; reservedBytes: number; peakUsedBytes: number; externalBytes: number } | undefined;
  trimMemory(): boolean;
}

/** Path of the compiled addon: beside `src` in the repository, in the user's cache for an installed package. */
export const addonPath = locateAddon();

/**
 * How often a waiting OpenMP thread looks before it sleeps. The default, 300,000 times or some milliseconds, is no faster
 * on an idle machine, and where other programs use the cores it makes a step up to ten times slower
 * (docs/decisions/002-threads-and-memory.md).
 */
const spinCount = '2000';

/** What COHORT_KERNELS may say: ATen's operators instead of our own kernels, or narrower vectors than there are. */
const kernelChoices = ['aten', 'baseline', 'avx2', 'avx512', 'avx512bf16'];

/** What COHORT_CONVOLUTION may say: oneDNN's convolution by its definition instead of our own one after Winograd. */
const convolutionChoices = ['direct'];

function checkChoice(variable: string, choices: readonly string[]): void {
  const chosen = process.env[variable];
  if (chosen === undefined || chosen === '' || choices.includes(chosen)) return;
  throw new EngineLoadError(
    'load',
    `${variable} is '${chosen}', expected ${choices.length > 1 ? 'one of ' : ''}${choices.join(', ')}. Unset it to use what suits this processor.`,
  );
}

function load(): NativeAddon {
  checkChoice('COHORT_KERNELS', kernelChoices);
  checkChoice('COHORT_CONVOLUTION', convolutionChoices);
  const isChosen = ['GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'].some((name) => process.env[name] !== undefined);
  // Read by the OpenMP library when it is loaded, together with the addon.
  if (!isChosen) process.env.GOMP_SPINCOUNT = spinCount;
  let addon: NativeAddon;
  try {
    addon = createRequire(import.meta.url)(addonPath) as NativeAddon;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineLoadError(
      'load',
      `the native engine could not be loaded from ${addonPath}: ${reason}. Run "${setupCommand()}", which finds LibTorch and builds it.`,
      { cause: error },
    );
  }
  // LibTorch counts physical cores only, and sees half of them on many virtual machines.
  const wanted = Number(process.env.OMP_NUM_THREADS ?? availableParallelism());
  if (Number.isInteger(wanted) && wanted > 0) addon.setThreads(wanted);
  return addon;
}

/** The loaded addon. */
export const native: NativeAddon = load();

/** Throws the typed error for what the addon reported last. `context` ends LibTorch's sentence: the argument shapes. */
export function throwLastError(operation: string, context: () => string = () => ''): never {
  const { kind, message } = native.lastError();
  // The context may ask the addon again: what it said of this failure is already here.
  const text = message.trimEnd() + (kind === 'torch' || kind === 'memory' ? context() : '');
  switch (kind) {
    case 'disposed':
      throw new DisposedTensorError(operation);
    case 'memory':
      throw new OutOfMemoryError(
        operation,
        `${text}. Use a smaller batch or fewer networks, or release tensors with scope().`,
      );
    case 'argument':
      throw new ArgumentError(operation, text);
    case 'torch':
      throw new OperatorError(operation, text);
  }
}

/** Returns `result`, or throws the typed error when the addon returned nothing. */
export function checked<Result>(operation: string, result: Result | undefined): Result {
  if (result === undefined) throwLastError(operation);
  return result;
}
