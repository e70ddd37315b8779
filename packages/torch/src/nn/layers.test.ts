/** Every layer's values against plain TypeScript, its gradient, and how it refuses wrong settings and shapes. */
import { describe, expect, test } from 'vitest';
import {
  ArgumentError,
  Generator,
  liveTensorCount,
  nn,
  noGrad,
  OperatorError,
  ops,
  tensor,
  Tensor,
} from '../index.ts';

const seeded = (seed = 1): Generator => new Generator(seed);
const random = (shape: readonly number[], seed = 2): Tensor => ops.randn(shape, { generator: seeded(seed) });

function expectClose(actual: readonly number[], expected: readonly number[], digits = 5): void {
  expect(actual).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, digits);
}

describe('Conv2d', () => {
  test('is the sum over its window', () => {
    const layer = new nn.Conv2d(2, 3, 3, seeded(), { stride: 2, padding: 1 });
    const image = random([1, 2, 5, 5]);
    const [x, weight, bias] = [image, layer.weight, layer.bias].map((t) => t?.toNumbers() ?? []);
    const at = (list: number[] | undefined, index: number): number => list?.[index] ?? NaN;
    const expected: number[] = [];
    for (let out = 0; out < 3; out += 1) {
      for (let row = 0; row < 3; row += 1) {
        for (let column = 0; column < 3; column += 1) {
          let sum = at(bias, out);
          for (let channel = 0; channel < 2; channel += 1) {
            for (let u = 0; u < 3; u += 1) {
              for (let v = 0; v < 3; v += 1) {
                const [y, z] = [row * 2 + u - 1, column * 2 + v - 1];
                if (y < 0 || z < 0 || y > 4 || z > 4) continue;
                sum += at(x, channel * 25 + y * 5 + z) * at(weight, ((out * 2 + channel) * 3 + u) * 3 + v);
              }
            }
          }
          expected.push(sum);
        }
      }
    }
    const result = layer.call(image);
    expect(result.shape).toEqual([1, 3, 3, 3]);
    expectClose(result.toNumbers(), expected);
  });

  test('groups, dilation and no bias', () => {
    const layer = new nn.Conv2d(4, 4, 3, seeded(), { groups: 2, dilation: 2, bias: false });
    expect(layer.bias).toBeNull();
    expect(layer.weight.shape).toEqual([4, 2, 3, 3]);
    expect([...layer.stateDict().keys()]).toEqual(['weight']);
    const x = random([2, 4, 7, 7]);
    expect(layer.call(x).toNumbers()).toEqual(ops.conv2d(x, layer.weight, null, 1, 0, 2, 2).toNumbers());
  });

  test('starts uniform in +-1/sqrt(fan in), from the generator that it is given', () => {
    const layer = new nn.Conv2d(8, 16, 3, seeded(5));
    const bound = 1 / Math.sqrt(8 * 9);
    const values = layer.weight.toNumbers();
    expect(Math.max(...values)).toBeLessThanOrEqual(bound);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-bound);
    expect(Math.max(...values)).toBeGreaterThan(0.95 * bound);
    expect(new nn.Conv2d(8, 16, 3, seeded(5)).weight.toNumbers()).toEqual(values);
    expect(new nn.Conv2d(8, 16, 3, seeded(6)).weight.toNumbers()).not.toEqual(values);
  });

  test('refuses wrong settings and shapes', () => {
    expect(() => new nn.Conv2d(0, 1, 3, seeded())).toThrow(
      'Conv2d: inChannels must be a whole number of at least 1, got 0',
    );
    expect(() => new nn.Conv2d(3, 4, 3, seeded(), { groups: 2 })).toThrow(
      'groups 2 must divide both 3 input and 4 output channels',
    );
    expect(() => new nn.Conv2d(3, 4, 3, seeded(), { padding: -1 })).toThrow(
      /padding must be a whole number of at least 0/,
    );
    expect(() => new nn.Conv2d(3, 4, 3, seeded(), { stride: 1.5 })).toThrow(ArgumentError);
    expect(() => new nn.Conv2d(3, 4, 3, seeded()).call(random([1, 2, 5, 5]))).toThrow(OperatorError);
  });
});

