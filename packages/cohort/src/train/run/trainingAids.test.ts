/** Runs with averaged weights, early stopping, clipping and class weights: what is kept, and that a resumed run ends the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { setThreads } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateRun } from '../../inference/evaluateRun.ts';
import type { RecipeInput, ResolvedRecipe } from '../../recipes/index.ts';
import { seededValues } from '../../test/seededValues.ts';
import { lastWeights, RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { readCheckpointInfo } from '../../checkpoints/checkpoint.ts';
import { resumeRun } from './resume.ts';
import { trainRun, type TrainResult } from './run.ts';

let world: TinyWorld;
beforeAll(() => {
  setThreads(1);
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

function stopper(stopAt: number): { signal: AbortSignal; reporter: RememberingReporter } {
  const stop = new AbortController();
  const reporter = new RememberingReporter();
  reporter.step = (event) => {
    reporter.steps.push(event);
    if (reporter.steps.length >= stopAt) stop.abort();
  };
  return { signal: stop.signal, reporter };
}

const train = (recipe: ResolvedRecipe, stopAt = Infinity): Promise<TrainResult> =>
  trainRun(recipe, { command: 'a test', ...stopper(stopAt) });
const resume = (run: string): Promise<TrainResult> =>
  resumeRun(run, { command: 'a test', ...stopper(Infinity) });

/** Tensors and measurements, which must not depend on whether a run was stopped. */
function traceOf({ runFolder }: TrainResult): unknown {
  const run = openRun(runFolder);
  const folder = run.checkpoint('last');
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return {
    files: files.sort().map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
    metrics: Array.from(run.metrics(), ({ kind, step, values }) => ({
      kind,
      step,
      values: seededValues(values),
    })),
    networks: run.summary?.networks,
  };
}

const data = (): RecipeInput['data'] => ({
  dataset: 'fashion-mnist',
  path: world.recipe().data.path,
  validationImages: 10,
  testImages: 20,
});

describe('averaged weights', () => {
  it.each([
    ['mcl', { teacher: { weight: 0.5, rampUpEpochs: 1 } }],
    ['one', {}],
    ['ffl', {}],
  ] as const)(
    'of %s with %j are what is measured, kept, and evaluated afterwards, and a resumed run has the same',
    async (name, settings) => {
      const recipe = world.recipe({
        method: { name },
        data: data(),
        train: { epochs: 2, batchSize: 16, weightAverage: { decay: 0.6, ...settings } },
      });
      const whole = await train(recipe);
      const average = lastWeights(whole, 'network-resnet8-1.safetensors');
      const trained = lastWeights(whole, 'trained-resnet8-1.safetensors');
      expect(average).toHaveLength(trained.length);
      expect(average).not.toEqual(trained);
      const evaluation = await evaluateRun(whole.runFolder, stopper(Infinity));
      expect(evaluation.networks.map(({ accuracy }) => accuracy)).toEqual(
        whole.networks.map(({ testAccuracy }) => testAccuracy),
      );
      expect(evaluation.ensemble.accuracy).toBe(whole.ensemble.testAccuracy);
      const { runFolder, status } = await train(recipe, 2);
      expect(status).toBe('interrupted');
      expect(traceOf(await resume(runFolder))).toEqual(traceOf(whole));
    },
  );

  it('leave the training itself as it is', async () => {
    const changes = { method: { name: 'dml' as const }, data: data() };
    const plain = await train(world.recipe({ ...changes, train: { epochs: 1, batchSize: 16 } }));
    const averaged = await train(
      world.recipe({ ...changes, train: { epochs: 1, batchSize: 16, weightAverage: {} } }),
    );
    expect(lastWeights(averaged, 'trained-resnet8-2.safetensors')).toEqual(
      lastWeights(plain, 'network-resnet8-2.safetensors'),
    );
  });
});

