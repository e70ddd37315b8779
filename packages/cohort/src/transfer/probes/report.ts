/** The report of probes as data: accuracies over seeds, differences to the baseline, and what was chosen on validation images. */
import { unpackRight } from '../../evaluate/correctness.ts';
import {
  aggregate,
  intervalOverImages,
  intervalOverSeeds,
  meanOf,
  type Aggregate,
  type Interval,
} from '../../evaluate/statistics.ts';
import { ProbeError } from '../errors.ts';
import { CONCATENATION, ENSEMBLE, type Measurement } from './measurement.ts';
import type { ProbeContent } from './content.ts';
import { RANDOM_LABEL } from './subjects.ts';

/** The networks' mean, as a row of the report. */
export const MEAN_NETWORK = 'mean network';

/** A difference in accuracy to the baseline, measurement by measurement. */
export interface ProbeDifference {
  readonly mean: number;
  /** Over seeds of training; over draws where there is a single one of those. Null of one. */
  readonly overSeeds: Interval | null;
  readonly overImages: Interval | null;
}

/** One row: a group of runs, a probe, and whose features. */
export interface ProbeRow extends Pick<Measurement, 'label' | 'probe' | 'rule' | 'shots' | 'features'> {
  /** Over seeds and draws. */
  readonly accuracy: Aggregate;
  /** How far the mean might be with other test images, by Wilson's interval. */
  readonly overImages: Interval;
  /** Null for the baseline itself, and for single networks, whose differences would be noise of noise. */
  readonly difference: ProbeDifference | null;
  /** Seeds of training. */
  readonly seeds: readonly number[];
  /** Draws for each of them. */
  readonly draws: number;
  /** What was chosen on validation images, a value for each measurement; empty where nothing is chosen. */
  readonly chosen: readonly number[];
}

/** All of it. */
export interface ProbeReport extends Omit<ProbeContent, 'measurements'> {
  readonly rows: readonly ProbeRow[];
  /** Every setting that was tried, for every network of every run. */
  readonly sweeps: readonly (Pick<Measurement, 'label' | 'seed' | 'probe' | 'features'> &
    NonNullable<Measurement['sweep']>)[];
  readonly notes: readonly string[];
}

/** Of a normal distribution, 95% lie within so many standard deviations. */
const Z = 1.96;

/** A seed and draw of a group. */
interface Unit {
  readonly seed: number;
  readonly accuracy: number;
  /** Share of the networks that were right, for each image. */
  readonly right: Float64Array;
  readonly labels: string;
  readonly chosen: readonly number[];
}

/**
 * Puts measurements together.
 * @throws {ProbeError} for a baseline that was not measured
 */
export function buildProbeReport(content: ProbeContent): ProbeReport {
  const { measurements, ...facts } = content;
  const labels = [...new Set(measurements.map(({ label }) => label))];
  if (!labels.includes(content.baseline)) {
    throw new ProbeError(
      `There is no row '${content.baseline}' that differences could be to.`,
      `Choose one of ${labels.join(', ')}.`,
    );
  }
  const kinds = new Map<string, Measurement[]>();
  for (const each of measurements) {
    const key = JSON.stringify([each.probe, each.rule, each.shots]);
    kinds.set(key, [...(kinds.get(key) ?? []), each]);
  }
  const rows = [...kinds.values()].flatMap((ofKind) => rowsOf(ofKind, labels, content.baseline));
  const sweeps = sweepsOf(measurements);
  return { ...facts, rows, sweeps, notes: notesOf(content, sweeps) };
}

/** Measurements of one probe, rule and number of shots. */
function rowsOf(
  measurements: readonly Measurement[],
  labels: readonly string[],
  baseline: string,
): ProbeRow[] {
  const names = [...new Set(measurements.map(({ features }) => features))];
  const together: readonly string[] = [CONCATENATION, ENSEMBLE];
  const joint = names.filter((name) => together.includes(name));
  const networks = names.filter((name) => !joint.includes(name));
  return [MEAN_NETWORK, ...joint, ...networks].flatMap((features) => {
    const units = new Map(labels.map((label) => [label, unitsOf(measurements, label, features, joint)]));
    return labels.flatMap((label): ProbeRow[] => {
      const own = units.get(label) ?? new Map<string, Unit>();
      const [example] = measurements;
      if (own.size === 0 || example === undefined) return [];
      const { probe, rule, shots } = example;
      const all = [...own.values()];
      const seeds = [...new Set(all.map(({ seed }) => seed))];
      const hasDifference = label !== baseline && !networks.includes(features);
      return [
        {
          ...{ label, probe, rule, shots, features, seeds, draws: Math.round(all.length / seeds.length) },
          accuracy: aggregate(all.map(({ accuracy }) => accuracy)),
          overImages: wilsonInterval(all),
          difference: hasDifference ? differenceOf(own, units.get(baseline) ?? new Map()) : null,
          chosen: all.flatMap(({ chosen }) => chosen),
        },
      ];
    });
  });
}

