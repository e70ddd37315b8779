/** Opens the native addon at its first use and gives its functions their types; the only file that knows where it lies. */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import type { TypedArray } from './dtype.ts';
import {
  ArgumentError,
  ArithmeticFaultError,
  DisposedTensorError,
  EngineLoadError,
  OperatorError,
  OutOfMemoryError,
} from './errors.ts';
import { locateAddon, setupCommand } from './setup/locateAddon.ts';

/** The addon's functions. Tensors are numbers (handles) here; lists travel in the call buffer. */
export interface NativeAddon {
  lastError(): { kind: 'argument' | 'disposed' | 'memory' | 'arithmetic' | 'torch'; message: string };
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
  leaveToCollector(handle: number): boolean | undefined;
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
  newPlans(takeOneThread: boolean): number | undefined;
  releasePlans(plans: number): boolean | undefined;
  recordPlan(input: number): boolean | undefined;
  finishPlan(plans: number): boolean | undefined;
  dropPlan(plans: number): boolean | undefined;
  runPlan(plans: number, input: number): number | undefined;
  runPlanParts(plans: number, input: number, rows: number): number | undefined;
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
  verdicts(): string | undefined;
  trustVerdicts(lines: string): boolean | undefined;
  setDevice(name: string): boolean | undefined;
  cudaDevices(): number | undefined;
  cudaConfig(): string | undefined;
  configureCuda(deterministic: boolean, tf32: boolean): boolean | undefined;
  deviceMemory(): { usedBytes: number; reservedBytes: number; peakUsedBytes: number } | undefined;
  synchronize(): boolean | undefined;
  /** False where the device has no streams. */
  forkStreams(): boolean | undefined;
  useSideStream(index: number): boolean | undefined;
  /** The tensors are in the call buffer. */
  joinStreams(): boolean | undefined;
  groupBackends(): string;
  joinGroup(
    backend: string,
    address: string,
    rank: number,
    size: number,
    timeoutMs: number,
    ownHost: string,
  ): number | undefined;
  partOfGroup(group: number, name: string, rank: number, size: number): number | undefined;
  shareBatch(group: number): boolean | undefined;
  groupSharedTraffic(group: number): boolean | undefined;
  leaveGroup(group: number): boolean | undefined;
  groupAllGather(group: number, output: number, input: number): boolean | undefined;
  groupAllReduce(group: number, tensor: number, maximum: boolean): boolean | undefined;
  groupBroadcast(group: number, tensor: number, root: number): boolean | undefined;
  groupSend(group: number, tensor: number, rank: number): boolean | undefined;
  groupReceive(group: number, tensor: number, rank: number): boolean | undefined;
  groupBarrier(group: number): boolean | undefined;
}

/**
 * Path of the compiled addon: what COHORT_ADDON names (an engine built for another LibTorch), else next to `src` in the
 * repository, or in the user's cache for an installed package.
 */
export function addonPath(): string {
  const chosen = process.env.COHORT_ADDON;
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  return locateAddon();
}

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
  const path = addonPath();
  let addon: NativeAddon;
  try {
    addon = createRequire(import.meta.url)(path) as NativeAddon;
  } catch (error) {
    const reason = errorText(error);
    throw new EngineLoadError(
      'load',
      `the native engine could not be loaded from ${path}: ${reason}. Run "${setupCommand()}", which finds LibTorch and builds it.`,
      { cause: error },
    );
  }
  // LibTorch counts physical cores only, and sees half of them on many virtual machines.
  const wanted = Number(process.env.OMP_NUM_THREADS ?? availableParallelism());
  if (Number.isInteger(wanted) && wanted > 0) addon.setThreads(wanted);
  return addon;
}

/** Stands in for the addon until it is opened: the first look at any of its functions opens it. */
const unopened = new Proxy({} as NativeAddon, {
  get: (_, name): unknown => Reflect.get(open(), name),
});

const preparations: (() => void)[] = [];

/**
 * The addon. Importing this package loads no native code; the first call of any of these functions does, and from then on
 * they are the addon's own, without a layer between.
 */
export let native: NativeAddon = unopened;

function open(): NativeAddon {
  if (native !== unopened) return native;
  native = load();
  try {
    for (const prepare of preparations) prepare();
  } catch (error) {
    native = unopened;
    throw error;
  }
  return native;
}

/** Whether the addon has been opened in this thread. */
export function isEngineOpen(): boolean {
  return native !== unopened;
}

/** Runs `prepare` as soon as the addon is open: now, or right after it has been loaded, in the order of registration. */
export function whenOpened(prepare: () => void): void {
  preparations.push(prepare);
  if (native !== unopened) prepare();
}

/**
 * Loads LibTorch and this package's native code, which otherwise happens at the first tensor.
 *
 * @throws {EngineLoadError} when the addon is missing or was built for something else.
 */
export function openEngine(): void {
  open();
}

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
        `${text}. Use a smaller batch or fewer networks, or release tensors with scope(); train.precision: bfloat16 halves the feature maps.`,
      );
    case 'arithmetic':
      throw new ArithmeticFaultError(operation, text.endsWith('.') ? text : `${text}.`);
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
