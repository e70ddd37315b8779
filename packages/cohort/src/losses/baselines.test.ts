/** The losses of the methods that MCL is compared with: golden values and gradients of three networks, and small cases by hand. */
import { backward, grad, ops, scope, tensor, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { expectClose, Golden } from '../test/golden.ts';
import {
  attendedDistillation,
  classification,
  crossStageDistillation,
  discrimination,
  distillationGap,
  ensembleWeights,
  errorProducts,
  fooling,
  gatedEnsemble,
  linearTarget,
  LossError,
  meansOfDivergences,
  meansOfOthers,
  minLogitTarget,
  mutualDistillation,
  naiveTarget,
  pairedDistillation,
  peerAttention,
  targetDistillation,
  weightedTarget,
} from './index.ts';

const golden = new Golden('baselines-3-networks.safetensors');
const labels = golden.tensor('labels');
const temperature = golden.setting('kd_temperature');

/** The golden logits as leaves of a graph of their own. */
function leaves(): Tensor[] {
  return [0, 1, 2].map((index) => {
    const leaf = golden.tensor(`logits.${index}`).clone();
    leaf.requiresGrad = true;
    return leaf;
  });
}

function toOne(logits: readonly Tensor[], target: Tensor): Tensor {
  return pairedDistillation(
    logits,
    logits.map(() => target),
    temperature,
  );
}

const losses: Record<string, (logits: readonly Tensor[]) => Tensor> = {
  dml: (logits) => classification(logits, labels).add(mutualDistillation(logits, temperature)),
  cl_ilr: (logits) =>
    classification(logits, labels)
      .add(pairedDistillation(logits, meansOfOthers(logits), temperature))
      .mul(0.5),
  kdcl_naive: (logits) => classification(logits, labels).add(toOne(logits, naiveTarget(logits, labels))),
  kdcl_minlogit: (logits) =>
    classification(logits, labels).add(toOne(logits, minLogitTarget(logits, labels))),
  okddip: (logits) => {
    const peers = logits.slice(0, -1);
    const attention = peerAttention(golden.tensor('okddip.query'), golden.tensor('okddip.key'));
    return classification(logits, labels)
      .add(attendedDistillation(peers, attention, temperature, true))
      .add(pairedDistillation(logits.slice(-1), [ops.stack(peers, 0).mean([0])], temperature));
  },
};

describe('golden losses of three networks', () => {
  it.each(Object.entries(losses))('%s', (name, loss) => {
    const logits = leaves();
    const value = scope(() => loss(logits));
    expectClose(value, golden.tensor(`${name}.loss`));
    backward(value);
    for (const [index, leaf] of logits.entries()) {
      expectClose(leaf.grad ?? value, golden.tensor(`${name}.grad.logits.${index}`));
    }
  });

  it('one, gate included', () => {
    const logits = leaves();
    const gate = golden.tensor('one.gate_logits').clone();
    gate.requiresGrad = true;
    const value = scope(() => {
      const teacher = gatedEnsemble(logits, gate);
      return classification([...logits, teacher], labels).add(toOne(logits, teacher));
    });
    expectClose(value, golden.tensor('one.loss'));
    backward(value);
    expectClose(gate.grad ?? value, golden.tensor('one.grad.gate_logits'));
    for (const [index, leaf] of logits.entries()) {
      expectClose(leaf.grad ?? value, golden.tensor(`one.grad.logits.${index}`));
    }
  });

  it('the attention of okddip', () => {
    const attention = peerAttention(golden.tensor('okddip.query'), golden.tensor('okddip.key'));
    expectClose(attention, golden.tensor('okddip.attention'));
  });
});

describe('attendedDistillation', () => {
  it('has the same value with targets that take gradients, which reach queries and keys', () => {
    const peers = leaves().slice(0, 2);
    const [query, key] = ['okddip.query', 'okddip.key'].map((name) => {
      const leaf = golden.tensor(name).clone();
      leaf.requiresGrad = true;
      return leaf;
    }) as [Tensor, Tensor];
    const loss = (isConstant: boolean): Tensor =>
      attendedDistillation(peers, peerAttention(query, key), temperature, isConstant);
    const full = loss(false);
    expect(full.item()).toBeCloseTo(loss(true).item(), 5);
    const [toQuery, toKey] = grad(full, [query, key]);
    expect(toQuery?.abs().sum().item()).toBeGreaterThan(0.01);
    expect(toKey?.abs().sum().item()).toBeGreaterThan(0.01);
    expect(grad(loss(true), [query], { allowUnused: true })[0]).toBeNull();
  });

  it('has the gradient that finite differences give', () => {
    const peers = leaves()
      .slice(0, 2)
      .map((each) => each.detach().to('float64'));
    const attention = golden.tensor('okddip.attention').to('float64');
    const [first, second] = peers as [Tensor, Tensor];
    first.requiresGrad = true;
    const loss = (logits: Tensor): Tensor =>
      attendedDistillation([logits, second], attention, temperature, false);
    const [analytic] = grad(loss(first), [first]);
    const nudge = ops.zerosLike(first.detach());
    nudge.view([-1]).slice(0, 7, 8).fill_(1e-5);
    const numeric = (loss(first.detach().add(nudge)).item() - loss(first.detach().sub(nudge)).item()) / 2e-5;
    expect(analytic?.toNumbers()[7]).toBeCloseTo(numeric, 6);
  });
});

describe('targets that networks make together', () => {
  const logits = [tensor([[3, 0, 0]]), tensor([[0, 2, 0]]), tensor([[1, 1, 1]])];

  it('naive: the network that is best for the image', () => {
    expect(naiveTarget(logits, tensor([1], 'int64')).toNumbers()).toEqual([0, 2, 0]);
    expect(naiveTarget(logits, tensor([2], 'int64')).toNumbers()).toEqual([1, 1, 1]);
  });

  it('min-logit: the smallest margins, 0 for the label', () => {
    expect(minLogitTarget(logits, tensor([0], 'int64')).toNumbers()).toEqual([0, -3, -3]);
  });

  it('linear: no worse than any network, and the best mixture that a search finds', () => {
    const all = leaves();
    const meanSurprise = (scores: Tensor): number => classification([scores], labels).item();
    const best = meanSurprise(linearTarget(all, labels));
    expect(best).toBeLessThan(meanSurprise(naiveTarget(all, labels)) + 1e-6);
    // The weights of three networks on a grid, for each image by itself.
    const grid = Array.from({ length: 21 }, (_, i) =>
      Array.from({ length: 21 - i }, (__, j) => [i / 20, j / 20, (20 - i - j) / 20]),
    ).flat();
    const perImage = grid.map((shares) => {
      const mixture = all.reduce(
        (sum, each, index) => sum.add(each.mul(shares[index] ?? 0)),
        all[0]?.mul(0) ?? labels,
      );
      return mixture.logSoftmax(1).gather(1, labels.unsqueeze(1)).neg().toNumbers();
    });
    const searched = perImage[0]?.map((_, image) =>
      Math.min(...perImage.map((row) => row[image] ?? Infinity)),
    );
    const mean = (searched ?? []).reduce((sum, value) => sum + value, 0) / (searched?.length ?? 0);
    expect(best).toBeLessThanOrEqual(mean + 1e-5);
    expect(best).toBeGreaterThan(mean - 0.01);
  });

  it('general: mixed by its weights, which favour networks that err less and otherwise', () => {
    expect(weightedTarget(logits, tensor([0.5, 0.25, 0.25])).toNumbers()).toEqual([1.75, 0.75, 0.25]);
    expect(ensembleWeights([[1, 0], [0, 3]])[0]).toBeCloseTo(0.75, 3); // prettier-ignore
    expect(ensembleWeights([[2, 0, 0], [0, 2, 0], [0, 0, 2]])).toEqual([1 / 3, 1 / 3, 1 / 3]); // prettier-ignore
    // The second errs as the first does and more: without bounds its weight would be negative.
    const [first, second] = ensembleWeights([[1, 1.5], [1.5, 4]]); // prettier-ignore
    expect([first, second]).toEqual([1, 0]);
    expect(ensembleWeights([[0, 0], [0, 0]])).toEqual([0.5, 0.5]); // prettier-ignore
    expect(ensembleWeights([[1, 1], [1, 1]]).map((weight) => Math.round(weight * 1e6))).toEqual([5e5, 5e5]); // prettier-ignore
  });

  it('general: error products of probabilities', () => {
    const [sure, unsure] = [tensor([[50, 0]]), tensor([[0, 0]])];
    const products = errorProducts([sure, unsure], tensor([1], 'int64')).toNumbers();
    expect(products.map((value) => Math.round(value * 1e4) / 1e4)).toEqual([2, 1, 1, 0.5]);
  });
});

describe('networks as targets', () => {
  it('leave out the target in a network’s own place', () => {
    const [a, b, c] = leaves() as [Tensor, Tensor, Tensor];
    const [x, y, z] = [a.neg(), b.mul(2), c.add(1).square()];
    const pair = (logits: Tensor, target: Tensor): number =>
      targetDistillation([logits], [target], temperature).item();
    const expected = (pair(a, y) + pair(a, z) + pair(b, x) + pair(b, z) + pair(c, x) + pair(c, y)) / 2;
    expect(meansOfDivergences([a, b, c], [x, y, z], temperature).item()).toBeCloseTo(expected, 3);
  });

  it('refuse a network alone, and targets that are too few', () => {
    const [one, two] = leaves() as [Tensor, Tensor];
    expect(() => mutualDistillation([one], 1)).toThrow(LossError);
    expect(() => meansOfOthers([one])).toThrow('meansOfOthers: expected two or more networks, got 1.');
    expect(() => pairedDistillation([one, two], [one], 1)).toThrow(/a target for each of 2 networks, got 1/);
  });
});

describe('crossStageDistillation', () => {
  it('sums every pair of stages of different networks, the same stages apart', () => {
    const [a, b, c] = leaves() as [Tensor, Tensor, Tensor];
    const [x, y] = [a.neg(), b.mul(2)];
    const pair = (logits: Tensor, target: Tensor): number =>
      targetDistillation([logits], [target], temperature).item();
    // Two stages against one: the last ones are the same stage.
    const { sameStage, crossStage } = crossStageDistillation([[a, b], [x]], temperature);
    expect(sameStage.item()).toBeCloseTo(pair(b, x) + pair(x, b), 3);
    expect(crossStage.item()).toBeCloseTo(pair(a, x) + pair(x, a), 3);
    const three = crossStageDistillation([[a], [b], [c]], temperature);
    expect(three.sameStage.item()).toBeCloseTo(mutualDistillation([a, b, c], temperature).item(), 3);
    expect(three.crossStage.item()).toBeCloseTo(0, 4);
    expect(() => crossStageDistillation([[a, y]], 1)).toThrow(LossError);
  });
});

describe('adversarial losses', () => {
  it('are the squared distances from 1 and 0', () => {
    const [real, fake] = [tensor([[0.5], [1]]), tensor([[0.2], [-0.4]])];
    expect(discrimination(real, fake).item()).toBeCloseTo(0.25 / 2 + (0.04 + 0.16) / 2, 6);
    expect(fooling(fake).item()).toBeCloseTo((0.64 + 1.96) / 2, 6);
  });
});

describe('distillationGap', () => {
  it('is the L1 distance of the networks, against the threshold of the paper', () => {
    const logarithms = (row: number[]): Tensor => tensor([row.map(Math.log)]);
    const [student, teacher] = [logarithms([0.5, 0.25, 0.25]), logarithms([0.8, 0.1, 0.1])];
    const { gap, threshold } = distillationGap(student, teacher, tensor([[1, 0, 0]]), 1);
    const [s, t] = [1, 0.4];
    expect(gap).toBeCloseTo(0.6, 5);
    expect(threshold).toBeCloseTo(s - Math.exp(-t / (s + t)) * t, 5);
  });
});
