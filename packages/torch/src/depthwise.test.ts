/** Depthwise 3x3 convolutions, against exact ones: odd shapes, both strides, gradients, bfloat16, and the bits of any batch. */
import { describe, expect, test } from 'vitest';
import { engineInfo, Generator, grad, ops, scope, setThreads, type DType, type Tensor } from './index.ts';

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

interface Maps {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly upstream: Tensor;
  readonly stride: number;
  readonly channels: number;
}

/** Numbers that bfloat16 has too, so that its results can be compared with exact ones. */
function mapsOf([batch, channels, height, width, stride]: Shape): Maps {
  const generator = new Generator(3);
  const random = (shape: number[]): Tensor =>
    ops.randn(shape, { generator }).to('bfloat16').to('float32').contiguous({ memoryFormat: 'channelsLast' });
  const out = (side: number): number => Math.floor((side - 1) / stride) + 1;
  return {
    input: random([batch, channels, height, width]),
    weight: random([channels, 1, 3, 3]),
    upstream: random([batch, channels, out(height), out(width)]),
    stride,
    channels,
  };
}

type Convolve = (maps: Maps, input: Tensor, weight: Tensor) => Tensor;
const own: Convolve = ({ stride, channels }, input, weight) =>
  ops.convolution2d(input, weight, null, stride, 1, 1, channels);
const exact: Convolve = ({ stride, channels }, input, weight) =>
  ops.conv2d(input, weight, null, stride, 1, 1, channels);

/** Output, gradients of input and weight, and the gradients of these gradients' squares by all three. */
function results(maps: Maps, dtype: DType, convolve: Convolve): Tensor[] {
  const input = maps.input.to(dtype).detach();
  const weight = maps.weight.to(dtype === 'bfloat16' ? 'float32' : dtype).detach();
  const upstream = maps.upstream.to(dtype).detach();
  for (const leaf of [input, weight, upstream]) leaf.requiresGrad = true;
  const output = convolve(maps, input, weight);
  const first = grad(output, [input, weight], { gradients: [upstream], createGraph: true });
  const penalty = first.reduce((sum, each) => sum.add(each.to('float32').square().mean()), ops.zeros([]));
  return [output, ...first, ...grad(penalty, [input, weight, upstream])];
}

function farthest(actual: Tensor | undefined, expected: Tensor): number {
  if (actual === undefined) return NaN;
  return actual.to('float64').sub(expected).abs().max().item() / expected.abs().max().item();
}

describe('a depthwise 3x3 convolution in channels-last', () => {
  test.each(shapes)(
    'agrees with the exact one to 1e-5, as do gradients and second derivatives: %i x %i, %ix%i, stride %i',
    (...shape) => {
      scope(() => {
        const maps = mapsOf(shape);
        const found = results(maps, 'float32', own);
        expect(found).toHaveLength(6);
        for (const [index, expected] of results(maps, 'float64', exact).entries()) {
          expect(farthest(found[index], expected)).toBeLessThan(1e-5);
        }
        expect(found[0]?.hasMemoryFormat('channelsLast')).toBe(true);
      });
    },
  );

  test.each(shapes)('is near it in bfloat16: %i x %i, %ix%i, stride %i', (...shape) => {
    scope(() => {
      const maps = mapsOf(shape);
      const found = results(maps, 'bfloat16', own).slice(0, 3);
      expect(found.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'bfloat16', 'float32']);
      for (const [index, expected] of results(maps, 'float64', exact).slice(0, 3).entries()) {
        const error = found[index]?.to('float64').sub(expected).norm().item() ?? NaN;
        expect(error / expected.norm().item()).toBeLessThan(0.005);
      }
    });
  });

  test.each(['float32', 'bfloat16'] as const)('adds a bias and rectifies in one: %s', (dtype) => {
    scope(() => {
      for (const shape of shapes) {
        const maps = mapsOf(shape);
        const { input, weight, stride, channels } = maps;
        const bias = ops.randn([channels], { generator: new Generator(4) });
        const found = ops.foldedConvolution(
          input.to(dtype), weight, bias, null, true, stride, 1, 1, channels,
        ); // prettier-ignore
        const expected = exact(maps, input.to('float64'), weight.to('float64'))
          .add(bias.to('float64').view([-1, 1, 1]))
          .relu();
        const error = found.to('float64').sub(expected).norm().item() / expected.norm().item();
        expect(error).toBeLessThan(dtype === 'float32' ? 1e-6 : 0.005);
        expect(found.min().item()).toBe(0);
      }
    });
  });

  test('gives the same bits for any number of threads, and an image the same in every batch', () => {
    const { threads } = engineInfo();
    try {
      scope(() => {
        for (const stride of [1, 2] as const) {
          const maps = mapsOf([40, 58, 9, 8, stride]);
          const bits = [1, 2, 3].map((count) => {
            setThreads(count);
            return results(maps, 'float32', own).map((each) => each.toNumbers());
          });
          expect(bits[1]).toEqual(bits[0]);
          expect(bits[2]).toEqual(bits[0]);
          const single = own(maps, maps.input.narrow(0, 7, 1), maps.weight);
          expect(single.toNumbers()).toEqual(own(maps, maps.input, maps.weight).narrow(0, 7, 1).toNumbers());
        }
      });
    } finally {
      setThreads(threads);
    }
  });

  test('lets what is not finite through to the pixels that see it, and to no other channel', () => {
    scope(() => {
      const maps = mapsOf([2, 24, 6, 6, 1]);
      maps.input.select(0, 1).select(0, 3).select(0, 2).select(0, 2).fill_(NaN);
      const finite = own(maps, maps.input, maps.weight).isfinite();
      expect(finite.select(0, 1).select(0, 3).sum().item()).toBe(36 - 9);
      expect(finite.sum().item()).toBe(finite.numel - 9);
    });
  });
});
