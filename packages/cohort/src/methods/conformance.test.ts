/** What every registered method must do, as one suite over all of them and their variants. */
import { autocast, Generator, noGrad, ops, optim, scope, tensor, type nn } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork, type Network } from '../models/index.ts';
import { Branches, Peers, Tree, type Topology } from '../topology/index.ts';
import { goldenImages } from '../test/golden.ts';
import { classificationWith } from '../losses/index.ts';
import { trainStep } from '../train/loop/step.ts';
import type { TopologyName } from './definition.ts';
import {
  createMethod,
  methodFacts,
  methodNames,
  methodSettings,
  LogitsRecorder,
  withWeightAverages,
  type Method,
  type MethodContext,
  type MethodFacts,
  type MethodSettings,
  type StepInput,
} from './index.ts';

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
  { name: 'moco', head: 'mlp', queue: 8 },
];

function factsOf(name: string): MethodFacts {
  const facts = methodFacts(name);
  if (facts === undefined) throw new Error(`no method ${name}`);
  return facts;
}

const cases = [...methodNames().map((name) => ({ name })), ...variants].flatMap((given) => {
  const settings = methodSettings().parse(given);
  return factsOf(settings.name).topologies.map(
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

const teacher = { weight: 0.5, distillationTemperature: 2, rampUpEpochs: 0 };

interface BuildOptions {
  readonly learningRate?: number;
  readonly classification?: MethodContext['classification'];
  /** Averages of the weights on top. */
  readonly isAveraged?: boolean;
  /** And a teacher made of them. */
  readonly isTaught?: boolean;
}

function build(settings: MethodSettings, topology: TopologyName, options: BuildOptions = {}): Built {
  const { learningRate = 0.05, classification, isTaught = false, isAveraged = isTaught } = options;
  const count = Math.max(topology === 'tree' ? 3 : 2, factsOf(settings.name).minimumNetworks);
  const freshNetworks = (): Network[] =>
    Array.from({ length: count }, (_, seed) =>
      createNetwork('resnet8', { classes, channels: 1, generator: new Generator(seed) }),
    );
  const networks = freshNetworks();
  const context: MethodContext = {
    networks,
    topology: isTaught ? new LogitsRecorder(topologies[topology](networks)) : topologies[topology](networks),
    freshNetworks,
    classes,
    generator: new Generator(9),
    trainingLabels: labels.toNumbers(),
    batchSize: 8,
    ...(classification === undefined ? {} : { classification }),
  };
  const plain = createMethod(settings, context);
  const method = isAveraged
    ? withWeightAverages(plain, context, { decay: 0.5, warmUp: true, teacher: isTaught ? teacher : null })
    : plain;
  const own = new Set(Object.values(method.optimizers ?? {}).flatMap(({ parameters }) => parameters));
  const modules: nn.AnyModule[] = [...networks, ...Object.values(method.modules)];
  const parameters = modules
    .flatMap((module) => module.parameters())
    .filter((each) => each.requiresGrad && !own.has(each));
  return { networks, method, optimizer: new optim.SGD(parameters, { learningRate, momentum: 0.9 }) };
}

const batch: StepInput = {
  images,
  otherView: { images: images.add(otherImages.mul(0.1)) },
  labels,
  epoch: 100,
  indices: Int32Array.from([0, 1, 2, 3, 4, 5, 6, 7]),
};

const isSelfSupervised = ({ name }: MethodSettings): boolean => factsOf(name).isSelfSupervised === true;

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

/** Two batches take turns: a queue then holds the keys of the other one, after the random ones that it begins with. */
function expectToTellApart(built: Built): void {
  const other: StepInput = {
    ...batch,
    images: otherImages,
    otherView: { images: otherImages.add(images.mul(0.1)) },
  };
  const values = Array.from({ length: 13 }, (_, number) =>
    step(built, number, number % 2 === 0 ? batch : other),
  );
  expect(values.flatMap((terms) => Object.values(terms)).every(Number.isFinite)).toBe(true);
  expect(values[12]?.vcl).toBeLessThan(values[2]?.vcl ?? NaN);
}

describe.each(cases)('%s', (_, settings, topology) => {
  it('learns: terms stay finite, and the networks classify, or tell images apart, better after a few steps', () => {
    if (isSelfSupervised(settings)) {
      expectToTellApart(build(settings, topology, { learningRate: 0.01 }));
      return;
    }
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
    const isMixable = !isSelfSupervised(settings) && (settings.name !== 'mcl' || settings.memory === null);
    const otherView = { images, views: views.toReversed() };
    step(built, 0, { ...batch, views, otherView }, 'bfloat16');
    const values = step(built, 1, isMixable ? { ...batch, views, mix } : batch);
    expect(Object.values(values).every(Number.isFinite)).toBe(true);
  });

  it('computes every term in float32 under autocast', () => {
    const { method } = build(settings, topology);
    const dtypes = noGrad(() =>
      scope(() => autocast(() => Object.values(method.terms(batch).losses).map(({ value }) => value.dtype))),
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

describe.each(cases)('%s, with what every method takes', (_, settings, topology) => {
  it('learns labels by the cross-entropy that it is given, and nothing else of it changes', () => {
    const terms = (options: BuildOptions): Record<string, number> => {
      const { method } = build(settings, topology, options);
      return noGrad(() =>
        scope(() =>
          Object.fromEntries(
            Object.entries(method.terms(batch).losses).map(([name, { value }]) => [name, value.item()]),
          ),
        ),
      );
    };
    const plain = terms({});
    if (isSelfSupervised(settings)) {
      expect(terms({ classification: () => tensor(7) })).toEqual(plain);
      return;
    }
    const twice = terms({ classification: (...given) => classificationWith({})(...given).mul(2) });
    expect(twice).toEqual({
      ...plain,
      classification: expect.closeTo(2 * (plain.classification ?? NaN), 4) as number,
    });
    const smoothed = terms({
      classification: classificationWith({ labelSmoothing: 0.3, classWeights: [1, 2, 3, 4] }),
    });
    expect(smoothed.classification).toBeGreaterThan(0);
    expect(smoothed.classification).not.toBeCloseTo(plain.classification ?? NaN, 3);
  });

  it('keeps averages of the weights, or says that it has its own', () => {
    if (factsOf(settings.name).keepsAverages === true) {
      expect(() => build(settings, topology, { isAveraged: true })).toThrow(/averages of its own/);
      return;
    }
    const [plain, averaged] = [build(settings, topology), build(settings, topology, { isAveraged: true })];
    // Of the stem: classifiers of networks that learn without labels stay as they are.
    const weightOf = (network?: Network): number[] | undefined => network?.parameters()[0]?.toNumbers();
    const first = averaged.networks.map(weightOf);
    for (const number of [0, 1]) {
      step(averaged, number, batch);
      step(plain, number, batch);
    }
    const kept = averaged.method.deployed ?? [];
    for (const [index, network] of averaged.networks.entries()) {
      const weight = weightOf(network);
      // The training is not touched, and the average of two steps lies between them.
      expect(weight).toEqual(weightOf(plain.networks[index]));
      expect(weightOf(kept[index])).not.toEqual(weight);
      expect(weightOf(kept[index])).not.toEqual(first[index]);
      expect(kept[index]?.stateDict().get('bn1.num_batches_tracked')?.item()).toBe(
        network.stateDict().get('bn1.num_batches_tracked')?.item(),
      );
    }
    const modules: nn.AnyModule[] = [
      ...kept,
      ...averaged.networks,
      ...Object.values(averaged.method.modules),
    ];
    for (const module of modules) module.eval();
    const weights = averaged.networks.map((network) => network.classifier.weight.toNumbers());
    noGrad(() => {
      scope(() => {
        const outputs = kept.map((network) => network.call(images));
        const shape = averaged.method.ensemble?.(outputs, images).shape ?? [8, classes];
        expect(shape).toEqual([8, classes]);
      });
    });
    expect(averaged.networks.map((network) => network.classifier.weight.toNumbers())).toEqual(weights);
  });
});

const taughtCases = cases.filter(([, { name }]) => {
  const { keepsAverages, runsTrunks, isSelfSupervised: hasNoLabels } = factsOf(name);
  return keepsAverages !== true && runsTrunks !== true && hasNoLabels !== true;
});

describe.each(taughtCases)('%s, taught by its averages', (_, settings, topology) => {
  it('learns from the mean of their logits in addition to its own terms', () => {
    const built = build(settings, topology, { isTaught: true });
    const first = step(built, 0, batch);
    // Averages begin as the networks are, but in evaluation mode.
    expect(first.averageTeacher).toBeGreaterThan(0);
    const averages = built.method.deployed ?? [];
    const { averageTeacher } = noGrad(() =>
      scope(() =>
        Object.fromEntries(
          Object.entries(built.method.terms(batch).losses).map(([name, { value, weight }]) => [
            name,
            [value.item(), weight],
          ]),
        ),
      ),
    ) as Record<string, [number, number]>;
    const expected = noGrad(() =>
      scope(() => {
        for (const network of averages) network.eval();
        const target = ops
          .stack(
            averages.map((network) => network.call(images).logits),
            0,
          )
          .mean([0])
          .div(2)
          .logSoftmax(1);
        for (const network of built.networks) network.train();
        const each = built.networks.map((network) => {
          const own = network.call(images).logits.div(2).logSoftmax(1);
          return target.exp().mul(target.sub(own)).sum().item();
        });
        return (4 * each.reduce((sum, value) => sum + value, 0)) / 8;
      }),
    );
    expect(averageTeacher?.[0]).toBeCloseTo(expected, 3);
    expect(averageTeacher?.[1]).toBe(0.5);
    for (const number of [1, 2]) expect(step(built, number, batch, 'bfloat16').total).toBeDefined();
  });
});

describe('the registry', () => {
  it('finds methods by their own names alone', () => {
    expect(methodNames()).toContain('l-mcl');
    expect(methodFacts('constructor')).toBeUndefined();
    expect(methodFacts('one')?.topologies).toEqual(['branches']);
  });
});
