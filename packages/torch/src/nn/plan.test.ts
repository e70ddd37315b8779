/** Compiled modules: the results of the folded module to the bit, and no plan where one would not do the same. */
import { describe, expect, it } from 'vitest';
import { autocast, noGrad } from '../autograd.ts';
import { observeOperators } from '../dispatch.ts';
import { setThreads, threads } from '../engine.ts';
import { Generator } from '../generator.ts';
import { liveTensorCount, scope } from '../scope.ts';
import { ops, type Tensor } from '../tensor.ts';
import * as nn from './index.ts';

const generator = new Generator(3);

function images(batch: number, side = 9, channels = 16): Tensor {
  return ops.randn([batch, channels, side, side], { generator }).contiguous({ memoryFormat: 'channelsLast' });
}

function convolution(
  inside: number,
  outside: number,
  size: number,
  options: nn.Conv2dOptions = {},
): nn.Conv2d {
  return new nn.Conv2d(inside, outside, size, generator, { padding: size >> 1, bias: false, ...options });
}

/** What networks have: Winograd's convolution, strides, a residual, groups, slices, ReLU in place, pooling, a classifier. */
class Small extends nn.Module<Tensor, { logits: Tensor; maps: Tensor[]; name: string }> {
  first = convolution(16, 32, 3);
  firstNorm = new nn.BatchNorm2d(32);
  second = convolution(32, 32, 3);
  secondNorm = new nn.BatchNorm2d(32);
  third = convolution(32, 48, 3, { stride: 2 });
  thirdNorm = new nn.BatchNorm2d(48);
  depthwise = convolution(24, 24, 3, { groups: 24 });
  depthwiseNorm = new nn.BatchNorm2d(24);
  classifier = new nn.Linear(48, 5, generator);

  override foldable(): readonly nn.FoldablePair[] {
    return [
      { convolution: this.first, norm: this.firstNorm },
      { convolution: this.second, norm: this.secondNorm },
      { convolution: this.third, norm: this.thirdNorm },
      { convolution: this.depthwise, norm: this.depthwiseNorm },
    ];
  }

  override forward(input: Tensor) {
    const before = this.firstNorm.forwardRelu(this.first.call(input));
    const maps = this.secondNorm.forwardAddRelu(this.second.call(before), before);
    const [left, right] = this.thirdNorm.call(this.third.call(maps)).relu_().chunk(2, 1) as [Tensor, Tensor];
    const other = this.depthwiseNorm.call(this.depthwise.call(right)).clamp_(0, 6);
    const pooled = ops.cat([left, other], 1).mean([2, 3]);
    return { logits: this.classifier.call(pooled), maps: [maps], name: 'small' };
  }
}

function settled<M extends nn.AnyModule>(module: M): M {
  // Statistics that are not those of a new module.
  for (const [name, tensor] of module.namedTensors()) {
    if (name.endsWith('running_mean')) tensor.copy_(ops.randn(tensor.shape, { generator }).mul(0.1));
    if (name.endsWith('running_var')) tensor.copy_(ops.rand(tensor.shape, { generator }).add(0.5));
  }
  return module.toMemoryFormat('channelsLast').eval();
}

const numbers = (tensor: Tensor): number[] => tensor.toNumbers();
/** Row by row, whatever the memory format of the whole. */
const rowNumbers = (maps: Tensor | undefined): number[] => maps?.split(1, 0).flatMap(numbers) ?? [];

