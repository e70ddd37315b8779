/** Scores of images that are drawn with replacement, without evaluating anything again: for bootstrap intervals over images. */
import { at } from '../../support/at.ts';
import { detectionThresholds } from './detection.ts';
import { evaluatePair } from './matchDetections.ts';
import type { DetectedObject, TrueObject } from './objects.ts';

/** How often each image is drawn. */
export type Draw = ArrayLike<number>;

/** Recalls at which COCO reads the precision. */
const recallSteps = 100;

/** The detections of a category that count at one threshold, in descending order of score. */
interface Ranked {
  readonly images: Int32Array;
  /** 1 for right, 0 for wrong. */
  readonly isRight: Uint8Array;
}

/** One category. */
interface CategoryOutcomes {
  /** Objects of each image. */
  readonly positives: Uint32Array;
  readonly byThreshold: readonly Ranked[];
}

/**
 * COCO's average precision (over all thresholds and sizes) of every draw; null where the images drawn have no object.
 *
 * @param images how many there are; objects say their image by its place
 */
export function resampledPrecision(
  truth: readonly TrueObject[],
  detected: readonly DetectedObject[],
  options: {
    readonly images: number;
    readonly categories: readonly number[];
    readonly by: 'box' | 'mask';
  },
  draws: readonly Draw[],
): (number | null)[] {
  const outcomes = options.categories.map((category) =>
    outcomesOf(
      truth.filter((object) => object.category === category),
      detected.filter((object) => object.category === category),
      options,
    ),
  );
  return draws.map((draw) => {
    const precisions = outcomes.flatMap(({ positives, byThreshold }) => {
      let objects = 0;
      for (const [image, count] of positives.entries()) objects += count * (draw[image] ?? 0);
      return objects === 0 ? [] : byThreshold.map((ranked) => precisionOf(ranked, objects, draw));
    });
    return precisions.length === 0
      ? null
      : precisions.reduce((sum, value) => sum + value, 0) / precisions.length;
  });
}

function outcomesOf(
  truth: readonly TrueObject[],
  detected: readonly DetectedObject[],
  { images, by }: { readonly images: number; readonly by: 'box' | 'mask' },
): CategoryOutcomes {
  const group = <Item extends { readonly image: number }>(items: readonly Item[]): Item[][] => {
    const groups = Array.from({ length: images }, (): Item[] => []);
    for (const item of items) groups[item.image]?.push(item);
    return groups;
  };
  const [objects, found] = [group(truth), group(detected)];
  const perImage = objects.map((own, image) =>
    evaluatePair(own, at(found, image), {
      thresholds: detectionThresholds,
      bounds: [0, 1e10],
      most: 100,
      by,
    }),
  );
  const all = perImage.flatMap(({ scores }, image) =>
    scores.map((score, place) => ({ score, image, place })),
  );
  all.sort((left, right) => right.score - left.score || left.image - right.image || left.place - right.place);
  return {
    positives: Uint32Array.from(perImage, ({ positives }) => positives),
    byThreshold: detectionThresholds.map((_, threshold) => {
      const counted = all.filter(
        ({ image, place }) => perImage[image]?.outcomes[threshold]?.[place] !== 'ignored',
      );
      return {
        images: Int32Array.from(counted, ({ image }) => image),
        isRight: Uint8Array.from(counted, ({ image, place }) =>
          Number(perImage[image]?.outcomes[threshold]?.[place] === 'right'),
        ),
      };
    }),
  };
}

/** The mean precision at 101 recalls, each detection as often as its image is drawn. */
function precisionOf({ images, isRight }: Ranked, objects: number, draw: Draw): number {
  const count = images.length;
  const rights = new Float64Array(count);
  const precisions = new Float64Array(count);
  let [right, counted] = [0, 0];
  for (let place = 0; place < count; place += 1) {
    const weight = draw[images[place] ?? 0] ?? 0;
    counted += weight;
    if (isRight[place] === 1) right += weight;
    rights[place] = right;
    precisions[place] = counted === 0 ? 0 : right / counted;
  }
  // From the right, so that the greatest precision from a place on is known there.
  let sum = 0;
  let greatest = 0;
  let place = count - 1;
  for (let step = recallSteps; step >= 0; step -= 1) {
    const wanted = step / recallSteps;
    while (place >= 0 && (rights[place] ?? 0) / objects >= wanted) {
      greatest = Math.max(greatest, precisions[place] ?? 0);
      place -= 1;
    }
    sum += greatest;
  }
  return sum / (recallSteps + 1);
}

/** Pixels of each class in one image: right, of the truth, and predicted, `[3 classes]`. */
export type PixelCounts = Float64Array;

/** @param truth class of each pixel; labels past the last class do not count */
export function countPixels(
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: number,
): PixelCounts {
  const counts = new Float64Array(3 * classes);
  const count = (place: number): void => {
    counts[place] = (counts[place] ?? 0) + 1;
  };
  for (let index = 0; index < truth.length; index += 1) {
    const [own, found] = [truth[index] ?? classes, predicted[index] ?? 0];
    if (own >= classes) continue;
    if (own === found) count(3 * own);
    count(3 * own + 1);
    count(3 * found + 2);
  }
  return counts;
}

/** Mean IoU of every draw; null where no pixel of the images drawn counts. */
export function resampledMeanIoU(images: readonly PixelCounts[], draws: readonly Draw[]): (number | null)[] {
  const classes = (images[0]?.length ?? 0) / 3;
  return draws.map((draw) => {
    const sums = new Float64Array(3 * classes);
    for (const [image, counts] of images.entries()) {
      const weight = draw[image] ?? 0;
      if (weight === 0) continue;
      for (let place = 0; place < sums.length; place += 1) {
        sums[place] = (sums[place] ?? 0) + weight * (counts[place] ?? 0);
      }
    }
    const found = Array.from({ length: classes }, (_, own) => {
      const [right = 0, inTruth = 0, predicted = 0] = sums.subarray(3 * own, 3 * own + 3);
      const union = inTruth + predicted - right;
      return union === 0 ? null : right / union;
    }).filter((value) => value !== null);
    return found.length === 0 ? null : found.reduce((sum, value) => sum + value, 0) / found.length;
  });
}
