/** Splits validation images off the training images, so that settings and epochs are never chosen on test images. */
import type { ImageDataset, ImageSplit } from '../dataset.ts';
import type { ImagePixels } from './pixelSource.ts';
import { RANDOM_PURPOSE } from './random.ts';
import { stratifiedIndices, takeImages } from './subset.ts';

/** What {@link splitValidation} is told. */
export interface ValidationOptions {
  /** How many images, or their share of the training images where below 1. */
  readonly images: number;
  readonly seed: number;
  /** The setting that asks for them, for the message; `data.validationImages` unless given. */
  readonly setting?: string;
  /** What else may be done than change it, for the message; that null takes none unless given. */
  readonly otherwise?: string;
}

/**
 * A stratified, seeded validation split and what is left for training; the two have no image in common. Every class with
 * two images or more gives at least one and keeps at least one. The choice does not depend on how many of the rest are
 * trained on, so that runs with different `data.trainImages` are measured on the same images.
 *
 * @throws {@link DataError} `argument` for more images than can be spared, or fewer than one of every class.
 */
export function splitValidation<Pixels extends ImagePixels>(
  split: ImageSplit<Pixels>,
  dataset: Pick<ImageDataset, 'channels' | 'height' | 'width' | 'classes'>,
  options: ValidationOptions,
): { train: ImageSplit<Pixels>; validation: ImageSplit<Pixels> } {
  const { images, seed, setting = 'data.validationImages', otherwise } = options;
  const chosen = stratifiedIndices(split.labels, {
    count: images < 1 ? Math.round(images * split.count) : images,
    classCount: dataset.classes.length,
    seed,
    purpose: RANDOM_PURPOSE.validation,
    leave: 1,
    setting,
    ...(otherwise === undefined ? {} : { otherwise }),
    ...(images < 1 ? { origin: `${images} of ${split.count}` } : {}),
  });
  const isChosen = new Set(chosen);
  const rest = Int32Array.from({ length: split.count }, (_, index) => index).filter(
    (index) => !isChosen.has(index),
  );
  return { train: takeImages(split, dataset, rest), validation: takeImages(split, dataset, chosen) };
}
