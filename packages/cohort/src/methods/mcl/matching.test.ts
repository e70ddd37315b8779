import { backward, Generator, noGrad, ops, tensor, type nn, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { classification, layerwiseContrast, targetDistillation } from '../../losses/index.ts';
import { expectClose, Golden } from '../../test/golden.ts';
import { Aggregator } from './aggregator.ts';
import { EmbeddingHeads } from '../parts/embeddingHead.ts';
import { MatchingNetwork } from './matching.ts';

describe('golden lmcl-2-networks-3-stages', () => {
  const golden = new Golden('lmcl-2-networks-3-stages.safetensors');
  const placesOf = (network: number): string[] => [0, 1, 2].map((stage) => `${network}.${stage}`);
  const places = [...placesOf(0), ...placesOf(1)];
  const features = new Map(places.map((place) => [place, golden.tensor(`features.${place}`)]));
  const logits = new Map(places.map((place) => [place, golden.tensor(`logits.${place}`)]));
  for (const leaf of [...features.values(), ...logits.values()]) leaf.requiresGrad = true;
  const of = (tensors: Map<string, Tensor>, names: readonly string[]): Tensor[] =>
    names.map((name) => tensors.get(name) ?? tensor(0));
  const widths = of(features, places).map(({ shape }) => shape[1] ?? 0);

  /** Fills a module with the golden tensors below `prefixes`, in order. */
  function load<Kind extends nn.AnyModule>(module: Kind, prefixes: readonly string[]): Kind {
    const values = prefixes.flatMap((prefix) =>
      [...golden.tensors].filter(([name]) => name.startsWith(`${prefix}.`)).map(([, value]) => value),
    );
    const names = [...module.stateDict().keys()];
    expect(values).toHaveLength(names.length);
    module.loadStateDict(new Map(names.map((name, index) => [name, values[index] ?? tensor(0)])));
    return module;
  }

  const heads = load(
    new EmbeddingHeads(widths, 32, new Generator(0)),
    places.map((place) => `head.${place}`),
  );
  const matching = load(
    new MatchingNetwork(widths, new Generator(0)),
    places.map((place) => `matching.${place}`),
  );
  const weights = matching.call(of(features, places)).detach(); // [B, 6, 6]
  const aggregated = [0, 1].map((network) => {
    const aggregator = load(new Aggregator(widths.slice(3 * network, 3 * network + 3), new Generator(0)), [
      `aggregator.${network}`,
    ]);
    const mine = placesOf(network);
    return aggregator.call({ embeddings: of(features, mine), logits: of(logits, mine) });
  });

  it('gives the weight of every pair of stages', () => {
    for (const [a, place] of places.entries()) {
      for (const [c, other] of places.entries()) {
        const expected = golden.tensors.get(`match_weight.${place}.${other}`);
        if (expected !== undefined) expectClose(weights.select(1, a).select(1, c), expected);
      }
    }
  });

  it('gives the aggregated logits', () => {
    for (const [network, scores] of aggregated.entries()) {
      expectClose(scores, golden.tensor(`aggregated_logits.${network}`));
    }
  });

  it('gives classification, logit distillation, total and every gradient', () => {
    const labels = golden.tensor('labels');
    const embedded = heads.call(of(features, places));
    const temperature = golden.setting('kd_temperature');
    const contrast = layerwiseContrast([embedded.slice(0, 3), embedded.slice(3)], labels, weights, {
      temperature: golden.setting('tau'),
      distillationTemperature: temperature,
    });
    const classified = classification([...of(logits, places), ...aggregated], labels);
    const distilled = targetDistillation(of(logits, ['0.2', '1.2']), aggregated, temperature);
    expectClose(classified, golden.tensor('loss.classification'));
    expectClose(distilled, golden.tensor('loss.logit'));
    const total = ops
      .stack(
        [
          classified,
          distilled,
          contrast.vcl.mul(golden.setting('alpha')),
          contrast.softVcl.mul(golden.setting('gamma')),
          contrast.icl.mul(golden.setting('beta')),
          contrast.softIcl.mul(golden.setting('lam')),
        ],
        0,
      )
      .sum();
    expectClose(total, golden.tensor('loss.total'));
    backward(total);
    for (const place of places) {
      expectClose(features.get(place)?.grad ?? tensor(0), golden.tensor(`grad.features.${place}`));
      expectClose(logits.get(place)?.grad ?? tensor(0), golden.tensor(`grad.logits.${place}`));
    }
  });
});

describe('MatchingNetwork', () => {
  it('weighs every pair alike in both directions, between 0 and 1, and a stage with itself highest', () => {
    const matching = new MatchingNetwork([5, 7, 5], new Generator(1));
    const generator = new Generator(2);
    const weights = noGrad(() =>
      matching.call([5, 7, 5].map((width) => ops.randn([4, width], { generator }))),
    );
    expect(weights.shape).toEqual([4, 3, 3]);
    expectClose(weights, weights.transpose(1, 2));
    expect(weights.select(1, 0).select(1, 0).toNumbers()[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 5);
    expect(weights.min().item()).toBeGreaterThan(0);
  });

  it('refuses another number of stages than it was built for', () => {
    const matching = new MatchingNetwork([5, 7], new Generator(1));
    expect(() => matching.call([ops.zeros([2, 5])])).toThrow(/expected 2 features, got 1/);
  });
});

describe('Aggregator', () => {
  it('gives a mean of the stages: equal logits stay as they are', () => {
    const aggregator = new Aggregator([4, 6], new Generator(3));
    const logits = ops.randn([3, 5], { generator: new Generator(4) });
    const embeddings = [ops.ones([3, 4]), ops.ones([3, 6])];
    expectClose(aggregator.call({ embeddings, logits: [logits, logits] }), logits);
  });
});
