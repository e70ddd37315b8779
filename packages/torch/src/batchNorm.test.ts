/** Fused batch normalisation with ReLU and with a shortcut: agreement with ATen's operators, layouts, threads, bad input. */
import { describe, expect, test } from 'vitest';
import { setThreads, threads } from './engine.ts';
import {
  autocast,
  backward,
  Generator,
  grad,
  liveTensorCount,
  nn,
  OperatorError,
  ops,
  scope,
  tensor,
  type MemoryFormat,
  type Tensor,
} from './index.ts';
import {
  difference,
  epsilon,
  expectAgreement,
  make,
  momentum,
  run,
  type Case,
  type Given,
} from './testing/batchNormCases.ts';

const shapes = [
  [4, 1, 5, 5], [3, 3, 7, 5], [6, 5, 1, 1], [64, 24, 1, 1], [5, 58, 3, 3], [2, 16, 9, 9], [3, 31, 4, 4], [2, 33, 5, 6],
  [1, 64, 4, 4], [1, 3, 40, 40], [40, 17, 12, 12], [6, 12], [3, 4, 9], [2, 3, 2, 3, 2],
]; // prettier-ignore

describe('agreement with batchNorm, add and relu', () => {
  test.each(shapes)('in float32 to 1e-5: [%i, %i, ...]', (...shape) => {
    for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
      for (const training of [true, false]) {
        expectAgreement({ shape, memoryFormat, training, hasResidual: true }, 1e-5);
        // Without a shortcut values lie near zero, where float32 and float32 disagree about the mask: float64 does not.
        expectAgreement({ shape, memoryFormat, training, dtype: 'float64' }, 1e-12);
      }
    }
  });

  test('in evaluation with a single value a channel', () => {
    expectAgreement({ shape: [1, 5, 1, 1], training: false, hasResidual: true }, 1e-6);
  });

  test('with a shortcut in another layout, and of another dtype', () => {
    const shape = [3, 20, 6, 6];
    expectAgreement(
      { shape, memoryFormat: 'channelsLast', residualFormat: 'contiguous', hasResidual: true },
      1e-5,
    );
    expectAgreement(
      { shape, memoryFormat: 'contiguous', residualFormat: 'channelsLast', hasResidual: true },
      1e-5,
    );
    scope(() => {
      const { x, residual, weight, bias } = make({ shape });
      const y = ops.batchNormAddRelu(
        x,
        residual.to('bfloat16'),
        weight,
        bias,
        null,
        null,
        true,
        momentum,
        epsilon,
      );
      expect(y.dtype).toBe('float32');
      backward(y.sum());
      expect(residual.grad?.dtype).toBe('float32');
    });
  });

  test('of inputs with gaps, and with gradients that are one number', () => {
    scope(() => {
      const wide = ops.randn([4, 10, 6, 12], { generator: new Generator(3) }).requiresGrad_();
      const views = [
        wide.slice(3, 0, 12, 2),
        wide.transpose(1, 3),
        wide.narrow(1, 2, 5),
        wide.narrow(0, 0, 1).expand([3, 10, 6, 12]),
      ];
      for (const view of views) {
        const given = (isFused: boolean): (Tensor | null)[] => {
          const [mean, variance] = [null, null];
          const y = isFused
            ? ops.batchNormRelu(view, null, null, mean, variance, true, momentum, epsilon)
            : ops
                .batchNorm(view.to('float64'), null, null, mean, variance, true, momentum, epsilon, false)
                .relu();
          return [
            y,
            ...grad(y.square().sum(), [wide]),
            ...grad(ops.batchNormRelu(view, null, null, null, null, true, momentum, epsilon).sum(), [wide]),
          ];
        };
        const [ours, theirs] = [given(true), given(false)];
        for (const [index, value] of ours.entries()) {
          const expected = theirs[index];
          if (value === null || !expected) throw new Error('a gradient is missing');
          expect(difference(value, expected)).toBeLessThan(1e-4);
        }
      }
    });
  });

  test('in bfloat16 within its precision, with float32 parameters', () => {
    for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
      const aCase: Case = { shape: [8, 20, 6, 6], memoryFormat, hasResidual: true, dtype: 'bfloat16' };
      scope(() => {
        const given = make(aCase);
        const exact: Given = {
          x: given.x.detach().to('float32').requiresGrad_(),
          residual: given.residual.detach().to('float32').requiresGrad_(),
          weight: given.weight, bias: given.bias, gradient: given.gradient.to('float32'),
        }; // prettier-ignore
        const [ours, theirs] = [run(given, aCase, true), run(exact, aCase, false)];
        expect(ours.output.dtype).toBe('bfloat16');
        expect(difference(ours.output, theirs.output)).toBeLessThan(2 ** -8);
        for (const [index, gradient] of ours.gradients.entries()) {
          expect(gradient.dtype).toBe([1, 2].includes(index) ? 'float32' : 'bfloat16');
          expect(difference(gradient, theirs.gradients[index] ?? gradient)).toBeLessThan(2 ** -7);
        }
        expect(difference(ours.runningMean, theirs.runningMean)).toBeLessThan(1e-5);
        expect(difference(ours.runningVar, theirs.runningVar)).toBeLessThan(1e-5);
      });
    }
  });

  test('of channels whose mean is large compared with their deviation', () => {
    scope(() => {
      const x = ops
        .randn([16, 16, 12, 12], { generator: new Generator(2), dtype: 'float64' })
        .add(1000)
        .to('float32');
      for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
        const [mean, variance] = [ops.zeros([16]), ops.ones([16])];
        ops.batchNormRelu(x.contiguous({ memoryFormat }), null, null, mean, variance, true, 1, epsilon);
        const exact = x.to('float64').transpose(0, 1).flatten(1);
        expect(difference(mean, exact.mean([1]))).toBeLessThan(1e-7);
        expect(difference(variance, exact.var([1]))).toBeLessThan(1e-5);
      }
    });
  });

  test('of NaN, which ReLU does not hide', () => {
    scope(() => {
      const x = ops.ones([2, 3, 2, 2]);
      x.select(1, 1).fill_(NaN);
      const y = ops.batchNormRelu(x, null, null, null, null, true, momentum, epsilon);
      const isNaN = y.isnan().to('float32').sum([0, 2, 3]).toNumbers();
      expect(isNaN).toEqual([0, 8, 0]);
    });
  });
});

