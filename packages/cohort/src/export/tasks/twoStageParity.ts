/** Compares the objects that a program finds in test images with those that the run finds, and refuses a file that gives others. */
import { at } from '../../support/at.ts';
import { overlaps } from '../../transfer/boxes/boxes.ts';
import type { DetectionChoice, Detections } from '../../transfer/detection/detections.ts';
import { maskOfPatch } from '../../transfer/masks/paste.ts';
import { decodeMask } from '../../transfer/masks/runLengths.ts';
import { ExportError } from '../errors.ts';
import type { TaskParity } from './taskManifest.ts';

/** Objects whose score lies this near to the threshold may be found by one program and not by the other. */
const margin = 1e-3;
/** Two boxes, or two masks, are the same object from this overlap on. */
const sameOverlap = 0.95;
/** Share of the objects that must be the same; rounding may turn a suppression over. */
const leastAgreement = 0.98;
/** Largest difference of the score of the same object. */
const scoreBound = 1e-3;

/** A test image as the files take it, `[3, H, W]`, with the size of the picture inside. */
export interface TestImage {
  readonly values: Float32Array;
  readonly picture: { readonly height: number; readonly width: number };
}

/** Objects of one image in pixels of the input; each mask is of the size of the picture, 0 and 1. */
export interface FoundObjects extends Omit<Detections, 'masks'> {
  readonly masks: readonly Uint8Array[] | null;
}

/** A program with the model file loaded. */
export interface ObjectFinder {
  /** With its version. */
  readonly program: string;
  readonly find: (image: TestImage) => Promise<FoundObjects>;
}

/** The masks that an R-CNN gives, brought to the pixels of the picture. */
export function withPixels({ masks, ...objects }: Detections, { picture }: TestImage): FoundObjects {
  const pixels = masks?.map((patch, index) =>
    decodeMask(maskOfPatch(patch, objects.boxes.subarray(4 * index, 4 * index + 4), picture)),
  );
  return { ...objects, masks: pixels ?? null };
}

/** @returns how many objects the run finds, and what was measured @throws {ExportError} where too many of them are not found */
export async function measureObjects(
  { program, find }: ObjectFinder,
  images: readonly TestImage[],
  { scoreThreshold }: DetectionChoice,
  expect: (image: TestImage) => FoundObjects,
): Promise<{ parity: TaskParity; objects: number }> {
  let [objects, same, sameMasks, worst, worstMask, hasMasks] = [0, 0, 0, 0, 0, false];
  for (const image of images) {
    const expected = expect(image);
    const found = await find(image);
    const shared = overlaps(expected.boxes, found.boxes);
    hasMasks ||= expected.masks !== null;
    for (const [place, score] of expected.scores.entries()) {
      if (score < scoreThreshold + margin) continue;
      objects += 1;
      const difference = (other: number): number => Math.abs(at(found.scores, other) - score);
      const [twin] = [...found.scores.keys()]
        .filter(
          (other) =>
            found.categories[other] === expected.categories[place] &&
            (shared[place * found.scores.length + other] ?? 0) >= sameOverlap &&
            difference(other) <= scoreBound,
        )
        .sort((left, right) => difference(left) - difference(right));
      if (twin === undefined) continue;
      same += 1;
      worst = Math.max(worst, difference(twin));
      const overlap = maskOverlap(expected.masks?.[place], found.masks?.[twin]);
      if (overlap < sameOverlap) continue;
      sameMasks += 1;
      worstMask = Math.max(worstMask, 1 - overlap);
    }
  }
  const share = (count: number): number => (objects === 0 ? 1 : count / objects);
  const measured = [
    { name: 'scores', relativeError: worst, relativeErrorBound: scoreBound, agreement: share(same) },
    ...(hasMasks
      ? [
          {
            name: 'masks',
            relativeError: worstMask,
            relativeErrorBound: 1 - sameOverlap,
            agreement: share(sameMasks),
          },
        ]
      : []),
  ];
  const wrong = measured.find(({ agreement }) => agreement < leastAgreement);
  if (wrong !== undefined) {
    const count = wrong.name === 'masks' ? sameMasks : same;
    throw new ExportError(
      `${program} finds ${count} of ${objects} objects that the run finds in ${images.length} test images${wrong.name === 'masks' ? ' with the same mask' : ''}. Nothing was written. This is a bug in Cohort or in that program; please report it.`,
    );
  }
  return { parity: { program, images: images.length, outputs: measured }, objects };
}

/** Intersection over union; 1 where both are empty or there are no masks, 0 where one is missing. */
function maskOverlap(left: Uint8Array | undefined, right: Uint8Array | undefined): number {
  if (left === undefined) return 1;
  if (right?.length !== left.length) return 0;
  let [both, either] = [0, 0];
  for (const [place, value] of left.entries()) {
    const other = right[place] ?? 0;
    both += value & other;
    either += value | other;
  }
  return either === 0 ? 1 : both / either;
}
