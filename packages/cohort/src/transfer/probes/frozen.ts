/** Runs the probes that leave networks as they are: linear, nearest neighbours, and a few images of each class. */
import { noGrad, ops, scope, tensor, Tensor } from '@cohort-ml/torch';
import { RANDOM_PURPOSE, shuffleInPlace } from '../../data/loading/random.ts';
import { neighbourScores } from '../../evaluate/neighbours.ts';
import { ProbeError } from '../errors.ts';
import type { FeatureTable } from './features.ts';
import { classMeanScores, leastSquaresScores, standardiser } from './fewShot.ts';
import { classify, fitLogistic, sweepPenalty, type LabelledFeatures } from './logistic.ts';
import { labelsDigest, packRight, type Measurement, type Sweep } from './measurement.ts';
import type { ProbeName } from './settings.ts';

/** Settings of these probes. */
export interface FrozenSettings {
  readonly by: readonly ProbeName[];
  /** Images of each class. */
  readonly shots: readonly number[];
  /** Draws of them, 1 to this. */
  readonly seeds: number;
  /** Penalties of the linear probe. */
  readonly penalties: readonly number[];
  /** Neighbours that vote. */
  readonly neighbours: readonly number[];
  readonly temperature: number;
}

/** Labels of the images that features are of. */
export interface ProbeLabels {
  readonly classes: readonly string[];
  readonly train: ArrayLike<number>;
  readonly validation: ArrayLike<number>;
  readonly test: ArrayLike<number>;
}

/** Features of one network, or of several side by side. */
export interface SplitFeatures {
  readonly train: FeatureTable;
  readonly validation: FeatureTable;
  readonly test: FeatureTable;
}

/** What a probe found, before it is known whose features they were. */
type Found = Omit<Measurement, 'label' | 'seed' | 'features'>;

interface Prepared {
  readonly classes: number;
  readonly train: LabelledFeatures;
  readonly validation: LabelledFeatures;
  /** Training and validation images together. */
  readonly all: LabelledFeatures;
  readonly test: LabelledFeatures;
  readonly digest: string;
}

/** Runs every probe asked for but fine-tuning. @throws {ProbeError} for too few images */
export function probeFrozen(features: SplitFeatures, labels: ProbeLabels, settings: FrozenSettings): Found[] {
  return noGrad(() =>
    scope(() => {
      const prepared = prepare(features, labels);
      return settings.by.flatMap((probe): Found[] => {
        if (probe === 'linear') return [linear(prepared, settings)];
        if (probe === 'neighbours') return [neighbours(prepared, settings)];
        return probe === 'few-shot' ? fewShot(prepared, labels, settings) : [];
      });
    }),
  );
}

function prepare(features: SplitFeatures, labels: ProbeLabels): Prepared {
  const labelled = (split: 'train' | 'validation' | 'test'): LabelledFeatures => {
    const { values, count, width } = features[split];
    return {
      features: Tensor.fromTypedArray(values, [count, width]),
      labels: tensor(Array.from(labels[split]), 'int64'),
    };
  };
  const [train, validation, test] = [labelled('train'), labelled('validation'), labelled('test')];
  const all = {
    features: ops.cat([train.features, validation.features], 0),
    labels: ops.cat([train.labels, validation.labels], 0),
  };
  const digest = labelsDigest(labels.test);
  return { classes: labels.classes.length, train, validation, all, test, digest };
}

/** The penalty is chosen on validation images; the classifier that is measured learns from these too. */
function linear(
  { classes, train, validation, all, test, digest }: Prepared,
  settings: FrozenSettings,
): Found {
  const choose = standardiser(train.features);
  const { best, trials } = sweepPenalty(
    { ...train, features: choose(train.features) },
    { ...validation, features: choose(validation.features) },
    { classes, penalties: settings.penalties },
  );
  const standardise = standardiser(all.features);
  const fit = fitLogistic(
    { ...all, features: standardise(all.features) },
    { classes, penalty: best.penalty },
  );
  const sweep: Sweep = {
    setting: 'penalty',
    chosen: best.penalty,
    trials: trials.map(({ penalty, accuracy }) => ({ value: penalty, accuracy })),
  };
  const scores = classify(fit, standardise(test.features));
  return { ...found(scores, test.labels, digest), probe: 'linear', sweep };
}

