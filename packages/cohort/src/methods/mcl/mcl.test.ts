import { autocast, Generator, noGrad, ops, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { goldenImages } from '../../test/golden.ts';
import { createMethod, type Method } from '../index.ts';
import { mcl, type MclSettings } from './mcl.ts';

const classes = 4;

function cohort(models: readonly string[], settings: Partial<MclSettings> = {}): Method {
  const networks = models.map((model, index) =>
    createNetwork(model, { classes, channels: 1, generator: new Generator(index) }),
  );
  const complete = { ...mcl.settings.parse({ name: 'mcl' }), ...settings };
  return createMethod(complete, { networks, classes, generator: new Generator(9) });
}

const images = goldenImages(4, [6, 1, 16, 16]);
const labels = tensor([0, 1, 2, 0, 1, 2], 'int64');

function termsAt(method: Method, epoch: number): Record<string, { value: number; weight: number }> {
  return noGrad(() =>
    Object.fromEntries(
      Object.entries(method.terms({ images, labels, epoch }).losses).map(([name, { value, weight }]) => [
        name,
        { value: value.item(), weight },
      ]),
    ),
  );
}

describe('mcl', () => {
  it('has the published weights by default, and no logit term', () => {
    const weights = Object.entries(termsAt(cohort(['resnet8', 'resnet8']), 0)).map(([name, { weight }]) => [
      name,
      weight,
    ]);
    expect(weights).toEqual([
      ['classification', 1],
      ['vcl', 0.1],
      ['icl', 0.1],
      ['softVcl', 1],
      ['softIcl', 1],
    ]);
  });

  it.each([
    ['different architectures', ['resnet8', 'resnet14']],
    ['three networks', ['resnet8', 'resnet8', 'resnet14']],
    ['four networks', ['resnet8', 'resnet8', 'resnet8', 'resnet8']],
  ])('works for %s', (_, models) => {
    const { vcl, softVcl } = termsAt(cohort(models), 0);
    expect(vcl?.value).toBeGreaterThan(0);
    expect(softVcl?.value).toBeGreaterThan(0);
  });

  it('lets the soft terms in over the ramp-up, and only these', () => {
    const weights = { vcl: 0.2, icl: 0.3, softVcl: 0.5, softIcl: 0.25, logit: 1 };
    const method = cohort(['resnet8', 'resnet8'], { weights, rampUpEpochs: 10 });
    const start = termsAt(method, 0);
    const end = termsAt(method, 10);
    expect(start.vcl?.weight).toBe(0.2);
    expect(start.softVcl?.weight).toBeCloseTo(0.5 * Math.exp(-5));
    expect(start.logit?.weight).toBeCloseTo(Math.exp(-5));
    expect(end.softIcl?.weight).toBe(0.25);
    expect(end.logit?.weight).toBe(1);
  });

  it('computes its terms in float32 under autocast', () => {
    const weights = { vcl: 0.1, icl: 0.1, softVcl: 1, softIcl: 1, logit: 1 };
    const method = cohort(['resnet8', 'resnet8'], { weights });
    const dtypes = autocast(() =>
      Object.values(method.terms({ images, labels, epoch: 0 }).losses).map(({ value }) => value.dtype),
    );
    expect(new Set(dtypes)).toEqual(new Set(['float32']));
  });

  it('says in words when embeddings have collapsed, and is silent otherwise', () => {
    const method = cohort(['resnet8', 'resnet8']);
    const uninformed = Math.log(15);
    expect(method.diagnose?.({ vcl: 2 * uninformed }, 16)).toMatch(
      /are uninformative: VCL is 2\.708 per network/,
    );
    expect(method.diagnose?.({ vcl: 2 * (uninformed - 0.5) }, 16)).toBeUndefined();
  });

  it('speaks of too few images where a batch leaves nothing to compare', () => {
    const text = cohort(['resnet8', 'resnet8']).diagnose?.({ vcl: 0 }, 2);
    expect(text).toContain('too few images to compare: a batch has only 2.');
    expect(text).not.toContain('ln(1)');
  });
});

describe('independent', () => {
  it('has one term: the cross-entropy of every network', () => {
    const networks = [0, 1].map((seed) =>
      createNetwork('resnet8', { classes, channels: 1, generator: new Generator(seed) }),
    );
    const method = createMethod({ name: 'independent' }, { networks, classes, generator: new Generator(0) });
    const terms = noGrad(() => method.terms({ images, labels, epoch: 0 }).losses);
    expect(Object.keys(terms)).toEqual(['classification']);
    const logits = noGrad(() => networks.map((network): Tensor => network.call(images).logits));
    const expected = logits.reduce((sum, scores) => sum + ops.crossEntropyLoss(scores, labels).item(), 0);
    expect(terms.classification?.value.item()).toBeCloseTo(expected, 4);
  });
});
