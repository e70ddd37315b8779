/** What a run records of single images agrees with its scores, names the files, and survives being taken up again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { embeddingSteps, readEmbeddings, readPredictions, readTrainedImages } from '@cohort-ml/runs';
import { scope, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageDigests } from '../../evaluate/imageDigests.ts';
import { SilentReporter } from '../../progress/reporter.ts';
import { tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { copyEmbeddings, leavesEmbeddings } from './heldOutRecords.ts';
import { loadRecipeData } from '../../cohort/images.ts';
import { resumeRun } from '../run/resume.ts';
import { trainRun, type TrainResult } from '../run/run.ts';

let world: TinyWorld;
let run: TrainResult;
const call = () => ({
  command: 'test',
  signal: new AbortController().signal,
  reporter: new SilentReporter(),
});
beforeAll(async () => {
  world = tinyWorld();
  run = await trainRun(world.recipe({ train: { epochs: 3, batchSize: 16 } }), call());
});
afterAll(() => {
  world.remove();
});

describe('predictions of a run', () => {
  it('give the accuracies that its summary has, for every network and the ensemble', () => {
    const found = readPredictions(run.runFolder);
    expect(found?.networks).toEqual(['resnet8-1', 'resnet8-2', 'ensemble']);
    expect(found?.classes).toHaveLength(10);
    expect(found).toMatchObject({ epoch: 3, step: 12, names: null });
    const summary = JSON.parse(readFileSync(join(run.runFolder, 'summary.json'), 'utf8')) as {
      networks: { test: { accuracy: number } }[];
      ensemble: { test: { accuracy: number } };
    };
    const accuracies = found?.predicted.map(
      (chosen) => chosen.filter((label, image) => label === found.labels[image]).length / chosen.length,
    );
    expect(accuracies).toEqual([...summary.networks, summary.ensemble].map(({ test }) => test.accuracy));
  });

  it('are the likeliest class of the probabilities, which sum to one', () => {
    const found = readPredictions(run.runFolder);
    expect([...(found?.rows ?? [])]).toEqual(Array.from({ length: 40 }, (_, row) => row));
    for (const [network, values] of (found?.probabilities ?? []).entries()) {
      for (let image = 0; image < 40; image += 1) {
        const each = values.subarray(10 * image, 10 * (image + 1));
        const chosen = found?.predicted[network]?.[image] ?? -1;
        expect(each[chosen]).toBe(Math.max(...each));
        expect(each[chosen]).toBe(found?.confidence[network]?.[image]);
        // Ten roundings of at most half a 255th.
        expect(Math.abs(each.reduce((sum, value) => sum + value, 0) - 255)).toBeLessThanOrEqual(5);
      }
    }
  });
});

describe('embeddings of a run', () => {
  it('are of the same images after each evaluation, and change', () => {
    expect(embeddingSteps(run.runFolder)).toEqual([4, 8, 12]);
    const [first, , last] = embeddingSteps(run.runFolder).map((step) => readEmbeddings(run.runFolder, step));
    expect(last).toMatchObject({ split: 'test', epoch: 3, networks: ['resnet8-1', 'resnet8-2'] });
    expect(last?.rows).toEqual(first?.rows);
    expect(last?.labels).toEqual(readPredictions(run.runFolder)?.labels);
    expect(last?.embeddings.map(({ width, values }) => [width, values.length])).toEqual([
      [64, 40 * 64],
      [64, 40 * 64],
    ]);
    expect(last?.embeddings[0]?.values).not.toEqual(first?.embeddings[0]?.values);
  });

  it('are left eight times however long the training is, and at its end', () => {
    const epochsOf = (epochs: number, every: number): number[] =>
      Array.from({ length: epochs }, (_, index) => index + 1).filter(
        (epoch) => (epoch % every === 0 || epoch === epochs) && leavesEmbeddings(epoch, epochs, every),
      );
    expect(epochsOf(200, 1)).toEqual([25, 50, 75, 100, 125, 150, 175, 200]);
    expect(epochsOf(10, 3)).toEqual([3, 6, 9, 10]);
    expect(epochsOf(1, 1)).toEqual([1]);
  });

  it('are of fewer images where networks are wide', () => {
    scope(() => {
      const width = 100_000;
      const values = Float32Array.from({ length: 60 }, (_, row) => row);
      const embedding = Tensor.fromTypedArray(values, [60, 1]).expand([60, width]);
      const labels = Tensor.fromTypedArray(Int32Array.from(values)).to('int64');
      const { rows, embeddings, labels: kept } = copyEmbeddings({ embeddings: [embedding], labels }, 60);
      // 8 MiB hold 41 rows of 100,000 half-precision numbers.
      expect(rows).toHaveLength(41);
      expect([...kept]).toEqual([...rows]);
      expect(embeddings[0]?.values[40 * width]).toBe(rows[40]);
    });
  });
});

describe('a run that is taken up again', () => {
  it('records the same, and drops what came after its checkpoint', async () => {
    const recipe = world.recipe({ train: { epochs: 3, batchSize: 16, checkpointEveryEpochs: 1 } });
    const stop = new AbortController();
    const reporter = new SilentReporter();
    reporter.epochEnd = () => {
      stop.abort();
    };
    const stopped = await trainRun(recipe, { ...call(), signal: stop.signal, reporter });
    expect(stopped.status).toBe('interrupted');
    expect(readPredictions(stopped.runFolder)).toBeNull();
    expect(embeddingSteps(stopped.runFolder)).toEqual([4]);
    await resumeRun(stopped.runFolder, call());
    expect(readPredictions(stopped.runFolder)).toEqual(readPredictions(run.runFolder));
    expect(embeddingSteps(stopped.runFolder)).toEqual([4, 8, 12]);
  });
});

describe('digests of the trained images', () => {
  it('know every training image, and none that differs by a bit', async () => {
    const { dataset } = await loadRecipeData(world.recipe());
    const known = readTrainedImages(run.runFolder);
    const count = (split: typeof dataset.train): number =>
      (imageDigests(split, dataset) ?? []).filter(({ pixels }) => known?.has(pixels)).length;
    expect(count(dataset.train)).toBe(64);
    const { images } = dataset.train;
    if (!(images instanceof Uint8Array)) throw new Error('expected pixels in memory');
    expect(count({ ...dataset.train, images: images.map((value) => value ^ 1) })).toBe(0);
  });
});