/** k is chosen on validation images, which then join the memory. */
function neighbours(
  { classes, train, validation, all, test, digest }: Prepared,
  { neighbours: counts, temperature }: FrozenSettings,
): Found {
  const trials = counts.map((k) => {
    const scores = neighbourScores(train, validation.features, { classes, k, temperature });
    return { value: k, accuracy: accuracyOf(scores, validation.labels) };
  });
  const best = trials.reduce((chosen, trial) => (trial.accuracy > chosen.accuracy ? trial : chosen));
  const scores = neighbourScores(all, test.features, { classes, k: best.value, temperature });
  const sweep: Sweep = { setting: 'k', chosen: best.value, trials };
  return { ...found(scores, test.labels, digest), probe: 'neighbours', sweep };
}

/** Nothing is chosen: there would be no validation images with so few. */
function fewShot(prepared: Prepared, labels: ProbeLabels, { shots, seeds }: FrozenSettings): Found[] {
  const { classes, all, test, digest } = prepared;
  const known = [...Array.from(labels.train), ...Array.from(labels.validation)];
  return shots.flatMap((count) =>
    Array.from({ length: seeds }, (_, index) => index + 1).flatMap((draw) =>
      scope((): Found[] => {
        const rows = tensor(drawShots(known, labels.classes, count, draw), 'int64');
        const few = {
          features: all.features.indexSelect(0, rows),
          labels: all.labels.indexSelect(0, rows),
        };
        const standardise = standardiser(few.features);
        const fit = fitLogistic(
          { ...few, features: standardise(few.features) },
          // C = 1 of scikit-learn.
          { classes, penalty: 1 / rows.numel },
        );
        const scores = [
          ['least-squares', leastSquaresScores(few, test.features, { classes })],
          ['class-means', classMeanScores(few, test.features, classes).cosine],
          ['logistic', classify(fit, standardise(test.features))],
        ] as const;
        return scores.map(([rule, each]) => ({
          ...found(each, test.labels, digest),
          ...{ probe: 'few-shot', rule, shots: count, draw },
        }));
      }),
    ),
  );
}

/**
 * Positions of `count` images of every class that occurs. With one draw, fewer images are always among the more.
 *
 * @throws {ProbeError} naming a class that has not so many
 */
export function drawShots(
  labels: readonly number[],
  classes: readonly string[],
  count: number,
  draw: number,
): number[] {
  return classes.flatMap((name, label) => {
    const members = labels.flatMap((each, index) => (each === label ? [index] : []));
    if (members.length === 0) return [];
    if (members.length < count) {
      throw new ProbeError(
        `The class ${name} has ${members.length} training ${members.length === 1 ? 'image' : 'images'}, too few for ${count} shots.`,
        'Lower --shots, or give more images.',
      );
    }
    return shuffleInPlace(members, RANDOM_PURPOSE.shots, draw, label).slice(0, count);
  });
}

function found(scores: Tensor, labels: Tensor, digest: string): Found {
  const right = scores.argmax(1).eq(labels).to('int64').toNumbers();
  return {
    ...{ draw: null, probe: 'linear', rule: null, shots: null, sweep: null },
    accuracy: right.reduce((sum, each) => sum + each, 0) / right.length,
    images: right.length,
    labelsSha256: digest,
    right: packRight(right),
  };
}

function accuracyOf(scores: Tensor, labels: Tensor): number {
  return scores.argmax(1).eq(labels).to('float64').mean().item();
}