/** By seed and draw. */
function unitsOf(
  measurements: readonly Measurement[],
  label: string,
  features: string,
  joint: readonly string[],
): Map<string, Unit> {
  const groups = new Map<string, Measurement[]>();
  for (const each of measurements) {
    if (each.label !== label) continue;
    const isWanted = features === MEAN_NETWORK ? !joint.includes(each.features) : each.features === features;
    if (!isWanted) continue;
    const key = `${each.seed}/${each.draw ?? 0}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return new Map(
    [...groups].map(([key, each]) => {
      const bits = each.map(({ right, images }) => unpackRight(right, images));
      return [
        key,
        {
          seed: each[0]?.seed ?? 0,
          accuracy: meanOf(each.map(({ accuracy }) => accuracy)),
          right: Float64Array.from(bits[0] ?? [], (_, image) => meanOf(bits.map((of) => of[image] ?? 0))),
          labels: each[0]?.labelsSha256 ?? '',
          chosen: each.flatMap(({ sweep }) => (sweep === null ? [] : [sweep.chosen])),
        },
      ];
    }),
  );
}

function differenceOf(
  own: ReadonlyMap<string, Unit>,
  baseline: ReadonlyMap<string, Unit>,
): ProbeDifference | null {
  const pairs = [...own].flatMap(([key, one]): [Unit, Unit][] => {
    const other = baseline.get(key);
    return other === undefined ? [] : [[one, other]];
  });
  if (pairs.length === 0) return null;
  const differences = pairs.map(([one, other]) => one.accuracy - other.accuracy);
  const areComparable = pairs.every(([one, other]) => one.labels === other.labels);
  const areSame = new Set(pairs.map(([{ labels }]) => labels)).size === 1;
  const byImage = pairs.map(([one, other]) =>
    one.right.map((value, image) => value - (other.right[image] ?? 0)),
  );
  return {
    mean: meanOf(differences),
    overSeeds: intervalOverSeeds(
      bySeed(
        pairs.map(([{ seed }]) => seed),
        differences,
      ),
    ),
    overImages: areComparable ? intervalOverImages(byImage, areSame) : null,
  };
}

/** The mean of each seed's draws, which say nothing of other trainings; the draws themselves of a single seed. */
function bySeed(seeds: readonly number[], values: readonly number[]): readonly number[] {
  const distinct = [...new Set(seeds)];
  if (distinct.length === 1) return values;
  return distinct.map((seed) => meanOf(values.filter((_, index) => seeds[index] === seed)));
}

/** Wilson's interval, with the variance of the networks' mean in place of that of a single one; sound at 0 and 1 too. */
function wilsonInterval(units: readonly Unit[]): Interval {
  const [first] = units;
  const count = first?.right.length ?? 0;
  const areSame = units.every(({ labels, right }) => labels === first?.labels && right.length === count);
  const means = areSame
    ? Float64Array.from({ length: count }, (_, image) => meanOf(units.map(({ right }) => right[image] ?? 0)))
    : Float64Array.from(units.flatMap(({ right }) => [...right]));
  const mean = meanOf(means);
  const variance = meanOf(means.map((value) => (value - mean) ** 2));
  const { length } = means;
  const weight = Z ** 2 / length;
  const centre = (mean + weight / 2) / (1 + weight);
  const margin = (Z / (1 + weight)) * Math.sqrt(variance / length + weight / (4 * length));
  return { lower: Math.max(0, centre - margin), upper: Math.min(1, centre + margin) };
}

function sweepsOf(measurements: readonly Measurement[]): ProbeReport['sweeps'] {
  const seen = new Set<string>();
  return measurements.flatMap(({ label, seed, probe, features, sweep }) => {
    // The learning rate is chosen once for all networks and seeds of fine-tuning.
    const whose = probe === 'fine-tune' ? MEAN_NETWORK : features;
    const key = JSON.stringify([label, seed, probe, whose]);
    if (sweep === null || seen.has(key)) return [];
    seen.add(key);
    return [{ label, seed, probe, features: whose, ...sweep }];
  });
}

function notesOf({ settings, subjects, data }: ProbeContent, sweeps: ProbeReport['sweeps']): string[] {
  const unfinished = subjects.filter(({ trained }) => trained !== null && trained.epoch < trained.epochs);
  const trainingSeeds = new Set(subjects.map(({ seed }) => seed)).size;
  const atEnd = sweeps.filter(({ trials, chosen }) => {
    const values = trials.map(({ value }) => value);
    return values.length > 1 && (chosen === Math.min(...values) || chosen === Math.max(...values));
  });
  const ends = [...new Set(atEnd.map(({ probe, setting }) => `${setting} (${probe})`))];
  return [
    ...unfinished.map(
      ({ label, seed, trained }) =>
        `${label}, seed ${seed}, is not trained to its end: its weights are from epoch ${trained?.epoch ?? 0} of ${trained?.epochs ?? 0}.`,
    ),
    ...(trainingSeeds === 1
      ? [
          'There is one seed of training: intervals over seeds are over draws of images, and say nothing of other trainings.',
        ]
      : []),
    `Settings are chosen on ${data.validationImages.toLocaleString('en-US')} validation images; test images choose nothing.`,
    ...(settings.by.includes('few-shot')
      ? ['With few images of each class nothing is chosen, and validation images are among those drawn from.']
      : []),
    `${RANDOM_LABEL}: the same networks before their first training step, with batch normalisation as it is set up.`,
    ...(ends.length > 0
      ? [
          `The value chosen lies at an end of what was tried for ${ends.join(', ')}: wider ranges may give more.`,
        ]
      : []),
  ];
}