describe('as operators of the engine', () => {
  test('give the same bits however many threads there are, and every time', () => {
    const before = threads();
    const bits = (count: number, memoryFormat: MemoryFormat): number[][] => {
      setThreads(count);
      return scope(() => {
        const aCase: Case = { shape: [32, 24, 12, 12], memoryFormat, hasResidual: true };
        const { output, gradients, runningVar } = run(make(aCase), aCase, true);
        return [output, ...gradients, runningVar].map((value) => value.toNumbers());
      });
    };
    try {
      for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
        const one = bits(1, memoryFormat);
        expect(bits(1, memoryFormat)).toEqual(one);
        expect(bits(2, memoryFormat)).toEqual(one);
        expect(bits(5, memoryFormat)).toEqual(one);
      }
    } finally {
      setThreads(before);
    }
  });

  test('keep the layout, run in autocast, and leave nothing behind', () => {
    const live = liveTensorCount();
    scope(() => {
      const convolution = new nn.Conv2d(3, 8, 3, new Generator(1), { padding: 1, bias: false });
      const norm = new nn.BatchNorm2d(8);
      const images = ops.randn([4, 3, 6, 6]).contiguous({ memoryFormat: 'channelsLast' });
      const features = autocast(() => convolution.call(images));
      const y = autocast(() => norm.forwardAddRelu(features, ops.ones([4, 8, 6, 6])));
      expect(y.dtype).toBe('bfloat16');
      expect(y.hasMemoryFormat('channelsLast')).toBe(true);
      expect(norm.numBatchesTracked.item()).toBe(1);
      backward(y.to('float32').square().sum());
      expect(norm.weight.grad?.dtype).toBe('float32');
      expect(convolution.weight.grad?.abs().sum().item()).toBeGreaterThan(0);
      convolution.dispose();
      norm.dispose();
    });
    expect(liveTensorCount()).toBe(live);
  });

  test('take bfloat16 parameters and statistics with bfloat16 maps', () => {
    scope(() => {
      const x = ops.randn([4, 3, 2, 2], { dtype: 'bfloat16' });
      const narrow = (value: number): Tensor => ops.full([3], value, { dtype: 'bfloat16' });
      const [mean, variance] = [narrow(0), narrow(1)];
      const y = ops.batchNormRelu(x, narrow(1), narrow(0), mean, variance, true, 1, epsilon);
      expect(y.dtype).toBe('bfloat16');
      expect(difference(mean, x.to('float32').mean([0, 2, 3]))).toBeLessThan(2 ** -7);
    });
  });

  test('refuse what does not fit, in words', () => {
    const x = ops.ones([2, 3, 4, 4]);
    const three = ops.ones([3]);
    const call = (input: Tensor, weight: Tensor | null, mean: Tensor | null, training = true): Tensor =>
      ops.batchNormRelu(input, weight, null, mean, mean, training, 0.1, 1e-5);
    const cases: [() => unknown, string][] = [
      [() => call(x, ops.ones([4]), null), "argument 'weight' must have one value a channel, [3] for an input of [2, 3, 4, 4], got [4]"],
      [() => call(x, ops.ones([3, 1]), null), "argument 'weight' must have one value a channel"],
      [() => call(x, three, ops.ones([2])), "argument 'running_mean' must have one value a channel"],
      [() => call(x, three.to('float64'), null), "argument 'weight' must be Float beside an input of Float, got Double"],
      [() => call(x, three, null, false), "arguments 'running_mean' and 'running_var' must be given"],
      [() => call(three, three, null), "argument 'input' must have two or more dimensions, [B, C, ...], got [3]"],
      [() => call(ops.ones([1, 3]), three, null), 'training needs more than one value a channel, got an input of [1, 3]'],
      [() => call(ops.ones([0, 3, 4, 4]), three, null), 'training needs more than one value a channel, got an input of [0, 3, 4, 4]'],
      [() => ops.batchNormAddRelu(x, ops.ones([3, 4, 4]), three, null, null, null, true, 0.1, 1e-5), "argument 'residual' must have the shape of the input, [2, 3, 4, 4], got [3, 4, 4]"],
    ]; // prettier-ignore
    for (const [attempt, text] of cases) {
      expect(attempt).toThrow(OperatorError);
      expect(attempt).toThrow(text);
    }
    expect(() => call(x.to('int64'), null, null)).toThrow(OperatorError);
    expect(call(ops.ones([0, 3, 4, 4]), three, three, false).shape).toEqual([0, 3, 4, 4]);
    expect(call(ops.ones([2, 0, 4, 4]), null, null).shape).toEqual([2, 0, 4, 4]);
    expect(() => new nn.BatchNorm2d(3).forwardRelu(tensor([[1, 2, 3]]))).toThrow(/expected 4 dimensions/);
  });
});
