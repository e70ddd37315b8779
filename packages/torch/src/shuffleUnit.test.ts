/** The basic unit of ShuffleNet V2 in one operator, against the operators that it stands for in float64. */
import { describe, expect, test } from 'vitest';
import { Generator, grad, nn, ops, scope, type DType, type Tensor } from './index.ts';
import { expectSameBitsOnThreads } from './testing/threadBits.ts';

type Shape = readonly [batch: number, half: number, height: number, width: number];
type Operator = (input: Tensor, kernels: Tensor[], weights: Tensor[], biases: Tensor[]) => Tensor;

/** Whole vectors and broken ones, maps of odd sides, more rows than a block has; 24 are too few for our 1x1 convolution. */
const shapes: Shape[] = [
  [5, 58, 7, 9],
  [3, 64, 8, 8],
  [17, 116, 4, 5],
  [2, 232, 3, 3],
  [4, 24, 6, 6],
];

const together: Operator = (input, kernels, weights, biases) => {
  const running = weights.flatMap((weight) => [ops.zerosLike(weight), ops.onesLike(weight)]);
  return ops.shuffleUnit(input, kernels, weights, biases, running, 0.1, 1e-5);
};

/** By our operators for its parts. */
const oneByOne: Operator = (input, kernels, weights, biases) => {
  const [left, right] = ops.splitChannels(input);
  const half = left.shape[1] ?? 0;
  const layer = (x: Tensor, index: number): Tensor => {
    const [kernel, weight, bias] = [kernels[index], weights[index], biases[index]];
    if (kernel === undefined || weight === undefined || bias === undefined) throw new Error('three layers');
    const filtered = ops.convolution2d(x, kernel, null, 1, index === 1 ? 1 : 0, 1, index === 1 ? half : 1);
    return index === 1
      ? ops.batchNormAlone(filtered, weight, bias, null, null, true, 0.1, 1e-5)
      : ops.batchNormRelu(filtered, weight, bias, null, null, true, 0.1, 1e-5);
  };
  return ops.joinShuffled(left, [0, 1, 2].reduce(layer, right));
};

/** By LibTorch's own operators. */
const apart: Operator = (input, kernels, weights, biases) => {
  const [batch = 0, channels = 0, height = 0, width = 0] = input.shape;
  const half = channels / 2;
  const layer = (x: Tensor, index: number): Tensor => {
    const [kernel, weight, bias] = [kernels[index], weights[index], biases[index]];
    if (kernel === undefined || weight === undefined || bias === undefined) throw new Error('three layers');
    const filtered = index === 1 ? ops.conv2d(x, kernel, null, 1, 1, 1, half) : ops.conv2d(x, kernel, null);
    const normalised = ops.batchNorm(filtered, weight, bias, null, null, true, 0.1, 1e-5, false);
    return index === 1 ? normalised : normalised.relu();
  };
  const right = [0, 1, 2].reduce(layer, input.narrow(1, half, half));
  return ops.stack([input.narrow(1, 0, half), right], 2).reshape([batch, channels, height, width]);
};

function make([batch, half, height, width]: Shape, dtype: DType): { upstream: Tensor; leaves: Tensor[] } {
  const generator = new Generator(5);
  const parameters = dtype === 'bfloat16' ? 'float32' : dtype;
  const random = (...shape: number[]): Tensor => ops.randn(shape, { generator }).to('bfloat16').to('float32');
  const map = (): Tensor =>
    random(batch, 2 * half, height, width)
      .contiguous({ memoryFormat: 'channelsLast' })
      .to(dtype);
  const layers = [0, 1, 2].flatMap((index) => [
    index === 1 ? random(half, 1, 3, 3) : random(half, half, 1, 1),
    random(half).add(2),
    random(half),
  ]);
  const leaves = [map(), ...layers.map((each) => each.to(parameters))].map((each) => each.detach());
  return { upstream: map().detach(), leaves };
}

function run(operator: Operator, leaves: readonly Tensor[]): Tensor {
  const [input, ...layers] = leaves;
  if (input === undefined) throw new Error('no input');
  const every = (offset: number): Tensor[] => layers.filter((_, index) => index % 3 === offset);
  return operator(input, every(0), every(1), every(2));
}

/** Output, first derivatives, and derivatives of these by everything. */
function derivatives(shape: Shape, dtype: DType, operator: Operator): Tensor[] {
  const { upstream, leaves } = make(shape, dtype);
  for (const leaf of [...leaves, upstream]) leaf.requiresGrad = true;
  const output = run(operator, leaves);
  const first = grad(output, leaves, { gradients: [upstream], createGraph: true });
  const penalty = first.reduce((sum, each) => sum.add(each.to('float32').square().mean()), ops.zeros([]));
  const all = [...leaves, upstream];
  // The last bias moves the mask alone.
  const second = grad(penalty, all, { allowUnused: true });
  return [output, ...first, ...second.map((each, index) => each ?? ops.zerosLike(all[index] ?? upstream))];
}

