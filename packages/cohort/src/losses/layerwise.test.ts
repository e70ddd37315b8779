import { Generator, grad, liveTensorCount, ops, scope, tensor, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { EmbeddingHeads } from '../methods/parts/embeddingHead.ts';
import { expectClose, Golden } from '../test/golden.ts';
import { layerwiseContrast } from './layerwise.ts';

const options = { temperature: 0.1, distillationTemperature: 3 };

/** Unit vectors `[B, D]`, one a stage, for networks of these numbers of stages. */
function embeddings(stages: readonly number[], batch: number, width = 8): Tensor[][] {
  const generator = new Generator(1);
  return stages.map((count) =>
    Array.from({ length: count }, () => {
      const raw = ops.randn([batch, width], { generator });
      return raw.div(raw.norm(2, [1], true));
    }),
  );
}

/** Symmetric weights `[B, E, E]` between 0 and 1. */
function weightsFor(count: number, batch: number): Tensor {
  const raw = ops.rand([batch, count, count], { generator: new Generator(2) });
  return raw.add(raw.transpose(1, 2)).div(2);
}

function labelsFor(batch: number, classes: number): Tensor {
  return ops.arange(batch, { dtype: 'int64' }).remainder(classes);
}

function values(terms: object): Record<string, number> {
  return Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, (term as Tensor).item()]));
}

/** The published sums word for word, in plain numbers: ordered pairs of networks, each in both directions. */
function plainSums(
  cohort: readonly (readonly Tensor[])[],
  labels: Tensor,
  weights: Tensor,
): Record<string, number> {
  const { temperature, distillationTemperature: T } = options;
  const rows = cohort.flatMap((stages, network) =>
    stages.map((stage) => ({ network, vectors: rowsOf(stage) })),
  );
  const classes = labels.toNumbers();
  const [batch = 0, count = 0] = weights.shape;
  const flat = weights.toNumbers();
  const logits = (a: number, c: number, b: number): number[] =>
    (rows[c]?.vectors ?? []).map((other) => dot(rows[a]?.vectors[b] ?? [], other) / temperature);
  const contrast = (a: number, c: number, b: number): number => {
    const row = logits(a, c, b);
    const candidates = row.filter((_, k) => k !== b);
    const positives = row.filter((_, k) => k !== b && classes[k] === classes[b]);
    if (positives.length === 0) return 0;
    return logSumExp(candidates) - positives.reduce((sum, value) => sum + value, 0) / positives.length;
  };
  const divergence = (target: readonly number[], predicted: readonly number[]): number => {
    const [p, q] = [target, predicted].map((row) => {
      const soft = row.map((value) => value / T);
      const normaliser = logSumExp(soft);
      return soft.map((value) => value - normaliser);
    }) as [number[], number[]];
    return T * T * p.reduce((sum, value, k) => sum + Math.exp(value) * (value - (q[k] ?? 0)), 0);
  };
  const anchors = classes.filter((own, b) => classes.some((other, k) => k !== b && other === own)).length;
  const sums = { vcl: 0, icl: 0, softVcl: 0, softIcl: 0 };
  for (let a = 0; a < count; a += 1) {
    for (let c = 0; c < count; c += 1) {
      if (rows[a]?.network === rows[c]?.network) continue;
      for (let b = 0; b < batch; b += 1) {
        const weight = flat[(b * count + a) * count + c] ?? 0;
        for (const [x, y] of [
          [a, c],
          [c, a],
        ] as const) {
          sums.vcl += (weight * contrast(x, x, b)) / Math.max(anchors, 1);
          sums.icl += (weight * contrast(x, y, b)) / Math.max(anchors, 1);
          sums.softVcl += (weight * divergence(logits(y, y, b), logits(x, x, b))) / batch;
          sums.softIcl += (weight * divergence(logits(y, x, b), logits(x, y, b))) / batch;
        }
      }
    }
  }
  return sums;
}

function rowsOf(matrix: Tensor): number[][] {
  const [rows = 0] = matrix.shape;
  return Array.from({ length: rows }, (_, row) => matrix.select(0, row).toNumbers());
}

function dot(left: readonly number[], right: readonly number[]): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

