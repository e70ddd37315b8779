/** From the output of a detector to objects: the best scores of each level, decoded, cut off at the image and suppressed. */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { clipBoxes, takeBoxes, type BoxArray } from '../boxes/boxes.ts';
import { decodeDistances, decodeShifts } from '../boxes/coding.ts';
import { byScore, suppressByClass } from '../boxes/suppression.ts';
import type { MaskPatch } from '../masks/paste.ts';
import type { HeadOutput } from './heads.ts';

/** The forms. */
export type DetectorForm = 'fcos' | 'retinanet';

/** What a detector says of images `[B, 3, H, W]`. */
export interface DetectorOutput extends HeadOutput {
  /** Boxes of all levels, `[A * 4]`. */
  readonly anchors: Float32Array;
  /** Anchors of each level, whose sum is A. */
  readonly levelCounts: readonly number[];
  /** The backbone's last map, `[B, D, h, w]`. */
  readonly features: Tensor;
  /** Height and width of the images. */
  readonly imageSize: readonly [height: number, width: number];
}

/** Objects that were found in one image, the best first. */
export interface Detections {
  /** In pixels of the batch. */
  readonly boxes: BoxArray;
  readonly scores: readonly number[];
  readonly categories: readonly number[];
  /** Of each object, from detectors that give masks. */
  readonly masks?: readonly MaskPatch[];
}

/** How objects are chosen. */
export interface DetectionChoice {
  readonly scoreThreshold: number;
  readonly overlapThreshold: number;
  readonly mostDetections: number;
  /** Candidates of each level before suppression; 1000 as published. */
  readonly candidates?: number;
}

/**
 * The objects of one image of a batch.
 *
 * @param size of the image inside of the batch, at which boxes are cut off
 */
export function detectionsOf(
  output: DetectorOutput,
  form: DetectorForm,
  image: number,
  size: { readonly height: number; readonly width: number },
  choice: DetectionChoice,
): Detections {
  const { scoreThreshold, overlapThreshold, mostDetections, candidates = 1000 } = choice;
  return scope(() => {
    const { logits, shifts, centerness, anchors, levelCounts } = output;
    const [, , classes = 0] = logits.shape;
    let probability = logits.select(0, image).sigmoid(); // [A, classes]
    if (centerness !== null) {
      probability = probability.mul(centerness.select(0, image).sigmoid().unsqueeze(1)).sqrt();
    }
    const values = Float32Array.from(probability.toNumbers());
    const places: number[] = [];
    let start = 0;
    for (const count of levelCounts) {
      const own = Array.from({ length: count * classes }, (_, index) => start * classes + index).filter(
        (place) => (values[place] ?? 0) > scoreThreshold,
      );
      const order = byScore(own.map((place) => values[place] ?? 0)).slice(0, candidates);
      places.push(...order.map((index) => at(own, index)));
      start += count;
    }
    const chosen = places.map((place) => Math.floor(place / classes));
    const boxes = clipBoxes(decode(output, form, image, chosen, anchors, shifts), size.height, size.width);
    const scores = places.map((place) => values[place] ?? 0);
    const categories = places.map((place) => place % classes);
    const kept = suppressByClass(boxes, scores, categories, overlapThreshold).slice(0, mostDetections);
    return {
      boxes: takeBoxes(boxes, kept),
      scores: kept.map((place) => at(scores, place)),
      categories: kept.map((place) => at(categories, place)),
    };
  });
}

function decode(
  { logits: { device } }: DetectorOutput,
  form: DetectorForm,
  image: number,
  chosen: readonly number[],
  anchors: BoxArray,
  shifts: Tensor,
): BoxArray {
  if (chosen.length === 0) return new Float32Array();
  const rows = Tensor.fromTypedArray(Int32Array.from(chosen)).to({ dtype: 'int64', device });
  const own = Tensor.fromTypedArray(takeBoxes(anchors, chosen), [chosen.length, 4]).to({ device });
  const guess = shifts.select(0, image).indexSelect(0, rows);
  const boxes = form === 'fcos' ? decodeDistances(guess, own) : decodeShifts(guess, own, [1, 1, 1, 1]);
  return Float32Array.from(ops.clone(boxes).toNumbers());
}

/** A model that finds objects, whatever its form. */
export interface FindsObjects<Output> {
  /** The objects of one image of a batch that it was run on. */
  detect(
    output: Output,
    image: number,
    size: { readonly height: number; readonly width: number },
    choice: DetectionChoice,
  ): Detections;
}

/** Joins what several detectors found in one image: of boxes of a class that overlap, the one with the highest score stays. */
export function joinDetections(
  all: readonly Detections[],
  { overlapThreshold, mostDetections }: DetectionChoice,
): Detections {
  const boxes = Float32Array.from(all.flatMap((each) => [...each.boxes]));
  const scores = all.flatMap((each) => each.scores);
  const categories = all.flatMap((each) => each.categories);
  const masks = all.flatMap((each) => each.masks ?? []);
  const kept = suppressByClass(boxes, scores, categories, overlapThreshold).slice(0, mostDetections);
  return {
    boxes: takeBoxes(boxes, kept),
    scores: kept.map((place) => at(scores, place)),
    categories: kept.map((place) => at(categories, place)),
    ...(masks.length === 0 ? {} : { masks: kept.map((place) => at(masks, place)) }),
  };
}