describe('batch normalisation', () => {
  /** Mean and variance of each channel of `[B, C, ...]`. */
  function statistics(x: Tensor): { mean: number[]; variance: number[]; count: number } {
    const [batch = 0, channels = 0, ...rest] = x.shape;
    const size = rest.reduce((product, length) => product * length, 1);
    const values = x.toNumbers();
    const mean: number[] = [];
    const variance: number[] = [];
    for (let channel = 0; channel < channels; channel += 1) {
      const mine = values.filter((_, index) => Math.floor(index / size) % channels === channel);
      const average = mine.reduce((sum, value) => sum + value, 0) / mine.length;
      mean.push(average);
      variance.push(mine.reduce((sum, value) => sum + (value - average) ** 2, 0) / mine.length);
    }
    return { mean, variance, count: batch * size };
  }

  test('normalises by the batch and keeps running statistics', () => {
    const layer = new nn.BatchNorm2d(3, 0.25, 1e-3);
    const x = random([4, 3, 2, 2]);
    const { mean, variance, count } = statistics(x);
    const result = layer.call(x).toNumbers();
    const expected = x.toNumbers().map((value, index) => {
      const channel = Math.floor(index / 4) % 3;
      return (value - (mean[channel] ?? 0)) / Math.sqrt((variance[channel] ?? 0) + 1e-3);
    });
    expectClose(result, expected);
    expectClose(layer.runningMean.toNumbers(), mean.map((value) => 0.25 * value)); // prettier-ignore
    // The running variance is the unbiased one.
    expectClose(layer.runningVar.toNumbers(), variance.map((value) => 0.75 + (0.25 * value * count) / (count - 1))); // prettier-ignore
    expect(layer.numBatchesTracked.toTypedArray()).toEqual(new BigInt64Array([1n]));
    layer.call(x);
    expect(layer.numBatchesTracked.item()).toBe(2);
  });

  test('uses the running statistics in evaluation, and leaves them alone', () => {
    const layer = new nn.BatchNorm2d(2).eval();
    noGrad(() => {
      layer.runningMean.copy_(tensor([1, -1]));
      layer.runningVar.copy_(tensor([4, 9]));
      layer.weight.copy_(tensor([2, 3]));
      layer.bias.copy_(tensor([0.5, 0]));
    });
    const x = tensor([[[[5]], [[2]]]]);
    expectClose(layer.call(x).toNumbers(), [(4 / 2) * 2 + 0.5, (3 / 3) * 3], 4);
    expect(layer.runningMean.toNumbers()).toEqual([1, -1]);
    expect(layer.numBatchesTracked.item()).toBe(0);
    layer.train();
    layer.call(random([2, 2, 3, 3]));
    expect(layer.runningMean.toNumbers()).not.toEqual([1, -1]);
  });

  test('1d takes vectors and sequences, and names what it does not take', () => {
    const layer = new nn.BatchNorm1d(3);
    expect(layer.call(random([4, 3])).shape).toEqual([4, 3]);
    expect(layer.call(random([4, 3, 5])).shape).toEqual([4, 3, 5]);
    expect(() => layer.call(random([4, 3, 5, 5]))).toThrow(
      'BatchNorm1d: expected 2 or 3 dimensions, got Tensor float32 [4, 3, 5, 5]',
    );
    expect(() => new nn.BatchNorm2d(3).call(random([4, 3]))).toThrow(/BatchNorm2d: expected 4 dimensions/);
    expect(() => layer.call(random([1, 3]))).toThrow(
      'BatchNorm1d: training needs more than one value a channel, got Tensor float32 [1, 3]. Use a larger batch, or eval().',
    );
    expect(layer.eval().call(random([1, 3])).shape).toEqual([1, 3]);
    expect(layer.call(random([0, 3])).shape).toEqual([0, 3]);
    expect(layer.numBatchesTracked.item()).toBe(2);
    expect(() => new nn.BatchNorm1d(0)).toThrow(ArgumentError);
  });
});

