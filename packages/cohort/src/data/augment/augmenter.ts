/** All augmentation of a loader in one place: checks the settings once, then varies whole batches on the engine. */
import { scope, Tensor } from '@cohort-ml/torch';
import type { ImageShape } from '../dataset.ts';
import type { MixedLabels } from '../../losses/index.ts';
import { DataError } from '../errors.ts';
import type { Normalisation } from '../loading/normalisation.ts';
import { blur, drawBlur } from './blur.ts';
import { colourJitter, drawColourJitter } from './colourJitter.ts';
import { checkCrop, cropAndFlip, drawCropAndFlip } from './cropAndFlip.ts';
import type { DrawKeys } from './draws.ts';
import { drawErasing, erase } from './erasing.ts';
import { drawGreyscale, greyscale } from './greyscale.ts';
import { drawMixing, mixImages } from './mixing.ts';
import { drawRandAugment, randAugment } from './randAugment.ts';
import { drawResizedCrop, resizedCrop } from './resizedCrop.ts';
import {
  augmentationConflicts,
  augmentationSettings,
  type AugmentationOptions,
  type AugmentationSettings,
} from './settings.ts';

/** Augmentation at work on images of one shape. */
export class Augmenter {
  /** Whether every network is to see its own version. */
  readonly hasIndependentViews: boolean;
  /** Whether batches are mixed, so that labels have partners. */
  readonly isMixing: boolean;
  readonly #settings: AugmentationSettings;
  readonly #shape: ImageShape;
  /** The colour of erased places, a byte a channel, or noise. */
  readonly #fill: readonly number[] | 'noise';

  /**
   * @param normalisation of the training images, whose mean may take the place of what is erased
   * @throws {@link DataError} `argument` for settings that make no sense, by themselves or for images of this shape.
   */
  constructor(options: AugmentationOptions, shape: ImageShape, normalisation: Normalisation) {
    this.#settings = checked(options);
    checkCrop(this.#settings, shape);
    this.#shape = shape;
    this.hasIndependentViews = this.#settings.views === 'independent';
    this.isMixing = this.#settings.mixup !== null || this.#settings.cutmix !== null;
    const fill = this.#settings.erasing?.fill ?? 'black';
    this.#fill =
      fill === 'mean'
        ? normalisation.mean.map((mean) => Math.round(255 * mean))
        : fill === 'black'
          ? normalisation.mean.map(() => 0)
          : fill;
  }

  /**
   * Crops, flips, varies and erases: raw `[B, C, H, W]`, 0 to 255 of any dtype, to the same. RandAugment, colour jitter,
   * greyscale and blur work on bytes: fractions are rounded on the way.
   */
  vary(images: Tensor, keys: DrawKeys): Tensor {
    const settings = this.#settings;
    return scope(() => {
      let current = images;
      if (settings.resizedCrop !== null) {
        current = resizedCrop(current, drawResizedCrop(settings.resizedCrop, this.#shape, keys));
      }
      if (settings.cropPadding > 0 || settings.horizontalFlip) {
        current = cropAndFlip(current, settings, drawCropAndFlip(settings, keys));
      }
      const { randAugment: rand, colourJitter: jitter, greyscale: grey, blur: blurring } = settings;
      if ([rand, jitter, grey, blurring].some((each) => each !== null)) current = asBytes(current);
      if (rand !== null) current = randAugment(current, rand, drawRandAugment(rand, keys));
      if (jitter !== null) current = colourJitter(current, drawColourJitter(jitter, keys));
      if (grey !== null) current = greyscale(current, drawGreyscale(grey, keys));
      if (blurring !== null) current = blur(current, drawBlur(blurring, keys));
      if (settings.erasing !== null) {
        current = erase(current, drawErasing(settings.erasing, this.#shape, keys), this.#fill);
      }
      // Nothing changed: the caller still gets a tensor of its own.
      return current === images ? images.clone() : current.to(images.dtype);
    });
  }

  /**
   * Mixes a batch, every view alike, and says how its labels count. Mixing is linear, so that it may follow normalisation.
   *
   * @param views normalised float32, `[B, C, H, W]` each
   * @param labels int64 `[B]`
   */
  mix(views: readonly Tensor[], labels: Tensor, keys: DrawKeys): { views: Tensor[]; mix: MixedLabels } {
    const draws = drawMixing(this.#settings, this.#shape, keys);
    const partners = scope(() => labels.indexSelect(0, Tensor.fromTypedArray(draws.partners).to('int64')));
    return {
      views: views.map((images) => mixImages(images, draws)),
      mix: { labels: partners, weight: Tensor.fromTypedArray(draws.weights) },
    };
  }
}

function asBytes(images: Tensor): Tensor {
  return images.dtype === 'uint8' ? images : images.clamp(0, 255).add(0.5).to('uint8');
}

/** The settings with their defaults. @throws {@link DataError} `argument`. */
function checked(options: AugmentationOptions): AugmentationSettings {
  const parsed = augmentationSettings.safeParse(options);
  const found = parsed.success
    ? augmentationConflicts(parsed.data)
    : parsed.error.issues.map(({ path, message }) => ({ path: path.map(String), message }));
  const [first] = found;
  if (parsed.success && first === undefined) return parsed.data;
  throw new DataError('argument', {
    operation: 'setting up augmentation',
    expected: 'settings that go together',
    received: found.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
    remedy: 'Change data.augmentation.',
  });
}
