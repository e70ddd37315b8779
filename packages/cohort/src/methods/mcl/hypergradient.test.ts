import { Generator, liveTensorCount, nn, noGrad, ops, scope, tensor, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { classification, layerwiseContrast } from '../../losses/index.ts';
import { expectClose, Golden } from '../../test/golden.ts';
import { EmbeddingHead } from '../parts/embeddingHead.ts';
import { hypergradient, type LookAhead, type LookAheadSgd } from './hypergradient.ts';
import { MatchingNetwork } from './matching.ts';

/** The small network of the golden file: two stages, a refinement branch on the first, a classifier on each. */
class Toy extends nn.Module<Tensor, { features: Tensor[]; logits: Tensor[] }> {
  readonly stage1: nn.Linear;
  readonly stage2: nn.Linear;
  readonly refine1: nn.Linear;
  readonly fc1: nn.Linear;
  readonly fc2: nn.Linear;

  constructor() {
    super();
    const generator = new Generator(0);
    this.stage1 = new nn.Linear(10, 14, generator);
    this.stage2 = new nn.Linear(14, 14, generator);
    this.refine1 = new nn.Linear(14, 14, generator);
    this.fc1 = new nn.Linear(14, 4, generator);
    this.fc2 = new nn.Linear(14, 4, generator);
  }

  override forward(input: Tensor): { features: Tensor[]; logits: Tensor[] } {
    const first = this.stage1.call(input).tanh();
    const features = [this.refine1.call(first).tanh(), this.stage2.call(first).tanh()];
    const [refined = input, last = input] = features;
    return { features, logits: [this.fc1.call(refined), this.fc2.call(last)] };
  }
}

const golden = new Golden('lmcl-meta-2-networks.safetensors');
const stages = 2;
const sgd: LookAheadSgd = {
  learningRate: golden.setting('lr'),
  momentum: golden.setting('momentum'),
  nesterov: false,
  weightDecay: golden.setting('weight_decay'),
};

/** Two networks, their heads and the matching network with the golden weights. */
function goldenCohort(
  dtype: 'float32' | 'float64',
  changes: Partial<LookAheadSgd> = {},
  softWeight = 1,
): LookAhead & { matching: MatchingNetwork } {
  const state = (prefix: string): Map<string, Tensor> =>
    new Map(
      [...golden.tensors]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), value]),
    );
  const networks = [0, 1].map((index) => {
    const network = new Toy();
    network.loadStateDict(state(`network.${index}.`));
    return network.toDType(dtype);
  });
  const heads = [0, 1].map((index) =>
    [0, 1].map((stage) => {
      const head = new EmbeddingHead(14, 16, new Generator(0));
      head.loadStateDict(state(`head.${index}.${stage}.`));
      return head.toDType(dtype);
    }),
  );
  const matching = new MatchingNetwork([14, 14, 14, 14], new Generator(0));
  matching.loadStateDict(
    new Map(
      [...state('matching.')].map(([name, value]) => {
        const [network, stage, tensorName] = name.split('.');
        return [`layers.${Number(network) * stages + Number(stage)}.${tensorName ?? ''}`, value];
      }),
    ),
  );
  matching.toDType(dtype);
  const input = golden.tensor('input').to(dtype);
  const labels = golden.tensor('labels');
  const inner = (): Tensor => {
    const features = networks.map((network) => network.call(input).features);
    const embeddings = features.map((list, network) =>
      list.map((feature, stage) => heads[network]?.[stage]?.call(feature) ?? feature),
    );
    const terms = layerwiseContrast(embeddings, labels, matching.call(features.flat()), {
      temperature: golden.setting('tau'),
      distillationTemperature: golden.setting('kd_temperature'),
    });
    return terms.vcl
      .mul(golden.setting('alpha'))
      .add(terms.softVcl.mul(softWeight * golden.setting('gamma')))
      .add(terms.icl.mul(golden.setting('beta')))
      .add(terms.softIcl.mul(softWeight * golden.setting('lam')));
  };
  const outer = (): Tensor =>
    classification(
      networks.flatMap((network) => network.call(input).logits),
      labels,
    );
  return {
    parameters: [...networks, ...heads.flat()].flatMap((module) => module.parameters()),
    buffers: [],
    metaParameters: matching.parameters(),
    steps: [inner, inner, outer],
    outer,
    sgd: { ...sgd, ...changes },
    matching,
  };
}

