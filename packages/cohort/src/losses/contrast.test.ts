import { backward, grad, liveTensorCount, noGrad, ops, scope, tensor, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { EmbeddingHeads } from '../methods/parts/embeddingHead.ts';
import { expectClose, Golden } from '../test/golden.ts';
import { Generator } from '@cohort-ml/torch';
import { contrastiveLoss, mutualContrast, similarities } from './contrast.ts';

const options = { temperature: 0.1, distillationTemperature: 3 };

/** Unit vectors `[B, D]` from a seed. */
function embeddings(count: number, batch: number, width: number, seed = 1): Tensor[] {
  const generator = new Generator(seed);
  return Array.from({ length: count }, () => {
    const raw = ops.randn([batch, width], { generator });
    return raw.div(raw.norm(2, [1], true));
  });
}

function values(terms: Record<string, Tensor>): Record<string, number> {
  return Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, term.item()]));
}

describe.each(['mcl-2-networks', 'mcl-3-networks-mixed-widths'])('golden %s', (file) => {
  const golden = new Golden(`${file}.safetensors`);
  const count = golden.setting('networks');
  const indices = Array.from({ length: count }, (_, index) => index);
  const features = indices.map((index) => golden.tensor(`features.${index}`));
  const heads = new EmbeddingHeads(
    features.map(({ shape }) => shape[1] ?? 0),
    32,
    new Generator(0),
  );
  heads.loadStateDict(
    new Map(
      [...golden.tensors]
        .filter(([name]) => name.startsWith('head.'))
        .map(([name, value]) => [name.replace('head.', 'heads.'), value]),
    ),
  );
  for (const feature of features) feature.requiresGrad = true;
  const projected = heads.call(features);
  const terms = mutualContrast(projected, golden.tensor('labels'), {
    temperature: golden.setting('tau'),
    distillationTemperature: golden.setting('kd_temperature'),
  });
  const total = scope(() =>
    terms.vcl
      .mul(golden.setting('alpha'))
      .add(terms.softVcl.mul(golden.setting('gamma')))
      .add(terms.icl.mul(golden.setting('beta')))
      .add(terms.softIcl.mul(golden.setting('lam'))),
  );

  it('gives the embeddings of the heads', () => {
    for (const index of indices)
      expectClose(projected[index] ?? tensor(0), golden.tensor(`embedding.${index}`));
  });

  it.each([
    ['vcl', 'vcl'],
    ['icl', 'icl'],
    ['softVcl', 'soft_vcl'],
    ['softIcl', 'soft_icl'],
  ] as const)('gives the value of %s', (term, name) => {
    expectClose(terms[term], golden.tensor(`loss.${name}`));
  });

  it('gives the total and the gradients of features and heads', () => {
    expectClose(total, golden.tensor('loss.total'));
    backward(total);
    const state = heads.stateDict();
    for (const [name, expected] of golden.tensors) {
      if (!name.startsWith('grad.')) continue;
      const target = name.replace('grad.', '').replace('head.', 'heads.');
      const gradient = (golden.tensors.get(target) ?? state.get(target))?.grad;
      expectClose(gradient ?? tensor(0), expected);
    }
  });
});

