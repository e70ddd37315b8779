/** Scores of images drawn with replacement, against the metrics themselves on as many copies of the images. */
import { describe, expect, it } from 'vitest';
import { hashKeys } from '../../data/loading/random.ts';
import { imageDraws } from '../../evaluate/resampledScores.ts';
import { scoreDetections } from './detection.ts';
import type { DetectedObject, SizedBox, TrueObject } from './objects.ts';
import { countPixels, resampledMeanIoU, resampledPrecision } from './resampled.ts';
import { SegmentationTally } from './segmentation.ts';

const images = 6;
const categories = [0, 1, 2];

function share(...keys: number[]): number {
  return hashKeys(77, ...keys) / 2 ** 32;
}

/** Some objects in every image but the last, and detections near them, with distinct scores. */
function world(): { truth: TrueObject[]; detected: DetectedObject[] } {
  const truth: TrueObject[] = [];
  const detected: DetectedObject[] = [];
  for (let image = 0; image < images; image += 1) {
    for (let place = 0; place < 4; place += 1) {
      const box: SizedBox = [20 * place, 10 * share(image, place, 0), 10 + 8 * share(image, place, 1), 12];
      const category = place % 3;
      const isCrowd = image === 2 && place === 3;
      if (image < images - 1) truth.push({ image, category, box, area: box[2] * box[3], isCrowd });
      const moved: SizedBox = [box[0] + 5 * share(image, place, 2), box[1], box[2], box[3]];
      detected.push({ image, category, box: moved, score: share(image, place, 3) });
    }
  }
  return { truth, detected };
}

/** Every image as often as it is drawn, as an image of its own. */
function copies<Item extends { readonly image: number }>(
  items: readonly Item[],
  draw: ArrayLike<number>,
): Item[] {
  return items.flatMap((item) =>
    Array.from({ length: draw[item.image] ?? 0 }, (_, copy) => ({
      ...item,
      image: copy * images + item.image,
    })),
  );
}

describe('resampledPrecision', () => {
  it.each([[[1, 1, 1, 1, 1, 1]], [[2, 0, 1, 3, 0, 0]], [[0, 1, 2, 0, 2, 1]], [[0, 0, 6, 0, 0, 0]]])(
    'is the average precision of the images drawn: %j',
    (draw) => {
      const { truth, detected } = world();
      const { scores } = scoreDetections(copies(truth, draw), copies(detected, draw), categories);
      const [found] = resampledPrecision(truth, detected, { images, categories, by: 'box' }, [draw]);
      expect(scores.AP).toBeGreaterThan(0.05);
      expect(found).toBeCloseTo(scores.AP, 12);
    },
  );

  it('says nothing of images without objects', () => {
    const { truth, detected } = world();
    const options = { images, categories, by: 'box' } as const;
    expect(resampledPrecision(truth, detected, options, [[0, 0, 0, 0, 0, 6]])).toEqual([null]);
  });
});

describe('resampledMeanIoU', () => {
  it('is the mean IoU of the images drawn', () => {
    const classes = 4;
    const pixels = Array.from({ length: 3 }, (_, image) => ({
      truth: Array.from({ length: 50 }, (_, place) => (place === 7 ? 255 : hashKeys(1, image, place) % 3)),
      predicted: Array.from({ length: 50 }, (_, place) => hashKeys(2, image, place) % 3),
    }));
    const counts = pixels.map(({ truth, predicted }) => countPixels(truth, predicted, classes));
    for (const draw of [
      [1, 1, 1],
      [0, 2, 1],
    ]) {
      const tally = new SegmentationTally(classes);
      for (const [image, { truth, predicted }] of pixels.entries()) {
        for (let copy = 0; copy < (draw[image] ?? 0); copy += 1) tally.add(truth, predicted);
      }
      expect(resampledMeanIoU(counts, [draw])[0]).toBeCloseTo(tally.scores().meanIoU, 12);
    }
    expect(resampledMeanIoU(counts, [[0, 0, 0]])).toEqual([null]);
  });
});

describe('imageDraws', () => {
  it('draws as many images as there are, the same each time, and differently from draw to draw', () => {
    const draws = imageDraws(40);
    expect(draws).toHaveLength(1000);
    expect(draws).toEqual(imageDraws(40));
    for (const draw of draws) expect(draw.reduce((sum, count) => sum + count, 0)).toBe(40);
    expect(draws[0]).not.toEqual(draws[1]);
    // On average each image once.
    const means = Array.from(
      { length: 40 },
      (_, image) => draws.reduce((sum, draw) => sum + (draw[image] ?? 0), 0) / 1000,
    );
    for (const mean of means) expect(Math.abs(mean - 1)).toBeLessThan(0.2);
    expect(imageDraws(20_000).length).toBe(100);
  });
});
