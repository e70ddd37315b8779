/** Makes the compiled kernels take their memory from outside, shared between threads, in place of having their own. */

/** Pages of 64 KiB that a shared memory may grow to: 1 GiB. Address space is taken for all of them at once. */
const mostPages = 16_384;

const sections = { type: 1, import: 2, memory: 5 } as const;

/** The kernels as a binary that imports `env.memory`, and a memory to give them. */
export interface SharedKernels {
  readonly binary: Uint8Array<ArrayBuffer>;
  readonly memory: WebAssembly.Memory;
}

function readUnsigned(bytes: Uint8Array, from: number): { value: number; end: number } {
  let value = 0;
  let shift = 0;
  let end = from;
  for (;;) {
    const byte = bytes[end++] ?? 0;
    value |= (byte & 127) << shift;
    if (byte < 128) return { value, end };
    shift += 7;
  }
}

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];

/** @param kernels with one memory of their own and without imports */
export function withSharedMemory(kernels: Uint8Array): SharedKernels {
  const parts: ArrayLike<number>[] = [kernels.subarray(0, 8)];
  let types = 1;
  let pages = 0;
  for (let at = 8; at < kernels.length;) {
    const size = readUnsigned(kernels, at + 1);
    const end = size.end + size.value;
    if (kernels[at] === sections.memory) {
      // One memory, a byte of flags, the fewest pages.
      pages = readUnsigned(kernels, size.end + 2).value;
    } else {
      parts.push(kernels.subarray(at, end));
    }
    if (kernels[at] === sections.type) types = parts.length;
    at = end;
  }
  const shared = 3;
  const content = [
    ...[1, ...name('env'), ...name('memory'), 2, shared],
    ...[...unsigned(pages), ...unsigned(mostPages)],
  ];
  parts.splice(types, 0, [sections.import, ...unsigned(content.length), ...content]);
  const binary = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const part of parts) {
    binary.set(part, filled);
    filled += part.length;
  }
  const memory = new WebAssembly.Memory({ initial: pages, maximum: mostPages, shared: true });
  return { binary, memory };
}
