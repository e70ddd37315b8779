import { Generator, optim, Tensor, type nn } from '@cohort/torch';
import { describe, expect, it } from 'vitest';
import { LayerwiseMutualContrastiveLearning } from '../methods/lmcl.ts';
import { lmclSettings } from '../methods/settings.ts';
import { createNetwork } from '../models/index.ts';
import { fillModule, fillTensors, goldenImages, readJson } from '../testing/golden.ts';
import { trainStep } from './step.ts';

interface Trajectory {
  batch: number;
  classes: number;
  lr: number;
  momentum: number;
  nesterov: boolean;
  weight_decay: number;
  feature_dim: number;
  tau: number;
  kd_temperature: number;
  alpha: number;
  beta: number;
  gamma: number;
  lam: number;
  fill_seed_network: number;
  fill_seed_heads: number;
  fill_seed_matching: number;
  fill_seed_aggregator: number;
  input_seed_first_step: number;
  losses: Record<
    'classification' | 'logit' | 'vcl' | 'soft_vcl' | 'icl' | 'soft_icl' | 'total' | 'mean_match_weight',
    number
  >[];
}

const golden = readJson('trajectory-lmcl-resnet32x2.json') as Trajectory;
const goldenNames = {
  classification: 'classification',
  logit: 'logit',
  vcl: 'vcl',
  icl: 'icl',
  softVcl: 'soft_vcl',
  softIcl: 'soft_icl',
  matchWeight: 'mean_match_weight',
  total: 'total',
} as const;

describe('golden trajectory of two ResNet-32 under layer-wise MCL', () => {
  const { batch, classes } = golden;
  const networks = [0, 1].map((seed) =>
    createNetwork('resnet32', { classes, channels: 3, generator: new Generator(seed) }),
  );
  const method = new LayerwiseMutualContrastiveLearning(
    { networks, classes, generator: new Generator(0) },
    lmclSettings.parse({
      name: 'l-mcl',
      weights: { vcl: golden.alpha, icl: golden.beta, softVcl: golden.gamma, softIcl: golden.lam },
      temperature: golden.tau,
      distillationTemperature: golden.kd_temperature,
      embeddingSize: golden.feature_dim,
    }),
  );
  const { heads, matching, aggregators } = method.modules;
  // The golden state is a network, its branches' stages and then their classifiers, one network after the other.
  const state = networks.flatMap((network, index) => {
    const branches = method.modules.branches.networks[index]?.branches ?? [];
    return [
      ...network.namedTensors(),
      ...branches.flatMap(({ stages }) => [...stages.namedTensors()]),
      ...branches.flatMap(({ classifier }) => [...classifier.namedTensors()]),
    ];
  });
  fillTensors(state, golden.fill_seed_network);
  fillModule(heads, golden.fill_seed_heads);
  fillModule(matching, golden.fill_seed_matching);
  fillModule(aggregators, golden.fill_seed_aggregator);
  const modules: nn.AnyModule[] = [...networks, ...Object.values(method.modules)];
  const optimizer = new optim.SGD(
    modules.flatMap((module) => module.parameters()),
    {
      learningRate: golden.lr,
      momentum: golden.momentum,
      nesterov: golden.nesterov,
      weightDecay: golden.weight_decay,
    },
  );
  const before = matching.parameters().map((parameter) => parameter.toNumbers());
  // The file trains the matching network too, from step 0 on: two steps are as far as the rest goes without that.
  const steps = [0, 1].map((step) => {
    const images = goldenImages(golden.input_seed_first_step + step, [batch, 3, 32, 32]);
    const labels = Tensor.fromTypedArray(
      BigInt64Array.from({ length: batch }, (_, index) => BigInt((index + step) % classes)),
    );
    return trainStep(
      { method, optimizer, precision: 'float32' },
      { images, labels, epoch: 0 },
      `in step ${step}`,
    );
  });

  it('first steps agree in every term', () => {
    for (const [step, terms] of steps.entries()) {
      // The first step pins down the forward pass, the second every gradient and the optimizer.
      const tolerance = step === 0 ? 1e-5 : 1e-3;
      for (const [name, goldenName] of Object.entries(goldenNames)) {
        const expected = golden.losses[step]?.[goldenName] ?? NaN;
        const error = Math.abs((terms[name] ?? NaN) / expected - 1);
        expect(error, `${name} in step ${step}`).toBeLessThanOrEqual(tolerance);
      }
    }
  });

  it('leaves the matching network alone, which the loss terms do not train', () => {
    expect(matching.parameters().map((parameter) => parameter.toNumbers())).toEqual(before);
  });
});
