import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { plainKernels } from './binaries.ts';
import { decodeBase64, startKernels } from './kernels.ts';

interface Build {
  readonly binariesSource: () => Promise<string>;
}

describe('kernels', () => {
  it('are what their source compiles to', async () => {
    const script = '../../scripts/buildKernels.mjs';
    const { binariesSource } = (await import(script)) as Build;
    const committed = await readFile(new URL('binaries.ts', import.meta.url), 'utf8');
    expect((await binariesSource()) === committed, 'run `npm run build:kernels`').toBe(true);
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
