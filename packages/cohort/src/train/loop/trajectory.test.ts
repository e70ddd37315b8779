import { Generator, noGrad, type nn } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { MutualContrastiveLearning } from '../../methods/mcl/mcl.ts';
import { createNetwork } from '../../models/index.ts';
import { fillModule, readJson } from '../../test/golden.ts';
import { roundedImages, roundings, roundModule, type Rounding } from '../../test/roundings.ts';
import {
  expectStep,
  expectStepsInsideSpread,
  goldenBatch,
  goldenOptimizer,
  type TrajectorySettings,
} from '../../test/trajectory.ts';
import { trainStep, type TermValues } from './step.ts';

interface Trajectory extends TrajectorySettings {
  fill_seed_network: number[];
  input_seed_final: number;
  losses: Record<'classification' | 'vcl' | 'soft_vcl' | 'icl' | 'soft_icl' | 'total', number>[];
  final_eval_logits_first8: number[][];
}

const golden = readJson('trajectory-mcl-resnet32x2.json') as Trajectory;
const goldenNames = {
  classification: 'classification',
  vcl: 'vcl',
  icl: 'icl',
  softVcl: 'soft_vcl',
  softIcl: 'soft_icl',
  total: 'total',
} as const;

interface Outcome {
  readonly steps: readonly TermValues[];
  readonly logits: readonly number[][];
}

function run(rounding: Rounding): Outcome {
  const { batch, classes } = golden;
  const networks = golden.fill_seed_network.map((seed) => {
    const network = createNetwork('resnet32', { classes, channels: 3, generator: new Generator(0) });
    fillModule(network, seed);
    return roundModule(network, rounding);
  });
  const method = new MutualContrastiveLearning(
    { networks, classes, generator: new Generator(0) },
    {
      name: 'mcl',
      weights: { vcl: golden.alpha, icl: golden.beta, softVcl: golden.gamma, softIcl: golden.lam, logit: 0 },
      temperature: golden.tau,
      distillationTemperature: golden.kd_temperature,
      embeddingSize: golden.feature_dim,
      rampUpEpochs: 0,
      logitStudents: 'all',
      memory: null,
    },
  );
  fillModule(method.modules.heads, golden.fill_seed_heads);
  roundModule(method.modules.heads, rounding);
  const modules: nn.AnyModule[] = [...networks, method.modules.heads];
  const optimizer = goldenOptimizer(
    golden,
    modules.flatMap((module) => module.parameters()),
  );
  const steps = golden.losses.map((_, step) => {
    return trainStep(
      { method, optimizer, precision: 'float32' },
      { ...goldenBatch(golden, step, rounding), epoch: 0 },
      `in step ${step}`,
    );
  });
  const images = roundedImages(golden.input_seed_final, [batch, 3, 32, 32], rounding);
  const logits = networks.map((network) =>
    noGrad(() => network.eval().call(images).logits.select(0, 0).narrow(0, 0, 8).toNumbers()),
  );
  return { steps, logits };
}

describe('golden trajectory of two ResNet-32 under MCL', () => {
  const outcomes = roundings.map((rounding) => ({ rounding, ...run(rounding) }));

  it.each(outcomes)('first steps agree in every term to 1e-3 ($rounding)', ({ steps }) => {
    // Two steps pin down forward, every gradient, and the optimizer's first update.
    for (const step of [0, 1]) expectStep(steps[step], golden.losses[step], goldenNames, step, 1e-3);
  });

  it('later steps agree to 1e-3, or as nearly as our own roundings agree with each other', () => {
    expectStepsInsideSpread(
      outcomes.map(({ steps }) => steps),
      golden.losses,
      goldenNames,
    );
  });

  it('ends as near to the golden logits as our own roundings end to each other', () => {
    for (const [network, expected] of golden.final_eval_logits_first8.entries()) {
      const ours = outcomes.map(({ logits }) => logits[network] ?? []);
      const furthest = Math.max(...ours.flatMap((left) => ours.map((right) => distance(left, right))));
      const nearest = Math.min(...ours.map((each) => distance(each, expected)));
      expect(nearest, `logits of network ${network}`).toBeLessThanOrEqual(furthest);
    }
  });
});

/** Euclidean. */
function distance(left: readonly number[], right: readonly number[]): number {
  return Math.hypot(...left.map((value, index) => value - (right[index] ?? NaN)));
}
