/** The resize in WebAssembly against the scalar one, byte for byte, over sizes of all kinds. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { resize, type PixelImage } from './index.ts';
import { resizeByKernels } from './resizeKernels.ts';
import { planResize, type ResizeOptions } from './resizePlan.ts';
import { resizeScalar } from './resizeScalar.ts';

/** Noise with black and white areas, so that the filter overshoots on both ends. */
function noise(width: number, height: number, channels: 1 | 3, seed: number): PixelImage {
  const data = Uint8Array.from({ length: width * height * channels }, (_, index) => {
    const bits = Math.imul(index + seed, 2654435761) >>> 16;
    return bits % 3 === 0 ? 0 : bits % 3 === 1 ? 255 : bits % 256;
  });
  return { width, height, channels, data };
}

function expectSame(image: PixelImage, options: ResizeOptions): void {
  const plan = planResize(image, options);
  const expected = resizeScalar(image, plan).data;
  const fast = resizeByKernels(image, plan);
  if (fast === null) throw new Error('there are no kernels');
  // Compared as bytes: the matcher would look at every value by itself.
  const first = fast.data.findIndex((value, index) => value !== expected[index]);
  expect({ first, length: fast.data.length }).toEqual({ first: -1, length: expected.length });
}

describe('the kernels of the resize', () => {
  it('give the same bytes for any sizes', () => {
    fc.assert(
      fc.property(
        fc.record({
          fromWidth: fc.integer({ min: 1, max: 300 }),
          fromHeight: fc.integer({ min: 1, max: 300 }),
          width: fc.integer({ min: 1, max: 70 }),
          height: fc.integer({ min: 1, max: 70 }),
          channels: fc.constantFrom(1 as const, 3 as const),
          fit: fc.constantFrom('fill' as const, 'cover' as const),
          filter: fc.constantFrom('lanczos3' as const, 'triangle' as const),
          seed: fc.nat(1000),
        }),
        ({ fromWidth, fromHeight, channels, seed, ...options }) => {
          expectSame(noise(fromWidth, fromHeight, channels, seed), options);
        },
      ),
      { numRuns: 150, seed: 20261129 },
    );
  });

  it.each([
    ['a photograph in several bands', 1999, 1501, 3, 224, 224],
    ['a strip averaged over more than 256 rows', 3, 3000, 1, 2, 4],
    ['a strip averaged over more than 256 columns', 3001, 2, 3, 5, 2],
    ['a small image enlarged', 5, 4, 3, 301, 199],
  ] as const)('give the same bytes for %s', (_, fromWidth, fromHeight, channels, width, height) => {
    expectSame(noise(fromWidth, fromHeight, channels, 7), { width, height, fit: 'cover' });
    expectSame(noise(fromWidth, fromHeight, channels, 7), { width, height });
  });

  it('give the same bytes for white, which is where 16 bits are nearly full', () => {
    const image: PixelImage = {
      width: 97,
      height: 89,
      channels: 3,
      data: new Uint8Array(97 * 89 * 3).fill(255),
    };
    expectSame(image, { width: 40, height: 31 });
  });
});

describe('where WebAssembly is forbidden', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it('images are resized all the same', async () => {
    const image = noise(50, 40, 3, 1);
    const expected = resize(image, { width: 20, height: 30 });
    vi.resetModules();
    vi.stubGlobal('WebAssembly', {
      Module: () => {
        throw new Error("Refused to compile: 'wasm-unsafe-eval' is not allowed");
      },
    });
    const fresh = await import('./resize.ts');
    const kernels = await import('./resizeKernels.ts');
    const plan = planResize(image, { width: 20, height: 30 });
    expect(kernels.resizeByKernels(image, plan)).toBeNull();
    expect(fresh.resize(image, { width: 20, height: 30 })).toEqual(expected);
  });
});
