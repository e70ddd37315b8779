/**
 * Mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899): images of a batch are mixed in pairs,
 * and their labels count by share. Why the partner is of the same batch: docs/decisions/005-mixed-labels.md.
 */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import { RANDOM_PURPOSE } from '../loading/random.ts';
import { betaDraw } from './beta.ts';
import { emptyBoxes, insideBoxes, type Boxes } from './boxes.ts';
import { perSample, SampleDraws, type DrawKeys } from './draws.ts';
import type { AugmentationSettings } from './settings.ts';

/** What was drawn for the samples of a batch. */
export interface MixingDraws {
  /** Row of every sample's partner in the batch. */
  readonly partners: Int32Array;
  /** What every pixel of the own image counts outside of the box. */
  readonly pixelShares: Float32Array;
  /** Where the partner's pixels stand instead; empty where it is not CutMix. */
  readonly boxes: Boxes;
  /** Share of the own label, 0 to 1. */
  readonly weights: Float32Array;
}

/** The two settings that mix. */
export type MixingSettings = Pick<AugmentationSettings, 'mixup' | 'cutmix'>;

/** Draws partners, whether and how every sample is mixed, and its share of Beta(alpha, alpha). */
export function drawMixing(
  settings: MixingSettings,
  shape: { readonly height: number; readonly width: number },
  keys: DrawKeys,
): MixingDraws {
  const draws = new SampleDraws(RANDOM_PURPOSE.mixing, keys);
  const ranks = draws.bits();
  const chosen = draws.uniform();
  const [down, across] = [draws.integers(shape.height), draws.integers(shape.width)];
  const shareKeys = draws.bits();
  const { count } = draws;
  const pixelShares = new Float32Array(count).fill(1);
  const weights = new Float32Array(count).fill(1);
  const boxes = emptyBoxes(count);
  const { mixup, cutmix } = settings;
  const mixupBelow = mixup?.probability ?? 0;
  const cutmixBelow = mixupBelow + (cutmix?.probability ?? 0);
  for (const [row, value] of chosen.entries()) {
    const key = shareKeys[row] ?? 0;
    if (mixup !== null && value < mixupBelow) {
      pixelShares[row] = betaDraw(mixup.alpha, key);
      weights[row] = pixelShares[row] ?? 1;
    } else if (cutmix !== null && value < cutmixBelow) {
      const side = Math.sqrt(1 - betaDraw(cutmix.alpha, key));
      const [top, bottom] = cutAround(down[row] ?? 0, Math.trunc(shape.height * side), shape.height);
      const [left, right] = cutAround(across[row] ?? 0, Math.trunc(shape.width * side), shape.width);
      boxes.top[row] = top;
      boxes.left[row] = left;
      boxes.height[row] = bottom - top;
      boxes.width[row] = right - left;
      weights[row] = 1 - ((bottom - top) * (right - left)) / (shape.height * shape.width);
    }
  }
  return { partners: ringOf(ranks, keys), pixelShares, boxes, weights };
}

/** A stretch of `length` around a place, as far as it is inside of 0 to `size`. */
function cutAround(middle: number, length: number, size: number): [number, number] {
  const start = middle - Math.floor(length / 2);
  return [Math.max(0, start), Math.min(size, start + length)];
}

/**
 * Sorts the batch by random ranks into a ring, where each is the next one's partner: nobody is its own while there are
 * two, and the pairs are the same in whatever order the samples stand.
 */
function ringOf(ranks: Uint32Array, { indices }: DrawKeys): Int32Array {
  const ring = Int32Array.from(ranks.keys()).sort(
    (left, right) => (ranks[left] ?? 0) - (ranks[right] ?? 0) || (indices[left] ?? 0) - (indices[right] ?? 0),
  );
  const partners = new Int32Array(ring.length);
  for (const [place, row] of ring.entries()) partners[row] = ring[(place + 1) % ring.length] ?? row;
  return partners;
}

/** Mixes as drawn: `[B, C, H, W]` of a floating dtype to the same. */
export function mixImages(images: Tensor, draws: MixingDraws): Tensor {
  const [, , height = 0, width = 0] = images.shape;
  return scope(() => {
    const others = images.indexSelect(0, Tensor.fromTypedArray(draws.partners).to('int64'));
    const hasBoxes = draws.boxes.height.some((value) => value > 0);
    const ownShares = perSample(draws.pixelShares); // [B, 1, 1, 1]
    const own = hasBoxes ? ownShares.mul(insideBoxes(draws.boxes, height, width).logicalNot()) : ownShares;
    // Two products rather than one difference: a share of 1 leaves the image exactly as it was.
    return images.mul(own).add(others.mul(ops.onesLike(own).sub(own)));
  });
}
