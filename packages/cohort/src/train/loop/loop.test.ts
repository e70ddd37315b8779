import { optim, tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classification } from '../../losses/index.ts';
import type { StepTerms, Method, StepContext, StepInput } from '../../methods/index.ts';
import type { Network } from '../../models/index.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { Peers } from '../../topology/index.ts';
import { createNetworks } from '../../cohort/cohort.ts';
import { createEvaluationLoader, createTrainingLoader, loadRecipeData } from '../../cohort/images.ts';
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
  /** What a step leaves behind in the method, as sums of an epoch are. */
  termsCalled = 0;

  constructor(
    readonly network: Network,
    readonly breaksAtCall = Infinity,
    readonly ruinsAfterEpoch = Infinity,
    readonly breaksSteps = Infinity,
    readonly measureBreaksAt: readonly number[] = [],
  ) {}

  readonly state = {
    save: (): number => this.termsCalled,
    restore: (saved: unknown): void => {
      this.termsCalled = Number(saved);
    },
  };

  beforeEpoch(epoch: number): void {
    this.calls.push(`beforeEpoch ${epoch}`);
  }

  terms({ images, labels, epoch }: StepInput): StepTerms {
    this.calls.push(`terms ${epoch}`);
    this.termsCalled += 1;
    const value = classification([this.network.call(images).logits], labels);
    const call = this.calls.filter((each) => each.startsWith('terms')).length;
    if (call < this.breaksAtCall || call >= this.breaksAtCall + this.breaksSteps) {
      return {
        losses: { classification: { value, weight: 1 }, unused: { value: value.mul(2), weight: 0 } },
        measured: { looked: value.mul(3) },
      };
    }
    this.weightsAtBreak = this.network.classifier.weight.toNumbers();
    return {
      losses: { classification: { value, weight: 1 }, broken: { value: tensor(0).log(), weight: 1 } },
    };
  }

  afterStep({ epoch }: StepInput, { step, learningRate, otherBatch }: StepContext): Record<string, number> {
    this.calls.push(`afterStep ${epoch}`);
    if (epoch === this.ruinsAfterEpoch) this.network.classifier.weight.detach().fill_(NaN);
    if (this.measureBreaksAt.includes(step)) return { probed: NaN };
    return { probed: step * learningRate, otherLabels: otherBatch().labels.numel };
  }

  diagnose(): string {
    return 'as the method says';
  }
}

async function run(
  breaksAtCall?: number,
  ruinsAfterEpoch?: number,
  skipped?: { readonly steps?: number; readonly atMost: number },
  measureBreaksAt: readonly number[] = [],
): Promise<{
  outcome: Promise<LoopOutcome>;
  probe: Probe;
  checkpoints: number[];
  rates: number[];
  recorded: Record<string, number>[];
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
  const probe = new Probe(network, breaksAtCall, ruinsAfterEpoch, skipped?.steps, measureBreaksAt);
  const optimizer = new optim.SGD(network.parameters(), { learningRate: 0.1 });
  const checkpoints: number[] = [];
  const rates: number[] = [];
  const recorded: Record<string, number>[] = [];
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
      step: ({ values }) => {
        recorded.push(values);
      },
      epoch: () => undefined,
      wantsCheckpoint: () => false,
      checkpoint: ({ epoch }) => {
        checkpoints.push(epoch);
        return Promise.resolve();
      },
      restore: () => Promise.resolve(null),
    },
    signal: new AbortController().signal,
  });
  return { outcome, probe, checkpoints, rates, recorded, reporter };
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

  it('shows terms of weight zero and what was only measured without training on them', async () => {
    const { outcome, reporter } = await run();
    await outcome;
    const {
      classification: value = NaN,
      unused = NaN,
      looked = NaN,
      total = NaN,
    } = reporter.steps[0]?.terms ?? {};
    expect(unused).toBeCloseTo(2 * value, 4);
    expect(looked).toBeCloseTo(3 * value, 4);
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
    // Three steps were taken, of which each counts in the running statistics, and in what the method gathers.
    expect(probe.network.stateDict().get('bn1.num_batches_tracked')?.item()).toBe(3);
    expect(probe.termsCalled).toBe(3);
  });

  it("stops where the method's own step is not finite, or leaves that alone out and counts it", async () => {
    const stopped = await run(undefined, undefined, undefined, [1]);
    await expect(stopped.outcome).rejects.toThrow("The measure 'probed' became NaN in epoch 1, step 2.");
    const { outcome, recorded, reporter } = await run(undefined, undefined, { atMost: 1 }, [1, 3]);
    const skips = { skippedSteps: 0, skippedMethodSteps: 2 };
    await expect(outcome).resolves.toMatchObject({ status: 'finished', steps: 4, ...skips });
    expect(recorded.map(({ skippedMethodStep, probed }) => [skippedMethodStep, probed])).toEqual([
      [undefined, 0],
      [1, undefined],
      [undefined, expect.closeTo(0.2)],
      [1, undefined],
    ]);
    expect(reporter.epochs.map(({ terms }) => terms.probed)).toEqual([0, expect.closeTo(0.2)]);
    expect(reporter.warnings[0]).toMatch(/epoch 1, step 2: the method's own step is left out \(1 so far/);
  });

  it("stops when too many of the method's own steps in a row are left out", async () => {
    const { outcome } = await run(undefined, undefined, { atMost: 1 }, [1, 2]);
    await expect(outcome).rejects.toThrow(
      /step 3, after 1 steps of the method's own in a row that were left/,
    );
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
