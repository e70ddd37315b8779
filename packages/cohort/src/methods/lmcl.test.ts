import { autocast, backward, Generator, noGrad, ops, tensor } from '@cohort/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork } from '../models/index.ts';
import { goldenImages } from '../testing/golden.ts';
import { createMethod, type Method } from './index.ts';
import type { Network } from '../models/network.ts';
import { lmclSettings, type LmclSettings } from './settings.ts';

const classes = 4;

function cohort(
  models: readonly string[],
  settings: Partial<LmclSettings> = {},
): Method & { networks: Network[] } {
  const networks = models.map((model, index) =>
    createNetwork(model, { classes, channels: 1, generator: new Generator(index) }),
  );
  const complete = { ...lmclSettings.parse({ name: 'l-mcl' }), ...settings };
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
      Object.entries(method.terms({ images, labels: given, epoch })).map(([name, { value, weight }]) => [
        name,
        { value: value.item(), weight },
      ]),
    ),
  );
}

describe('l-mcl', () => {
  it('has the published weights by default, and shows the matching weight without training on it', () => {
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
      ['matchWeight', 0],
    ]);
  });

  it.each([
    ['different architectures', ['resnet8', 'resnet14']],
    ['bottlenecks beside basic blocks', ['resnet8', 'resnet110']],
    ['three networks', ['resnet8', 'resnet8', 'resnet14']],
    ['four networks', ['resnet8', 'resnet8', 'resnet8', 'resnet8']],
  ])('works for %s', (_, models) => {
    const { vcl, softIcl, matchWeight } = termsAt(cohort(models));
    expect(vcl?.value).toBeGreaterThan(0);
    expect(softIcl?.value).toBeGreaterThan(0);
    expect(matchWeight?.value).toBeGreaterThan(0.25);
    expect(matchWeight?.value).toBeLessThan(0.75);
  });

  it('gives zero contrast, not NaN, when nothing in the batch is positive', () => {
    const two = cohort(['resnet8', 'resnet8']);
    const terms = noGrad(() =>
      two.terms({ images: images.narrow(0, 0, 3), labels: tensor([0, 1, 2], 'int64'), epoch: 0 }),
    );
    expect(terms.vcl?.value.item()).toBe(0);
    expect(terms.icl?.value.item()).toBe(0);
    expect(terms.softIcl?.value.isfinite().item()).toBe(1);
  });

  it('passes a gradient to every weight but those of the matching network', () => {
    const method = cohort(['resnet8', 'resnet14']);
    const terms = Object.values(method.terms({ images, labels, epoch: 0 }));
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
      Object.values(cohort(['resnet8', 'resnet8']).terms({ images, labels, epoch: 0 })),
    );
    expect(new Set(terms.map(({ value }) => value.dtype))).toEqual(new Set(['float32']));
  });

  it('says in words when embeddings have collapsed, whatever the matching weights, and is silent otherwise', () => {
    const method = cohort(['resnet8', 'resnet8']);
    // 2 x 18 ordered pairs of stages, each weighted by 0.5.
    const uninformed = 36 * 0.5 * Math.log(15);
    expect(method.diagnose?.({ vcl: uninformed, matchWeight: 0.5 }, 16)).toMatch(
      /say nothing yet: VCL is 2\.708 a network/,
    );
    expect(method.diagnose?.({ vcl: uninformed - 9, matchWeight: 0.5 }, 16)).toBeUndefined();
  });
});