describe('golden lmcl-meta-2-networks', () => {
  const cohort = goldenCohort('float32');
  const before = cohort.parameters.map((parameter) => parameter.toNumbers());
  const result = hypergradient(cohort);

  it('takes the golden look-ahead steps', () => {
    // The file's third inner loss is that of MCL where the cross-entropy step starts from.
    const [inner = cohort.outer] = cohort.steps;
    const { stepLosses } = hypergradient({ ...cohort, steps: [inner, inner, inner] });
    for (const [step, value] of stepLosses.entries()) {
      expect(value / golden.tensor(`loss.inner.${step}`).item()).toBeCloseTo(1, 3);
    }
    expect(scope(() => cohort.outer().item())).toBeCloseTo(golden.tensor('loss.outer.0').item(), 4);
    expect(result.stepLosses.slice(0, 2)).toEqual(stepLosses.slice(0, 2));
    expect(result.outerLoss / golden.tensor('loss.outer.final').item()).toBeCloseTo(1, 3);
  });

  it('gives the golden hypergradient', () => {
    for (const [index, [name]] of cohort.matching.namedParameters().entries()) {
      const [, place, tensorName] = name.split('.');
      const key = `${Math.floor(Number(place) / stages)}.${Number(place) % stages}.${tensorName ?? ''}`;
      const actual = result.gradients[index] ?? tensor(0);
      const expected = golden.tensor(`hypergrad.matching.${key}`);
      // Relative to the largest entry: the small ones are differences of large ones.
      const scale = expected.abs().max().item();
      expectClose(actual, expected, 1e-5, 1e-5 * scale);
    }
  });

  it('puts every parameter back bit by bit', () => {
    expect(cohort.parameters.map((parameter) => parameter.toNumbers())).toEqual(before);
  });
});

describe.each([
  ['momentum', {}],
  ['Nesterov', { nesterov: true }],
  ['plain SGD', { momentum: 0, weightDecay: 0 }],
])('against finite differences in float64, %s', (_, changes) => {
  it('agrees in the direction of the hypergradient and in a random one', () => {
    // Without the soft terms: their targets are constants to the hypergradient, but move in finite differences.
    const cohort = goldenCohort('float64', changes, 0);
    const { gradients } = hypergradient(cohort);
    const generator = new Generator(5);
    const norm = Math.sqrt(gradients.reduce((sum, gradient) => sum + gradient.square().sum().item(), 0));
    const directions = [
      gradients.map((gradient) => gradient.div(norm)),
      gradients.map((gradient) => ops.randn(gradient.shape, { generator, dtype: 'float64' })),
    ];
    for (const direction of directions) {
      const outerAt = (distance: number): number => {
        const move = (sign: number): void => {
          noGrad(() => {
            for (const [index, parameter] of cohort.metaParameters.entries()) {
              parameter.add_(direction[index] ?? tensor(0), { alpha: sign * distance });
            }
          });
        };
        move(1);
        const { outerLoss } = hypergradient(cohort);
        move(-1);
        return outerLoss;
      };
      const step = 1e-4;
      const numeric =
        (8 * (outerAt(step) - outerAt(-step)) - (outerAt(2 * step) - outerAt(-2 * step))) / (12 * step);
      const analytic = gradients.reduce(
        (sum, gradient, index) =>
          sum +
          gradient
            .mul(direction[index] ?? tensor(0))
            .sum()
            .item(),
        0,
      );
      expect(Math.abs(numeric - analytic)).toBeLessThan(1e-4 * Math.abs(analytic) + 1e-9);
    }
  });
});

