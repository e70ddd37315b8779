/** Whole runs without labels: neighbours in the place of classifiers, resume bit for bit, use of the weights, and refusals. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placePictures } from '../../data/folder/testing.ts';
import { evaluateRun } from '../../inference/evaluateRun.ts';
import { predictImages } from '../../inference/predictImages.ts';
import type { RecipeInput } from '../../recipes/index.ts';
import { lastWeights, RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { resumeRun } from './resume.ts';
import { trainRun, type TrainResult } from './run.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

const options = () => ({
  command: 'a test',
  signal: new AbortController().signal,
  reporter: new RememberingReporter(),
});

const augmentation = { resizedCrop: { scale: [0.4, 1] as [number, number] }, colourJitter: {} };

function recipe(changes: Partial<RecipeInput> = {}) {
  const { path } = world.recipe().data;
  return world.recipe({
    data: { dataset: 'fashion-mnist', path, augmentation },
    method: { name: 'moco-mcl', queue: 32, keyMomentum: 0.9 },
    train: { epochs: 2, batchSize: 16, optimizer: { learningRate: 0.01 }, checkpointEveryEpochs: 1 },
    ...changes,
  });
}

const filesOf = (run: TrainResult): Record<string, number[]> =>
  Object.fromEntries(
    [
      'network-resnet8-1',
      'network-resnet8-2',
      'method-heads',
      'method-keys',
      'method-queues',
      'optimizer',
    ].map((name) => [name, lastWeights(run, `${name}.safetensors`)]),
  );

describe('a run of moco-mcl on images with labels', () => {
  let result: TrainResult;
  const given = options();
  beforeAll(async () => {
    result = await trainRun(recipe(), given);
  });

  it('is measured by nearest neighbours, and by what two views have in common', () => {
    const [first, last] = given.reporter.epochs;
    expect(last).toMatchObject({ scoreName: 'accuracy by neighbours' });
    expect(last?.accuracies?.map(({ name }) => name)).toEqual(['resnet8-1', 'resnet8-2', 'ensemble']);
    expect(result.networks.map(({ testAccuracy }) => testAccuracy)).toEqual(
      last?.accuracies?.slice(0, 2).map(({ accuracy }) => accuracy),
    );
    expect(last?.spread?.alignment).toBeGreaterThan(0);
    expect(last?.spread?.uniformity).toBeLessThan(0);
    expect(first?.spread).not.toEqual(last?.spread);
    expect(result.selfSupervised).toEqual({ hasNeighbours: true, spread: last?.spread });
    const summary: unknown = JSON.parse(readFileSync(join(result.runFolder, 'summary.json'), 'utf8'));
    expect(summary).toMatchObject({ selfSupervised: { hasNeighbours: true } });
  });

  it('ends the same, queues and key encoders included, when it is stopped between steps and taken up again', async () => {
    const stop = new AbortController();
    const reporter = new RememberingReporter();
    let steps = 0;
    reporter.step = () => {
      steps += 1;
      if (steps === 3) stop.abort();
    };
    const stopped = await trainRun(recipe(), { ...options(), signal: stop.signal, reporter });
    expect(stopped.status).toBe('interrupted');
    const resumed = await resumeRun(stopped.runFolder, options());
    expect(resumed.status).toBe('finished');
    expect(filesOf(resumed)).toEqual(filesOf(result));
  });

  it('has no trained classifier to evaluate or predict with, and says so', async () => {
    const message = /was trained without labels \(method moco-mcl\).*networks\.0\.weights=/;
    await expect(evaluateRun(result.runFolder, options())).rejects.toThrow(message);
    const predictions = predictImages(result.runFolder, ['a.png'], { ...options(), top: 1 });
    await expect(predictions[Symbol.asyncIterator]().next()).rejects.toThrow(message);
  });

  it('is what a training with labels can start from, with a new classifier', async () => {
    const weights = result.runFolder;
    const reporter = new RememberingReporter();
    const networks = [{ model: 'resnet8' as const, weights }];
    const method = { name: 'independent' as const };
    const second = recipe({ networks, method, train: { epochs: 1, batchSize: 16 } });
    const trained = await trainRun(second, { ...options(), reporter });
    expect(trained.status).toBe('finished');
    expect(reporter.messages.join('\n')).toMatch(
      /resnet8: starts from resnet8-1 of .* with a new classifier, since the file's was never trained/,
    );
  });
});

describe('a run on pictures without labels', () => {
  const pictures = (): string => join(world.path, 'pictures');
  const data = () => ({
    dataset: 'unlabelled' as const,
    path: pictures(),
    cache: 'memory' as const,
    augmentation,
  });
  beforeAll(async () => {
    const named = Array.from({ length: 40 }, (_, seed) => [
      `${seed % 3 === 0 ? 'x/y/' : ''}${seed}.png`,
      seed,
    ]);
    await placePictures(pictures(), Object.fromEntries(named) as Record<string, number>);
  });

  it.each(['moco', 'moco-mcl', 'simclr', 'simclr-mcl'] as const)(
    'of %s has no accuracy, and says how features spread',
    async (name) => {
      const given = options();
      const train = { epochs: 1, batchSize: 8, optimizer: { learningRate: 0.01 } };
      const result = await trainRun(recipe({ data: data(), method: { name }, train }), given);
      expect(result.networks.map(({ testAccuracy }) => testAccuracy)).toEqual([null, null]);
      expect(result.selfSupervised?.hasNeighbours).toBe(false);
      expect(result.selfSupervised?.spread?.effectiveRank).toBeGreaterThanOrEqual(1);
      expect(given.reporter.epochs[0]?.accuracies).toBeUndefined();
      expect(openRun(result.runFolder).info.status).toBe('finished');
    },
  );

  it('is refused for a method that learns from labels, and for a probe that needs them', async () => {
    const { train } = recipe();
    await expect(trainRun(recipe({ data: data(), method: { name: 'mcl' } }), options())).rejects.toThrow(
      /method mcl: expected images with labels to learn from, got \d+ of \d+ training images without one.*moco-mcl/,
    );
    await expect(
      trainRun(recipe({ data: data(), train: { ...train, probe: {} } }), options()),
    ).rejects.toThrow(/online probe: expected .*two or more classes, got images without labels/);
  });

  it('is refused where the queue is larger than the data', async () => {
    const method = { name: 'moco', queue: 512 } as const;
    await expect(trainRun(recipe({ data: data(), method }), options())).rejects.toThrow(
      /queue of 512 keys is larger than the data, 38 training images/,
    );
  });
});
