import { optim, tensor } from '@cohort/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classification } from '../losses/index.ts';
import type { LossTerm, Method, StepContext, StepInput } from '../methods/index.ts';
import type { Network } from '../models/index.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../testing/tinyRecipe.ts';
import { Peers } from '../models/index.ts';
import { createNetworks } from './cohort.ts';
import { createEvaluationLoader, createTrainingLoader, loadRecipeData } from './data.ts';
import { trainCohort, type LoopOutcome } from './loop.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

/** A method that writes down when it is called, and whose loss breaks in a step that the test names. */
class Probe implements Method {
  readonly modules = {};
  readonly calls: string[] = [];
  weightsAtBreak: number[] = [];

  constructor(
    readonly network: Network,
    readonly breaksAtCall = Infinity,
    readonly ruinsAfterEpoch = Infinity,
    readonly breaksSteps = Infinity,
  ) {}

  beforeEpoch(epoch: number): void {
    this.calls.push(`beforeEpoch ${epoch}`);
  }

  terms({ images, labels, epoch }: StepInput): Record<string, LossTerm> {
    this.calls.push(`terms ${epoch}`);
    const value = classification([this.network.call(images).logits], labels);
    const call = this.calls.filter((each) => each.startsWith('terms')).length;
    if (call < this.breaksAtCall || call >= this.breaksAtCall + this.breaksSteps) {
      return { classification: { value, weight: 1 }, unused: { value: value.mul(2), weight: 0 } };
    }
    this.weightsAtBreak = this.network.classifier.weight.toNumbers();
    return { classification: { value, weight: 1 }, broken: { value: tensor(0).log(), weight: 1 } };
  }

  afterStep({ epoch }: StepInput, { step, learningRate, otherBatch }: StepContext): Record<string, number> {
    this.calls.push(`afterStep ${epoch}`);
    if (epoch === this.ruinsAfterEpoch) this.network.classifier.weight.detach().fill_(NaN);
    return { probed: step * learningRate, otherLabels: otherBatch().labels.numel };
  }

  diagnose(): string {
    return 'as the method says';
  }
}

async function run(
  breaksAtCall?: number,
  ruinsAfterEpoch?: number,
  skipped?: { readonly steps: number; readonly atMost: number },
): Promise<{
  outcome: Promise<LoopOutcome>;
  probe: Probe;
  checkpoints: number[];
  rates: number[];
  reporter: RememberingReporter;
}> {
  const guards = skipped && { notFinite: 'skip' as const, maximumSkips: skipped.atMost };
  const recipe = world.recipe({
    networks: [{ model: 'resnet8' }],
    method: { name: 'independent' },
    train: { epochs: 2, batchSize: 32, checkpointEveryEpochs: 1, evaluateEveryEpochs: 2, guards },
  });
  const data = await loadRecipeData(recipe);
  const [network] = createNetworks(recipe, { classes: 10, channels: 1 });
  if (network === undefined) throw new Error('no network');
  const probe = new Probe(network, breaksAtCall, ruinsAfterEpoch, skipped?.steps);
  const optimizer = new optim.SGD(network.parameters(), { learningRate: 0.1 });
  const checkpoints: number[] = [];
  const rates: number[] = [];
  const reporter = new RememberingReporter();
  const outcome = trainCohort({
    recipe,
    cohort: { networks: [network], names: ['resnet8'], method: probe, topology: new Peers([network]) },
    optimizer,
    schedule: (epoch) => {
      rates.push(epoch);
      return 0.1;
    },
    training: createTrainingLoader(recipe, data),
    validation: null,
    test: createEvaluationLoader(recipe, data, 'test'),
    reporter,
    recorder: {
      step: () => undefined,
      epoch: () => undefined,
      wantsCheckpoint: () => false,
      checkpoint: ({ epoch }) => {
        checkpoints.push(epoch);
        return Promise.resolve();
      },
    },
    signal: new AbortController().signal,
  });
  return { outcome, probe, checkpoints, rates, reporter };
}

describe('trainCohort', () => {
  it('calls the method hooks in order and knows nothing else of the method', async () => {
    const { outcome, probe, reporter } = await run();
    await expect(outcome).resolves.toMatchObject({ status: 'finished', epochs: 2, steps: 4 });
    expect(probe.calls).toEqual([
      'beforeEpoch 0',
      'terms 0',
      'afterStep 0',
      'terms 0.5',
      'afterStep 0.5',
      'beforeEpoch 1',
      'terms 1',
      'afterStep 1',
      'terms 1.5',
      'afterStep 1.5',
    ]);
    // Both epochs are diagnosed; the trouble is told when it begins.
    expect(reporter.warnings).toEqual(['as the method says']);
  });

  it('asks the schedule for every step, and evaluates as often as the recipe says', async () => {
    const { outcome, rates, reporter } = await run();
    await outcome;
    expect([...new Set(rates)]).toEqual([0, 0.5, 1, 1.5]);
    expect(reporter.epochs.map(({ accuracies }) => accuracies?.length)).toEqual([undefined, 2]);
  });

  it('shows terms of weight zero without training on them', async () => {
    const { outcome, reporter } = await run();
    await outcome;
    const { classification: value = NaN, unused = NaN, total = NaN } = reporter.steps[0]?.terms ?? {};
    expect(unused).toBeCloseTo(2 * value, 4);
    expect(total).toBeCloseTo(value, 5);
  });

  it('stops at a loss that is not finite before any weight changes, and leaves the checkpoint before as the last', async () => {
    const { outcome, probe, checkpoints } = await run(4);
    await expect(outcome).rejects.toThrow("The loss term 'broken' became -Infinity in epoch 2, step 4.");
    expect(checkpoints).toEqual([1]);
    expect(probe.network.classifier.weight.toNumbers()).toEqual(probe.weightsAtBreak);
  });

  it('leaves such a step out where the recipe says so: counted, told, and without a trace in weights and statistics', async () => {
    const { outcome, probe, reporter } = await run(2, undefined, { steps: 1, atMost: 1 });
    await expect(outcome).resolves.toMatchObject({ status: 'finished', steps: 4, skippedSteps: 1 });
    expect(reporter.warnings[0]).toMatch(
      /'broken' became -Infinity in epoch 1, step 2: the step is left out/,
    );
    expect(reporter.steps.map(({ terms }) => Object.keys(terms).length > 0)).toEqual([
      true,
      false,
      true,
      true,
    ]);
    // Three steps were taken, of which each counts in the running statistics.
    expect(probe.network.stateDict().get('bn1.num_batches_tracked')?.item()).toBe(3);
  });

  it('stops when more steps in a row are left out than the recipe allows', async () => {
    const { outcome } = await run(2, undefined, { steps: 2, atMost: 1 });
    await expect(outcome).rejects.toThrow(/step 3, after 1 steps in a row that were left out/);
  });

  it('stops when the test images show that the weights are ruined, before they become the last checkpoint', async () => {
    const { outcome, checkpoints } = await run(undefined, 1.5);
    await expect(outcome).rejects.toThrow(
      'The negative log-likelihood of resnet8 on the test images became NaN after epoch 2, step 4.',
    );
    expect(checkpoints).toEqual([1]);
  });
});
