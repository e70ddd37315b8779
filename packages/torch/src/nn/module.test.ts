/** Registration order, state dict names, loading and its errors, modes, memory formats, and identity of parameters. */
import { describe, expect, test } from 'vitest';
import {
  DisposedTensorError,
  Generator,
  keep,
  liveTensorCount,
  nn,
  ops,
  optim,
  scope,
  tensor,
  Tensor,
} from '../index.ts';

/** A network with everything that a state dict can hold. */
class Network extends nn.Module {
  readonly stem: nn.Sequential;
  readonly headLayer: nn.Linear;
  readonly stages: readonly (readonly nn.Module[])[];
  readonly scale = new nn.Parameter(tensor([1, 2]));
  readonly biases = [new nn.Parameter(tensor([3])), new nn.Parameter(tensor([4]))];
  readonly meanImage = keep(tensor([5]));
  readonly note = 'not a tensor';

  constructor(generator: Generator) {
    super();
    this.stem = new nn.Sequential(
      new nn.Conv2d(3, 4, 3, generator, { bias: false }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
    );
    this.headLayer = new nn.Linear(4, 2, generator);
    this.stages = [[new nn.Linear(2, 2, generator, { bias: false })], [new nn.BatchNorm1d(2)]];
  }

  override forward(input: Tensor): Tensor {
    const pooled = this.stem.call(input).mean([2, 3]);
    let x = this.headLayer.call(pooled);
    for (const layer of this.stages.flat()) x = layer.call(x);
    return x.mul(this.scale);
  }
}

const make = (seed = 1): Network => new Network(new Generator(seed));

const names = [
  'stem.0.weight',
  'stem.1.weight',
  'stem.1.bias',
  'stem.1.running_mean',
  'stem.1.running_var',
  'stem.1.num_batches_tracked',
  'head_layer.weight',
  'head_layer.bias',
  'stages.0.0.weight',
  'stages.1.0.weight',
  'stages.1.0.bias',
  'stages.1.0.running_mean',
  'stages.1.0.running_var',
  'stages.1.0.num_batches_tracked',
  'scale',
  'biases.0',
  'biases.1',
  'mean_image',
];

describe('state dict', () => {
  test('has every tensor in the order in which the class declares them, by the names PyTorch would use', () => {
    const network = make();
    expect([...network.stateDict().keys()]).toEqual(names);
    expect(network.namedParameters().map(([name]) => name)).toEqual(
      names.filter((name) => !/running|num_batches|mean_image/.test(name)),
    );
    expect([...network.namedChildren()].map(([name]) => name)).toEqual([
      'stem',
      'head_layer',
      'stages.0.0',
      'stages.1.0',
    ]);
    expect([...network.stem.namedChildren()].map(([name]) => name)).toEqual(['0', '1', '2']);
    expect(network.parameterCount()).toBe(4 * 27 + 8 + 10 + 4 + 4 + 2 + 2);
  });

  test('holds the tensors themselves', () => {
    const network = make();
    expect(network.stateDict().get('scale')).toBe(network.scale);
    expect(network.stateDict().get('head_layer.weight')).toBe(network.headLayer.weight);
  });

  test('loaded into another network, gives the same function', () => {
    const [first, second] = [make(1), make(2)];
    const x = ops.randn([4, 3, 6, 6], { generator: new Generator(3) });
    first.call(x);
    const parameter = second.headLayer.weight;
    second.loadStateDict(first.stateDict());
    expect(second.headLayer.weight).toBe(parameter);
    expect(parameter.requiresGrad).toBe(true);
    expect(second.eval().call(x).toNumbers()).toEqual(first.eval().call(x).toNumbers());
    expect(second.stateDict().get('stem.1.num_batches_tracked')?.item()).toBe(1);
  });

  test('converts the dtype while loading', () => {
    const network = make();
    const state = new Map(
      [...network.stateDict()].map(([name, x]) => [name, x.detach().to('float64').add(1)]),
    );
    network.loadStateDict(state);
    expect(network.scale.dtype).toBe('float32');
    expect(network.scale.toNumbers()).toEqual([2, 3]);
  });

  test('refuses what does not fit, listing every name, before anything is changed', () => {
    const network = make();
    const state = new Map(network.stateDict());
    state.delete('scale');
    state.set('stem.9.weight', tensor([1]));
    state.set('head_layer.bias', tensor([1, 2, 3]));
    state.set('biases.0', tensor([30]));
    const load = (): void => {
      network.loadStateDict(state);
    };
    expect(load).toThrow(nn.StateDictError);
    expect(load).toThrow(
      [
        'loadStateDict: the tensors do not fit this module.',
        '  missing (1): scale',
        '  unexpected (1): stem.9.weight',
        '  wrong shape (1): head_layer.bias [3] instead of [2]',
        'Load weights that were saved from the same architecture, or pass { strict: false } to load what fits.',
      ].join('\n'),
    );
    expect(network.biases[0]?.item()).toBe(3);
    expect(() => {
      network.loadStateDict(state, { strict: false });
    }).toThrow(/wrong shape \(1\)/);
    state.delete('head_layer.bias');
    network.loadStateDict(state, { strict: false });
    expect(network.biases[0]?.item()).toBe(30);
  });

  test('a long list of names is cut short in the message, whole in the error', () => {
    try {
      make().loadStateDict(new Map());
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ missing: names, unexpected: [], misshapen: [] });
      expect(String(error)).toContain('missing (18): stem.0.weight');
      expect(String(error)).toContain(', ...');
    }
  });
});

