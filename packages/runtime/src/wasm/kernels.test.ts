import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { plainKernels } from './binaries.ts';
import { decodeBase64 } from './base64.ts';
import { resizeKernels } from '../preprocess/resizeBinary.ts';
import { startKernels } from './kernels.ts';

interface Build {
  readonly binariesSource: () => Promise<string>;
  readonly resizeSource: () => Promise<string>;
}

describe('kernels', () => {
  it('are what their source compiles to', async () => {
    const script = '../../scripts/buildKernels.mjs';
    const { binariesSource, resizeSource } = (await import(script)) as Build;
    const committed = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8');
    const advice = 'run `npm run build:kernels`';
    expect((await binariesSource()) === (await committed('binaries.ts')), advice).toBe(true);
    expect((await resizeSource()) === (await committed('../preprocess/resizeBinary.ts')), advice).toBe(true);
  });

  it('of the resize are small enough to be compiled synchronously on the main thread of every browser', () => {
    expect(decodeBase64(resizeKernels).length).toBeLessThan(4096);
  });

  it('start from a module that was compiled elsewhere', async () => {
    const module = await WebAssembly.compile(decodeBase64(plainKernels));
    const kernels = await startKernels(module);
    expect(kernels.memory.buffer.byteLength).toBeGreaterThan(0);
  });

  it('have a memory of their own at every start', async () => {
    const [one, other] = [await startKernels(), await startKernels()];
    expect(one.memory).not.toBe(other.memory);
  });
});