describe('mutualContrast', () => {
  it('sees every network alike: permuting the cohort permutes nothing but the order of sums', () => {
    const [first, second, third] = embeddings(3, 12, 8) as [Tensor, Tensor, Tensor];
    const labels = ops.arange(12, { dtype: 'int64' }).remainder(4);
    const before = values({ ...mutualContrast([first, second, third], labels, options) });
    const after = values({ ...mutualContrast([third, first, second], labels, options) });
    for (const [name, value] of Object.entries(before)) expect(after[name]).toBeCloseTo(value, 4);
  });

  it('does not depend on the order of the batch', () => {
    const cohort = embeddings(2, 10, 8);
    const labels = ops.arange(10, { dtype: 'int64' }).remainder(3);
    const order = tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7], 'int64');
    const before = values({ ...mutualContrast(cohort, labels, options) });
    const shuffled = cohort.map((embedding) => embedding.indexSelect(0, order));
    const after = values({ ...mutualContrast(shuffled, labels.indexSelect(0, order), options) });
    for (const [name, value] of Object.entries(before)) expect(after[name]).toBeCloseTo(value, 4);
  });

  it('has nothing to distil between duplicated networks', () => {
    const [first] = embeddings(1, 8, 6) as [Tensor];
    const labels = ops.arange(8, { dtype: 'int64' }).remainder(2);
    const { softVcl, softIcl } = values({ ...mutualContrast([first, first], labels, options) });
    expect(softVcl).toBeCloseTo(0, 6);
    expect(softIcl).toBeCloseTo(0, 6);
  });

  it('gives zero contrast and finite gradients when nothing in the batch is positive', () => {
    const cohort = embeddings(2, 6, 5);
    for (const embedding of cohort) embedding.requiresGrad = true;
    const terms = mutualContrast(cohort, ops.arange(6, { dtype: 'int64' }), options);
    expect(terms.vcl.item()).toBe(0);
    expect(terms.icl.item()).toBe(0);
    const gradients = grad(terms.vcl.add(terms.icl).add(terms.softVcl), cohort);
    for (const gradient of gradients) expect(gradient.isfinite().all().item()).toBe(1);
  });

  it('leaves anchors without a positive out of the mean', () => {
    const [embedding] = embeddings(1, 3, 4) as [Tensor];
    const similarity = similarities([embedding], 0.1);
    const withLoner = contrastiveLoss(similarity, tensor([0, 0, 1], 'int64')).item();
    const [[, s01 = 0, s02 = 0] = [], [, , s12 = 0] = []] = [0, 1, 2].map((row) =>
      similarity.view([3, 3]).select(0, row).toNumbers(),
    );
    const anchor0 = Math.log(Math.exp(s01) + Math.exp(s02)) - s01;
    const anchor1 = Math.log(Math.exp(s01) + Math.exp(s12)) - s01;
    expect(withLoner).toBeCloseTo((anchor0 + anchor1) / 2, 4);
  });

  it('sits at ln(B - 1) a network when all embeddings are equal', () => {
    const same = ops.ones([9, 4]).div(2);
    const { vcl } = values({ ...mutualContrast([same, same], ops.zeros([9], { dtype: 'int64' }), options) });
    expect(vcl).toBeCloseTo(2 * Math.log(8), 4);
  });

  it('passes no gradient into the targets of the soft terms', () => {
    const [first, second] = embeddings(2, 6, 5) as [Tensor, Tensor];
    first.requiresGrad = true;
    const labels = ops.zeros([6], { dtype: 'int64' });
    // With the second network constant, the first is pulled towards it: a step downhill lowers the term.
    const before = mutualContrast([first, second], labels, options).softVcl;
    const [gradient] = grad(before, [first]) as [Tensor];
    const moved = noGrad(() => first.sub(gradient.mul(0.01)));
    expect(mutualContrast([moved, second], labels, options).softVcl.item()).toBeLessThan(before.item());
  });

  it('releases every intermediate tensor inside a scope', () => {
    const cohort = embeddings(2, 8, 4);
    const labels = ops.zeros([8], { dtype: 'int64' });
    const before = liveTensorCount();
    const terms = scope(() => mutualContrast(cohort, labels, options));
    expect(liveTensorCount()).toBe(before + 4);
    expect(Object.keys(terms)).toEqual(['vcl', 'icl', 'softVcl', 'softIcl']);
  });

  it.each([
    [
      'one network',
      () => mutualContrast(embeddings(1, 4, 3), ops.zeros([4], { dtype: 'int64' }), options),
      /two or more networks/,
    ],
    [
      'unequal widths',
      () =>
        mutualContrast(
          [...embeddings(1, 4, 3), ...embeddings(1, 4, 5)],
          ops.zeros([4], { dtype: 'int64' }),
          options,
        ),
      /one width, the first is \[4, 3\], got Tensor float32 \[4, 5\]/,
    ],
    [
      'too few labels',
      () => mutualContrast(embeddings(2, 4, 3), ops.zeros([3], { dtype: 'int64' }), options),
      /labels must be one for each/,
    ],
    [
      'a temperature of zero',
      () =>
        mutualContrast(embeddings(2, 4, 3), ops.zeros([4], { dtype: 'int64' }), {
          ...options,
          temperature: 0,
        }),
      /temperature must be a finite number above 0, got 0/,
    ],
  ])('refuses %s', (_, run, message) => {
    expect(run).toThrow(message);
  });
});
