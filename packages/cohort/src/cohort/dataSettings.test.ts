/** Runs with a validation split, every augmentation and the samplers: what is measured when, and that all of it repeats itself. */
import { openRun } from '@cohort-ml/runs';
import { liveTensorCount } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateRun } from '../inference/evaluateRun.ts';
import { lastWeights, RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { SilentReporter } from '../progress/reporter.ts';
import { trainRun } from '../train/run/run.ts';

const never = new AbortController().signal;
const silent = { signal: never, reporter: new SilentReporter() };
let world: TinyWorld;

beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

describe('trainRun with validation images', () => {
  const withValidation = (train: object = {}): Parameters<TinyWorld['recipe']>[0] => ({
    data: { ...world.recipe().data, validationImages: 14, trainImages: 40 },
    train: { epochs: 2, batchSize: 16, checkpointEveryEpochs: 1, ...train },
  });

  it('chooses on them, and looks at the test images once at the end', async () => {
    const reporter = new RememberingReporter();
    const recipe = world.recipe(withValidation());
    const result = await trainRun(recipe, { command: 'test', signal: never, reporter });
    expect(
      reporter.epochs.map(({ areValidation, accuracies }) => [areValidation, accuracies?.length]),
    ).toEqual([
      [true, 3],
      [true, 3],
    ]);
    const run = openRun(result.runFolder);
    const [first, last] = [...run.metrics({ kind: 'epoch' })];
    expect(Object.keys(first?.values ?? {}).filter((name) => name.includes('ccuracy/'))).toEqual([
      'validationAccuracy/resnet8-1',
      'validationAccuracy/resnet8-2',
      'validationAccuracy/ensemble',
    ]);
    const [network] = result.networks;
    expect(last?.values['validationAccuracy/resnet8-1']).toBe(network?.validationAccuracy);
    expect(last?.values['accuracy/resnet8-1']).toBe(network?.testAccuracy);
    expect(run.summary).toMatchObject({
      networks: [
        { validation: { accuracy: network?.validationAccuracy }, test: { accuracy: network?.testAccuracy } },
        {},
      ],
      ensemble: { validation: { accuracy: result.ensemble.validationAccuracy } },
    });
    for (const [split, images] of [
      ['test', 40],
      ['validation', 14],
      ['train', 40],
    ] as const) {
      const measured = await evaluateRun(result.runFolder, { ...silent, split });
      expect(measured).toMatchObject({ split, ensemble: { images } });
      if (split === 'train') continue;
      expect(measured.networks[0]?.accuracy).toBe(network?.[`${split}Accuracy`]);
    }
  });

  it('leaves the test images alone when interrupted', async () => {
    const stop = new AbortController();
    const reporter = new RememberingReporter();
    reporter.epochEnd = () => {
      stop.abort();
    };
    const recipe = world.recipe(withValidation());
    const result = await trainRun(recipe, { command: 'test', signal: stop.signal, reporter });
    expect(result.status).toBe('interrupted');
    expect(result.ensemble.validationAccuracy).toEqual(expect.any(Number));
    expect(result.ensemble.testAccuracy).toBeNull();
  });

  it('says so where a run has none to be measured on', async () => {
    const recipe = world.recipe({ train: { epochs: 1, batchSize: 64 } });
    const { runFolder, networks } = await trainRun(recipe, { command: 'test', ...silent });
    expect(networks[0]).not.toHaveProperty('validationAccuracy');
    await expect(evaluateRun(runFolder, { ...silent, split: 'validation' })).rejects.toThrow(
      /expected a validation split, got a recipe without one\. Measure on test or train, or train with data\.validationImages/,
    );
  });
});

describe('trainRun with augmentation and samplers', () => {
  it.each(['mcl', 'l-mcl'] as const)(
    'trains %s on mixed, independent views and balanced batches',
    async (name) => {
      const recipe = world.recipe({
        method: { name },
        data: {
          ...world.recipe().data,
          // Two steps: what the draws of one leave behind shows in the next.
          trainImages: 32,
          testImages: 10,
          augmentation: {
            resizedCrop: {},
            horizontalFlip: true,
            randAugment: {},
            colourJitter: {},
            erasing: {},
            mixup: { probability: 0.4 },
            cutmix: { probability: 0.4 },
            views: 'independent',
          },
          sampler: { name: 'class-balanced', imagesPerClass: 4 },
        },
        train: { epochs: 1, batchSize: 16 },
      });
      const before = liveTensorCount();
      const first = await trainRun(recipe, { command: 'test', ...silent });
      expect(liveTensorCount()).toBeLessThanOrEqual(before);
      const again = await trainRun(recipe, { command: 'test', ...silent });
      const file = 'network-resnet8-2.safetensors';
      expect(lastWeights(again, file)).toEqual(lastWeights(first, file));
    },
    900_000,
  );

  it('warns of batches in which contrast finds no positives', async () => {
    const reporter = new RememberingReporter();
    const recipe = world.recipe({
      data: { ...world.recipe().data, sampler: { name: 'class-balanced', imagesPerClass: 1 } },
      train: { epochs: 1, batchSize: 64 },
    });
    await trainRun(recipe, { command: 'test', signal: never, reporter });
    expect(reporter.warnings[0]).toContain('data.sampler.imagesPerClass is 1');
  });
});
