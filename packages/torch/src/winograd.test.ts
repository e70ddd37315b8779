/** Convolutions of the kind that Winograd's kernels take, against exact ones: shapes at their edges, gradients, precision. */
import { describe, expect, test } from 'vitest';
import { engineInfo, Generator, grad, ops, scope, tensor, type Tensor } from './index.ts';
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

/** All but one with enough tiles for our own kernels: tiles of 2x2 in maps of 10x10 and 9x13, of 4x4 in most others. */
const shapes: DenseShape[] = [
  [4, 16, 16, 10, 10],
  [4, 16, 16, 12, 12],
  [9, 16, 48, 7, 9],
  [7, 64, 32, 8, 5],
  [50, 32, 32, 2, 3],
  [3, 32, 80, 17, 12],
  [2, 128, 96, 14, 15],
  // Weights that leave the cache: blocks of more tiles, whole ones and the rest of one.
  [2, 256, 256, 9, 13],
  [3, 192, 208, 32, 33],
  [1, 512, 144, 16, 17],
];
/** `[batch, in channels, out channels, height, width, dilation]`; the last has sides that no dilation of 2 divides. */
const dilated: [...DenseShape, number][] = [
  [2, 32, 48, 12, 8, 2],
  [3, 16, 16, 12, 16, 4],
  [1, 272, 256, 32, 18, 2],
  [2, 16, 16, 9, 8, 2],
];

const mapsOf = (shape: DenseShape): ConvolutionMaps => denseMaps(shape, 3);

const convolutions: Convolutions = {
  own: (input, weight) => own(input, weight),
  exact: (input, weight) => ops.conv2d(input, weight, null, 1, 1),
};
function own(input: Tensor, weight: Tensor, dilation = 1): Tensor {
  return ops.convolution2d(input, weight, null, 1, dilation, dilation);
}

/** The signs of what a row of 6 pixels, or of 4 gradients, is multiplied by for each number of a tile of 4x4. */
const inputRows = ['+0-0+0', '0--++0', '0+--+0', '0--++0', '0+--+0', '0+0-0+'];
const gradientRows = ['+000', '++++', '+-+-', '++++', '+-+-', '000+'];
const positions = Array.from({ length: 36 }, (_, index) => [Math.floor(index / 6), index % 6] as const);

/** 16x16 pixels of 1, 0 and -1: from pixel `first` on, and every `period` pixels again, they are the product of two rows. */
function tiled(rows: readonly string[], first: number, period: number, y: number, x: number): Tensor {
  const signs = (row = ''): Tensor =>
    tensor(
      Array.from({ length: 16 }, (_, pixel) => {
        const sign = row[(pixel - first + 16) % period];
        return sign === '+' ? 1 : sign === '-' ? -1 : 0;
      }),
    );
  return signs(rows[y]).unsqueeze(1).mul(signs(rows[x]));
}

