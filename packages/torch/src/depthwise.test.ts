/** Depthwise 3x3 convolutions, against exact ones: odd shapes, both strides, gradients, bfloat16, and the bits of any batch. */
import { describe, expect, test } from 'vitest';
import { Generator, ops, scope } from './index.ts';
import {
  derivatives,
  expectExact,
  expectNear,
  randomMaps,
  type ConvolutionMaps,
  type Convolutions,
} from './testing/convolutionCheck.ts';
import { expectSameBitsOnThreads } from './testing/threadBits.ts';

/** `[batch, channels, height, width, stride]`; channels that fill no whole number of vectors among them. */
type Shape = readonly [number, number, number, number, 1 | 2];

const shapes: Shape[] = [
  [3, 16, 7, 5, 1],
  [2, 58, 16, 16, 1],
  [5, 24, 1, 9, 1],
  [17, 116, 4, 3, 1],
  [3, 17, 2, 2, 2],
  [2, 58, 15, 16, 2],
  [4, 24, 8, 7, 2],
  [2, 96, 1, 1, 2],
  [20, 33, 9, 6, 2],
];

function mapsOf([batch, channels, height, width, stride]: Shape): ConvolutionMaps {
  const out = (side: number): number => Math.floor((side - 1) / stride) + 1;
  return randomMaps({
    input: [batch, channels, height, width],
    weight: [channels, 1, 3, 3],
    upstream: [batch, channels, out(height), out(width)],
  });
}

function convolutionsOf([, channels, , , stride]: Shape): Convolutions {
  return {
    own: (input, weight) => ops.convolution2d(input, weight, null, stride, 1, 1, channels),
    exact: (input, weight) => ops.conv2d(input, weight, null, stride, 1, 1, channels),
  };
}

describe('a depthwise 3x3 convolution in channels-last', () => {
  test.each(shapes)(
    'agrees with the exact one to 1e-5, as do gradients and second derivatives: %i x %i, %ix%i, stride %i',
    (...shape) => {
      scope(() => {
        expectExact(mapsOf(shape), convolutionsOf(shape));
      });
    },
  );

  test.each(shapes)('is near it in bfloat16: %i x %i, %ix%i, stride %i', (...shape) => {
    scope(() => {
      expectNear(mapsOf(shape), convolutionsOf(shape));
    });
  });

  test.each(['float32', 'bfloat16'] as const)('adds a bias and rectifies in one: %s', (dtype) => {
    scope(() => {
      for (const shape of shapes) {
        const { input, weight } = mapsOf(shape);
        const [, channels, , , stride] = shape;
        const bias = ops.randn([channels], { generator: new Generator(4) });
        const found = ops.foldedConvolution(
          input.to(dtype), weight, bias, null, true, stride, 1, 1, channels,
        ); // prettier-ignore
        const expected = convolutionsOf(shape)
          .exact(input.to('float64'), weight.to('float64'))
          .add(bias.to('float64').view([-1, 1, 1]))
          .relu();
        const error = found.to('float64').sub(expected).norm().item() / expected.norm().item();
        expect(error).toBeLessThan(dtype === 'float32' ? 1e-6 : 0.005);
        expect(found.min().item()).toBe(0);
      }
    });
  });

  test('gives the same bits for any number of threads, and an image the same in every batch', () => {
    scope(() => {
      for (const stride of [1, 2] as const) {
        const shape: Shape = [40, 58, 9, 8, stride];
        const maps = mapsOf(shape);
        const { own } = convolutionsOf(shape);
        expectSameBitsOnThreads(() => derivatives(maps, 'float32', own));
        const single = own(maps.input.narrow(0, 7, 1), maps.weight);
        expect(single.toNumbers()).toEqual(own(maps.input, maps.weight).narrow(0, 7, 1).toNumbers());
      }
    });
  });

  test('lets what is not finite through to the pixels that see it, and to no other channel', () => {
    scope(() => {
      const shape: Shape = [2, 24, 6, 6, 1];
      const maps = mapsOf(shape);
      maps.input.select(0, 1).select(0, 3).select(0, 2).select(0, 2).fill_(NaN);
      const finite = convolutionsOf(shape).own(maps.input, maps.weight).isfinite();
      expect(finite.select(0, 1).select(0, 3).sum().item()).toBe(36 - 9);
      expect(finite.sum().item()).toBe(finite.numel - 9);
    });
  });
});
