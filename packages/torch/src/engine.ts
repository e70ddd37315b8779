/** The engine as a whole: versions, threads and memory, for `cohort doctor`, benchmarks and tests. */
import { arithmeticReport, type ArithmeticReport } from './engine/arithmetic.ts';
import { ArgumentError } from './errors.ts';
import { addonPath, checked, native } from './native.ts';

/** What the engine is and what it found on this machine. */
export interface EngineInfo {
  /** LibTorch's version. */
  readonly version: string;
  /** Path of the native addon. */
  readonly addonPath: string;
  /** Widest vector instructions that LibTorch's own kernels use, e.g. `AVX2`. */
  readonly cpuCapability: string;
  readonly threads: number;
  /** LibTorch's build configuration, as it prints it. */
  readonly config: string;
  readonly cuda: boolean;
  readonly onednn: boolean;
  readonly cachingAllocator: boolean;
  /** Vector instructions of this package's own kernels: `avx512bf16`, `avx512`, `avx2`, `baseline`; `aten` where they are off. */
  readonly kernels: string;
  /** How 3x3 convolutions of stride 1 are computed where it applies: `winograd` by our own kernels, or `direct` by oneDNN. */
  readonly convolution: string;
  /** Whether those kernels were compiled to share their work between threads. */
  readonly kernelThreads: boolean;
  /** What was found when the engine compared its arithmetic with float64. */
  readonly arithmetic: ArithmeticReport;
}

export { assertArithmetic, type ArithmeticReport } from './engine/arithmetic.ts';
export { isEngineOpen, openEngine } from './native.ts';

/** Reads what the engine is. */
export function engineInfo(): EngineInfo {
  const info = checked('engineInfo', native.engineInfo());
  return {
    version: info.version,
    addonPath: addonPath(),
    cpuCapability: /capability usage: (.*)/.exec(info.config)?.[1]?.trim() ?? 'unknown',
    threads: native.threads(),
    config: info.config,
    cuda: info.cuda,
    onednn: info.onednn,
    cachingAllocator: info.cachingAllocator,
    kernels: info.kernels,
    convolution: info.convolution,
    kernelThreads: info.kernelThreads,
    arithmetic: arithmeticReport(),
  };
}

/** Sets how many threads one operator may use. */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new ArgumentError('setThreads', `expected a whole number of at least 1, got ${count}.`);
  checked('setThreads', native.setThreads(count));
}

/** How many threads one operator may use. */
export function threads(): number {
  return native.threads();
}

/** Asks LibTorch for deterministic kernels where it has them. */
export function setDeterministic(enabled: boolean): void {
  checked('setDeterministic', native.setDeterministic(enabled));
}

/**
 * Lets this thread call operators that LibTorch keeps for itself: those with a leading underscore (`_foreach...` and
 * `__and__` aside), `...Backward`, and kernels such as `nativeBatchNorm`, `slowConv3d` or `quantizedLstmCell`. They do
 * not check their arguments, since their callers inside LibTorch have: a wrong shape can end the process without a word.
 * Until this is called they throw an `ArgumentError`.
 */
export function allowInternalOperators(allowed = true): void {
  checked('allowInternalOperators', native.allowInternalOperators(allowed));
}

/** Memory of the caching allocator and behind this thread's handles, in bytes. */
export function memoryStatistics(): {
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly peakUsedBytes: number;
  readonly externalBytes: number;
} {
  return checked('memoryStatistics', native.memory());
}

/** Gives cached memory that no tensor uses back to the system. */
export function trimMemory(): void {
  native.trimMemory();
}
