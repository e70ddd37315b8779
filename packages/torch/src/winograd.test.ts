/** Convolutions of the kind that Winograd's kernels take, against exact ones: shapes at their edges, gradients, precision. */
import { describe, expect, test } from 'vitest';
import { engineInfo, Generator, grad, ops, scope, type DType, type Tensor } from './index.ts';

/** `[batch, in channels, out channels, height, width]`; all but one with enough tiles for our own kernels. */
type Shape = readonly [number, number, number, number, number];

const shapes: Shape[] = [
  [4, 16, 16, 10, 10],
  [9, 16, 48, 7, 9],
  [7, 64, 32, 8, 5],
  [50, 32, 32, 2, 3],
  [3, 32, 80, 17, 12],
  [2, 128, 96, 14, 15],
];

interface Maps {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly upstream: Tensor;
}

/** Numbers that bfloat16 has too, so that its results can be compared with exact ones. */
function mapsOf([batch, inChannels, outChannels, height, width]: Shape): Maps {
  const generator = new Generator(3);
  const random = (shape: number[]): Tensor =>
    ops.randn(shape, { generator }).to('bfloat16').to('float32').contiguous({ memoryFormat: 'channelsLast' });
  return {
    input: random([batch, inChannels, height, width]),
    weight: random([outChannels, inChannels, 3, 3]),
    upstream: random([batch, outChannels, height, width]),
  };
}

/** Output, gradients of input and weight, and the gradients of these gradients' squares by all three. */
function results(maps: Maps, dtype: DType, convolve: (x: Tensor, w: Tensor) => Tensor): Tensor[] {
  const input = maps.input.to(dtype).detach();
  const weight = maps.weight.to(dtype === 'bfloat16' ? 'float32' : dtype).detach();
  const upstream = maps.upstream.to(dtype).detach();
  for (const leaf of [input, weight, upstream]) leaf.requiresGrad = true;
  const output = convolve(input, weight);
  const first = grad(output, [input, weight], { gradients: [upstream], createGraph: true });
  const penalty = first.reduce((sum, each) => sum.add(each.to('float32').square().mean()), ops.zeros([]));
  return [output, ...first, ...grad(penalty.to('float32'), [input, weight, upstream])];
}

const own = (x: Tensor, w: Tensor) => ops.convolution2d(x, w, null, 1, 1);
const exact = (x: Tensor, w: Tensor) => ops.conv2d(x, w, null, 1, 1);

/** The largest difference to the expected tensor, as a share of its largest number. */
function farthest(actual: Tensor | undefined, expected: Tensor): number {
  if (actual === undefined) return NaN;
  return actual.to('float64').sub(expected).abs().max().item() / expected.abs().max().item();
}

describe('a 3x3 convolution of stride 1 in channels-last', () => {
  test.each(shapes)(
    'agrees with the exact one to 1e-5, as do gradients and second derivatives: %i, %i to %i, %ix%i',
    (...shape) => {
      scope(() => {
        const maps = mapsOf(shape);
        const found = results(maps, 'float32', own);
        expect(found).toHaveLength(6);
        for (const [index, expected] of results(maps, 'float64', exact).entries()) {
          expect(farthest(found[index], expected)).toBeLessThan(1e-5);
        }
      });
    },
  );

  test.each(shapes)('is near it in bfloat16: %i, %i to %i, %ix%i', (...shape) => {
    scope(() => {
      const maps = mapsOf(shape);
      const found = results(maps, 'bfloat16', own).slice(0, 3);
      expect(found.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'bfloat16', 'float32']);
      for (const [index, expected] of results(maps, 'float64', exact).slice(0, 3).entries()) {
        const error = found[index]?.to('float64').sub(expected).norm().item() ?? NaN;
        // Rounding the result to bfloat16 alone gives 0.0017 of its norm.
        expect(error / expected.norm().item()).toBeLessThan(0.005);
      }
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

  test('gives an image the same bits in every batch', () => {
    scope(() => {
      for (const dtype of ['float32', 'bfloat16'] as const) {
        const { input, weight } = mapsOf([60, 32, 32, 7, 6]);
        const together = own(input.to(dtype), weight);
        for (const count of [1, 5]) {
          const few = own(input.narrow(0, 59 - count, count).to(dtype), weight);
          expect(few.toNumbers()).toEqual(together.narrow(0, 59 - count, count).toNumbers());
        }
      }
    });
  });

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

  test('lets what is not finite through to the pixels that see it', () => {
    scope(() => {
      const { input, weight } = mapsOf([4, 16, 16, 10, 10]);
      input.select(0, 1).select(0, 3).select(0, 5).select(0, 5).fill_(NaN);
      const finite = own(input, weight).isfinite();
      expect(finite.select(0, 1).select(1, 5).select(1, 5).any().item()).toBe(0);
      expect(finite.select(0, 0).all().item()).toBe(1);
      expect(finite.select(0, 1).select(1, 9).all().item()).toBe(1);
      const folded = ops.foldedConvolution(input, weight, ops.zeros([16]), null, true, 1, 1);
      expect(folded.isfinite().select(0, 1).select(1, 5).select(1, 5).any().item()).toBe(0);
    });
  });

  test('is done by our own kernels on processors with AVX2', () => {
    const { kernels, convolution } = engineInfo();
    const isOwn = ['avx2', 'avx512', 'avx512bf16'].includes(kernels);
    if (process.env.COHORT_CONVOLUTION === undefined) {
      expect(convolution).toBe(isOwn ? 'winograd' : 'direct');
    }
  });
});
