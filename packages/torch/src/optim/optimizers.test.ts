/** SGD and AdamW against a plain TypeScript reference over several steps, and their state through a checkpoint. */
import { describe, expect, test } from 'vitest';
import {
  ArgumentError,
  Generator,
  liveTensorCount,
  nn,
  ops,
  optim,
  scope,
  tensor,
  Tensor,
} from '../index.ts';

const start = [1, -2, 3, 0.5];

/** Gradients of step `step`: anything that is not constant. */
const gradientsAt = (step: number): number[] => start.map((_, index) => Math.sin(step * 3 + index * 1.7));

function parameter(values = start): nn.Parameter {
  return new nn.Parameter(tensor(values, 'float64'));
}

function run(optimizer: optim.Optimizer, steps: number, first = 0): void {
  for (let step = first; step < first + steps; step += 1) {
    optimizer.zeroGrad();
    for (const each of optimizer.parameters)
      each.grad = tensor(gradientsAt(step).slice(0, each.numel), 'float64');
    optimizer.step();
  }
}

function expectClose(actual: Tensor, expected: readonly number[]): void {
  for (const [index, value] of actual.toNumbers().entries())
    expect(value).toBeCloseTo(expected[index] ?? NaN, 12);
}

describe('SGD', () => {
  /** As torch.optim.SGD's documentation writes it. */
  function reference(steps: number, options: Required<optim.SgdOptions>): number[] {
    const { learningRate, momentum, nesterov, weightDecay } = options;
    const values = [...start];
    const velocity: (number | undefined)[] = values.map(() => undefined);
    for (let step = 0; step < steps; step += 1) {
      for (const [index, gradient] of gradientsAt(step).entries()) {
        let g = gradient + weightDecay * (values[index] ?? NaN);
        const before = velocity[index];
        const v = before === undefined ? g : momentum * before + g;
        velocity[index] = v;
        if (momentum !== 0) g = nesterov ? g + momentum * v : v;
        values[index] = (values[index] ?? NaN) - learningRate * g;
      }
    }
    return values;
  }

  test.each([
    { learningRate: 0.1, momentum: 0, nesterov: false, weightDecay: 0 },
    { learningRate: 0.1, momentum: 0, nesterov: false, weightDecay: 0.05 },
    { learningRate: 0.1, momentum: 0.9, nesterov: false, weightDecay: 0 },
    { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.05 },
    { learningRate: 1, momentum: 0.5, nesterov: true, weightDecay: 1 },
  ])('%j', (options) => {
    const x = parameter();
    run(new optim.SGD([x], options), 7);
    expectClose(x, reference(7, options));
  });

  test('leaves the gradients as they were', () => {
    const x = parameter();
    const optimizer = new optim.SGD([x], {
      learningRate: 0.1,
      momentum: 0.9,
      nesterov: true,
      weightDecay: 0.1,
    });
    run(optimizer, 3);
    expectClose(x.grad ?? tensor([]), gradientsAt(2));
  });

  test('a schedule changes the step size between steps', () => {
    const x = parameter([0]);
    const optimizer = new optim.SGD([x], { learningRate: 1 });
    for (const learningRate of [1, 0.5, 0]) {
      optimizer.learningRate = learningRate;
      x.grad = tensor([1], 'float64');
      optimizer.step();
    }
    expect(x.item()).toBe(-1.5);
    optimizer.learningRate = NaN;
    expect(() => {
      optimizer.step();
    }).toThrow('Optimizer.step: learningRate must be a finite number from 0, got NaN.');
    expect(x.item()).toBe(-1.5);
  });
});

describe('AdamW', () => {
  /** Loshchilov and Hutter, algorithm 2. */
  function reference(steps: readonly number[], options: Required<optim.AdamWOptions>): number[] {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = options;
    const values = [...start];
    const mean = values.map(() => 0);
    const square = values.map(() => 0);
    for (const [count, step] of steps.entries()) {
      for (const [index, g] of gradientsAt(step).entries()) {
        const m = beta1 * (mean[index] ?? NaN) + (1 - beta1) * g;
        const v = beta2 * (square[index] ?? NaN) + (1 - beta2) * g * g;
        mean[index] = m;
        square[index] = v;
        const direction =
          m / (1 - beta1 ** (count + 1)) / (Math.sqrt(v / (1 - beta2 ** (count + 1))) + epsilon);
        const value = values[index] ?? NaN;
        values[index] = value - learningRate * weightDecay * value - learningRate * direction;
      }
    }
    return values;
  }
  const defaults = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

  test.each([
    { learningRate: 0.1, ...defaults },
    { learningRate: 0.01, beta1: 0.5, beta2: 0.9, epsilon: 1e-3, weightDecay: 0 },
    { learningRate: 0.1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0.5 },
  ])('%j', (options) => {
    const x = parameter();
    run(new optim.AdamW([x], options), 6);
    expectClose(x, reference([0, 1, 2, 3, 4, 5], options));
  });

  test('a parameter that gets its first gradient late starts its own count', () => {
    const [early, late] = [parameter(), parameter()];
    const optimizer = new optim.AdamW([early, late], { learningRate: 0.1 });
    for (let step = 0; step < 6; step += 1) {
      optimizer.zeroGrad();
      early.grad = tensor(gradientsAt(step), 'float64');
      if (step >= 3) late.grad = tensor(gradientsAt(step), 'float64');
      optimizer.step();
    }
    expectClose(early, reference([0, 1, 2, 3, 4, 5], { learningRate: 0.1, ...defaults }));
    expectClose(late, reference([3, 4, 5], { learningRate: 0.1, ...defaults }));
  });
});