describe('hypergradient', () => {
  it.each([0, 2, 3])('gives the same bits with the graphs of %i steps kept', (graphsKept) => {
    const usual = hypergradient(goldenCohort('float32'));
    const cohort = goldenCohort('float32');
    const before = cohort.parameters.map((parameter) => parameter.toNumbers());
    const result = hypergradient({ ...cohort, graphsKept });
    expect(result.stepLosses).toEqual(usual.stepLosses);
    expect(result.outerLoss).toBe(usual.outerLoss);
    expect(result.gradients.map((gradient) => gradient.toNumbers())).toEqual(
      usual.gradients.map((gradient) => gradient.toNumbers()),
    );
    expect(cohort.parameters.map((parameter) => parameter.toNumbers())).toEqual(before);
  });

  it('puts batch-norm statistics back and leaves no tensor behind', () => {
    const norm = new nn.BatchNorm1d(3);
    const scale = new nn.Parameter(ops.ones([3]));
    const input = ops.randn([8, 3], { generator: new Generator(1) });
    const buffers = [norm.runningMean, norm.runningVar, norm.numBatchesTracked];
    const before = buffers.map((buffer) => buffer.toNumbers());
    const live = liveTensorCount();
    const loss = (): Tensor => norm.call(input).mul(scale).pow(3).sum();
    const result = hypergradient({
      parameters: norm.parameters(),
      buffers,
      metaParameters: [scale],
      steps: [loss],
      outer: loss,
      sgd,
    });
    expect(buffers.map((buffer) => buffer.toNumbers())).toEqual(before);
    expect(scope(() => result.gradients[0]?.abs().sum().item())).toBeGreaterThan(0);
    for (const gradient of result.gradients) gradient.dispose();
    expect(liveTensorCount()).toBeLessThanOrEqual(live);
  });

  it('leaves parameters that a step does not reach as they are: no decay, no momentum', () => {
    // a is moved by the first step and rests in the second; c is reached by the outer loss alone.
    const decaying: LookAheadSgd = { learningRate: 0.1, momentum: 0.5, nesterov: false, weightDecay: 0.25 };
    const [a, b, c, meta] = [1, 3, 2, 1].map((value) => new nn.Parameter(tensor([value])));
    if (a === undefined || b === undefined || c === undefined || meta === undefined) throw new Error();
    const result = hypergradient({
      parameters: [a, b, c],
      buffers: [],
      metaParameters: [meta],
      steps: [() => a.mul(meta).sum(), () => b.square().sum(), () => a.mul(0.5).sum()],
      outer: () => a.add(c.square()).sum(),
      sgd: decaying,
    });
    // a: v = 1 + 0.25, a = 0.875; rests; g = 0.5 + 0.25 * 0.875, v = 0.625 + g, a = 0.875 - 0.1 v. c stays 2.
    const last = 0.875 - 0.1 * (0.625 + 0.5 + 0.25 * 0.875);
    expect(result.outerLoss).toBeCloseTo(last + 4, 6);
    // d a / d meta = -0.1 (1 - 0.1 * 0.25) - 0.1 * 0.5
    expect(result.gradients[0]?.toNumbers()[0]).toBeCloseTo(-0.1 * (1 - 0.025) - 0.05, 6);
    expect(b.toNumbers()).toEqual([3]);
    for (const gradient of result.gradients) gradient.dispose();
  });

  it('puts everything back when a step throws', () => {
    const parameter = new nn.Parameter(tensor([1, 2]));
    let calls = 0;
    const loss = (): Tensor => {
      calls += 1;
      if (calls === 2) throw new Error('no more');
      return parameter.square().sum();
    };
    const attempt = (): unknown =>
      scope(() =>
        hypergradient({
          parameters: [parameter],
          buffers: [],
          metaParameters: [parameter],
          steps: [loss, loss],
          outer: loss,
          sgd,
        }),
      );
    expect(attempt).toThrow('no more');
    expect(parameter.toNumbers()).toEqual([1, 2]);
  });
});