describe('a 3x3 convolution of stride 1 in channels-last', () => {
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

  test.each(['float32', 'bfloat16'] as const)(
    'adds bias and residual and rectifies in one where nothing is recorded: %s',
    (dtype) => {
      scope(() => {
        for (const shape of shapes) {
          const { input, weight, upstream: residual } = mapsOf(shape);
          const bias = ops.randn([shape[2]], { generator: new Generator(4) });
          const found = ops.foldedConvolution(input.to(dtype), weight, bias, residual.to(dtype), true, 1, 1);
          const expected = ops
            .conv2d(input.to('float64'), weight.to('float64'), bias.to('float64'), 1, 1)
            .add(residual.to('float64'))
            .relu();
          const error = found.to('float64').sub(expected).norm().item() / expected.norm().item();
          expect(found.dtype).toBe(dtype);
          expect(error).toBeLessThan(dtype === 'float32' ? 1e-6 : 0.005);
          expect(found.min().item()).toBe(0);
        }
      });
    },
  );

  test.each(dilated)(
    'agrees with the exact one where it is dilated, also in one with a residual: %i, %i to %i, %ix%i by %i',
    (batch, inChannels, outChannels, height, width, dilation) => {
      scope(() => {
        const maps = mapsOf([batch, inChannels, outChannels, height, width]);
        const both: Convolutions = {
          own: (input, weight) => ops.convolution2d(input, weight, null, 1, dilation, dilation),
          exact: (input, weight) => ops.conv2d(input, weight, null, 1, dilation, dilation),
        };
        expectExact(maps, both);
        expectNear(maps, both);
        const { input, weight, upstream: residual } = maps;
        const bias = ops.randn([outChannels], { generator: new Generator(4) });
        const found = ops.foldedConvolution(input, weight, bias, residual, true, 1, dilation, dilation);
        const expected = both
          .exact(input.to('float64'), weight.to('float64'))
          .add(bias.to('float64').view([-1, 1, 1]))
          .add(residual.to('float64'))
          .relu();
        expect(found.to('float64').sub(expected).norm().item() / expected.norm().item()).toBeLessThan(1e-6);
      });
    },
  );

  test.each([
    [60, 32, 32, 7, 6, 1],
    [10, 256, 256, 17, 16, 1],
    [6, 160, 144, 29, 32, 1],
    [20, 32, 48, 12, 8, 2],
  ] as const)('gives an image the same bits in every batch: %i, %i to %i, %ix%i by %i', (...shape) => {
    scope(() => {
      const [batch, inChannels, outChannels, height, width, dilation] = shape;
      for (const dtype of ['float32', 'bfloat16'] as const) {
        const { input, weight } = mapsOf([batch, inChannels, outChannels, height, width]);
        const together = own(input.to(dtype), weight, dilation);
        for (const count of [1, 5]) {
          const few = own(input.narrow(0, batch - 1 - count, count).to(dtype), weight, dilation);
          expect(few.toNumbers()).toEqual(together.narrow(0, batch - 1 - count, count).toNumbers());
        }
      }
    });
  });

  test.each(['float32', 'bfloat16'] as const)(
    'gives the same bits for any number of threads: %s',
    (dtype) => {
      for (const shape of [
        [20, 48, 32, 9, 8],
        [6, 256, 256, 20, 18],
        [4, 160, 144, 29, 32],
      ] as const) {
        scope(() => {
          const maps = mapsOf(shape);
          expectSameBitsOnThreads(() => derivatives(maps, dtype, own).slice(0, 3));
        });
      }
    },
  );

  test('takes gradients in any memory format', () => {
    scope(() => {
      const { input, weight, upstream } = mapsOf([4, 16, 32, 10, 10]);
      for (const leaf of [input, weight]) leaf.requiresGrad = true;
      const gradients = (given: Tensor): number[][] =>
        grad(own(input, weight), [input, weight], { gradients: [given] }).map((each) => each.toNumbers());
      expect(gradients(upstream.contiguous())).toEqual(gradients(upstream));
      const same = ops.ones([1, 1, 1, 1]).expand([4, 32, 10, 10]);
      expect(gradients(same)).toEqual(gradients(same.contiguous({ memoryFormat: 'channelsLast' })));
    });
  });

  describe('in bfloat16, whose large tiles are integers of 16 bits,', () => {
    test.each([16, 32, 48, 64, 128])('sums the largest that there can be: %i channels', (channels) => {
      scope(() => {
        // Every tile's transformation reaches its bound at one position, in all channels, and weights are all alike.
        const images = positions.map(([y, x]) => tiled(inputRows, 3, 8, y, x));
        const gradients = positions.map(([y, x]) => tiled(gradientRows, 4, 4, y, x));
        const input = ops.stack(images).unsqueeze(1).expand([36, channels, 16, 16]);
        const upstream = ops.stack(gradients).unsqueeze(1).expand([36, channels, 16, 16]);
        const maps = {
          input: input.contiguous({ memoryFormat: 'channelsLast' }),
          weight: ops.ones([channels, channels, 3, 3]),
          upstream: upstream.contiguous({ memoryFormat: 'channelsLast' }),
        };
        const found = derivatives(maps, 'bfloat16', own).slice(0, 3);
        for (const [index, expected] of derivatives(maps, 'float64', convolutions.exact)
          .slice(0, 3)
          .entries()) {
          const error = found[index]?.to('float64').sub(expected).abs().max().item() ?? NaN;
          // A sum that did not fit into 32 bits would be off by more than the largest number.
          expect(error / expected.abs().max().item()).toBeLessThan(0.01);
        }
      });
    });

    test('is as near for images of any size of numbers, side by side', () => {
      scope(() => {
        const { input, weight } = mapsOf([4, 16, 32, 12, 16]);
        const sizes = tensor([1e-12, 1, 3e4, 1e18]).view([4, 1, 1, 1]);
        const found = own(input.mul(sizes).to('bfloat16'), weight).to('float64');
        const expected = ops.conv2d(
          input.mul(sizes).to('bfloat16').to('float64'),
          weight.to('float64'),
          null,
          1,
          1,
        );
        for (let image = 0; image < 4; ++image) {
          const exact = expected.select(0, image);
          expect(found.select(0, image).sub(exact).norm().item() / exact.norm().item()).toBeLessThan(0.005);
        }
      });
    });

    test('is as near for channels of any size of numbers, one by one', () => {
      scope(() => {
        const { input, weight, upstream } = mapsOf([4, 32, 48, 12, 16]);
        const sizesOf = (channels: number): Tensor =>
          ops.linspace(-6, 6, channels).exp().view([1, channels, 1, 1]);
        // What an input channel has more of, its weights have less of; as well for what the output channels are given.
        const sizes = sizesOf(32);
        const outSizes = sizesOf(48);
        const maps = {
          input: input.mul(sizes).to('bfloat16').contiguous({ memoryFormat: 'channelsLast' }),
          weight: weight.div(sizes).div(outSizes.view([48, 1, 1, 1])),
          upstream: upstream.mul(outSizes).to('bfloat16').contiguous({ memoryFormat: 'channelsLast' }),
        };
        const exact = derivatives(maps, 'float64', convolutions.exact);
        for (const [index, found] of derivatives(maps, 'bfloat16', own).slice(0, 3).entries()) {
          const expected = exact[index] ?? found;
          const others = index < 2 ? [0, 2, 3] : [1, 2, 3];
          const error = found.to('float64').sub(expected).square().sum(others);
          expect(error.div(expected.square().sum(others)).max().item()).toBeLessThan(0.006 ** 2);
        }
      });
    });

    test('gives zero for maps of zeros, and no number for weights or gradients that are none', () => {
      scope(() => {
        const { input, weight, upstream } = mapsOf([2, 16, 16, 12, 12]);
        const zeros = own(ops.zerosLike(input).to('bfloat16'), weight);
        expect(zeros.abs().max().item()).toBe(0);
        for (const bad of [NaN, Infinity]) {
          const spoilt = weight.clone();
          spoilt.select(0, 3).select(0, 2).fill_(bad);
          expect(own(input.to('bfloat16'), spoilt).isfinite().select(1, 3).any().item()).toBe(0);
          const given = upstream.clone();
          given.select(0, 1).select(0, 4).fill_(bad);
          const [, byInput, byWeight] = derivatives({ input, weight, upstream: given }, 'bfloat16', own);
          expect(byInput?.isfinite().select(0, 1).any().item()).toBe(0);
          expect(byWeight?.isfinite().select(0, 4).any().item()).toBe(0);
          expect(byWeight?.isfinite().select(0, 3).all().item()).toBe(1);
          expect(byInput?.isfinite().select(0, 0).all().item()).toBe(1);
        }
      });
    });
  });

  test.each([10, 12])(
    'lets what is not finite through to the pixels that see it, and not to far ones or other images: %i',
    (side) => {
      scope(() => {
        const { input, weight } = mapsOf([4, 16, 16, side, side]);
        input.select(0, 1).select(0, 3).select(0, 5).select(0, 5).fill_(NaN);
        const finite = own(input, weight).isfinite();
        expect(finite.select(0, 1).select(1, 5).select(1, 5).any().item()).toBe(0);
        expect(finite.select(0, 0).all().item()).toBe(1);
        expect(finite.select(0, 1).select(1, 9).all().item()).toBe(1);
        const folded = ops.foldedConvolution(input, weight, ops.zeros([16]), null, true, 1, 1);
        expect(folded.isfinite().select(0, 1).select(1, 5).select(1, 5).any().item()).toBe(0);
      });
    },
  );

  test('is done by our own kernels on processors with AVX2', () => {
    const { kernels, convolution } = engineInfo();
    const isOwn = ['avx2', 'avx512', 'avx512bf16'].includes(kernels);
    if (process.env.COHORT_CONVOLUTION === undefined) {
      expect(convolution).toBe(isOwn ? 'winograd' : 'direct');
    }
  });
});
