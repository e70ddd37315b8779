/** Which level of a feature pyramid a box is pooled from (Lin et al., arXiv 1612.03144, equation 1), and pooling from all of them. */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import { areaOf, boxCount, takeBoxes, type BoxArray } from './boxes.ts';
import { roiAlign, type BatchBoxes, type RoiAlignOptions } from './roiAlign.ts';

/** What levels there are and where a box of the canonical size goes. */
export interface LevelSettings {
  /** Binary logarithm of the finest map's stride. */
  readonly least: number;
  /** And of the coarsest. */
  readonly greatest: number;
  readonly canonicalSize: number;
  readonly canonicalLevel: number;
}

/** Level of each box, counted from 0 for the finest: `floor(k0 + log2(sqrt(w h) / s0) + 1e-6)` within the levels there are. */
export function levelsOf(boxes: BoxArray, settings: LevelSettings): Int32Array {
  const { least, greatest, canonicalSize, canonicalLevel } = settings;
  return Int32Array.from({ length: boxCount(boxes) }, (_, index) => {
    const size = Math.fround(Math.sqrt(areaOf(boxes, index)));
    const ratio = Math.fround(Math.log2(Math.fround(size / canonicalSize)));
    const level = Math.floor(Math.fround(canonicalLevel + ratio + Math.fround(1e-6)));
    return Math.min(Math.max(level, least), greatest) - least;
  });
}

/**
 * Pools every box from its level.
 *
 * @param maps `[B, C, H_l, W_l]` of each level, the finest first
 * @param scales one over the stride of each map
 * @returns `[N, C, height, width]`, in the order of the boxes
 */
export function poolFromLevels(
  maps: readonly Tensor[],
  { boxes, images }: BatchBoxes,
  options: Omit<RoiAlignOptions, 'scale'> & {
    readonly scales: readonly number[];
    readonly levels: LevelSettings;
  },
): Tensor {
  const levels = levelsOf(boxes, options.levels);
  return scope(() => {
    const order: number[] = [];
    const pooled = maps.map((map, level) => {
      const places = Array.from(levels.keys()).filter((index) => levels[index] === level);
      order.push(...places);
      const chosen = { boxes: takeBoxes(boxes, places), images: places.map((place) => at(images, place)) };
      return roiAlign(map, chosen, { ...options, scale: at(options.scales, level, 'the scales') });
    });
    const back = new Int32Array(order.length);
    for (const [position, place] of order.entries()) back[place] = position;
    const rows = Tensor.fromTypedArray(back).to({ dtype: 'int64', device: at(maps, 0).device });
    return ops.cat(pooled, 0).indexSelect(0, rows);
  });
}