describe('every optimizer', () => {
  const makers: Record<string, (parameters: readonly nn.Parameter[]) => optim.Optimizer> = {
    SGD: (parameters) =>
      new optim.SGD(parameters, { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
    AdamW: (parameters) => new optim.AdamW(parameters, { learningRate: 0.1 }),
  };

  describe.each(Object.keys(makers))('%s', (name) => {
    const make = (parameters: readonly nn.Parameter[]): optim.Optimizer => {
      const maker = makers[name];
      if (maker === undefined) throw new Error(name);
      return maker(parameters);
    };

    test('continues from its saved state bit for bit', () => {
      const [whole, half] = [parameter(), parameter()];
      run(make([whole]), 8);
      const first = make([half]);
      run(first, 4);
      const saved = {
        steps: first.state().steps,
        tensors: new Map([...first.state().tensors].map(([key, value]) => [key, value.clone()])),
      };
      run(first, 3, 100); // What happens after saving must not change the saved state.
      const resumed = parameter(parameter().toNumbers());
      resumed.setData(parameterAfter(4));
      const second = make([resumed]);
      second.loadState(saved);
      run(second, 4, 4);
      expect(resumed.toNumbers()).toEqual(whole.toNumbers());
      second.loadState(second.state());
      expect(second.state().steps).toBe(8);
    });

    /** The parameter after `steps` steps of an untouched optimizer. */
    function parameterAfter(steps: number): Tensor {
      const x = parameter();
      run(make([x]), steps);
      return x.detach();
    }

    test('skips parameters without a gradient, and steps without any', () => {
      const [used, idle] = [parameter(), parameter()];
      const optimizer = make([used, idle]);
      optimizer.step();
      expect(optimizer.state().steps).toBe(0);
      used.grad = tensor(gradientsAt(0), 'float64');
      optimizer.step();
      expect(idle.toNumbers()).toEqual(start);
      expect(used.toNumbers()).not.toEqual(start);
      expect([...optimizer.state().tensors.keys()].every((key) => key.endsWith('.0'))).toBe(true);
    });

    test('keeps the layout of channels-last weights', () => {
      const layer = new nn.Conv2d(3, 4, 3, new Generator(1)).toMemoryFormat('channelsLast');
      const optimizer = make(layer.parameters());
      layer
        .call(ops.randn([2, 3, 5, 5]).contiguous({ memoryFormat: 'channelsLast' }))
        .sum()
        .backward();
      optimizer.step();
      expect(layer.weight.hasMemoryFormat('channelsLast')).toBe(true);
      const [[key, moment] = ['', tensor([])]] = optimizer.state().tensors;
      expect(key).toMatch(/\.0$/);
      expect(moment.hasMemoryFormat('channelsLast')).toBe(true);
      const saved = {
        steps: 1,
        tensors: new Map([...optimizer.state().tensors].map(([k, v]) => [k, v.contiguous().clone()])),
      };
      optimizer.loadState(saved);
      expect(optimizer.state().tensors.get(key)?.hasMemoryFormat('channelsLast')).toBe(true);
    });

    test('steps leave no handles behind, and dispose releases the state', () => {
      const layer = new nn.Linear(3, 2, new Generator(1));
      const optimizer = make(layer.parameters());
      const before = liveTensorCount();
      const step = (): void => {
        scope(() => {
          layer
            .call(ops.ones([4, 3]))
            .sum()
            .backward();
        });
        optimizer.step();
        optimizer.zeroGrad();
      };
      step();
      const live = liveTensorCount();
      for (let i = 0; i < 20; i += 1) step();
      expect(liveTensorCount()).toBe(live);
      optimizer.dispose();
      expect(liveTensorCount()).toBe(before);
    });

    test('refuses a state of something else, and keeps its own', () => {
      const optimizer = make([parameter()]);
      run(optimizer, 1);
      const load = (key: string, value: Tensor) => () => {
        optimizer.loadState({ steps: 5, tensors: new Map([[key, value]]) });
      };
      const own = [...optimizer.state().tensors.keys()][0] ?? '';
      const moment = own.split('.')[0] ?? '';
      const fitting = tensor(start, 'float64');
      expect(load(`${moment}.1`, fitting)).toThrow(/'\w+\.1' with shape \[4\] belongs to no parameter/);
      expect(load(own, tensor([1]))).toThrow(/Load a checkpoint of the same cohort and optimizer/);
      expect(load('exp_avg.0', fitting)).toThrow(ArgumentError);
      expect(load('nonsense', fitting)).toThrow(ArgumentError);
      expect(optimizer.state().steps).toBe(1);
      expect([...optimizer.state().tensors.values()].every((value) => value.handle >= 0)).toBe(true);
    });

    test('refuses no parameters, and one parameter twice', () => {
      const x = parameter();
      expect(() => make([])).toThrow(/there are no parameters to optimize. Pass module.parameters\(\)/);
      expect(() => make([parameter(), x, x])).toThrow(
        /parameter 2 .* was passed twice and would be changed twice per step/,
      );
    });
  });

  test('wrong settings', () => {
    const x = [parameter()];
    expect(() => new optim.SGD(x, { learningRate: -1 })).toThrow(
      'SGD: learningRate must be a finite number from 0, got -1',
    );
    expect(() => new optim.SGD(x, { learningRate: 1, momentum: NaN })).toThrow(/momentum must be/);
    expect(() => new optim.SGD(x, { learningRate: 1, nesterov: true })).toThrow(
      /nesterov needs a momentum above 0/,
    );
    expect(() => new optim.AdamW(x, { learningRate: 1, weightDecay: -1 })).toThrow(/weightDecay must be/);
    expect(() => new optim.AdamW(x, { learningRate: 1, beta2: 1 })).toThrow(
      /beta1 and beta2 must be less than 1/,
    );
  });
});
