import { Generator, liveTensorCount, ops, tensor, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { embeddingSpread, informationBounds, measureRepresentations } from './representation.ts';

function unit(rows: Tensor): Tensor {
  return rows.div(rows.norm(2, [1], true));
}

function random(count: number, width: number, seed: number): Tensor {
  return unit(ops.randn([count, width], { generator: new Generator(seed) }));
}

const alternating = (count: number, classes: number): Tensor =>
  ops.arange(count, { dtype: 'int64' }).remainder(classes);

describe('embeddingSpread', () => {
  it('agrees with the definitions, pair by pair', () => {
    const rows = [
      [1, 0],
      [0, 1],
      [-1, 0],
    ];
    const { alignment, uniformity, effectiveRank } = embeddingSpread(
      tensor(rows),
      tensor([0, 0, 1], 'int64'),
    );
    // Squared distances: 2 between neighbours, 4 between opposites; only the first two are of one class.
    expect(alignment).toBeCloseTo(2, 10);
    expect(uniformity).toBeCloseTo(Math.log((2 * Math.exp(-4) + Math.exp(-8)) / 3), 10);
    // Singular values sqrt(2) and 1.
    const shares = [Math.SQRT2, 1].map((value) => value / (1 + Math.SQRT2));
    expect(effectiveRank).toBeCloseTo(Math.exp(-shares.reduce((sum, p) => sum + p * Math.log(p), 0)), 6);
  });

  it('shows a collapse: rank 1, uniformity and alignment 0', () => {
    const collapsed = embeddingSpread(random(1, 8, 1).expand([20, 8]), alternating(20, 4));
    expect(collapsed.effectiveRank).toBeCloseTo(1, 3);
    expect(collapsed.uniformity).toBeCloseTo(0, 5);
    expect(collapsed.alignment).toBeCloseTo(0, 5);
    const spread = embeddingSpread(random(200, 8, 2), alternating(200, 4));
    expect(spread.effectiveRank).toBeGreaterThan(7.5);
    expect(spread.uniformity).toBeLessThan(-2);
  });

  it('is not a number where an embedding is not finite, or no two images are of one class', () => {
    const ruined = embeddingSpread(ops.full([3, 2], NaN), alternating(3, 2));
    expect(Object.values(ruined)).toEqual([NaN, NaN, NaN]);
    expect(embeddingSpread(random(3, 2, 1), alternating(3, 3)).alignment).toBeNaN();
  });
});

describe('embeddingSpread of little', () => {
  it('counts embeddings of nothing but zeros as collapsed', () => {
    const { alignment, uniformity, effectiveRank } = embeddingSpread(ops.zeros([6, 4]), alternating(6, 2));
    expect([alignment, uniformity, effectiveRank]).toEqual([0, 0, 1]);
  });

  it('has no pair to measure in one image', () => {
    const { alignment, uniformity, effectiveRank } = embeddingSpread(random(1, 4, 1), tensor([0], 'int64'));
    expect([alignment, uniformity]).toEqual([NaN, NaN]);
    expect(effectiveRank).toBeCloseTo(1, 6);
  });
});

describe('informationBounds', () => {
  it('is not a number for the class where no two images share one, instead of its ceiling', () => {
    const embeddings = [random(5, 8, 1), random(5, 8, 2)];
    const [bound] = informationBounds(embeddings, alternating(5, 5), 0.1);
    expect(bound?.sameClass).toBeNaN();
    expect(bound?.sameImage).toBeLessThanOrEqual(Math.log(5));
    const [alone] = informationBounds([random(1, 8, 1), random(1, 8, 2)], tensor([0], 'int64'), 0.1);
    expect(alone?.sameClass).toBeNaN();
    expect(alone?.sameImage).toBeCloseTo(0, 6);
  });

  it('comes close to its ceiling for equal, well separated embeddings, and to zero for unrelated ones', () => {
    const embeddings = random(64, 64, 3);
    const labels = alternating(64, 8);
    const [same] = informationBounds([embeddings, embeddings], labels, 0.02);
    expect(same?.networks).toEqual([0, 1]);
    expect(same?.sameImage).toBeGreaterThan(0.95 * Math.log(64));
    expect(same?.sameImage).toBeLessThanOrEqual(Math.log(64) + 1e-6);
    const [unrelated] = informationBounds([embeddings, random(64, 64, 4)], labels, 1);
    expect(Math.abs(unrelated?.sameImage ?? NaN)).toBeLessThan(0.05);
    expect(Math.abs(unrelated?.sameClass ?? NaN)).toBeLessThan(0.05);
  });

  it('bounds what the class tells by the entropy of the labels', () => {
    const classes = 8;
    const count = 160;
    const prototypes = random(classes, 32, 5);
    const labels = alternating(count, classes);
    const embeddings = prototypes.indexSelect(0, labels);
    const [bound] = informationBounds([embeddings, embeddings], labels, 0.01);
    // The image itself is left out: 19 positives among 159 candidates.
    expect(bound?.sameClass).toBeCloseTo(Math.log(159 / 19), 2);
    expect(bound?.sameClass).toBeLessThan(Math.log(classes) + 0.1);
  });

  it('permutes with the networks', () => {
    const [a, b, c] = [6, 7, 8].map((seed) => random(20, 4, seed)) as [Tensor, Tensor, Tensor];
    const labels = alternating(20, 4);
    const forwards = informationBounds([a, b, c], labels, 0.1);
    const backwards = informationBounds([c, b, a], labels, 0.1);
    expect(forwards.map(({ networks }) => networks)).toEqual([
      [0, 1],
      [0, 2],
      [1, 2],
    ]);
    expect(forwards[0]?.sameClass).toBeCloseTo(backwards[2]?.sameClass ?? NaN, 5);
    expect(forwards[1]?.sameImage).toBeCloseTo(backwards[1]?.sameImage ?? NaN, 5);
  });
});

describe('measureRepresentations', () => {
  const embeddings = [random(12, 4, 1).mul(3), random(12, 6, 2)];
  const labels = alternating(12, 3);

  it('measures pooled embeddings alone where the method does not contrast', () => {
    const { values, sharedInformation } = measureRepresentations(
      { embeddings, labels },
      ['a', 'b'],
      undefined,
    );
    expect(Object.keys(values)).toEqual([
      'embedding/a/alignment',
      'embedding/a/uniformity',
      'embedding/a/effectiveRank',
      'embedding/b/alignment',
      'embedding/b/uniformity',
      'embedding/b/effectiveRank',
    ]);
    expect(sharedInformation).toBeNull();
    // Normalised: the length of an embedding does not count.
    expect(values['embedding/a/alignment']).toBeLessThanOrEqual(4);
  });

  it('says nothing of shared information where no two images are of one class', () => {
    const given = { embeddings: [random(4, 4, 1), random(4, 4, 2)], labels: alternating(4, 4) };
    const space = { temperature: 0.1, project: (all: readonly Tensor[]) => [...all] };
    expect(measureRepresentations(given, ['a', 'b'], space).sharedInformation).toBeNull();
  });

  it('measures the space of the contrast too, and what the networks share there', () => {
    const live = liveTensorCount();
    const { values, sharedInformation } = measureRepresentations({ embeddings, labels }, ['a', 'b'], {
      temperature: 0.1,
      project: (given) => given.map((each) => unit(each.narrow(1, 0, 4))),
    });
    expect(values['contrast/b/effectiveRank']).toBeGreaterThan(1);
    expect(values['information/a/b/sameClass']).toBe(sharedInformation);
    expect(liveTensorCount()).toBe(live);
  });
});
