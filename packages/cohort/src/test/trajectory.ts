/** What golden trajectories of training have in common: their settings, batches and optimizer, and how steps are compared. */
import { optim, Tensor, type nn } from '@cohort-ml/torch';
import { expect } from 'vitest';
import { expectInsideSpread, roundedImages, type Rounding } from './roundings.ts';

/** Settings that every golden trajectory records. */
export interface TrajectorySettings {
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
  fill_seed_heads: number;
  input_seed_first_step: number;
}

/** Values of a step by the names of our terms. */
export type StepValues = Readonly<Record<string, number>>;

/** The images `[batch, 3, 32, 32]` and labels `[batch]` of a step. */
export function goldenBatch(
  { batch, classes, input_seed_first_step }: TrajectorySettings,
  step: number,
  rounding: Rounding,
): { images: Tensor; labels: Tensor } {
  const images = roundedImages(input_seed_first_step + step, [batch, 3, 32, 32], rounding);
  const labels = Tensor.fromTypedArray(
    BigInt64Array.from({ length: batch }, (_, index) => BigInt((index + step) % classes)),
  );
  return { images, labels };
}

/** SGD with the trajectory's settings. */
export function goldenOptimizer(golden: TrajectorySettings, parameters: readonly nn.Parameter[]): optim.SGD {
  return new optim.SGD(parameters, {
    learningRate: golden.lr,
    momentum: golden.momentum,
    nesterov: golden.nesterov,
    weightDecay: golden.weight_decay,
  });
}

/**
 * That a step agrees with the golden one in every term.
 *
 * @param names golden names by ours
 * @param relative tolerance as a share of the golden value; 1e-5 is added, since a soft term is a difference of nearly equal
 *   numbers, whose golden value has a float32 rounding of 2e-6 of its own
 */
export function expectStep(
  ours: StepValues | undefined,
  golden: StepValues | undefined,
  names: Readonly<Record<string, string>>,
  step: number,
  relative: number,
): void {
  for (const [name, goldenName] of Object.entries(names)) {
    const expected = golden?.[goldenName] ?? NaN;
    const error = Math.abs((ours?.[name] ?? NaN) - expected);
    expect(error, `${name} in step ${step}`).toBeLessThanOrEqual(1e-5 + relative * Math.abs(expected));
  }
}

/** That all steps agree with the golden ones to 1e-3, or as nearly as our own roundings agree with each other. */
export function expectStepsInsideSpread(
  outcomes: readonly (readonly StepValues[])[],
  golden: readonly StepValues[],
  names: Readonly<Record<string, string>>,
): void {
  for (const [step, losses] of golden.entries()) {
    for (const [name, goldenName] of Object.entries(names)) {
      const ours = outcomes.map((steps) => steps[step]?.[name] ?? NaN);
      expectInsideSpread(ours, losses[goldenName] ?? NaN, `${name} in step ${step}`);
    }
  }
}
