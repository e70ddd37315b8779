import { Generator, nn, ops, scope, type Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { MatchingNetwork } from './matching.ts';
import { MetaOptimisation, metaSettings, type MetaStepValues } from './metaStep.ts';

/** Two meta steps with so much memory: what they measured, the matching network after them, and how often a loss was computed. */
function twoMetaSteps(freeBytes: number): {
  values: MetaStepValues[];
  weights: number[][];
  innerCalls: number[];
} {
  const generator = new Generator(3);
  const convolution = new nn.Conv2d(3, 16, 3, generator, { padding: 1, bias: false });
  const norm = new nn.BatchNorm2d(16);
  const heads = [new nn.Linear(16, 8, generator), new nn.Linear(16, 8, generator)];
  const classifier = new nn.Linear(16, 4, generator);
  const matching = new MatchingNetwork([8, 8], generator);
  const images = ops.randn([6, 3, 8, 8], { generator }).contiguous({ memoryFormat: 'channelsLast' });
  const labels = ops.randint(4, [6], { generator, dtype: 'int64' });
  const modules = [convolution, norm, ...heads, classifier];
  let calls = 0;
  const embedding = (): Tensor => norm.forwardRelu(convolution.call(images)).mean([2, 3]);
  const meta = new MetaOptimisation(matching, metaSettings.parse({ learningRate: 0.1 }), () => freeBytes);
  const innerCalls: number[] = [];
  const values = [0, 1].map(() => {
    calls = 0;
    const measured = meta.step(
      {
        parameters: modules.flatMap((module) => module.parameters()),
        buffers: [norm.runningMean, norm.runningVar, norm.numBatchesTracked],
        inner: () => {
          calls += 1;
          const shared = embedding();
          const features = heads.map((head) => head.call(shared));
          const [first = shared, second = shared] = features;
          const weights = matching.call(features).select(1, 0).select(1, 1); // [B]
          return first.sub(second).square().sum([1]).mul(weights).mean();
        },
        outer: () => ops.crossEntropyLoss(classifier.call(embedding()), labels),
      },
      0.1,
    );
    innerCalls.push(calls);
    return measured;
  });
  return { values, weights: matching.parameters().map((parameter) => parameter.toNumbers()), innerCalls };
}

describe('MetaOptimisation', () => {
  it('computes no look-ahead step twice where memory allows, with the same result', () => {
    const [little, much] = scope(() => [twoMetaSteps(0), twoMetaSteps(2 ** 40)] as const);
    // The first meta step shows how large a graph is.
    expect(little.innerCalls).toEqual([4, 4]);
    expect(much.innerCalls).toEqual([4, 2]);
    expect(much.values).toEqual(little.values);
    expect(much.weights).toEqual(little.weights);
    expect(much.values[0]?.hypergradientNorm).toBeGreaterThan(0);
  });
});
