/** Folded batch normalisation: the same function in every form, nothing lost, and what would break it is refused. */
import { describe, expect, test } from 'vitest';
import {
  ArgumentError,
  autocast,
  Generator,
  liveTensorCount,
  nn,
  noGrad,
  ops,
  scope,
  type Tensor,
} from '../index.ts';

const generator = new Generator(3);
const random = (shape: readonly number[]): Tensor =>
  ops.randn(shape, { generator }).contiguous({ memoryFormat: 'channelsLast' });

/** A normalisation that has seen other data than zeros and ones. */
function used<Norm extends nn.BatchNorm2d>(norm: Norm): Norm {
  noGrad(() => {
    norm.weight.uniform_(-2, 2, { generator });
    norm.bias.normal_(0, 1, { generator });
    norm.runningMean.normal_(0, 1, { generator });
    norm.runningVar.uniform_(0.1, 3, { generator });
  });
  return norm;
}

function pairOf(options: nn.Conv2dOptions = {}): nn.Sequential {
  const convolution = new nn.Conv2d(6, 16, 3, generator, { padding: 1, ...options });
  return new nn.Sequential(convolution, used(new nn.BatchNorm2d(16))).toMemoryFormat('channelsLast').eval();
}

function expectClose(actual: Tensor, expected: Tensor, tolerance = 1e-5): void {
  expect(actual.shape).toEqual(expected.shape);
  const largest = expected.abs().max().item();
  expect(actual.to('float32').sub(expected).abs().max().item() / largest).toBeLessThan(tolerance);
}

function normOf(sequence: nn.Sequential): nn.BatchNorm2d {
  const norm = sequence.layers[1];
  if (norm instanceof nn.BatchNorm2d) return norm;
  throw new Error('no normalisation');
}

