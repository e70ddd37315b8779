/** What every registered method must do, as one suite over all of them and their variants. */
import { autocast, Generator, noGrad, optim, scope, tensor, type nn } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork, type Network } from '../models/index.ts';
import { Branches, Peers, Tree, type Topology } from '../topology/index.ts';
import { goldenImages } from '../test/golden.ts';
import { trainStep } from '../train/loop/step.ts';
import { methodCatalogue, methodFacts, type TopologyName } from './catalogue.ts';
import { createMethod, type Method, type MethodSettings, type StepInput } from './index.ts';
import { methodSchemas, methodSettings } from './settings.ts';

const classes = 4;
const images = goldenImages(4, [8, 1, 8, 8]);
const otherImages = goldenImages(5, [8, 1, 8, 8]);
const labels = tensor([0, 1, 2, 0, 1, 2, 3, 3], 'int64');
const otherLabels = tensor([0, 0, 1, 1, 2, 2, 3, 3], 'int64');

/** Settings that change what is computed; every method is tried with its defaults too. */
const variants: readonly object[] = [
  { name: 'kdcl', teacher: 'naive' },
  { name: 'kdcl', teacher: 'linear' },
  { name: 'kdcl', teacher: 'general' },
  { name: 'okddip', detachTargets: true },
  { name: 'mcl', memory: { negatives: 4, positives: 1 } },
];

const cases = [...Object.keys(methodSchemas).map((name) => ({ name })), ...variants].flatMap((given) => {
  const settings = methodSettings.parse(given);
  return methodCatalogue[settings.name].topologies.map(
    (topology) => [`${JSON.stringify(given)} on ${topology}`, settings, topology] as const,
  );
});

interface Built {
  readonly networks: readonly Network[];
  readonly method: Method;
  readonly optimizer: optim.Optimizer;
}

const topologies: Readonly<Record<TopologyName, (networks: readonly Network[]) => Topology>> = {
  peers: (networks) => new Peers(networks),
  branches: (networks) => new Branches(networks, 2),
  tree: (networks) => new Tree(networks, [1, 2]),
};

function build(settings: MethodSettings, topology: TopologyName, learningRate = 0.05): Built {
  const count = Math.max(topology === 'tree' ? 3 : 2, methodCatalogue[settings.name].minimumNetworks);
  const freshNetworks = (): Network[] =>
    Array.from({ length: count }, (_, seed) =>
      createNetwork('resnet8', { classes, channels: 1, generator: new Generator(seed) }),
    );
  const networks = freshNetworks();
  const method = createMethod(settings, {
    networks,
    topology: topologies[topology](networks),
    freshNetworks,
    classes,
    generator: new Generator(9),
    trainingLabels: labels.toNumbers(),
    batchSize: 8,
  });
  const own = new Set(Object.values(method.optimizers ?? {}).flatMap(({ parameters }) => parameters));
  const modules: nn.AnyModule[] = [...networks, ...Object.values(method.modules)];
  const parameters = modules
    .flatMap((module) => module.parameters())
    .filter((each) => each.requiresGrad && !own.has(each));
  return { networks, method, optimizer: new optim.SGD(parameters, { learningRate, momentum: 0.9 }) };
}

const batch: StepInput = { images, labels, epoch: 100, indices: Int32Array.from([0, 1, 2, 3, 4, 5, 6, 7]) };

function step(
  { method, optimizer }: Built,
  number: number,
  input: StepInput,
  precision: 'float32' | 'bfloat16' = 'float32',
): Record<string, number> {
  // prettier-ignore
  return scope(() => {
    const values = trainStep({ method, optimizer, precision }, input, 'in a test');
    method.afterStep?.(input, { step: number, learningRate: 0.05, otherBatch: () => batch });
    return values;
  });
}

describe.each(cases)('%s', (_, settings, topology) => {
  it('learns: terms stay finite and the networks classify better after a few steps', () => {
    const built = build(settings, topology);
    const first = step(built, 0, batch);
    let last = first;
    for (let number = 1; number < 4; number += 1) last = step(built, number, batch);
    expect(Object.values(last).every(Number.isFinite)).toBe(true);
    expect(last.classification).toBeLessThan(first.classification ?? NaN);
  });

  it('takes steps in bfloat16, on views of their own and on mixed images', () => {
    const built = build(settings, topology);
    const views = built.networks.map((__, index) => (index === 0 ? images : otherImages));
    const mix = { labels: otherLabels, weight: tensor([0.3, 0.9, 1, 0.5, 0.6, 0.7, 0.2, 0.8]) };
    const isMixable = settings.name !== 'mcl' || settings.memory === null;
    step(built, 0, { ...batch, views }, 'bfloat16');
    const values = step(built, 1, isMixable ? { ...batch, views, mix } : batch);
    expect(Object.values(values).every(Number.isFinite)).toBe(true);
  });

  it('computes every term in float32 under autocast', () => {
    const { method } = build(settings, topology);
    const dtypes = noGrad(() =>
      scope(() => autocast(() => Object.values(method.terms(batch)).map(({ value }) => value.dtype))),
    );
    expect(new Set(dtypes)).toEqual(new Set(['float32']));
  });

  it('names a class for every image as an ensemble and by each network that is kept', () => {
    const { method, networks } = build(settings, topology);
    const kept = method.deployed ?? networks;
    expect(kept).toHaveLength(networks.length);
    const modules: nn.AnyModule[] = [...kept, ...networks, ...Object.values(method.modules)];
    for (const module of modules) module.eval();
    noGrad(() => {
      scope(() => {
        const outputs = kept.map((network) => network.call(images));
        const shape = method.ensemble?.(outputs, images).shape ?? [8, classes];
        expect(shape).toEqual([8, classes]);
      });
    });
    expect(method.leader === undefined || networks[method.leader] !== undefined).toBe(true);
  });
});

describe('the catalogue', () => {
  it('knows every method and nothing else', () => {
    expect(Object.keys(methodCatalogue)).toEqual(Object.keys(methodSchemas));
    expect(methodFacts('constructor')).toBeUndefined();
    expect(methodFacts('one')?.topologies).toEqual(['branches']);
  });
});
