import { Generator, type nn } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { lmcl, LayerwiseMutualContrastiveLearning } from '../../methods/mcl/lmcl.ts';
import { createNetwork } from '../../models/index.ts';
import { fillModule, fillTensors, readJson } from '../../test/golden.ts';
import { expectInsideSpread, roundings, roundModule, type Rounding } from '../../test/roundings.ts';
import {
  expectStep,
  expectStepsInsideSpread,
  goldenBatch,
  goldenOptimizer,
  type TrajectorySettings,
} from '../../test/trajectory.ts';
import { trainStep } from './step.ts';

interface Trajectory extends TrajectorySettings {
  fill_seed_network: number;
  fill_seed_matching: number;
  fill_seed_aggregator: number;
  meta_every: number;
  meta_inner_steps: number;
  meta_lr: number;
  losses: Record<
    | 'classification'
    | 'logit'
    | 'vcl'
    | 'soft_vcl'
    | 'icl'
    | 'soft_icl'
    | 'total'
    | 'mean_match_weight'
    | 'outer_loss'
    | 'hypergradient_norm',
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
const metaNames = { metaLoss: 'outer_loss', hypergradientNorm: 'hypergradient_norm' } as const;

/** The four golden steps in one rounding, each followed by its meta step where one is due. */
function run(rounding: Rounding): Readonly<Record<string, number>>[] {
  const { classes } = golden;
  const networks = [0, 1].map((seed) =>
    createNetwork('resnet32', { classes, channels: 3, generator: new Generator(seed) }),
  );
  const method = new LayerwiseMutualContrastiveLearning(
    { networks, classes, generator: new Generator(0) },
    lmcl.settings.parse({
      name: 'l-mcl',
      weights: { vcl: golden.alpha, icl: golden.beta, softVcl: golden.gamma, softIcl: golden.lam },
      temperature: golden.tau,
      distillationTemperature: golden.kd_temperature,
      embeddingSize: golden.feature_dim,
      meta: {
        intervalSteps: golden.meta_every,
        innerSteps: golden.meta_inner_steps,
        learningRate: golden.meta_lr,
        momentum: golden.momentum,
        weightDecay: golden.weight_decay,
      },
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
  for (const module of modules) roundModule(module, rounding);
  const trainedByMeta = new Set(matching.parameters());
  const optimizer = goldenOptimizer(
    golden,
    modules.flatMap((module) => module.parameters()).filter((parameter) => !trainedByMeta.has(parameter)),
  );
  const otherBatch = (): never => {
    throw new Error('the golden meta steps use the batch of the training step');
  };
  return golden.losses.map((_, step) => {
    const input = { ...goldenBatch(golden, step, rounding), epoch: 0 };
    const terms = trainStep({ method, optimizer, precision: 'float32' }, input, `in step ${step}`);
    const measured = method.afterStep(input, { step, learningRate: golden.lr, otherBatch });
    return { ...terms, ...measured };
  });
}

describe('golden trajectory of two ResNet-32 under layer-wise MCL with meta steps', () => {
  // Float64 takes as long as two of the others, and float32 differs as much in itself.
  const outcomes = roundings.filter((rounding) => rounding !== 'float64').map(run);

  it('first steps agree in every term', () => {
    const steps = outcomes[0] ?? [];
    // The first step pins down the forward pass; the second every gradient, the optimizer and the rolled-back meta step.
    for (const [step, tolerance] of [1e-5, 1e-3].entries()) {
      expectStep(steps[step], golden.losses[step], goldenNames, step, tolerance);
    }
  });

  it('later steps agree to 1e-3, or as nearly as our own roundings agree with each other', () => {
    expectStepsInsideSpread(outcomes, golden.losses, goldenNames);
  });

  it('meta steps follow the first and third step, with the golden loss and hypergradient as nearly', () => {
    for (const [step, losses] of golden.losses.entries()) {
      for (const [name, goldenName] of Object.entries(metaNames)) {
        const ours = outcomes.map((steps) => steps[step]?.[name]);
        const expected = losses[goldenName];
        if (step % golden.meta_every !== 0) {
          expect(ours.every((value) => value === undefined)).toBe(true);
          continue;
        }
        expectInsideSpread(
          ours.map((value) => value ?? NaN),
          expected,
          `${name} in step ${step}`,
        );
      }
    }
  });
});
