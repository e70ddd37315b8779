import { autocast, backward, Generator, liveTensorCount, noGrad, ops, scope, tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { Branches } from '../../topology/index.ts';
import { goldenImages } from '../../test/golden.ts';
import { createMethod, type Method } from '../index.ts';
import type { Network } from '../../models/network.ts';
import { lmcl, type LmclSettings } from './lmcl.ts';

const classes = 4;

function cohort(
  models: readonly string[],
  settings: Partial<LmclSettings> = {},
): Method & { networks: Network[] } {
  const networks = models.map((model, index) =>
    createNetwork(model, { classes, channels: 1, generator: new Generator(index) }),
  );
  const complete = { ...lmcl.settings.parse({ name: 'l-mcl' }), ...settings };
  const method = createMethod(complete, { networks, classes, generator: new Generator(9) });
  return Object.assign(method, { networks });
}

const images = goldenImages(4, [6, 1, 16, 16]);
const labels = tensor([0, 1, 2, 0, 1, 2], 'int64');

function termsAt(
  method: Method,
  epoch = 0,
  given = labels,
): Record<string, { value: number; weight: number }> {
  return noGrad(() =>
    Object.fromEntries(
      Object.entries(method.terms({ images, labels: given, epoch }).losses).map(
        ([name, { value, weight }]) => [name, { value: value.item(), weight }],
      ),
    ),
  );
}

function matchWeightOf(method: Method): number {
  const measured = noGrad(() => method.terms({ images, labels, epoch: 0 }).measured?.matchWeight);
  if (measured === undefined || typeof measured === 'number') throw new Error('no tensor');
  return measured.item();
}

describe('l-mcl', () => {
  it('has the published weights by default', () => {
    const weights = Object.entries(termsAt(cohort(['resnet8', 'resnet8']))).map(([name, { weight }]) => [
      name,
      weight,
    ]);
    expect(weights).toEqual([
      ['classification', 1],
      ['vcl', 0.1],
      ['icl', 0.1],
      ['softVcl', 1],
      ['softIcl', 1],
      ['logit', 1],
    ]);
  });

  it('weights every pair of stages alike with uniform matching, and then has nothing to train by meta steps', () => {
    const method = cohort(['resnet8', 'resnet8'], { matching: 'uniform' });
    expect(matchWeightOf(method)).toBe(0.5);
    expect(matchWeightOf(cohort(['resnet8', 'resnet8']))).not.toBe(0.5);
    expect(method.optimizers).toEqual({});
    const otherBatch = (): never => {
      throw new Error('no other batch is needed');
    };
    expect(method.afterStep?.({ images, labels, epoch: 0 }, { step: 0, learningRate: 0.1, otherBatch })).toBe(
      undefined,
    );
  });

  it.each([
    ['different architectures', ['resnet8', 'resnet14']],
    ['bottlenecks with basic blocks', ['resnet8', 'resnet110']],
    ['three networks', ['resnet8', 'resnet8', 'resnet14']],
    ['four networks', ['resnet8', 'resnet8', 'resnet8', 'resnet8']],
  ])('works for %s', (_, models) => {
    const method = cohort(models);
    const { vcl, softIcl } = termsAt(method);
    expect(vcl?.value).toBeGreaterThan(0);
    expect(softIcl?.value).toBeGreaterThan(0);
    expect(matchWeightOf(method)).toBeGreaterThan(0.25);
    expect(matchWeightOf(method)).toBeLessThan(0.75);
  });

  it('gives zero contrast, not NaN, when nothing in the batch is positive', () => {
    const two = cohort(['resnet8', 'resnet8']);
    const terms = noGrad(
      () =>
        two.terms({ images: images.narrow(0, 0, 3), labels: tensor([0, 1, 2], 'int64'), epoch: 0 }).losses,
    );
    expect(terms.vcl?.value.item()).toBe(0);
    expect(terms.icl?.value.item()).toBe(0);
    expect(terms.softIcl?.value.isfinite().item()).toBe(1);
  });

  it('passes a gradient to every weight but those of the matching network', () => {
    const method = cohort(['resnet8', 'resnet14']);
    const terms = Object.values(method.terms({ images, labels, epoch: 0 }).losses);
    backward(
      ops
        .stack(
          terms.filter(({ weight }) => weight > 0).map(({ value }) => value),
          0,
        )
        .sum(),
    );
    const { matching, ...others } = method.modules;
    for (const module of [...method.networks, ...Object.values(others)]) {
      expect(module.namedParameters().filter(([, { grad }]) => grad === null)).toEqual([]);
    }
    expect(matching?.parameters().every(({ grad }) => grad === null)).toBe(true);
  });

  it('lets the soft terms and logit distillation in over the ramp-up, and only these', () => {
    const method = cohort(['resnet8', 'resnet8'], { rampUpEpochs: 10 });
    const start = termsAt(method, 0);
    expect(start.vcl?.weight).toBe(0.1);
    expect(start.softVcl?.weight).toBeCloseTo(Math.exp(-5));
    expect(start.logit?.weight).toBeCloseTo(Math.exp(-5));
    expect(termsAt(method, 10).softIcl?.weight).toBe(1);
  });

  it('computes its terms in float32 under autocast', () => {
    const terms = autocast(() =>
      Object.values(cohort(['resnet8', 'resnet8']).terms({ images, labels, epoch: 0 }).losses),
    );
    expect(new Set(terms.map(({ value }) => value.dtype))).toEqual(new Set(['float32']));
  });

  it('says in words when embeddings have collapsed, whatever the matching weights, and is silent otherwise', () => {
    const method = cohort(['resnet8', 'resnet8']);
    // 2 x 18 ordered pairs of stages, each weighted by 0.5.
    const uninformed = 36 * 0.5 * Math.log(15);
    expect(method.diagnose?.({ vcl: uninformed, matchWeight: 0.5 }, 16)).toMatch(
      /are uninformative: VCL is 2\.708 per network/,
    );
    expect(method.diagnose?.({ vcl: uninformed - 9, matchWeight: 0.5 }, 16)).toBeUndefined();
  });
});

describe('the meta step of l-mcl', () => {
  const meta = lmcl.settings.parse({ name: 'l-mcl', meta: { intervalSteps: 3 } }).meta;
  const input = { images, labels, epoch: 0 };
  const other = { images: goldenImages(5, [6, 1, 16, 16]), labels };
  const context = (step: number) => ({ step, learningRate: 0.1, otherBatch: () => other });

  function stateOf(method: Method & { networks: Network[] }): Record<string, number[]> {
    const modules = {
      ...method.modules,
      ...Object.fromEntries(method.networks.map((network, index) => [`network${index}`, network])),
    };
    return Object.fromEntries(
      Object.entries(modules).flatMap(([name, module]) =>
        [...module.stateDict()].map(([key, value]) => [`${name}.${key}`, value.toNumbers()]),
      ),
    );
  }

  it('follows the first step and every third, changes the matching network alone, and leaves no tensor behind', () => {
    const method = cohort(['resnet8', 'resnet14'], { meta });
    const before = stateOf(method);
    expect(scope(() => method.afterStep?.(input, context(1)))).toBeUndefined();
    expect(stateOf(method)).toEqual(before);
    const measured = scope(() => method.afterStep?.(input, context(3)));
    expect(measured?.metaLoss).toBeGreaterThan(0);
    expect(measured?.hypergradientNorm).toBeGreaterThan(0);
    const after = stateOf(method);
    const changed = Object.keys(after).filter((name) => after[name]?.join() !== before[name]?.join());
    expect(changed).toEqual(Object.keys(after).filter((name) => name.startsWith('matching.')));
    const live = liveTensorCount();
    scope(() => method.afterStep?.(input, context(6)));
    expect(liveTensorCount()).toBeLessThanOrEqual(live);
  });

  it('trains the matching network with an optimizer of its own, whose momentum a checkpoint can hold', () => {
    const method = cohort(['resnet8', 'resnet8'], { meta });
    const optimizer = method.optimizers?.matching;
    expect(optimizer?.parameters).toEqual(method.modules.matching?.parameters());
    scope(() => method.afterStep?.(input, context(0)));
    expect(optimizer?.learningRate).toBe(0.1);
    expect(optimizer?.state().tensors.size).toBe(optimizer?.parameters.length);
  });

  it('may take the outer loss from another batch, and a learning rate of its own', () => {
    const settings = meta === null ? null : { ...meta, outerBatch: 'other' as const, learningRate: 0.02 };
    const [apart, same] = [settings, meta].map((each) => cohort(['resnet8', 'resnet8'], { meta: each }));
    expect(apart?.wantsOtherBatch?.(0)).toBe(true);
    expect(apart?.wantsOtherBatch?.(1)).toBe(false);
    expect(same?.wantsOtherBatch?.(0)).toBe(false);
    const losses = [apart, same].map(
      (method) => scope(() => method?.afterStep?.(input, context(0)))?.metaLoss,
    );
    expect(losses[0]).not.toBe(losses[1]);
    expect(apart?.optimizers?.matching?.learningRate).toBe(0.02);
  });

  it('keeps the first matching weights without meta steps', () => {
    const method = cohort(['resnet8', 'resnet8'], { meta: null });
    expect(method.optimizers).toEqual({});
    expect(method.afterStep?.(input, context(0))).toBeUndefined();
  });

  it('tells a hypergradient that is not finite and changes nothing by it', () => {
    const method = cohort(['resnet8', 'resnet8'], { meta });
    const before = method.modules.matching?.stateDict().get('layers.0.weight')?.toNumbers();
    const broken = { images: ops.full([6, 1, 16, 16], NaN), labels, epoch: 0 };
    expect(scope(() => method.afterStep?.(broken, context(0)))?.hypergradientNorm).toBeNaN();
    expect(method.modules.matching?.stateDict().get('layers.0.weight')?.toNumbers()).toEqual(before);
  });

  it('records the matching weight of every pair of stages over an epoch', () => {
    const method = cohort(['resnet8', 'resnet8'], { meta });
    termsAt(method);
    const metrics = method.epochMetrics?.() ?? {};
    expect(Object.keys(metrics)).toHaveLength(2 * 9);
    const means = Object.entries(metrics).filter(([name]) => name.endsWith('/mean'));
    const overall = matchWeightOf(method);
    expect(means.reduce((sum, [, value]) => sum + value, 0) / means.length).toBeCloseTo(overall, 5);
  });
});

describe('the contrast space of l-mcl', () => {
  it('is that of the last stages, L2-normalised and of one width for networks of other widths', () => {
    const method = cohort(['resnet8', 'resnet110']);
    const projected = method.contrastSpace?.project([ops.ones([2, 64]), ops.ones([2, 256])]) ?? [];
    expect(projected.map(({ shape }) => shape)).toEqual([
      [2, 128],
      [2, 128],
    ]);
    expect(projected[1]?.norm().item()).toBeCloseTo(Math.SQRT2, 5);
  });
});

describe('branches under l-mcl', () => {
  it('share a trunk, refine it apart, and take a meta step that puts the trunk back', () => {
    const networks = [0, 1].map((seed) =>
      createNetwork('resnet8', { classes, channels: 1, generator: new Generator(seed) }),
    );
    const settings = lmcl.settings.parse({ name: 'l-mcl' });
    const method = createMethod(settings, {
      networks,
      topology: new Branches(networks, 1),
      classes,
      generator: new Generator(9),
    });
    const trunk = (): (number[] | undefined)[] =>
      networks.map((network) => network.stateDict().get('conv1.weight')?.toNumbers());
    const before = trunk();
    expect(termsAt(method).vcl?.value).toBeGreaterThan(0);
    const context = { step: 0, learningRate: 0.1, otherBatch: () => ({ images, labels }) };
    scope(() => method.afterStep?.({ images, labels, epoch: 0 }, context));
    expect(trunk()).toEqual(before);
    expect(before[1]).toEqual(before[0]);
  });
});

describe('the precision of a meta step', () => {
  /** The matching network's gradient, as the optimizer of the meta step gets it. */
  function hypergradientIn(precision: 'float32' | 'bfloat16', setting: 'training' | 'float32'): number[] {
    const meta = {
      ...lmcl.settings.parse({ name: 'l-mcl' }).meta,
      precision: setting,
    } as LmclSettings['meta'];
    const method = cohort(['resnet8', 'resnet8'], { meta });
    const { matching } = method.optimizers ?? {};
    const seen: number[] = [];
    if (matching === undefined) throw new Error('no optimizer of the matching network');
    matching.step = () => {
      seen.push(...matching.parameters.flatMap(({ grad }) => grad?.toNumbers() ?? []));
    };
    const otherBatch = (): never => {
      throw new Error('not asked for');
    };
    const context = { step: 0, learningRate: 0.01, precision, otherBatch };
    scope(() => method.afterStep?.({ images, labels, epoch: 0 }, context));
    return seen;
  }
  const product = (left: readonly number[], right: readonly number[]): number =>
    left.reduce((sum, value, index) => sum + value * (right[index] ?? NaN), 0);

  it("follows the training's, or stays float32 where the settings say so", () => {
    const full = hypergradientIn('float32', 'training');
    const narrow = hypergradientIn('bfloat16', 'training');
    expect(hypergradientIn('bfloat16', 'float32')).toEqual(full);
    expect(narrow).not.toEqual(full);
    const cosine = product(full, narrow) / Math.sqrt(product(full, full) * product(narrow, narrow));
    expect(cosine).toBeGreaterThan(0.9);
  });
});
