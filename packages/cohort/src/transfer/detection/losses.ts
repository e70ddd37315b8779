/** What detectors lose: which anchors are to learn which object, and the focal, box and centerness losses of these. */
import { ops, Tensor } from '@cohort-ml/torch';
import { boxCount, takeBoxes, type BoxArray } from '../boxes/boxes.ts';
import { decodeDistances, encodeDistances, encodeShifts } from '../boxes/coding.ts';
import { focalLoss, generalisedIouLoss } from '../boxes/losses.ts';
import { matchBoxes, UNMATCHED } from '../boxes/matching.ts';
import type { LossParts } from '../training/visionTask.ts';
import type { DetectorOutput } from './detections.ts';

/** The objects of one image. */
export interface DetectionTruth {
  readonly boxes: BoxArray;
  /** Class of each box. */
  readonly categories: readonly number[];
}

/** Anchors whose centre is so many of their sizes from the object's centre may learn it (FCOS, "center sampling"). */
const centreRadius = 1.5;
/** A level has the objects whose farthest side is between so many of its anchors' sizes. */
const levelRange = [4, 8] as const;

/**
 * Which object each anchor of FCOS learns: of those around its centre, near enough to the object's and of the level's size, the
 * smallest; {@link UNMATCHED.background} where there is none.
 */
export function matchPlaces(anchors: BoxArray, levelCounts: readonly number[], truth: BoxArray): Int32Array {
  const count = boxCount(anchors);
  const matches = new Int32Array(count).fill(UNMATCHED.background);
  const lastLevel = count - (levelCounts.at(-1) ?? 0);
  for (let anchor = 0; anchor < count; anchor += 1) {
    const [a0 = 0, b0 = 0, a1 = 0, b1 = 0] = anchors.subarray(4 * anchor, 4 * anchor + 4);
    const [x, y, size] = [(a0 + a1) / 2, (b0 + b1) / 2, a1 - a0];
    const least = anchor < (levelCounts[0] ?? 0) ? 0 : levelRange[0] * size;
    const most = anchor >= lastLevel ? Infinity : levelRange[1] * size;
    let smallest = Infinity;
    for (let object = 0; object < boxCount(truth); object += 1) {
      const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = truth.subarray(4 * object, 4 * object + 4);
      const offCentre = Math.max(Math.abs(x - (x0 + x1) / 2), Math.abs(y - (y0 + y1) / 2));
      const sides = [x - x0, y - y0, x1 - x, y1 - y];
      const [nearest, farthest] = [Math.min(...sides), Math.max(...sides)];
      const area = (x1 - x0) * (y1 - y0);
      const isNear = offCentre < centreRadius * size && nearest > 0;
      if (isNear && farthest > least && farthest < most && area < smallest) {
        smallest = area;
        matches[anchor] = object;
      }
    }
  }
  return matches;
}

/** One image's matches, with what its anchors are to learn. */
interface ImageMatches {
  readonly image: number;
  readonly matches: Int32Array;
  /** Places of the anchors that learn an object. */
  readonly positives: number[];
  readonly truth: DetectionTruth;
}

function matchAll(truths: readonly DetectionTruth[], match: (truth: BoxArray) => Int32Array): ImageMatches[] {
  return truths.map((truth, image) => {
    const matches = match(truth.boxes);
    const positives = [...matches.keys()].filter((anchor) => (matches[anchor] ?? -1) >= 0);
    return { image, matches, positives, truth };
  });
}

function rows(places: readonly number[], device: string): Tensor {
  return Tensor.fromTypedArray(Int32Array.from(places)).to({ dtype: 'int64', device });
}

function boxesOf(array: BoxArray, device: string): Tensor {
  return Tensor.fromTypedArray(array, [boxCount(array), 4]).to({ device });
}

/** Classes of the anchors as 0 and 1, `[A, classes]`. */
function classTargets({ logits }: DetectorOutput, { matches, truth }: ImageMatches): Tensor {
  const [, anchors = 0, classes = 0] = logits.shape;
  const targets = new Float32Array(anchors * classes);
  for (const [anchor, object] of matches.entries()) {
    if (object >= 0) targets[anchor * classes + (truth.categories[object] ?? 0)] = 1;
  }
  return Tensor.fromTypedArray(targets, [anchors, classes]).to({ device: logits.device });
}

