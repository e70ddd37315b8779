/** Trains networks on from their weights on other images, with the learning rate chosen on validation images. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readCorrectness } from '../../evaluate/correctnessFile.ts';
import { meanOf } from '../../evaluate/statistics.ts';
import { resolveRecipe } from '../../recipes/index.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { trainRun, type TrainResult } from '../../train/run/run.ts';
import { unpackRight } from '../../evaluate/correctness.ts';
import { ProbeError } from '../errors.ts';
import { isImageFolder, type ProbeData, type ProbeImages } from './images.ts';
import { ENSEMBLE, type Measurement, type Sweep } from './measurement.ts';
import type { Subject } from './subjects.ts';

/** Settings of fine-tuning. */
export interface FineTuneSettings {
  readonly epochs: number;
  readonly learningRates: readonly number[];
  /** Seeds of order, augmentation and the new classifier, 1 to this. */
  readonly seeds: number;
  readonly batchSize: number;
}

/** What it is done with. */
export interface FineTuneOptions {
  readonly data: ProbeData;
  readonly images: ProbeImages;
  readonly command: string;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** Between the draws of one seed's random weights: other seeds of the same comparison are not met. */
const SEEDS_APART = 1_000_003;

interface Tuned {
  readonly result: TrainResult;
  readonly measurements: readonly Omit<Measurement, 'sweep'>[];
  /** Mean of the networks on validation images. */
  readonly validationAccuracy: number;
}

/**
 * All networks of a subject are trained side by side, each for itself: SGD with momentum and a cosine schedule, with the
 * augmentation of the run. Every learning rate is tried with the first seed.
 *
 * @throws {ProbeError} for images of other channels than the networks take, and the errors of a training
 */
export async function fineTune(
  subject: Subject,
  settings: FineTuneSettings,
  options: FineTuneOptions,
): Promise<Measurement[]> {
  assertChannels(subject, options.images);
  const tried = new Map<number, Tuned>();
  for (const learningRate of settings.learningRates) {
    tried.set(learningRate, await train(subject, { ...settings, learningRate, draw: 1 }, options));
  }
  const trials = [...tried].map(([value, { validationAccuracy }]) => ({
    value,
    accuracy: validationAccuracy,
  }));
  const best = trials.reduce((chosen, trial) => (trial.accuracy > chosen.accuracy ? trial : chosen));
  const sweep: Sweep = { setting: 'learning rate', chosen: best.value, trials };
  const measurements = [...(tried.get(best.value)?.measurements ?? [])];
  for (let draw = 2; draw <= settings.seeds; draw += 1) {
    const tuned = await train(subject, { ...settings, learningRate: best.value, draw }, options);
    measurements.push(...tuned.measurements);
  }
  return measurements.map((each) => ({ ...each, sweep }));
}

function assertChannels({ shape, label }: Subject, { ownChannels, name }: ProbeImages): void {
  if (shape.channels === ownChannels) return;
  throw new ProbeError(
    `The networks of ${label} take images of ${shape.channels} channels, and those of ${name} have ${ownChannels}.`,
    'Leave fine-tune out of --by; the other probes convert the images.',
  );
}

async function train(
  subject: Subject,
  { epochs, batchSize, learningRate, draw }: FineTuneSettings & { learningRate: number; draw: number },
  { data, images, command, reporter, signal }: FineTuneOptions,
): Promise<Tuned> {
  const { label, seed, recipe: source, runPath, names } = subject;
  const folder = mkdtempSync(join(tmpdir(), 'cohort-fine-tune-'));
  const what = `fine-tuning ${label}, seed ${seed}: learning rate ${learningRate}, seed ${draw}`;
  try {
    const isFolder = isImageFolder(data.source);
    const recipe = resolveRecipe(
      {
        name: 'fine-tune',
        // Random weights are those of the seed; what was trained differs already.
        seed: runPath === null ? seed + (draw - 1) * SEEDS_APART : draw,
        data: {
          dataset: isFolder ? 'folder' : data.source,
          path: isFolder ? resolve(data.source) : (data.path ?? null),
          ...(isFolder ? { imageSize: subject.shape.height } : {}),
          validationImages: images.hasOwnValidation ? null : images.validation.count,
          ...(data.trainImages === undefined ? {} : { trainImages: images.train.count }),
          testImages: data.testImages ?? null,
          augmentation: source.data.augmentation,
        },
        networks: source.networks.map(({ model }) => ({ model, weights: runPath })),
        method: { name: 'independent' },
        train: {
          epochs,
          batchSize: Math.max(2, Math.min(batchSize, images.train.count)),
          optimizer: { learningRate },
          channelsLast: source.train.channelsLast,
          precision: source.train.precision,
          evaluateEveryEpochs: epochs,
          checkpointEveryEpochs: epochs,
          checkpointEverySeconds: null,
          keepBestCheckpoints: 0,
        },
        engine: source.engine,
        runs: folder,
      },
      { source: what },
    );
    const result = await trainRun(recipe, { command, signal, reporter: quiet(reporter, what) });
    signal.throwIfAborted();
    const correctness = readCorrectness(result.runFolder);
    if (correctness === null) {
      throw new ProbeError(`There is no record of what ${what} came to.`, 'Check that the disk is not full.');
    }
    const { images: count, labelsSha256 } = correctness;
    const measurements = [...names, ENSEMBLE].map((name): Omit<Measurement, 'sweep'> => {
      const right = correctness.right[name] ?? correctness.right.ensemble ?? '';
      return {
        ...{
          label,
          seed,
          draw,
          probe: 'fine-tune',
          rule: null,
          shots: null,
          features: name,
          right,
          labelsSha256,
        },
        ...{ accuracy: meanOf(Float64Array.from(unpackRight(right, count))), images: count },
      };
    });
    const accuracies = result.networks.map(({ validationAccuracy }) => validationAccuracy ?? NaN);
    return { result, measurements, validationAccuracy: meanOf(accuracies) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Shows where a training is and passes warnings on: its messages would bury the others. */
function quiet(reporter: Reporter, what: string): Reporter {
  return {
    message: () => undefined,
    warning: (text) => {
      reporter.warning(`${what}: ${text}`);
    },
    epochStart: () => undefined,
    step: ({ epoch, epochs, step, stepsPerEpoch }) => {
      reporter.progress?.(`${what}, epoch ${epoch} of ${epochs}, step ${step} of ${stepsPerEpoch}`);
    },
    epochEnd: () => undefined,
  };
}
