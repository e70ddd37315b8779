/** What convolutions of our own are held against: exact ones, forward and backward, twice. */
import { expect } from 'vitest';
import { Generator, grad, ops, type DType, type Tensor } from '../index.ts';

/** A convolution's arguments, and the gradient that reaches its output. */
export interface ConvolutionMaps {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly upstream: Tensor;
}

/** A convolution of our own, and LibTorch's, which is exact in float64. */
export interface Convolutions {
  readonly own: (input: Tensor, weight: Tensor) => Tensor;
  readonly exact: (input: Tensor, weight: Tensor) => Tensor;
}

/** Random numbers in channels-last, such that bfloat16 has too: its results can be compared with exact ones. */
export function randomMaps(shapes: Record<keyof ConvolutionMaps, readonly number[]>): ConvolutionMaps {
  const generator = new Generator(3);
  const random = (shape: readonly number[]): Tensor =>
    ops.randn(shape, { generator }).to('bfloat16').to('float32').contiguous({ memoryFormat: 'channelsLast' });
  return {
    input: random(shapes.input),
    weight: random(shapes.weight),
    upstream: random(shapes.upstream),
  };
}

/** `[batch, in channels, out channels, height, width]` of a convolution that keeps the sides of its maps. */
export type DenseShape = readonly [number, number, number, number, number];

/** Random numbers for kernels of `side` x `side`. */
export function denseMaps(
  [batch, inChannels, outChannels, height, width]: DenseShape,
  side: number,
): ConvolutionMaps {
  return randomMaps({
    input: [batch, inChannels, height, width],
    weight: [outChannels, inChannels, side, side],
    upstream: [batch, outChannels, height, width],
  });
}

/** Output, gradients of input and weight, and the gradients of these gradients' squares by all three. */
export function derivatives(
  maps: ConvolutionMaps,
  dtype: DType,
  convolve: (input: Tensor, weight: Tensor) => Tensor,
): Tensor[] {
  const input = maps.input.to(dtype).detach();
  const weight = maps.weight.to(dtype === 'bfloat16' ? 'float32' : dtype).detach();
  const upstream = maps.upstream.to(dtype).detach();
  for (const leaf of [input, weight, upstream]) leaf.requiresGrad = true;
  const output = convolve(input, weight);
  const first = grad(output, [input, weight], { gradients: [upstream], createGraph: true });
  const penalty = first.reduce((sum, each) => sum.add(each.to('float32').square().mean()), ops.zeros([]));
  return [output, ...first, ...grad(penalty, [input, weight, upstream])];
}

/** In float32, all derivatives are within 1e-5 of the largest number, and the output is in channels-last. */
export function expectExact(maps: ConvolutionMaps, { own, exact }: Convolutions): void {
  const found = derivatives(maps, 'float32', own);
  expect(found).toHaveLength(6);
  for (const [index, expected] of derivatives(maps, 'float64', exact).entries()) {
    expect(found[index]?.shape).toEqual(expected.shape);
    expect(farthest(found[index], expected)).toBeLessThan(1e-5);
  }
  expect(found[0]?.hasMemoryFormat('channelsLast')).toBe(true);
}

/** In bfloat16, output and gradients are near, by their norm: rounding the result alone gives 0.0017 of it. */
export function expectNear(maps: ConvolutionMaps, { own, exact }: Convolutions): void {
  const found = derivatives(maps, 'bfloat16', own).slice(0, 3);
  expect(found.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'bfloat16', 'float32']);
  for (const [index, expected] of derivatives(maps, 'float64', exact).slice(0, 3).entries()) {
    const error = found[index]?.to('float64').sub(expected).norm().item() ?? NaN;
    expect(error / expected.norm().item()).toBeLessThan(0.005);
  }
}

/** The largest difference to the expected tensor, as a share of its largest number. */
function farthest(actual: Tensor | undefined, expected: Tensor): number {
  if (actual === undefined) return NaN;
  return actual.to('float64').sub(expected).abs().max().item() / expected.abs().max().item();
}
