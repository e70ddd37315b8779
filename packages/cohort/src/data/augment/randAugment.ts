/**
 * RandAugment (Cubuk et al., arXiv 1909.13719) for whole batches: N operations of one strength M on every image, drawn
 * evenly from fourteen. The operations, their strengths of 31 steps and the nearest-pixel geometry are torchvision's.
 */
import { scope, type Tensor } from '@cohort-ml/torch';
import { RANDOM_PURPOSE } from '../loading/random.ts';
import { adjustBrightness, adjustContrast, adjustSaturation, adjustSharpness } from './colour.ts';
import { perSample, SampleDraws, type DrawKeys } from './draws.ts';
import { affine, rotation, shearX, shearY, translation } from './geometry.ts';
import { applyByGroup } from './pixels.ts';
import type { RandAugmentSettings } from './settings.ts';
import { autoContrast, equalise, posterise, solarise } from './tone.ts';

/** Largest shift as a share of the image's side. */
const LARGEST_SHIFT = 150 / 331;

/** An operation on samples, uint8 `[B, C, H, W]`; `signs` has 1 or -1 a sample, `strength` is M from 0 to 1. */
type Operation = (samples: Tensor, strength: number, signs: readonly number[]) => Tensor;

/** An operation that blends by `1 + 0.9 * strength`, or as much less than 1. */
function enhancing(adjust: (images: Tensor, factors: Tensor) => Tensor): Operation {
  return (samples, strength, signs) =>
    adjust(samples, perSample(signs.map((sign) => 1 + sign * 0.9 * strength)));
}

/** The operations by name. Grey images go through all; saturation leaves them as they are. */
export const randAugmentOperations: Readonly<Record<string, Operation>> = {
  identity: (samples) => samples,
  shearX: (samples, strength, signs) =>
    affine(
      samples,
      signs.map((sign) => shearX(sign * 0.3 * strength)),
    ),
  shearY: (samples, strength, signs) =>
    affine(
      samples,
      signs.map((sign) => shearY(sign * 0.3 * strength)),
    ),
  translateX: (samples, strength, signs) => {
    const pixels = Math.trunc(LARGEST_SHIFT * (samples.shape[3] ?? 0) * strength);
    return affine(
      samples,
      signs.map((sign) => translation(sign * pixels, 0)),
    );
  },
  translateY: (samples, strength, signs) => {
    const pixels = Math.trunc(LARGEST_SHIFT * (samples.shape[2] ?? 0) * strength);
    return affine(
      samples,
      signs.map((sign) => translation(0, sign * pixels)),
    );
  },
  rotate: (samples, strength, signs) => {
    const [, , height = 0, width = 0] = samples.shape;
    return affine(
      samples,
      signs.map((sign) => rotation(sign * 30 * strength, height, width)),
    );
  },
  brightness: enhancing(adjustBrightness),
  saturation: enhancing(adjustSaturation),
  contrast: enhancing(adjustContrast),
  sharpness: enhancing(adjustSharpness),
  posterise: (samples, strength, signs) => {
    const bits = 8 - Math.round(4 * strength);
    return posterise(
      samples,
      signs.map(() => bits),
    );
  },
  solarise: (samples, strength, signs) =>
    solarise(
      samples,
      signs.map(() => 255 - 255 * strength),
    ),
  autoContrast,
  equalise,
};

const OPERATIONS = Object.values(randAugmentOperations);

/** What was drawn for the samples of a batch, one entry an operation in turn. */
export interface RandAugmentDraws {
  /** The operation of every sample, by its place in {@link randAugmentOperations}. */
  readonly operations: readonly Int32Array[];
  /** 1 where the operation goes the other way. */
  readonly negative: readonly Int32Array[];
}

/** Draws N operations and their directions for every sample, with replacement. */
export function drawRandAugment(settings: RandAugmentSettings, keys: DrawKeys): RandAugmentDraws {
  const draws = new SampleDraws(RANDOM_PURPOSE.randAugment, keys);
  const turns = Array.from({ length: settings.operations }, () => [
    draws.integers(OPERATIONS.length),
    draws.integers(2),
  ]);
  return {
    operations: turns.map(([operations = new Int32Array()]) => operations),
    negative: turns.map(([, negative = new Int32Array()]) => negative),
  };
}

/** Applies what was drawn, at strength M of 30: raw uint8 `[B, C, H, W]` to the same. */
export function randAugment(images: Tensor, settings: RandAugmentSettings, draws: RandAugmentDraws): Tensor {
  return scope(() =>
    draws.operations.reduce(
      (current, operations, turn) =>
        applyByGroup(current, operations, (operation, samples, rows) => {
          const signs = Array.from(rows, (row) => (draws.negative[turn]?.[row] === 1 ? -1 : 1));
          return OPERATIONS[operation]?.(samples, settings.magnitude / 30, signs) ?? samples;
        }),
      images,
    ),
  );
}