describe('foldBatchNorm', () => {
  test.each<[string, nn.Conv2dOptions]>([
    ['a bias', { bias: true }],
    ['no bias and a stride', { bias: false, stride: 2 }],
    ['groups and dilation', { groups: 2, dilation: 2 }],
  ])('keeps the function of a convolution with %s, with ReLU and with an addition too', (_, options) => {
    const sequence = pairOf(options);
    const [convolution] = sequence.layers;
    const norm = normOf(sequence);
    const input = random([3, 6, 9, 7]);
    const run = (): Tensor[] =>
      noGrad(() => {
        const plain = sequence.call(input);
        const inner = (): Tensor => convolution?.call(input) ?? input;
        const residual = plain.mul(-0.5).flip([0]).contiguous({ memoryFormat: 'channelsLast' });
        return [plain, norm.forwardRelu(inner()), norm.forwardAddRelu(inner(), residual)];
      });
    const before = run();
    const narrowBefore = noGrad(() => autocast(() => sequence.call(input)));
    expect(nn.foldBatchNorm(sequence)).toBe(1);
    for (const [index, output] of run().entries()) expectClose(output, before[index] ?? input);
    const narrow = noGrad(() => autocast(() => sequence.call(input)));
    expect(narrow.dtype).toBe('bfloat16');
    expectClose(narrow, narrowBefore.to('float32'), 0.03);
  });

  test('can be differentiated by the input, and be contiguous and float64', () => {
    const sequence = pairOf().toDType('float64').toMemoryFormat('contiguous');
    const gradientOf = (): [Tensor, Tensor] => {
      const input = ops.ones([1, 6, 5, 5], { dtype: 'float64' });
      input.requiresGrad = true;
      const output = normOf(sequence).forwardRelu(sequence.layers[0]?.call(input) ?? input);
      output.sum().backward();
      return [output.detach(), input.grad ?? output];
    };
    const before = gradientOf();
    nn.foldBatchNorm(sequence);
    for (const [index, tensor] of gradientOf().entries()) {
      expect(ops.allclose(tensor, before[index] ?? tensor, 1e-10, 1e-12)).toBe(true);
    }
  });

  test('leaves weights and statistics as they are, and is undone without a trace', () => {
    const sequence = pairOf();
    const input = random([2, 6, 5, 5]);
    const output = (): number[] => noGrad(() => scope(() => sequence.call(input).toNumbers()));
    const before = output();
    const state = [...sequence.stateDict()].map(([name, tensor]) => [name, tensor.toNumbers()]);
    const live = liveTensorCount();
    nn.foldBatchNorm(sequence);
    expect(nn.foldBatchNorm(sequence)).toBe(0);
    expect([...sequence.stateDict()].map(([name, tensor]) => [name, tensor.toNumbers()])).toEqual(state);
    nn.unfoldBatchNorm(sequence);
    expect(liveTensorCount()).toBe(live);
    expect(output()).toEqual(before);
    nn.foldBatchNorm(sequence);
    sequence.dispose();
    expect(liveTensorCount()).toBe(live - state.length);
  });

  test('refuses what would leave the folded weights behind, naming the way out', () => {
    const sequence = pairOf();
    const outer = new nn.Sequential(sequence).eval();
    const state = outer.stateDict();
    nn.foldBatchNorm(outer);
    const attempts: Record<string, () => unknown> = {
      loadStateDict: () => {
        outer.loadStateDict(state);
      },
      train: () => outer.train(),
      toMemoryFormat: () => outer.toMemoryFormat('contiguous'),
      toDType: () => outer.toDType('float64'),
    };
    for (const [operation, attempt] of Object.entries(attempts)) {
      expect(attempt).toThrow(nn.FoldedModuleError);
      expect(attempt).toThrow(
        `${operation}: batch normalisations of this Sequential are folded into convolutions, which keep weights of their own. Call unfoldBatchNorm(module) first.`,
      );
    }
    expect(outer.training).toBe(false);
    nn.unfoldBatchNorm(outer);
    expect(outer.train().training).toBe(true);
    expect(() => nn.foldBatchNorm(outer)).toThrow(ArgumentError);
    expect(() => nn.foldBatchNorm(outer)).toThrow(
      /is in training, where it normalises by the batch\. Call eval\(\) first/,
    );
  });

  test.each(['contiguous', 'channelsLast'] as const)(
    'rounds %s weights once, from float64',
    (memoryFormat) => {
      const convolution = new nn.Conv2d(6, 16, 3, generator);
      const sequence = new nn.Sequential(convolution, used(new nn.BatchNorm2d(16)));
      sequence.toMemoryFormat(memoryFormat).eval();
      const { weight, bias, runningMean, runningVar, epsilon } = normOf(sequence);
      const wide = (value: Tensor | null): Tensor => (value ?? ops.zeros([16])).detach().to('float64');
      const slope = wide(weight).div(wide(runningVar).add(epsilon).sqrt());
      const scaled = wide(convolution.weight).mul(slope.view([-1, 1, 1, 1]));
      const shift = wide(bias).sub(wide(runningMean).sub(wide(convolution.bias)).mul(slope));
      const [folded, added] = noGrad(() =>
        ops.foldNorm(convolution.weight, convolution.bias, weight, bias, runningMean, runningVar, epsilon),
      );
      expect(folded?.toNumbers()).toEqual(scaled.to('float32').toNumbers());
      expect(folded?.hasMemoryFormat(memoryFormat)).toBe(true);
      expect(added?.toNumbers()).toEqual(shift.to('float32').toNumbers());
    },
  );

  test.each<[string, (sequence: nn.Sequential, convolution: nn.Conv2d) => Tensor]>([
    ['a mean that is no number', (sequence) => normOf(sequence).runningMean.fill_(NaN)],
    [
      'one weight that is no number',
      (_, convolution) => convolution.weight.flatten().narrow(0, -1, 1).fill_(NaN),
    ],
    ['weights that would be too large', (sequence) => normOf(sequence).weight.fill_(3e38)],
  ])('leaves a pair alone with %s, in any precision', (_, change) => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      const convolution = new nn.Conv2d(6, 16, 3, generator);
      const sequence = new nn.Sequential(convolution, used(new nn.BatchNorm2d(16))).toDType(dtype).eval();
      noGrad(() => {
        convolution.weight.mul_(100);
        change(sequence, convolution);
      });
      expect(nn.foldBatchNorm(sequence)).toBe(0);
    }
  });

  test('leaves a pair alone whose weights are not finite, so that NaN is seen', () => {
    const sequence = pairOf();
    noGrad(() => normOf(sequence).runningMean.fill_(NaN));
    expect(nn.foldBatchNorm(sequence)).toBe(0);
    const output = noGrad(() =>
      normOf(sequence).forwardRelu(sequence.layers[0]?.call(random([1, 6, 4, 4])) ?? random([1])),
    );
    expect(output.toNumbers().every(Number.isNaN)).toBe(true);
  });

  test('says which shape a shortcut must have', () => {
    const sequence = pairOf();
    nn.foldBatchNorm(sequence);
    const input = random([2, 6, 5, 5]);
    expect(() => noGrad(() => normOf(sequence).forwardAddRelu(input, random([2, 16, 4, 5])))).toThrow(
      "argument 'residual' must have the shape of the result, [2, 16, 5, 5], got [2, 16, 4, 5]",
    );
  });
});
