import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from './base64.ts';
import { resizeKernels } from '../preprocess/resizeBinary.ts';
import { kernelBinaries, startKernels } from './kernels.ts';

interface Build {
  readonly kernelBinaries: () => Promise<Record<'plain' | 'relaxed', Uint8Array>>;
  readonly resizeSource: () => Promise<string>;
}

describe('kernels', () => {
  it('are what their source compiles to', async () => {
    const script = '../../scripts/buildKernels.mjs';
    const build = (await import(script)) as Build;
    const advice = 'run `npm run build:kernels`';
    const [built, committed] = [await build.kernelBinaries(), await kernelBinaries()];
    expect(Buffer.compare(built.plain, committed.plain), advice).toBe(0);
    expect(Buffer.compare(built.relaxed, committed.relaxed), advice).toBe(0);
    const resize = await readFile(new URL('../preprocess/resizeBinary.ts', import.meta.url), 'utf8');
    expect((await build.resizeSource()) === resize, advice).toBe(true);
  });

  it('of the resize are small enough to be compiled synchronously on the main thread of every browser', () => {
    expect(decodeBase64(resizeKernels).length).toBeLessThan(4096);
  });

  it('start from a module that was compiled elsewhere', async () => {
    const module = await WebAssembly.compile((await kernelBinaries()).plain);
    const kernels = await startKernels(module);
    expect(kernels.memory.buffer.byteLength).toBeGreaterThan(0);
  });

  it('have a memory of their own at every start', async () => {
    const [one, other] = [await startKernels(), await startKernels()];
    expect(one.memory).not.toBe(other.memory);
  });
});