/** Boxes that the positives are to have, `[P, 4]`. */
function matchedBoxes({ matches, positives, truth }: ImageMatches): BoxArray {
  return takeBoxes(
    truth.boxes,
    positives.map((anchor) => matches[anchor] ?? 0),
  );
}

function sum(parts: readonly Tensor[], otherwise: Tensor): Tensor {
  return parts.length === 0 ? otherwise.sum().mul(0) : ops.stack(parts, 0).sum();
}

/** Focal loss of the classes, generalised IoU of the boxes and cross-entropy of the centerness, each per anchor that learns an object. */
export function fcosLoss(output: DetectorOutput, truths: readonly DetectionTruth[]): LossParts {
  const { logits, shifts, centerness, anchors, levelCounts } = output;
  if (centerness === null) throw new RangeError('FCOS has a centerness, and this output has none.');
  const { device } = logits;
  const found = matchAll(truths, (truth) => matchPlaces(anchors, levelCounts, truth));
  const positives = Math.max(
    1,
    found.reduce((total, each) => total + each.positives.length, 0),
  );
  const boxParts: Tensor[] = [];
  const centreParts: Tensor[] = [];
  for (const each of found.filter((one) => one.positives.length > 0)) {
    const places = rows(each.positives, device);
    const own = boxesOf(takeBoxes(anchors, each.positives), device);
    const wanted = boxesOf(matchedBoxes(each), device);
    const predicted = decodeDistances(shifts.select(0, each.image).indexSelect(0, places), own);
    boxParts.push(generalisedIouLoss(predicted, wanted));
    const distances = encodeDistances(wanted, own); // left, top, right, bottom
    const ratio = (a: number, b: number): Tensor => {
      const [low, high] = [distances.select(1, a), distances.select(1, b)];
      return ops.minimum(low, high).div(ops.maximum(low, high));
    };
    const target = ratio(0, 2).mul(ratio(1, 3)).sqrt();
    const guess = centerness.select(0, each.image).indexSelect(0, places);
    centreParts.push(ops.binaryCrossEntropyWithLogits(guess, target, null, null, 2));
  }
  const targets = ops.stack(
    found.map((each) => classTargets(output, each)),
    0,
  );
  return {
    classes: focalLoss(logits, targets).div(positives),
    boxes: sum(boxParts, shifts).div(positives),
    centerness: sum(centreParts, centerness).div(positives),
  };
}

/** RetinaNet's thresholds. */
const retinaMatching = { foreground: 0.5, background: 0.4, keepsBest: true } as const;

/** Focal loss of the classes and L1 of the shifts, per anchor that learns an object, mean over the images. */
export function retinanetLoss(output: DetectorOutput, truths: readonly DetectionTruth[]): LossParts {
  const { logits, shifts, anchors } = output;
  const { device } = logits;
  const found = matchAll(truths, (truth) => matchBoxes(anchors, truth, retinaMatching));
  const classParts: Tensor[] = [];
  const boxParts: Tensor[] = [];
  for (const each of found) {
    const count = Math.max(1, each.positives.length);
    const counted = [...each.matches.keys()].filter((anchor) => each.matches[anchor] !== UNMATCHED.ignored);
    const places = rows(counted, device);
    const guess = logits.select(0, each.image).indexSelect(0, places);
    classParts.push(focalLoss(guess, classTargets(output, each).indexSelect(0, places)).div(count));
    if (each.positives.length === 0) continue;
    const own = boxesOf(takeBoxes(anchors, each.positives), device);
    const target = encodeShifts(boxesOf(matchedBoxes(each), device), own, [1, 1, 1, 1]);
    const predicted = shifts.select(0, each.image).indexSelect(0, rows(each.positives, device));
    boxParts.push(predicted.sub(target).abs().sum().div(count));
  }
  return {
    classes: sum(classParts, logits).div(truths.length),
    boxes: sum(boxParts, shifts).div(truths.length),
  };
}