describe('early stopping', () => {
  // Nothing improves by all of 1, so that the first epoch's score is the only one that counts.
  const recipe = (): ResolvedRecipe =>
    world.recipe({
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
      data: data(),
      train: {
        epochs: 6,
        batchSize: 16,
        checkpointEveryEpochs: 1,
        keepLastCheckpoints: 1,
        keepBestCheckpoints: 0,
        earlyStopping: { metric: 'negative-log-likelihood', patience: 2, minimumImprovement: 100 },
      },
    });

  it('ends the training, keeps the networks of the best epoch, and measures these', async () => {
    const reporter = new RememberingReporter();
    const { signal } = stopper(Infinity);
    const result = await trainRun(recipe(), { command: 'a test', signal, reporter });
    expect(result.status).toBe('finished');
    expect(reporter.epochs).toHaveLength(3);
    const likelihoods = [...openRun(result.runFolder).metrics({ kind: 'epoch' })];
    expect(likelihoods).toHaveLength(3);
    const { summary } = openRun(result.runFolder);
    const best = summary?.bestEpoch as number;
    expect(reporter.messages.join('\n')).toMatch(/training ends after epoch 3: the best epoch .* was \d/);
    const info = readCheckpointInfo(openRun(result.runFolder).checkpoint('last'));
    expect(info).toMatchObject({ epoch: best, training: { isStoppedEarly: true } });
    const evaluation = await evaluateRun(result.runFolder, stopper(Infinity));
    expect(evaluation.networks[0]?.accuracy).toBe(result.networks[0]?.testAccuracy);
    expect(summary).toMatchObject({
      epochs: 3,
      networks: [{ validation: { accuracy: result.networks[0]?.validationAccuracy } }],
    });
  });

  it('comes to the same end when it is interrupted and resumed, and is then finished', async () => {
    const whole = await train(recipe());
    const { runFolder, status } = await train(recipe(), 8);
    expect(status).toBe('interrupted');
    const ended = await resume(runFolder);
    expect(traceOf(ended)).toEqual(traceOf(whole));
    const { reporter, signal } = stopper(Infinity);
    const again = await resumeRun(runFolder, { command: 'a test', reporter, signal });
    expect(reporter.messages.join('\n')).toContain('early stopping ended it and kept the networks of epoch');
    expect(reporter.steps).toHaveLength(0);
    expect(again.networks).toEqual(ended.networks);
  });

  it('is refused without validation images', () => {
    expect(() => world.recipe({ train: { epochs: 2, batchSize: 16, earlyStopping: {} } })).toThrow(
      /train\.earlyStopping: requires validation images.*set data\.validationImages/s,
    );
  });
});

describe('the cross-entropy and the gradients of a recipe', () => {
  it('change what is learned, and are the same after a resume', async () => {
    const recipe = world.recipe({
      data: data(),
      train: {
        epochs: 2,
        batchSize: 16,
        classification: { labelSmoothing: 0.1, classWeights: { name: 'balanced' }, logitAdjustment: 0.5 },
        gradientClipping: { maximum: 0.5 },
      },
    });
    const whole = await train(recipe);
    const { runFolder } = await train(recipe, 2);
    expect(traceOf(await resume(runFolder))).toEqual(traceOf(whole));
    const [first] = [...openRun(whole.runFolder).metrics({ kind: 'step' })];
    expect(first?.values.gradientNorm).toBeGreaterThan(0.5);
  });

  it('name the class that a weight is missing for, and the one that was meant', async () => {
    const run = (weights: Record<string, number> | number[]): Promise<TrainResult> =>
      train(
        world.recipe({
          data: data(),
          train: {
            epochs: 1,
            batchSize: 16,
            classification: { classWeights: { name: 'explicit', weights } },
          },
        }),
      );
    await expect(run([1, 2])).rejects.toThrow(
      /expected a weight for each of 10 classes, .*2.*List one weight for each class in this order: T-shirt/s,
    );
    await expect(run({ Sandel: 2 })).rejects.toThrow(/unknown class Sandel.*Did you mean Sandal\?/s);
  });

  it('take a list or a rule without a section', () => {
    const weights = (classWeights: unknown): unknown =>
      world.recipe({ train: { epochs: 1, batchSize: 16, classification: { classWeights } } }).train
        .classification.classWeights;
    expect(weights('balanced')).toEqual({ name: 'balanced' });
    expect(weights([1, 2])).toEqual({ name: 'explicit', weights: [1, 2] });
    expect(() => weights('balance')).toThrow(
      /classWeights: expected one of balanced, effective-number, explicit, got "balance"/,
    );
  });

  it('refuse a teacher where the method runs shared layers apart', () => {
    expect(() =>
      world.recipe({
        method: { name: 'one' },
        train: { epochs: 1, batchSize: 16, weightAverage: { teacher: {} } },
      }),
    ).toThrow(
      /weightAverage\.teacher: expected null, since method one runs shared layers and networks separately/,
    );
  });

  it('refuse averages where the method keeps its own', () => {
    expect(() =>
      world.recipe({ method: { name: 'pcl' }, train: { epochs: 1, batchSize: 16, weightAverage: {} } }),
    ).toThrow(/method pcl keeps averages of its own \(method\.averageDecay\)/);
  });
});