/** As a share of what is expected. The second bias moves what the last normalisation takes off again: its gradient is 0. */
function distance(found: Tensor | undefined, expected: Tensor): number {
  if (found === undefined) return NaN;
  return found.to('float64').sub(expected).norm().item() / Math.max(expected.norm().item(), 1);
}

describe('the basic unit of ShuffleNet V2', () => {
  test.each(shapes)(
    'agrees with the operators it stands for, with both derivatives: %i, 2 x %i, %ix%i',
    (...shape) => {
      scope(() => {
        const found = derivatives(shape, 'float32', together);
        const expected = derivatives(shape, 'float64', apart);
        expect(found.map((each) => each.shape)).toEqual(expected.map((each) => each.shape));
        for (const [index, value] of expected.entries())
          expect(distance(found[index], value)).toBeLessThan(1e-4);
        expect(found[0]?.hasMemoryFormat('channelsLast')).toBe(true);
      });
    },
  );

  test.each(shapes)('is as near as its modules in bfloat16: %i, 2 x %i, %ix%i', (...shape) => {
    scope(() => {
      const found = derivatives(shape, 'bfloat16', together);
      const chain = derivatives(shape, 'bfloat16', oneByOne);
      // Rounding moves some numbers across zero, where ReLU's mask flips: for both, but not for the same ones.
      for (const [index, value] of derivatives(shape, 'float64', apart).slice(0, 11).entries()) {
        expect(distance(found[index], value)).toBeLessThan(1.5 * distance(chain[index], value) + 0.01);
      }
    });
  });

  test.each(['float32', 'bfloat16'] as const)(
    'gives the same bits for any number of threads: %s',
    (dtype) => {
      expectSameBitsOnThreads(() => derivatives([40, 58, 9, 8], dtype, together));
    },
  );

  test.each(['float32', 'bfloat16'] as const)(
    'gives the same gradients whether they are recorded or not: %s',
    (dtype) => {
      scope(() => {
        const gradients = (createGraph: boolean): unknown[] => {
          const { upstream, leaves } = make([6, 64, 5, 5], dtype);
          for (const leaf of leaves) leaf.requiresGrad = true;
          const output = run(together, leaves);
          return grad(output, leaves, { gradients: [upstream], createGraph }).map((each) => each.toNumbers());
        };
        expect(gradients(true)).toEqual(gradients(false));
      });
    },
  );

  test('moves running statistics, counts batches, and leaves evaluation to the modules', () => {
    scope(() => {
      const generator = new Generator(4);
      const layers = [1, 3, 1].map((side) => {
        const options = side === 3 ? { padding: 1, groups: 64, bias: false } : { bias: false };
        return { convolution: new nn.Conv2d(64, 64, side, generator, options), norm: new nn.BatchNorm2d(64) };
      });
      const x = ops.randn([5, 128, 6, 6], { generator }).contiguous({ memoryFormat: 'channelsLast' });
      const output = nn.BatchNorm2d.shuffleUnit(x, layers);
      expect(output?.narrow(2, 0, 1).shape).toEqual([5, 128, 1, 6]);
      let between = x.narrow(1, 64, 64).contiguous({ memoryFormat: 'channelsLast' });
      for (const [index, { convolution, norm }] of layers.entries()) {
        const filtered = convolution.call(between);
        const variance = ops.var(filtered, [0, 2, 3], true);
        expect(
          norm.runningMean
            .sub(filtered.mean([0, 2, 3]).mul(0.1))
            .abs()
            .max()
            .item(),
        ).toBeLessThan(1e-5);
        expect(norm.runningVar.sub(variance.mul(0.1).add(0.9)).abs().max().item()).toBeLessThan(1e-5);
        expect(norm.numBatchesTracked.item()).toBe(1);
        between = index === 1 ? norm.call(filtered) : norm.forwardRelu(filtered);
      }
      for (const { norm } of layers) norm.eval();
      expect(nn.BatchNorm2d.shuffleUnit(x, layers)).toBeNull();
    });
  });

  test('refuses other numbers of layers', () => {
    scope(() => {
      const { leaves } = make([2, 58, 3, 3], 'float32');
      const [input, kernel, weight, bias] = leaves as [Tensor, Tensor, Tensor, Tensor];
      const few = (): Tensor => ops.shuffleUnit(input, [kernel], [weight], [bias], [weight, bias], 0.1, 1e-5);
      expect(few).toThrow(
        'expected three kernels, weights and biases, and six running statistics or none, got 1, 1, 1 and 2',
      );
    });
  });
});
