/** The resize in WebAssembly, to the same bytes as `resizeScalar.ts` and several times faster. */
import { decodePrintable } from '../wasm/printable.ts';
import type { PixelImage } from './image.ts';
import type { AxisWeights } from './kernel.ts';
import { resizeKernels } from './resizeBinary.ts';
import type { ResizePlan } from './resizePlan.ts';

/** What `kernels/resize.ts` exports. */
interface Kernels {
  readonly memory: WebAssembly.Memory;
  mix(...values: number[]): void;
  shrinkRow(...values: number[]): void;
}

const pageBytes = 65_536;
/** Beyond this much memory the scalar code does it, and an instance that grew to more than `keptBytes` is let go. */
const mostBytes = 512 * 1024 * 1024;
const keptBytes = 32 * 1024 * 1024;
/** Kernels read and write up to this far past the end of a row. */
const slack = 64;
/** Bytes of an image that are copied at once where it is averaged first. */
const bandBytes = 512 * 1024;

let shared: Kernels | null | undefined;

/** The instance of this thread, started at its first use; null where WebAssembly or its SIMD is not to be had. */
function kernels(): Kernels | null {
  if (shared !== undefined) return shared;
  try {
    const module = new WebAssembly.Module(decodePrintable(resizeKernels));
    shared = new WebAssembly.Instance(module).exports as unknown as Kernels;
  } catch {
    shared = null;
  }
  return shared;
}

/** Compiles the kernels ahead of their first use. */
export function prepareResize(): void {
  kernels();
}

/** Gives out addresses, one after the other. */
class Layout {
  bytes = pageBytes;

  take(bytes: number): number {
    const address = this.bytes;
    this.bytes += Math.ceil((bytes + slack) / 16) * 16;
    return address;
  }
}

/** Carries out a plan, or returns null where there are no kernels or not enough memory for them. */
export function resizeByKernels(image: PixelImage, plan: ResizePlan): PixelImage | null {
  const own = kernels();
  if (own === null) return null;
  const { width, height, shrinkX, shrinkY, horizontal, vertical } = plan;
  const { channels } = image;
  const shrunkWidth = Math.ceil(image.width / shrinkX);
  const shrunkHeight = Math.ceil(image.height / shrinkY);
  const length = shrunkWidth * channels;
  const rowStep = roundUp(vertical.taps, 2);
  const columnStep = roundUp(horizontal.taps, channels === 3 ? 2 : 8);

  const layout = new Layout();
  const data = layout.take(shrunkHeight * length);
  const rowFirst = layout.take(4 * height);
  const rowWeights = layout.take(2 * height * rowStep);
  const columnFirst = layout.take(4 * width);
  const columnWeights = layout.take(2 * width * columnStep);
  const row = layout.take(2 * length + 16 * columnStep);
  const result = layout.take(width * height * channels);
  const inputLength = image.width * channels;
  const sums = layout.take(4 * inputLength);
  const bandRows = shrinkY * Math.max(1, Math.floor(bandBytes / (shrinkY * inputLength)));
  const band = layout.take(bandRows * inputLength);
  if (!grow(own.memory, layout.bytes)) return null;

  if (shrinkX === 1 && shrinkY === 1) {
    new Uint8Array(own.memory.buffer).set(image.data, data);
  } else {
    let to = data;
    for (let first = 0; first < image.height; first += bandRows) {
      const end = Math.min(image.height, first + bandRows);
      new Uint8Array(own.memory.buffer).set(
        image.data.subarray(first * inputLength, end * inputLength),
        band,
      );
      for (let top = first; top < end; top += shrinkY, to += length) {
        const rows = Math.min(shrinkY, end - top);
        const from = band + (top - first) * inputLength;
        own.shrinkRow(from, image.width, channels, rows, shrinkX, sums, to);
      }
    }
  }
  place(own.memory, vertical, rowFirst, rowWeights, rowStep);
  place(own.memory, horizontal, columnFirst, columnWeights, columnStep);
  own.mix(
    ...[data, length, rowFirst, rowWeights, vertical.taps, rowStep, height],
    ...[columnFirst, columnWeights, columnStep, width, channels, row, result],
  );
  const pixels = new Uint8Array(own.memory.buffer).slice(result, result + width * height * channels);
  if (own.memory.buffer.byteLength > keptBytes) shared = undefined;
  return { width, height, channels, data: pixels };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function grow(memory: WebAssembly.Memory, bytes: number): boolean {
  if (bytes > mostBytes) return false;
  const missing = bytes - memory.buffer.byteLength;
  try {
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
    return true;
  } catch {
    return false;
  }
}

/** Writes first positions and weights, each row of weights padded with zeros to `step`. */
function place(
  memory: WebAssembly.Memory,
  { first, weights, taps }: AxisWeights,
  firstAddress: number,
  weightAddress: number,
  step: number,
): void {
  new Int32Array(memory.buffer, firstAddress, first.length).set(first);
  const target = new Int16Array(memory.buffer, weightAddress, first.length * step);
  if (step === taps) {
    target.set(weights);
    return;
  }
  target.fill(0);
  for (let output = 0; output < first.length; output += 1) {
    target.set(weights.subarray(output * taps, (output + 1) * taps), output * step);
  }
}
