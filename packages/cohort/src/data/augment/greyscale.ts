/** Greyscale of whole batches: some images lose their colour, so that colour alone does not tell what two views show. */
import { scope, type Tensor } from '@cohort-ml/torch';
import { RANDOM_PURPOSE } from '../loading/random.ts';
import { SampleDraws, type DrawKeys } from './draws.ts';
import { applyByGroup, luminance } from './pixels.ts';
import type { GreyscaleSettings } from './settings.ts';

/** Draws which images lose their colour: 0 for those, -1 for all others, `[B]`. */
export function drawGreyscale({ probability }: GreyscaleSettings, keys: DrawKeys): Int32Array {
  const chosen = new SampleDraws(RANDOM_PURPOSE.greyscale, keys).uniform();
  return Int32Array.from(chosen, (draw) => (draw < probability ? 0 : -1));
}

/**
 * Puts the luminance into all three channels (Pillow's `convert('L')`); images without three channels stay as they are.
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @returns uint8 `[B, C, H, W]`
 */
export function greyscale(images: Tensor, groups: Int32Array): Tensor {
  if (images.shape[1] !== 3) return images;
  return applyByGroup(images, groups, (_, samples) =>
    scope(() => luminance(samples).to('uint8').expand(samples.shape).contiguous()),
  );
}