describe('a compiled module', () => {
  it('gives the bits of the folded one, from the third input of a shape on by a plan, whatever the batch', () => {
    noGrad(() => {
      const module = settled(new Small());
      nn.foldBatchNorm(module);
      const inputs = [
        images(1),
        images(1),
        images(1),
        images(3),
        images(3),
        images(3),
        images(2, 12),
        images(1),
      ];
      const expected = inputs.map((input) => module.call(input));
      expect(nn.compile(module)).toBe(0);
      const counts: number[] = [];
      for (const [index, input] of inputs.entries()) {
        const output = module.call(input);
        expect(output.name).toBe('small');
        expect(numbers(output.logits)).toEqual(numbers(expected[index]?.logits ?? input));
        expect(numbers(output.maps[0] ?? input)).toEqual(numbers(expected[index]?.maps[0] ?? input));
        counts.push(module.planCount);
      }
      expect(counts).toEqual([0, 1, 1, 1, 2, 2, 2, 2]);
      module.dispose();
    });
  });

  it('takes rows as batches of their own, to the bit, for any number of threads', () => {
    const before = threads();
    noGrad(() => {
      const module = settled(new Small());
      nn.foldBatchNorm(module);
      // More than go together.
      const batch = images(19);
      const alone = batch.split(1, 0).map((row) => module.call(row));
      const expected = (select: (output: (typeof alone)[number]) => Tensor): number[] =>
        alone.flatMap((output) => numbers(select(output)));
      nn.compile(module);
      for (const count of [1, 2, 3]) {
        setThreads(count);
        for (let turn = 0; turn < 2; turn += 1) {
          const { logits, maps, name } = module.callRows(batch);
          expect(name).toBe('small');
          expect(logits.shape).toEqual([19, 5]);
          expect(numbers(logits)).toEqual(expected((output) => output.logits));
          expect(maps[0]?.shape).toEqual([19, 32, 9, 9]);
          expect(rowNumbers(maps[0])).toEqual(alone.flatMap((output) => rowNumbers(output.maps[0])));
        }
      }
      expect(module.planCount).toBe(1);
      // Rows that do not lie as a batch of one would have no plan.
      expect(numbers(module.callRows(batch.transpose(2, 3)).logits)).toEqual(
        batch.split(1, 0).flatMap((row) => numbers(module.call(row.transpose(2, 3)).logits)),
      );
      module.dispose();
    });
    setThreads(before);
  });

  it('takes rows by themselves where convolutions take them together and other steps write in place', () => {
    class Writing extends nn.Module {
      first = convolution(16, 16, 3);
      firstNorm = new nn.BatchNorm2d(16);
      second = convolution(16, 16, 3);
      secondNorm = new nn.BatchNorm2d(16);

      override foldable(): readonly nn.FoldablePair[] {
        return [
          { convolution: this.first, norm: this.firstNorm },
          { convolution: this.second, norm: this.secondNorm },
        ];
      }

      override forward(input: Tensor): Tensor {
        const before = this.firstNorm.forwardRelu(this.first.call(input));
        const edge = before.narrow(2, 0, 1);
        const maps = this.secondNorm.forwardAddRelu(this.second.call(before), before);
        edge.mul_(2);
        const again = this.secondNorm.forwardAddRelu(this.second.call(before), maps);
        maps.sub_(before);
        return ops.cat([again, maps], 1);
      }
    }
    noGrad(() => {
      const module = settled(new Writing());
      nn.foldBatchNorm(module);
      const batch = images(5);
      const expected = batch.split(1, 0).flatMap((row) => numbers(module.call(row)));
      nn.compile(module);
      for (let turn = 0; turn < 2; turn += 1) expect(rowNumbers(module.callRows(batch))).toEqual(expected);
      expect(module.planCount).toBe(1);
      module.dispose();
    });
  });

  it('takes parts of several rows, the last with fewer, alike on any number of threads', () => {
    const before = threads();
    noGrad(() => {
      const module = settled(new Small());
      // A convolution of this size runs on all threads, unless the plan is limited to one.
      const batch = images(11, 96, 16);
      nn.foldBatchNorm(module);
      const alone = batch.split(3, 0).map((part) => module.call(part));
      for (const takesOneThread of [false, true]) {
        nn.compile(module, { takesOneThread });
        for (const count of [1, 2]) {
          setThreads(count);
          for (let turn = 0; turn < 2; turn += 1) {
            const { logits } = module.callRows(batch, 3);
            expect(numbers(logits)).toEqual(alone.flatMap((output) => numbers(output.logits)));
          }
        }
        expect(module.planCount).toBe(2);
        module.unplan();
      }
      module.dispose();
    });
    setThreads(before);
  });

  it('takes rows where there is no plan, and says what it cannot join', () => {
    noGrad(() => {
      const doubling = new (class extends nn.Module {
        override forward(input: Tensor): Tensor {
          return input.mul(2);
        }
      })().eval();
      expect(numbers(doubling.callRows(ops.arange(3).view([3, 1])))).toEqual([0, 2, 4]);
      expect(() => doubling.callRows(ops.zeros([0, 4]))).toThrow(
        'callRows: expected at least one row, got [0, 4].',
      );
      for (const rows of [0, -1, 1.5, NaN]) {
        expect(() => doubling.callRows(ops.zeros([2, 4]), rows)).toThrow(
          `callRows: expected rows to be a whole number of at least 1, got ${rows}.`,
        );
      }
      const failing = new (class extends nn.Module {
        override forward(input: Tensor): Tensor {
          return input.narrow(0, 0, 1).view([1, 2]);
        }
      })().eval();
      nn.compile(failing);
      expect(() => failing.callRows(ops.zeros([2, 3]))).toThrow('view');
      const dated = new (class extends nn.Module<Tensor, Date> {
        override forward(): Date {
          return new Date(0);
        }
      })().eval();
      expect(() => dated.callRows(ops.zeros([2, 3]))).toThrow(
        'callRows: this module gives something other than tensors, plain records and lists of them. Call it for each row.',
      );
    });
  });

  it('leaves earlier results alone and keeps nothing of an input', () => {
    noGrad(() => {
      const module = settled(new Small());
      nn.compile(module);
      for (let turn = 0; turn < 3; turn += 1) module.call(images(1));
      const input = images(1);
      const first = module.call(input);
      const before = numbers(first.logits);
      const live = liveTensorCount();
      scope(() => {
        for (let turn = 0; turn < 4; turn += 1) module.call(images(1));
      });
      expect(liveTensorCount()).toBe(live);
      expect(numbers(first.logits)).toEqual(before);
      module.dispose();
    });
  });

  it('runs the module itself where gradients are recorded, under autocast, and for an observer', () => {
    const module = settled(new Small());
    const input = images(1);
    nn.compile(module);
    noGrad(() => {
      for (let turn = 0; turn < 3; turn += 1) module.call(input);
    });
    expect(module.planCount).toBe(1);
    expect(module.call(input).logits.requiresGrad).toBe(true);
    noGrad(() => {
      expect(autocast(() => module.call(input).maps[0]?.dtype)).toBe('bfloat16');
      const names: string[] = [];
      observeOperators(
        ({ name }) => names.push(name),
        () => module.call(input),
      );
      expect(names).toEqual(expect.arrayContaining(['foldedConvolution', 'chunk', 'linear']));
      let calls = 0;
      nn.observeCalls(
        () => (calls += 1),
        () => module.call(input),
      );
      expect(calls).toBeGreaterThan(4);
    });
    module.dispose();
  });

  it('goes without a plan where a plan would not do the same', () => {
    class Reading extends nn.Module {
      override forward(input: Tensor): Tensor {
        return input.sum().item() > 0 ? input.mul(2) : input.neg();
      }
    }
    class Drawing extends nn.Module {
      override forward(input: Tensor): Tensor {
        return input.add(ops.rand(input.shape, { generator }));
      }
    }
    class Counting extends nn.Module {
      times = ops.zeros([1]);
      override forward(input: Tensor): Tensor {
        return input.add(this.times.add_(1));
      }
    }
    let turn = 0;
    class Turning extends nn.Module {
      override forward(input: Tensor): Tensor {
        turn += 1;
        return input.add(turn);
      }
    }
    noGrad(() => {
      for (const Kind of [Reading, Drawing, Counting, Turning]) {
        const module = new Kind().eval();
        nn.compile(module);
        for (let i = 0; i < 5; i += 1) module.call(ops.ones([2, 3]));
        expect(module.planCount, Kind.name).toBe(0);
        module.dispose();
      }
      const reading = new Reading().eval();
      nn.compile(reading);
      for (let i = 0; i < 3; i += 1) expect(reading.call(ops.ones([1])).item()).toBe(2);
      expect(reading.call(ops.ones([1]).neg()).item()).toBe(1);
    });
  });

  it('can be noted after a module has failed', () => {
    let fails = true;
    class Failing extends nn.Module {
      override forward(input: Tensor): Tensor {
        const twice = input.mul(2);
        if (fails && input.shape[0] === 2) throw new Error('not today');
        return twice;
      }
    }
    noGrad(() => {
      const module = new Failing().eval();
      nn.compile(module);
      for (let i = 0; i < 3; i += 1) expect(() => module.call(ops.ones([2]))).toThrow('not today');
      fails = false;
      for (let i = 0; i < 3; i += 1) expect(module.call(ops.ones([3])).toNumbers()).toEqual([2, 2, 2]);
      expect(module.planCount).toBe(1);
      expect(module.call(ops.ones([2])).toNumbers()).toEqual([2, 2]);
    });
  });

  it('refuses what would leave its weights behind, until it is unfolded', () => {
    const module = settled(new Small());
    expect(() => nn.compile(new Small())).toThrow('compile: this Small is in training. Call eval() first.');
    nn.compile(module);
    expect(() => module.train()).toThrow(nn.FoldedModuleError);
    nn.unfoldBatchNorm(module);
    module.train();
    const linear = new nn.Linear(2, 2, generator).eval();
    expect(nn.compile(linear)).toBe(0);
    expect(() => {
      linear.loadStateDict(linear.stateDict());
    }).toThrow(nn.FoldedModuleError);
    nn.unfoldBatchNorm(linear);
    linear.loadStateDict(linear.stateDict());
  });

  it('is planned as a part of another module that is compiled', () => {
    noGrad(() => {
      const inner = settled(new nn.Sequential(convolution(16, 16, 3), new nn.BatchNorm2d(16), new nn.ReLU()));
      const outer = new nn.Sequential(inner, new nn.GlobalAvgPool2d()).eval();
      nn.foldBatchNorm(outer);
      const inputs = [images(1), images(1), images(1), images(1), images(1)];
      const expected = inputs.map((input) => numbers(outer.call(input)));
      nn.compile(inner);
      nn.compile(outer);
      expect(inputs.map((input) => numbers(outer.call(input)))).toEqual(expected);
      expect(outer.planCount).toBe(1);
    });
  });
});
