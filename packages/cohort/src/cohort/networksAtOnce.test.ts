import { Generator, liveTensorCount, optim, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createMethod, type Method } from '../methods/index.ts';
import { createNetwork, type Network } from '../models/index.ts';
import { Branches, Peers, type Topology } from '../topology/index.ts';
import { resolveRecipe } from '../recipes/index.ts';
import { goldenImages } from '../test/golden.ts';
import { networksAtOnce } from './networksAtOnce.ts';
import { trainStep } from '../train/loop/step.ts';

function create(models: readonly string[]): Network[] {
  return models.map((model, index) =>
    createNetwork(model, { classes: 4, channels: 3, generator: new Generator(index) }),
  );
}

interface Trial {
  readonly method: Method;
  readonly topology: Topology;
  readonly networks: readonly Network[];
  readonly modules: readonly { stateDict(): Map<string, Tensor> }[];
  readonly optimizer: optim.Optimizer;
}

function trial(name: 'mcl' | 'l-mcl', makeTopology: (networks: readonly Network[]) => Topology): Trial {
  const networks = create(['resnet8', 'resnet8']);
  const { method: settings } = resolveRecipe(
    {
      name: 'trial',
      data: { dataset: 'fashion-mnist' },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
      method: { name },
      train: { epochs: 1 },
    },
    { source: 'the test' },
  );
  const topology = makeTopology(networks);
  const method = createMethod(settings, { networks, topology, classes: 4, generator: new Generator(9) });
  const modules = [...networks, ...Object.values(method.modules)];
  const own = new Set(Object.values(method.optimizers ?? {}).flatMap(({ parameters }) => [...parameters]));
  const parameters = modules.flatMap((module) => module.parameters()).filter((each) => !own.has(each));
  return {
    method,
    topology,
    networks,
    modules,
    optimizer: new optim.SGD(parameters, { learningRate: 0.05 }),
  };
}

function steps(given: Trial, atOnce: number): unknown {
  return scope(() => takeSteps(given, atOnce));
}

function takeSteps({ method, topology, modules, optimizer }: Trial, atOnce: number): unknown {
  const images = goldenImages(3, [8, 3, 32, 32]);
  const labels = Tensor.fromTypedArray(BigInt64Array.from([0, 1, 2, 3, 0, 1, 2, 3], BigInt));
  const tools = { method, topology, optimizer, precision: 'float32' as const, networksAtOnce: atOnce };
  const values = [0, 1].map((step) => trainStep(tools, { images, labels, epoch: 0 }, `in step ${step}`));
  const weights = modules.map((module) =>
    [...module.stateDict()].map(([name, tensor]) => [name, tensor.toNumbers()]),
  );
  return { values, weights };
}

describe('networks differentiated at the same time', () => {
  it.each(['mcl', 'l-mcl'] as const)('take the steps that they take one after the other (%s)', (name) => {
    const peers = (networks: readonly Network[]): Topology => new Peers(networks);
    expect(steps(trial(name, peers), 2)).toEqual(steps(trial(name, peers), 1));
  });

  it('are ignored where networks share layers', () => {
    const branches = (networks: readonly Network[]): Topology => new Branches(networks, 1);
    expect(steps(trial('mcl', branches), 2)).toEqual(steps(trial('mcl', branches), 1));
  });

  it('keep no tensor of the step, even one that fails', () => {
    const given = trial('mcl', (networks) => new Peers(networks));
    steps(given, 2);
    const before = liveTensorCount();
    steps(given, 2);
    expect(liveTensorCount()).toBe(before);
    scope(() => {
      given.networks[0]?.classifier.weight.detach().fill_(NaN);
    });
    expect(() => steps(given, 2)).toThrow("The loss term 'classification' became NaN");
    expect(liveTensorCount()).toBe(before);
  });
});

describe('how many', () => {
  it.each([
    { models: ['resnet8', 'resnet8'], threads: 2, expected: 2 },
    { models: ['resnet8', 'resnet8'], threads: 8, expected: 2 },
    { models: ['resnet8', 'resnet8'], threads: 1, expected: 1 },
    { models: ['resnet8', 'resnet8'], threads: 3, expected: 1 },
    { models: ['resnet8', 'resnet8', 'resnet8'], threads: 2, expected: 1 },
    { models: ['resnet8', 'resnet8', 'resnet8', 'resnet8'], threads: 2, expected: 2 },
    { models: ['resnet8', 'resnet8', 'resnet8', 'resnet8'], threads: 6, expected: 2 },
    { models: ['resnet8', 'resnet14'], threads: 2, expected: 1 },
  ])('$expected of $models with $threads threads', ({ models, threads, expected }) => {
    expect(networksAtOnce(create(models), threads)).toBe(expected);
  });
});
