/** Starts the compiled kernels: one instance, with a memory of its own, for each model. */
import { EnvironmentError } from '../errors.ts';
import { decodeBase64 } from './base64.ts';
import { compressedKernels, pieceBytes, plainBytes } from './binaries.ts';

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
export async function kernelBinaries(): Promise<Record<'plain' | 'relaxed', Uint8Array<ArrayBuffer>>> {
  const bytes = await inflate(decodeBase64(compressedKernels));
  const second = pieceBytes + plainBytes;
  const join = (first: number, from: number, to?: number): Uint8Array<ArrayBuffer> => {
    const rest = bytes.subarray(from, to);
    const joined = new Uint8Array(pieceBytes + rest.length);
    joined.set(bytes.subarray(first, first + pieceBytes));
    joined.set(rest, pieceBytes);
    return joined;
  };
  return { plain: join(0, 2 * pieceBytes, second), relaxed: join(pieceBytes, second) };
}

/** Without `Response`, which would load all of `fetch` in Node. */
async function inflate(compressed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new DecompressionStream('deflate');
  const writer = writable.getWriter();
  const written = writer.write(compressed).then(() => writer.close());
  const reader = readable.getReader();
  const chunks: Uint8Array[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value);
  await written;
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}

/** Those of the two that are fastest here. */
export async function bestKernels(): Promise<Uint8Array<ArrayBuffer>> {
  const { plain, relaxed } = await kernelBinaries();
  return WebAssembly.validate(relaxedProbe) ? relaxed : plain;
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
    return await WebAssembly.compile(await bestKernels());
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