function logSumExp(values: readonly number[]): number {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

describe('golden lmcl-2-networks-3-stages', () => {
  const golden = new Golden('lmcl-2-networks-3-stages.safetensors');
  const places = [0, 1].flatMap((network) => [0, 1, 2].map((stage) => `${network}.${stage}`));
  const features = places.map((place) => golden.tensor(`features.${place}`));
  const heads = new EmbeddingHeads(
    features.map(({ shape }) => shape[1] ?? 0),
    32,
    new Generator(0),
  );
  heads.loadStateDict(
    new Map(
      places.flatMap((place, index) =>
        ['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias'].map((name) => [
          `heads.${index}.${name}`,
          golden.tensor(`head.${place}.${name}`),
        ]),
      ),
    ),
  );
  const embedded = heads.call(features);
  const batch = golden.tensor('labels').numel;
  const weights = ops
    .stack(
      places.flatMap((a) =>
        places.map((c) => golden.tensors.get(`match_weight.${a}.${c}`) ?? ops.zeros([batch])),
      ),
      1,
    )
    .view([batch, 6, 6]);
  const terms = layerwiseContrast(
    [embedded.slice(0, 3), embedded.slice(3)],
    golden.tensor('labels'),
    weights,
    { temperature: golden.setting('tau'), distillationTemperature: golden.setting('kd_temperature') },
  );

  it.each([
    ['vcl', 'vcl'],
    ['icl', 'icl'],
    ['softVcl', 'soft_vcl'],
    ['softIcl', 'soft_icl'],
  ] as const)('gives the value of %s', (term, name) => {
    expectClose(terms[term], golden.tensor(`loss.${name}`));
  });
});

describe('layerwiseContrast', () => {
  it('is the published sum over ordered pairs, also for three networks of unequal numbers of stages', () => {
    const cohort = embeddings([1, 3, 2], 7);
    const [labels, weights] = [labelsFor(7, 4), weightsFor(6, 7)];
    const expected = plainSums(cohort, labels, weights);
    for (const [name, value] of Object.entries(values(layerwiseContrast(cohort, labels, weights, options)))) {
      expect(value / (expected[name] ?? NaN), name).toBeCloseTo(1, 4);
    }
  });

  it('sees every network alike: permuting the cohort changes nothing', () => {
    const cohort = embeddings([2, 1, 3], 10);
    const [labels, weights] = [labelsFor(10, 3), weightsFor(6, 10)];
    const before = values(layerwiseContrast(cohort, labels, weights, options));
    const order = tensor([3, 4, 5, 0, 1, 2], 'int64');
    const after = values(
      layerwiseContrast(
        [2, 0, 1].map((network) => cohort[network] ?? []),
        labels,
        weights.indexSelect(1, order).indexSelect(2, order),
        options,
      ),
    );
    for (const [name, value] of Object.entries(before)) expect(after[name], name).toBeCloseTo(value, 4);
  });

  it('does not depend on the order of the batch', () => {
    const cohort = embeddings([2, 2], 9);
    const [labels, weights] = [labelsFor(9, 4), weightsFor(4, 9)];
    const order = tensor([3, 1, 4, 0, 5, 2, 6, 8, 7], 'int64');
    const shuffle = (rows: Tensor): Tensor => rows.indexSelect(0, order);
    const before = values(layerwiseContrast(cohort, labels, weights, options));
    const shuffled = cohort.map((stages) => stages.map(shuffle));
    const after = values(layerwiseContrast(shuffled, shuffle(labels), shuffle(weights), options));
    for (const [name, value] of Object.entries(before)) expect(after[name], name).toBeCloseTo(value, 4);
  });

  it('has nothing to distil between duplicated networks of one stage', () => {
    const [[stage]] = embeddings([1], 8) as [[Tensor]];
    const { softVcl, softIcl } = values(
      layerwiseContrast([[stage], [stage], [stage]], labelsFor(8, 2), weightsFor(3, 8), options),
    );
    expect(softVcl).toBeCloseTo(0, 5);
    expect(softIcl).toBeCloseTo(0, 5);
  });

  it('gives zero contrast and finite gradients when nothing in the batch is positive', () => {
    const cohort = embeddings([2, 2], 6);
    for (const stage of cohort.flat()) stage.requiresGrad = true;
    const terms = layerwiseContrast(cohort, labelsFor(6, 6), weightsFor(4, 6), options);
    expect(terms.vcl.item()).toBe(0);
    expect(terms.icl.item()).toBe(0);
    const total = terms.vcl.add(terms.icl).add(terms.softVcl).add(terms.softIcl);
    for (const gradient of grad(total, cohort.flat())) expect(gradient.isfinite().all().item()).toBe(1);
  });

  it('grows with the weights, through which a gradient flows, and ignores those inside a network', () => {
    const cohort = embeddings([2, 2], 8);
    const labels = labelsFor(8, 2);
    const weights = ops.ones([8, 4, 4]);
    weights.requiresGrad = true;
    const { vcl, icl } = layerwiseContrast(cohort, labels, weights, options);
    const halved = layerwiseContrast(cohort, labels, weights.mul(0.5), options);
    expect(halved.vcl.item()).toBeCloseTo(vcl.item() / 2, 4);
    const [gradient] = grad(vcl.add(icl), [weights]) as [Tensor];
    expect(gradient.narrow(1, 0, 2).narrow(2, 0, 2).abs().sum().item()).toBe(0);
    expect(gradient.narrow(1, 0, 2).narrow(2, 2, 2).abs().sum().item()).toBeGreaterThan(0);
  });

  it('releases every intermediate tensor inside a scope', () => {
    const cohort = embeddings([2, 2], 8);
    const [labels, weights] = [labelsFor(8, 2), weightsFor(4, 8)];
    const before = liveTensorCount();
    scope(() => layerwiseContrast(cohort, labels, weights, options));
    expect(liveTensorCount()).toBe(before + 4);
  });

  it.each([
    ['one network', [2], 4, 2, /two or more networks are needed .* got 1/],
    ['a network without stages', [2, 0], 4, 2, /every network must have a stage, got none in network 1/],
    ['weights of another number of stages', [2, 1], 4, 2, /weights must be \[4, 3, 3\], got .* \[4, 2, 2\]/],
  ])('refuses %s', (_, stages, batch, count, message) => {
    const run = (): unknown =>
      layerwiseContrast(embeddings(stages, batch), labelsFor(batch, 2), weightsFor(count, batch), options);
    expect(run).toThrow(message);
  });

  it('refuses embeddings of unequal width, labels of another batch and a temperature of zero', () => {
    const good = embeddings([1, 1], 4);
    const [labels, weights] = [labelsFor(4, 2), weightsFor(2, 4)];
    const wide = [good[0] ?? [], embeddings([1], 4, 5).flat()];
    expect(() => layerwiseContrast(wide, labels, weights, options)).toThrow(
      /one width, the first is \[4, 8\], got Tensor float32 \[4, 5\]/,
    );
    expect(() => layerwiseContrast(good, labelsFor(5, 2), weights, options)).toThrow(/labels must be \[4\]/);
    expect(() => layerwiseContrast(good, labels, weights, { ...options, temperature: 0 })).toThrow(
      /layerwiseContrast: temperature must be a finite number above 0, got 0/,
    );
  });
});
