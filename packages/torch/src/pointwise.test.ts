/** 1x1 convolutions, against exact ones: odd shapes, gradients, bfloat16, and the same bits for any batch and any threads. */
import { describe, expect, test } from 'vitest';
import { ops, scope } from './index.ts';
import {
  denseMaps,
  derivatives,
  expectExact,
  expectNear,
  type ConvolutionMaps,
  type Convolutions,
  type DenseShape,
} from './testing/convolutionCheck.ts';
import { expectSameBitsOnThreads } from './testing/threadBits.ts';

/**
 * Whole vectors and broken ones, panels of one to four vectors, fewer pixels than a tile has rows, and more than a block has;
 * some that one of our kernels takes and another leaves to the library.
 */
const shapes: DenseShape[] = [
  [4, 58, 58, 10, 11],
  [3, 24, 58, 7, 5],
  [2, 58, 24, 9, 9],
  [1, 116, 116, 1, 1],
  [1, 48, 232, 1, 3],
  [5, 50, 49, 3, 4],
  [3, 51, 67, 13, 1],
  [2, 17, 150, 8, 8],
  [2, 464, 96, 4, 4],
  [37, 64, 80, 3, 3],
];

const mapsOf = (shape: DenseShape): ConvolutionMaps => denseMaps(shape, 1);

const convolutions: Convolutions = {
  own: (input, weight) => ops.convolution2d(input, weight, null),
  exact: (input, weight) => ops.conv2d(input, weight, null),
};
const { own } = convolutions;

describe('a 1x1 convolution in channels-last', () => {
  test.each(shapes)(
    'agrees with the exact one to 1e-5, as do gradients and second derivatives: %i, %i to %i, %ix%i',
    (...shape) => {
      scope(() => {
        expectExact(mapsOf(shape), convolutions);
      });
    },
  );

  test.each(shapes)('is near it in bfloat16: %i, %i to %i, %ix%i', (...shape) => {
    scope(() => {
      expectNear(mapsOf(shape), convolutions);
    });
  });

  test('takes a gradient in the other memory format', () => {
    scope(() => {
      const maps = mapsOf([4, 58, 64, 6, 6]);
      const [, ...expected] = derivatives(maps, 'float32', own);
      const [, ...found] = derivatives({ ...maps, upstream: maps.upstream.contiguous() }, 'float32', own);
      expect(found.map((each) => each.toNumbers())).toEqual(expected.map((each) => each.toNumbers()));
    });
  });

  test.each(['float32', 'bfloat16'] as const)(
    'gives the same bits for any number of threads, and an image the same in every batch: %s',
    (dtype) => {
      scope(() => {
        const maps = mapsOf([40, 58, 116, 9, 8]);
        expectSameBitsOnThreads(() => derivatives(maps, dtype, own).slice(0, 3));
        const input = maps.input.to(dtype);
        const single = own(input.narrow(0, 7, 1), maps.weight);
        expect(single.toNumbers()).toEqual(own(input, maps.weight).narrow(0, 7, 1).toNumbers());
      });
    },
  );

  test('lets what is not finite through to its pixel alone', () => {
    scope(() => {
      const maps = mapsOf([2, 58, 58, 6, 6]);
      maps.input.select(0, 1).select(0, 3).select(0, 2).select(0, 2).fill_(NaN);
      const finite = own(maps.input, maps.weight).isfinite();
      expect(finite.select(0, 1).select(1, 2).select(1, 2).sum().item()).toBe(0);
      expect(finite.sum().item()).toBe(finite.numel - 58);
    });
  });
});
