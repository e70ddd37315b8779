/** The difference in accuracy of two methods with the same seeds, with intervals over seeds and over test images. */
import { bestNetwork, type CellResult } from './cellResult.ts';
import {
  intervalOverImages,
  intervalOverSeeds,
  meanOf,
  percentileInterval,
  type Interval,
} from '../../evaluate/statistics.ts';

/** What is compared: the networks' mean, the network that was best on validation images, or the ensemble. */
export type Subject = 'meanNetwork' | 'bestNetwork' | 'ensemble';

/** A difference in accuracy, the method's minus the baseline's. */
export interface Difference {
  readonly mean: number;
  /** Null of one seed. */
  readonly overSeeds: Interval | null;
  /** Null where runs do not say which images were right, or were tested on different ones. */
  readonly overImages: Interval | null;
  /** Seeds that are in both. */
  readonly seeds: readonly number[];
}

/** Null where no seed is in both, or there is no best network. */
export function differenceOf(
  own: readonly CellResult[],
  baseline: readonly CellResult[],
  subject: Subject,
): Difference | null {
  const pairs = own.flatMap((result): [CellResult, CellResult][] => {
    const other = baseline.find(({ seed }) => seed === result.seed);
    return other === undefined ? [] : [[result, other]];
  });
  const bySeed = pairs.flatMap(([one, other]) => {
    const [left, right] = [accuracyOf(one, subject), accuracyOf(other, subject)];
    return left === null || right === null ? [] : [left - right];
  });
  if (pairs.length === 0 || bySeed.length < pairs.length) return null;
  const byImage = pairs.map(([one, other]) => imageDifferences(one, other, subject));
  const known = byImage.filter((each) => each !== null);
  const labels = new Set(pairs.map(([{ correctness }]) => correctness?.labels));
  const areSame = labels.size === 1 && pairs.every(([{ hasWholeTestSplit }]) => hasWholeTestSplit);
  return {
    mean: meanOf(bySeed),
    overSeeds: intervalOverSeeds(bySeed),
    overImages:
      known.length < pairs.length ? intervalOverDraws(pairs, subject) : intervalOverImages(known, areSame),
    seeds: pairs.map(([{ seed }]) => seed),
  };
}

function accuracyOf(result: CellResult, subject: Subject): number | null {
  if (subject === 'ensemble') return result.ensemble.accuracy;
  if (subject === 'meanNetwork') return meanOf(result.networks.map(({ test }) => test.accuracy));
  const best = bestNetwork(result);
  return best === null ? null : (result.networks[best]?.test.accuracy ?? null);
}

/** From the scores of both on the same draws of images, for tasks; null where either has none, or they are of other images. */
function intervalOverDraws(
  pairs: readonly (readonly [CellResult, CellResult])[],
  subject: Subject,
): Interval | null {
  const bySeed = pairs.flatMap(([one, other]) => {
    const [left, right] = [one.task?.resampled, other.task?.resampled];
    if (left?.imagesSha256 !== right?.imagesSha256 || left?.images !== right?.images) return [];
    const [own, theirs] = [scoresOfDraws(one, subject), scoresOfDraws(other, subject)];
    return own === null || theirs === null ? [] : [own.map((score, draw) => score - (theirs[draw] ?? NaN))];
  });
  const [first] = bySeed;
  if (first === undefined || bySeed.length < pairs.length) return null;
  return percentileInterval(first.map((_, draw) => meanOf(bySeed.map((each) => each[draw] ?? NaN))));
}

/** The mean of the networks in question, for every draw; NaN where the images drawn have nothing to find. */
function scoresOfDraws(result: CellResult, subject: Subject): number[] | null {
  const names = namesOf(result, subject);
  const found = names.flatMap((name) => {
    const scores = result.task?.resampled?.scores[name];
    return scores === undefined ? [] : [scores];
  });
  const [first] = found;
  if (first === undefined || found.length < names.length) return null;
  return first.map((_, draw) => meanOf(found.map((scores) => scores[draw] ?? NaN)));
}

/** One value per image, -1 to 1; null where the images are not the same or not known. */
function imageDifferences(one: CellResult, other: CellResult, subject: Subject): Float64Array | null {
  const [left, right] = [shareRight(one, subject), shareRight(other, subject)];
  if (left === null || right === null || one.correctness?.labels !== other.correctness?.labels) return null;
  return left.map((value, image) => value - (right[image] ?? 0));
}

/** For every image the share of the networks in question that were right. */
function shareRight(result: CellResult, subject: Subject): Float64Array | null {
  const names = namesOf(result, subject);
  const found = names.flatMap((name) => result.correctness?.right.get(name) ?? []);
  const images = result.correctness?.images ?? 0;
  if (found.length === 0 || found.length < names.length) return null;
  return Float64Array.from({ length: images }, (_, image) => meanOf(found.map((bits) => bits[image] ?? 0)));
}

function namesOf(result: CellResult, subject: Subject): string[] {
  if (subject === 'ensemble') return ['ensemble'];
  if (subject === 'meanNetwork') return result.networks.map(({ name }) => name);
  const best = bestNetwork(result);
  return best === null ? [] : [result.networks[best]?.name ?? ''];
}