describe('other layers', () => {
  test('Linear', () => {
    const layer = new nn.Linear(3, 2, seeded());
    const x = tensor([[1, 2, 3], [-1, 0, 2]]); // prettier-ignore
    const [weight, bias] = [layer.weight.toNumbers(), layer.bias?.toNumbers() ?? []];
    const expected = [[1, 2, 3], [-1, 0, 2]].flatMap((row) =>
      [0, 1].map((out) => row.reduce((sum, value, i) => sum + value * (weight[out * 3 + i] ?? NaN), bias[out] ?? NaN)),
    ); // prettier-ignore
    expectClose(layer.call(x).toNumbers(), expected);
    expect(new nn.Linear(3, 2, seeded(), { bias: false }).bias).toBeNull();
    expect(() => new nn.Linear(3, -2, seeded())).toThrow(
      /Linear: outFeatures must be a whole number of at least 1, got -2/,
    );
    expect(() => layer.call(tensor([[1, 2]]))).toThrow(/shapes cannot be multiplied/);
  });

  test('ReLU, pooling and Identity', () => {
    const x = ops.arange(-8, 8, { dtype: 'float32' }).view([1, 1, 4, 4]);
    expect(new nn.ReLU().call(x).toNumbers()).toEqual([...Array<number>(9).fill(0), 1, 2, 3, 4, 5, 6, 7]);
    expect(new nn.MaxPool2d(2).call(x).toNumbers()).toEqual([-3, -1, 5, 7]);
    expect(new nn.MaxPool2d(3, 2, 1).call(x).toNumbers()).toEqual([-3, -1, 5, 7]);
    expect(new nn.AvgPool2d(2).call(x).toNumbers()).toEqual([-5.5, -3.5, 2.5, 4.5]);
    expect(new nn.GlobalAvgPool2d().call(x).toNumbers()).toEqual([-0.5]);
    expect(new nn.Identity().call(x)).not.toBe(x);
    expect(new nn.Identity().call(x).toNumbers()).toEqual(x.toNumbers());
    expect(() => new nn.MaxPool2d(0)).toThrow(ArgumentError);
    expect(() => new nn.AvgPool2d(2).call(tensor([1]))).toThrow(OperatorError);
  });

  test('Sequential runs its layers in turn, with those that return their input, and releases what lies between', () => {
    class Contiguous extends nn.Module {
      override forward(input: Tensor): Tensor {
        return input.contiguous();
      }
    }
    const layers = new nn.Sequential(
      new Contiguous(),
      new nn.Linear(3, 4, seeded()),
      new nn.Identity(),
      new Contiguous(),
      new nn.ReLU(),
      new Contiguous(),
    );
    const x = random([2, 3]);
    const before = liveTensorCount();
    const result = layers.call(x);
    expect(liveTensorCount()).toBe(before + 1);
    expect(result.shape).toEqual([2, 4]);
    expect(x.toNumbers()).toHaveLength(6);
    expect(new nn.Sequential().call(x)).toBe(x);
  });
});

describe('initialisation', () => {
  test('kaimingNormal has the deviation sqrt(2 / fan)', () => {
    const weight = ops.empty([64, 32, 3, 3]);
    nn.init.kaimingNormal(weight, seeded(), 'out');
    expect(weight.std().item()).toBeCloseTo(Math.sqrt(2 / (64 * 9)), 2);
    nn.init.kaimingNormal(weight, seeded(), 'in');
    expect(weight.std().item()).toBeCloseTo(Math.sqrt(2 / (32 * 9)), 2);
    expect(nn.init.fan(ops.empty([5, 7]), 'in')).toBe(7);
    expect(() => nn.init.fan(tensor([1, 2]), 'in')).toThrow('a weight needs two or more dimensions, got [2]');
  });

  test('is left out where weights are to be loaded, and nowhere else', () => {
    const first = (): number[] => new nn.Conv2d(2, 3, 3, seeded()).weight.toNumbers();
    const drawn = first();
    const generator = seeded();
    const weight = ops.zeros([3, 2]);
    nn.init.withoutDrawing(() => {
      nn.init.kaimingNormal(weight, generator);
      nn.init.uniform(weight, 1, generator);
      expect(new nn.Conv2d(2, 3, 3, generator).weight.shape).toEqual([3, 2, 3, 3]);
      expect(() => {
        nn.init.kaimingNormal(ops.empty([2]), generator);
      }).toThrow('a weight needs two or more dimensions');
    });
    expect(weight.toNumbers()).toEqual([0, 0, 0, 0, 0, 0]);
    expect(() =>
      nn.init.withoutDrawing(() => {
        throw new Error('not today');
      }),
    ).toThrow('not today');
    expect(first()).toEqual(drawn);
    expect(new nn.Conv2d(2, 3, 3, generator).weight.toNumbers()).toEqual(drawn);
  });

  test('uniform stays within its bound', () => {
    const weight = ops.empty([1000]);
    nn.init.uniform(weight, 0.5, seeded());
    expect(weight.abs().max().item()).toBeLessThanOrEqual(0.5);
  });
});
