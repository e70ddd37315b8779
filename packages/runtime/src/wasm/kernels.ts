/** Starts the compiled kernels: one instance, with a memory of its own, for each model. */
import { EnvironmentError } from '../errors.ts';
import { kernelTemplate } from './binaries.ts';
import { decodePrintable } from './printable.ts';
import { kernelVariant } from './variants.ts';

type Kernel = (...values: number[]) => void;

/** Names of what `kernels/index.ts` exports. */
export type KernelName =
  | 'convolveFloat'
  | 'convolveInteger'
  | 'winogradFloat'
  | 'winogradFloat4'
  | 'winogradInteger'
  | 'winogradInteger4'
  | 'depthwiseFloat'
  | 'depthwiseInteger'
  | 'addInteger'
  | 'affine'
  | 'binary'
  | 'channelSums'
  | 'clearBorder'
  | 'copyBlocks'
  | 'copyChannel'
  | 'dequantise'
  | 'hardSwish'
  | 'interpolate'
  | 'packFilters'
  | 'pool'
  | 'quantise'
  | 'scaleSums';

/** The kernels with their memory. Arguments are addresses, sizes and float32 values, as named in `kernels/`. */
export interface Kernels extends Readonly<Record<KernelName, Kernel>> {
  readonly memory: WebAssembly.Memory;
  /** Threads that large calls are divided among; 1 unless given. */
  readonly threads?: number;
  /** Ends the other threads. */
  readonly stop?: () => void;
}

/** A module of one function that is valid only where relaxed SIMD's fused multiply-add is known. */
const relaxedProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0],
  ...[65, 0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, 253, 133, 2, 11],
);

/** The kernels for every engine with SIMD, and those with relaxed SIMD: fused multiply-add. */
export function kernelBinaries(): Record<'plain' | 'relaxed', Uint8Array<ArrayBuffer>> {
  const template = decodePrintable(kernelTemplate);
  return { plain: kernelVariant(template, false), relaxed: kernelVariant(template, true) };
}

/** Those of the two that are fastest here. */
export function bestKernels(): Uint8Array<ArrayBuffer> {
  return kernelVariant(decodePrintable(kernelTemplate), WebAssembly.validate(relaxedProbe));
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** Begins to compile, while files are still on their way. Errors appear when the kernels are started. */
export function prepareKernels(): void {
  compiled ??= compile();
  compiled.catch(() => undefined);
}

async function compile(): Promise<WebAssembly.Module> {
  if (typeof WebAssembly !== 'object') {
    throw new EnvironmentError(
      'WebAssembly is not available here. Use a current browser, Node, Deno or Bun.',
    );
  }
  try {
    return await WebAssembly.compile(bestKernels());
  } catch (error) {
    throw new EnvironmentError(
      `The kernels could not be compiled: ${error instanceof Error ? error.message : String(error)}. WebAssembly SIMD is needed, and a Content-Security-Policy must allow 'wasm-unsafe-eval'; where code may not be compiled, pass the module as \`kernels\`.`,
      { cause: error },
    );
  }
}

/**
 * A fresh instance.
 *
 * @param module compiled kernels, for environments that only run modules which were deployed with the program
 */
export async function startKernels(module?: WebAssembly.Module): Promise<Kernels> {
  compiled ??= module ? undefined : compile();
  try {
    const chosen = module ?? (await compiled);
    if (chosen === undefined)
      throw new EnvironmentError('There are no kernels. Pass the module as `kernels`.');
    const instance = await WebAssembly.instantiate(chosen);
    return instance.exports as unknown as Kernels;
  } catch (error) {
    compiled = undefined;
    throw error;
  }
}
