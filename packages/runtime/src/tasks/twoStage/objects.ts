/** From the second stage's scores and shifts to objects, as `cohort predict` chooses them. */
import type { Size } from '../fit.ts';
import { suppressByClass, type BoxArray } from '../suppression.ts';
import type { BoxChoice } from '../taskManifest.ts';
import { clipBoxes, isLarge, takeBoxes } from './proposals.ts';

/** Factors of the shifts of centres and of sizes, as published. */
const [centreFactor, sizeFactor] = [10, 5];
/** Widths and heights grow at most by this factor. */
const greatestGrowth = Math.fround(Math.log(1000 / 16));
/** Objects with a shorter side are left out; in pixels of the input. */
const leastSide = 1e-2;

/** Objects in pixels of the input, the highest score first. */
export interface ChosenObjects {
  readonly boxes: BoxArray;
  readonly scores: readonly number[];
  /** From 0 on, without the background. */
  readonly categories: readonly number[];
}

/**
 * Of every proposal and class but the background, the boxes whose score is high enough and that no better one suppresses.
 *
 * @param scores `[classes + 1, places]` before the softmax, the background first
 * @param shifts `[4 (classes + 1), places]`
 * @param proposals `[R, 4]`, of the first R places
 * @param classes without the background
 */
export function chooseObjects(
  scores: Float32Array,
  shifts: Float32Array,
  places: number,
  proposals: BoxArray,
  classes: number,
  { scoreThreshold, overlapThreshold, mostDetections }: BoxChoice,
  picture: Size,
): ChosenObjects {
  const boxes: number[] = [];
  const likely: number[] = [];
  const categories: number[] = [];
  for (let place = 0; place < proposals.length / 4; place++) {
    const logits = Array.from({ length: classes + 1 }, (_, own) => scores[own * places + place] ?? NaN);
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    for (let category = 0; category < classes; category++) {
      const probability = Math.fround((powers[category + 1] ?? NaN) / sum);
      if (!(probability > scoreThreshold)) continue;
      const shift = (side: number): number => shifts[(4 * (category + 1) + side) * places + place] ?? NaN;
      const box = clipBoxes(decode(proposals.subarray(4 * place, 4 * place + 4), shift), picture);
      if (!isLarge(box, 0, leastSide)) continue;
      boxes.push(...box);
      likely.push(probability);
      categories.push(category);
    }
  }
  const all = Float32Array.from(boxes);
  const kept = suppressByClass(all, likely, categories, overlapThreshold).slice(0, mostDetections);
  return {
    boxes: takeBoxes(all, kept),
    scores: kept.map((index) => likely[index] ?? 0),
    categories: kept.map((index) => categories[index] ?? 0),
  };
}

/** The box that shifts of a proposal lead to; every operation rounds to float32. */
function decode(proposal: BoxArray, shift: (side: number) => number): Float32Array {
  const { fround } = Math;
  const box = new Float32Array(4);
  for (const axis of [0, 1]) {
    const low = proposal[axis] ?? NaN;
    const size = fround((proposal[axis + 2] ?? NaN) - low);
    const centre = fround(low + fround(size * 0.5));
    const middle = fround(fround(fround(shift(axis) / centreFactor) * size) + centre);
    const growth = fround(Math.exp(Math.min(fround(shift(axis + 2) / sizeFactor), greatestGrowth)));
    const half = fround(fround(growth * size) * 0.5);
    box[axis] = middle - half;
    box[axis + 2] = middle + half;
  }
  return box;
}
