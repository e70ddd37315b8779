import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { resizeKernels } from '../preprocess/resizeBinary.ts';
import { kernelTemplate } from './binaries.ts';
import { kernelBinaries, startKernels } from './kernels.ts';
import { decodePrintable, encodePrintable } from './printable.ts';

interface Build {
  readonly kernelSources: () => Promise<Record<string, string>>;
}

/** Where bytes stand one after the other. */
const places = (binary: Uint8Array, ...bytes: number[]): number[] =>
  Array.from(binary.keys()).filter((at) => bytes.every((byte, index) => binary[at + index] === byte));

describe('kernels', () => {
  it('are what their source compiles to', async () => {
    const script = '../../scripts/buildKernels.mjs';
    const build = (await import(script)) as Build;
    for (const [path, text] of Object.entries(await build.kernelSources())) {
      const committed = await readFile(new URL(`../${path}`, import.meta.url), 'utf8');
      expect(committed === text, `${path}: run \`npm run build:kernels\``).toBe(true);
    }
  });

  it('are kept in text that holds every byte', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const text = encodePrintable(bytes);
    expect(text).not.toMatch(/\p{C}/u);
    expect(decodePrintable(text)).toEqual(bytes);
  });

  it('have a product and a sum in one variant wherever they have a fused multiply-add in the other', () => {
    const template = decodePrintable(kernelTemplate);
    const products = places(template, 0xfd, 0xf3, 1);
    const sums = places(template, 0xfd, 0xf1, 1);
    expect(products.length).toBeGreaterThan(0);
    expect(sums).toHaveLength(products.length);
    const { plain, relaxed } = kernelBinaries();
    expect(WebAssembly.validate(plain)).toBe(true);
    expect(places(plain, 0xfd, 0xe4, 1)).toEqual(expect.arrayContaining(sums));
    expect(places(plain, 0xfd, 0xe6, 1)).toEqual(expect.arrayContaining(products));
    expect(places(relaxed, 0xfd, 0x85, 2)).toEqual(sums);
    expect(places(relaxed, 1, 1, 1)).toEqual(expect.arrayContaining(products));
  });

  it('of the resize are small enough to be compiled synchronously on the main thread of every browser', () => {
    expect(decodePrintable(resizeKernels).length).toBeLessThan(4096);
  });

  it('start from a module that was compiled elsewhere', async () => {
    const module = await WebAssembly.compile(kernelBinaries().plain);
    const kernels = await startKernels(module);
    expect(kernels.memory.buffer.byteLength).toBeGreaterThan(0);
  });

  it('have a memory of their own at every start', async () => {
    const [one, other] = [await startKernels(), await startKernels()];
    expect(one.memory).not.toBe(other.memory);
  });
});
