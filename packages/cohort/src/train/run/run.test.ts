import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { liveTensorCount, setThreads } from '@cohort-ml/torch';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateRun } from '../../inference/evaluateRun.ts';
import { predictRun } from '../../inference/predictRun.ts';
import { parseRecipe } from '../../recipes/index.ts';
import { lastWeights, RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { readCheckpointInfo } from '../../checkpoints/checkpoint.ts';
import { SilentReporter } from '../../progress/reporter.ts';
import { trainRun, type TrainResult } from './run.ts';

const never = new AbortController().signal;
const silent = { signal: never, reporter: new SilentReporter() };
let world: TinyWorld;

beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

describe('trainRun', () => {
  let result: TrainResult;
  const reporter = new RememberingReporter();

  beforeAll(async () => {
    result = await trainRun(world.recipe(), { command: 'cohort train tiny', signal: never, reporter });
  });

  it('reports every step with every loss term, and every epoch with the accuracy of every network', () => {
    expect(reporter.steps).toHaveLength(2 * 4);
    expect(Object.keys(reporter.steps[0]?.terms ?? {})).toEqual([
      'classification',
      'vcl',
      'icl',
      'softVcl',
      'softIcl',
      'total',
    ]);
    expect(reporter.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(reporter.epochs[1]?.accuracies?.map(({ name }) => name)).toEqual([
      'resnet8-1',
      'resnet8-2',
      'ensemble',
    ]);
  });

  it('leaves a finished run folder with recipe, environment, metrics, summary and checkpoint', () => {
    const run = openRun(result.runFolder);
    expect(run.info).toMatchObject({ status: 'finished', command: 'cohort train tiny' });
    expect(parseRecipe(run.recipe)).toEqual(world.recipe());
    expect(run.environment).toMatchObject({ node: process.version, threads: expect.any(Number) as number });
    const records = [...run.metrics()];
    expect(records.filter(({ kind }) => kind === 'step')).toHaveLength(8);
    const [first, last] = records.filter(({ kind }) => kind === 'epoch');
    expect(first?.values.total).toBeGreaterThan(0);
    expect(last?.values['accuracy/resnet8-1']).toBe(result.networks[0]?.testAccuracy);
    expect(run.summary).toMatchObject({ epochs: 2, steps: 8 });
    expect(readdirSync(run.checkpoint('last')).sort()).toEqual([
      'checkpoint.json',
      'checkpoint.json.sha256',
      'generators.safetensors',
      'method-heads.safetensors',
      'network-resnet8-1.safetensors',
      'network-resnet8-2.safetensors',
      'optimizer.safetensors',
    ]);
  });

  it('gives the same weights for the same seed, others for another', async () => {
    const train = (seed: number): Promise<TrainResult> =>
      trainRun(world.recipe({ seed }), { command: 'test', signal: never, reporter: new SilentReporter() });
    const [again, other] = [await train(1), await train(2)];
    const file = 'network-resnet8-2.safetensors';
    expect(lastWeights(again, file)).toEqual(lastWeights(result, file));
    expect(lastWeights(other, file)).not.toEqual(lastWeights(result, file));
  });

  it('starts every method from the same weights, and learns something else by it', async () => {
    const independent = await trainRun(world.recipe({ method: { name: 'independent' } }), {
      command: 'test',
      signal: never,
      reporter: new SilentReporter(),
    });
    expect(lastWeights(independent, 'network-resnet8-1.safetensors')).not.toEqual(
      lastWeights(result, 'network-resnet8-1.safetensors'),
    );
    const first = reporter.steps[0]?.terms.classification;
    const metrics = [...openRun(independent.runFolder).metrics({ kind: 'step' })];
    expect(metrics[0]?.values.classification).toBe(first);
  });

  it('releases every tensor that it made', async () => {
    const before = liveTensorCount();
    await trainRun(world.recipe(), { command: 'test', signal: never, reporter: new SilentReporter() });
    // The garbage collector may have taken tensors of the tests before.
    expect(liveTensorCount()).toBeLessThanOrEqual(before);
  });

  it('says before training how much memory banks take, and saves them', async () => {
    const told = new RememberingReporter();
    const memory = { positives: 1, negatives: 8 };
    const recipe = world.recipe({ method: { name: 'mcl', embeddingSize: 16, memory } });
    const remembered = await trainRun(recipe, { command: '', signal: never, reporter: told });
    expect(told.messages[0]).toMatch(/Memory banks: 2 networks x 64 images x 16 x 4 bytes/);
    expect(told.messages[0]).toMatch(/A step takes 2 x 160 rows from them/); // 16 x (1 + 1 + 8)
    expect(lastWeights(remembered, 'method-memory.safetensors')).toHaveLength(2 * 64 * 16);
  });

  it('refuses banks that do not fit before there is a run folder', async () => {
    const unmade = `${world.path}/unmade`;
    const memory = { negatives: 1_048_576 };
    const recipe = world.recipe({ method: { name: 'mcl', embeddingSize: 4096, memory }, runs: unmade });
    await expect(trainRun(recipe, { command: '', ...silent })).rejects.toThrow(
      /A step takes .* They do not fit: .* Lower method\.memory\.negatives/,
    );
    expect(existsSync(unmade)).toBe(false);
  });

  it('trains layer by layer, saves every part of the method and releases every tensor', async () => {
    const before = liveTensorCount();
    const layerwise = await trainRun(world.recipe({ method: { name: 'l-mcl' } }), {
      command: '',
      ...silent,
    });
    expect(liveTensorCount()).toBeLessThanOrEqual(before);
    const files = readdirSync(openRun(layerwise.runFolder).checkpoint('last'));
    expect(files.filter((file) => file.startsWith('method-'))).toEqual([
      'method-aggregators.safetensors',
      'method-branches.safetensors',
      'method-heads.safetensors',
      'method-matching.safetensors',
    ]);
  });

  it('is measured again by evaluateRun, to the same numbers', async () => {
    const measured = await evaluateRun(result.runFolder, silent);
    expect(measured.networks.map(({ accuracy }) => accuracy)).toEqual(
      result.networks.map(({ testAccuracy }) => testAccuracy),
    );
    expect(measured.ensemble).toMatchObject({ accuracy: result.ensemble.testAccuracy, images: 40 });
  });

  it('is measured from any folder, wherever its recipe took the data from', async () => {
    const { data } = world.recipe();
    const relativePath = relative(process.cwd(), data.path ?? '');
    const recipe = world.recipe({ data: { ...data, path: relativePath } });
    const { runFolder } = await trainRun(recipe, { command: '', ...silent });
    expect(parseRecipe(openRun(runFolder).recipe).data.path).toBe(data.path);
  });

  it('uses no more threads than there are cores, and says so', async () => {
    const reporter = new RememberingReporter();
    const greedy = world.recipe({ engine: { threads: 1024 }, train: { epochs: 1, batchSize: 64 } });
    const { runFolder } = await trainRun(greedy, { command: '', signal: never, reporter });
    const cores = availableParallelism();
    expect(reporter.warnings[0]).toBe(
      `engine.threads is 1024, but there are ${cores} cores here: using ${cores}.`,
    );
    expect(openRun(runFolder).environment.threads).toBe(cores);
    setThreads(1);
  });

  it('names the setting that asks for too few images', async () => {
    const { data } = world.recipe();
    const scarce = world.recipe({ data: { ...data, testImages: 3 } });
    await expect(trainRun(scarce, { command: '', ...silent })).rejects.toThrow(
      /from 10 \(one of every class\) to 40 \(all\), got 3\. Change data\.testImages; null takes all/,
    );
  });

  it('predicts classes of image files, likeliest first', async () => {
    const path = join(world.path, 'picture.png');
    await sharp({ create: { width: 50, height: 40, channels: 3, background: '#808080' } })
      .png()
      .toFile(path);
    const [prediction] = await predictRun(result.runFolder, [path], { ...silent, top: 10 });
    expect(prediction?.path).toBe(path);
    const probabilities = prediction?.top.map(({ probability }) => probability) ?? [];
    expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    expect(probabilities).toEqual([...probabilities].sort((left, right) => right - left));
    expect(prediction?.perNetwork.map(({ name }) => name)).toEqual(['resnet8-1', 'resnet8-2']);
    expect(prediction?.top.map(({ label }) => label)).toContain('Ankle boot');
  });

  it('predicts any number of images in the order that they were given', async () => {
    const picture = async (grey: number): Promise<string> => {
      const path = join(world.path, `grey-${grey}.png`);
      const background = { r: grey, g: grey, b: grey };
      await sharp({ create: { width: 28, height: 28, channels: 3, background } })
        .png()
        .toFile(path);
      return path;
    };
    const paths = await Promise.all(Array.from({ length: 20 }, (_, index) => picture(12 * index)));
    const together = await predictRun(result.runFolder, paths, { ...silent, top: 3 });
    expect(together.map(({ path }) => path)).toEqual(paths);
    const [alone] = await predictRun(result.runFolder, paths.slice(17, 18), { ...silent, top: 3 });
    expect(together[17]).toEqual(alone);
  });

  it('names the image that cannot be decoded', async () => {
    await expect(
      predictRun(result.runFolder, [join(world.path, 'none.png')], { ...silent, top: 3 }),
    ).rejects.toThrow(/none\.png/);
  });
});

describe('trainRun with trouble', () => {
  it('stops between steps when it is asked to, and says so in the run folder', async () => {
    const stop = new AbortController();
    const reporter = new RememberingReporter();
    reporter.step = (event) => {
      reporter.steps.push(event);
      if (event.epoch === 2 && event.step === 2) stop.abort();
    };
    const result = await trainRun(world.recipe(), { command: 'test', signal: stop.signal, reporter });
    expect(result.status).toBe('interrupted');
    expect(reporter.steps).toHaveLength(6);
    const run = openRun(result.runFolder);
    expect(run.info.status).toBe('interrupted');
    // What was learned after the checkpoint of epoch 1 is kept.
    expect(readCheckpointInfo(run.checkpoint('last'))).toMatchObject({ epoch: 1, step: 6 });
    await expect(evaluateRun(result.runFolder, silent)).resolves.toMatchObject({ ensemble: { images: 40 } });
  });

  it('writes no checkpoint of a training that was stopped before its first step', async () => {
    const result = await trainRun(world.recipe(), {
      command: 'test',
      signal: AbortSignal.abort(),
      reporter: new SilentReporter(),
    });
    expect(result.status).toBe('interrupted');
    await expect(evaluateRun(result.runFolder, silent)).rejects.toThrow(
      /the run was interrupted before its first one/,
    );
  });

  it('ends a run whose loss is not finite as failed, with the term and the step', async () => {
    const explosive = world.recipe({
      name: 'explosive',
      train: { epochs: 3, batchSize: 16, optimizer: { name: 'sgd', learningRate: 1e30, weightDecay: 0 } },
    });
    const message =
      /The loss term '\w+' became (NaN|-?Infinity) in epoch 1, step 2\. .* No checkpoint was written before/;
    await expect(
      trainRun(explosive, { command: 'test', signal: never, reporter: new SilentReporter() }),
    ).rejects.toThrow(message);
    const folder = readdirSync(world.runs).find((name) => name.startsWith('explosive'));
    const { info } = openRun(join(world.runs, folder ?? ''));
    expect(info.status).toBe('failed');
    expect(info.failure).toMatch(message);
  });

  it('keeps the last good checkpoint when the weights blow up, and says where it is', async () => {
    const explosive = world.recipe({
      name: 'late',
      train: {
        epochs: 8,
        batchSize: 64,
        checkpointEveryEpochs: 1,
        // Too much for the second or third step, not for the first.
        optimizer: { name: 'sgd', learningRate: 300, weightDecay: 0 },
        schedule: { name: 'constant' },
      },
    });
    const training = trainRun(explosive, { command: 'test', ...silent });
    await expect(training).rejects.toThrow(
      /The last good checkpoint is \/.*late.*\/checkpoints\/step-0+\d\.$/,
    );
    const folder = join(world.runs, readdirSync(world.runs).find((name) => name.startsWith('late')) ?? '');
    const measured = await evaluateRun(folder, silent);
    expect(measured.ensemble.negativeLogLikelihood).toBeGreaterThan(0);
  });

  it('leaves no run folder behind when the data cannot be read', async () => {
    const recipe = world.recipe({
      name: 'dataless',
      data: { dataset: 'fashion-mnist', path: join(world.path, 'no') },
    });
    await expect(
      trainRun(recipe, { command: 'test', signal: never, reporter: new SilentReporter() }),
    ).rejects.toThrow(/no/);
    expect(
      existsSync(world.runs) && readdirSync(world.runs).some((name) => name.startsWith('dataless')),
    ).toBe(false);
  });

  it('warns in words when the embeddings say nothing', async () => {
    const reporter = new RememberingReporter();
    const frozen = world.recipe({
      method: { name: 'mcl', temperature: 100 },
      train: { epochs: 1, batchSize: 16 },
    });
    await trainRun(frozen, { command: 'test', signal: never, reporter });
    expect(reporter.warnings.join()).toMatch(
      /embeddings are uninformative: VCL is 2\.7\d\d per network, and random ones give ln\(15\) = 2\.708/,
    );
  });
});