describe('shared modules', () => {
  class Shared extends nn.Module {
    readonly first = new nn.Linear(2, 2, new Generator(1));
    readonly again = this.first;
    readonly tied = this.first.weight;
    override forward(input: Tensor): Tensor {
      return this.again.call(this.first.call(input));
    }
  }

  test('a parameter is found once, its names in the state dict stay', () => {
    const module = new Shared();
    expect(module.namedParameters().map(([name]) => name)).toEqual(['first.weight', 'first.bias']);
    expect(module.parameterCount()).toBe(6);
    expect([...module.stateDict().keys()]).toHaveLength(5);
    expect(() => new optim.SGD(module.parameters(), { learningRate: 1 })).not.toThrow();
    const before = liveTensorCount();
    module.dispose();
    expect(liveTensorCount()).toBe(before - 2);
    expect(() => module.first.weight.shape).toThrow(DisposedTensorError);
  });
});

describe('modes and formats', () => {
  test('train and eval reach every module', () => {
    const network = make();
    const all = (): boolean[] => [network, network.stem, ...network.stem.layers, ...network.stages.flat()].map(({ training }) => training); // prettier-ignore
    expect(network.eval()).toBe(network);
    expect(new Set(all())).toEqual(new Set([false]));
    network.train();
    expect(new Set(all())).toEqual(new Set([true]));
  });

  test('toMemoryFormat keeps parameters, values and the optimizer alive', () => {
    const network = make();
    const weight = network.stateDict().get('stem.0.weight');
    const values = weight?.toNumbers();
    const x = ops.randn([4, 3, 6, 6], { generator: new Generator(3) });
    const plain = scope(() => make().call(x));
    const live = liveTensorCount();
    expect(network.toMemoryFormat('channelsLast')).toBe(network);
    expect(liveTensorCount()).toBe(live);
    expect(network.stateDict().get('stem.0.weight')).toBe(weight);
    expect(weight?.hasMemoryFormat('channelsLast')).toBe(true);
    expect(weight?.hasMemoryFormat('contiguous')).toBe(false);
    expect(weight?.requiresGrad).toBe(true);
    expect(weight?.toNumbers()).toEqual(values);
    const moved = network.call(x.contiguous({ memoryFormat: 'channelsLast' }));
    expect(ops.allclose(moved, plain, 1e-4, 1e-5)).toBe(true);
    moved.sum().backward();
    expect(weight?.grad?.shape).toEqual([4, 3, 3, 3]);
  });

  test('toDType converts floating-point tensors only', () => {
    const network = make().toDType('float64');
    const dtypes = new Map([...network.stateDict()].map(([name, { dtype }]) => [name, dtype]));
    expect(dtypes.get('stem.0.weight')).toBe('float64');
    expect(dtypes.get('stem.1.running_mean')).toBe('float64');
    expect(dtypes.get('stem.1.num_batches_tracked')).toBe('int64');
    expect(network.call(ops.randn([4, 3, 6, 6], { dtype: 'float64' })).dtype).toBe('float64');
  });

  test('zeroGrad clears every gradient', () => {
    const network = make();
    network
      .call(ops.randn([4, 3, 6, 6]))
      .sum()
      .backward();
    expect(network.headLayer.weight.grad).not.toBeNull();
    network.zeroGrad();
    expect(network.parameters().every(({ grad }) => grad === null)).toBe(true);
  });
});

describe('memory', () => {
  test('call leaves only its result; dispose leaves nothing', () => {
    const before = liveTensorCount();
    const network = make();
    expect(liveTensorCount()).toBe(before + names.length);
    const result = scope(() => network.call(ops.randn([2, 3, 6, 6])));
    expect(liveTensorCount()).toBe(before + names.length + 1);
    result.dispose();
    network.dispose();
    network.dispose();
    expect(liveTensorCount()).toBe(before);
  });

  test('a parameter takes its tensor over, even inside a scope', () => {
    const value = tensor([1, 2]);
    const parameter = scope(() => new nn.Parameter(value));
    expect(() => value.shape).toThrow(DisposedTensorError);
    expect(parameter.toNumbers()).toEqual([1, 2]);
    expect([parameter.requiresGrad, parameter.isLeaf]).toEqual([true, true]);
    expect(() => new nn.Parameter(value)).toThrow(DisposedTensorError);
  });
});

describe('hooks for those who write and measure networks', () => {
  test('a class may give its members published names', () => {
    class Published extends nn.Module {
      readonly convShortcut = new nn.Linear(2, 2, new Generator(1), { bias: false });
      readonly inner = new nn.BatchNorm1d(2);

      protected override memberName(property: string): string {
        return property === 'inner' ? '1' : property;
      }

      override forward(input: Tensor): Tensor {
        return this.convShortcut.call(input);
      }
    }
    const network = new Published();
    // The name is the class's own affair: `running_mean` inside is as ever.
    expect([...network.stateDict().keys()].slice(0, 4)).toEqual([
      'convShortcut.weight',
      '1.weight',
      '1.bias',
      '1.running_mean',
    ]);
    network.dispose();
  });

  test('observeCalls tells of inner modules first, and stops when the body ends or throws', () => {
    const layers = new nn.Sequential(new nn.ReLU(), new nn.Linear(2, 3, new Generator(1)));
    const seen: [string, readonly number[]][] = [];
    const observe: nn.CallObserver = (module, output) => {
      if (output instanceof Tensor) seen.push([module.constructor.name, output.shape]);
    };
    const body = (): Tensor => scope(() => layers.call(ops.ones([4, 2])));
    expect(nn.observeCalls(observe, body).shape).toEqual([4, 3]);
    expect(seen).toEqual([
      ['ReLU', [4, 2]],
      ['Linear', [4, 3]],
      ['Sequential', [4, 3]],
    ]);
    const fail = (): never => {
      throw new Error('broken');
    };
    expect(() => nn.observeCalls(observe, fail)).toThrow('broken');
    body();
    expect(seen).toHaveLength(3);
  });
});
