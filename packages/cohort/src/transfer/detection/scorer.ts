/** Measures detectors: collects what they find in all images, brought back to the images' own pixels, and compares it at the end. */
import { at } from '../../support/at.ts';
import type { AnnotatedObject } from '../annotations/annotated.ts';
import { maskOfPatch } from '../masks/paste.ts';
import { scoreDetections, type DetectionResult } from '../metrics/detection.ts';
import type { DetectedObject, SizedBox, TrueObject } from '../metrics/objects.ts';
import { resampledPrecision, type Draw } from '../metrics/resampled.ts';
import { scoreVoc } from '../metrics/voc.ts';
import type { FoundObject, PredictedSizes, ScoredBatch, TaskScorer } from '../training/visionTask.ts';
import { joinDetections, type DetectionChoice, type Detections, type FindsObjects } from './detections.ts';

/** What a scorer measures by. */
export interface ScorerOptions {
  readonly classes: number;
  readonly choice: DetectionChoice;
  /** Whether masks or boxes decide; with masks, those of boxes are given as `boxAP` and so on. */
  readonly by: 'box' | 'mask';
}

/** Objects in pixels of the image as it is. */
export function toOriginal(
  { boxes, scores, categories, masks }: Detections,
  { original, fitted }: PredictedSizes,
): FoundObject[] {
  const [fx, fy] = [original.width / fitted.width, original.height / fitted.height];
  return categories.map((category, index) => {
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = boxes.subarray(4 * index, 4 * index + 4);
    const box = [x0 * fx, y0 * fy, x1 * fx, y1 * fy] as const;
    const patch = masks?.[index];
    return {
      category,
      score: at(scores, index),
      box,
      ...(patch === undefined ? {} : { mask: maskOfPatch(patch, box, original) }),
    };
  });
}

function sized([x0, y0, x1, y1]: FoundObject['box']): SizedBox {
  return [x0, y0, x1 - x0, y1 - y0];
}

function trueObject({ category, box, area, isCrowd, mask }: AnnotatedObject, image: number): TrueObject {
  return { image, category, area, isCrowd, box: sized(box), ...(mask === undefined ? {} : { mask }) };
}

/** Of all models and, last, of what they find together. */
export class DetectionScorer<Output> implements TaskScorer<Output> {
  readonly #truth: TrueObject[] = [];
  readonly #detected: readonly DetectedObject[][];
  readonly #models: readonly FindsObjects<Output>[];
  readonly #options: ScorerOptions;
  #images = 0;

  constructor(models: readonly FindsObjects<Output>[], options: ScorerOptions) {
    this.#detected = Array.from({ length: models.length + 1 }, () => []);
    this.#models = models;
    this.#options = options;
  }

  add(outputs: readonly Output[], { images, fitted }: ScoredBatch): void {
    const { choice } = this.#options;
    for (const [place, original] of images.entries()) {
      const image = this.#images;
      this.#images += 1;
      this.#truth.push(...original.objects.map((object) => trueObject(object, image)));
      const size = at(fitted, place, 'the sizes');
      const found = this.#models.map((model, index) => model.detect(at(outputs, index), place, size, choice));
      const all = [...found, found.length === 1 ? at(found, 0) : joinDetections(found, choice)];
      for (const [index, detections] of all.entries()) {
        const objects = toOriginal(detections, { original, fitted: size });
        at(this.#detected, index).push(
          ...objects.map(({ box, ...object }) => ({ ...object, image, box: sized(box) })),
        );
      }
    }
  }

  resampled(draws: readonly Draw[]): (number | null)[][] {
    const options = { images: this.#images, categories: this.#categories, by: this.#options.by };
    return this.#detected.map((detected) => resampledPrecision(this.#truth, detected, options, draws));
  }

  get #categories(): number[] {
    return Array.from({ length: this.#options.classes }, (_, index) => index);
  }

  measures(): Readonly<Record<string, number>>[] {
    const { by } = this.#options;
    const categories = this.#categories;
    return this.#detected.map((detected) => {
      const { scores, perCategory } = scoreDetections(this.#truth, detected, categories, by);
      const areas = scoreVoc(this.#truth, detected, categories).flatMap(({ area }) =>
        area === null ? [] : [area],
      );
      const vocAP = areas.reduce((sum, area) => sum + area, 0) / Math.max(1, areas.length);
      return {
        ...scores,
        ...(by === 'box' ? { vocAP } : boxScores(scoreDetections(this.#truth, detected, categories))),
        ...byClass(perCategory),
      };
    });
  }
}

/** What boxes alone are worth, without masks. */
function boxScores({ scores }: DetectionResult): Record<string, number> {
  return { boxAP: scores.AP, boxAP50: scores.AP50, boxAP75: scores.AP75 };
}

function byClass(perCategory: DetectionResult['perCategory']): Record<string, number> {
  const entries = perCategory.flatMap(({ category, AP, AP50 }): [string, number][] =>
    AP === null || AP50 === null
      ? []
      : [
          [`AP/${category}`, AP],
          [`AP50/${category}`, AP50],
        ],
  );
  return Object.fromEntries(entries);
}
