/**
 * Random crop and horizontal flip of whole batches on the engine. What happens to a sample depends on (seed, epoch, its
 * index) alone, so batch order, workers and restarts change nothing.
 */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import type { ImageShape } from '../dataset.ts';
import { DataError } from '../errors.ts';
import { hashKeys, hashToInteger, RANDOM_PURPOSE } from '../loading/random.ts';
import { hashSample, type DrawKeys } from './draws.ts';

/** What {@link cropAndFlip} may do to an image. */
export interface CropAndFlipOptions {
  /**
   * Black pixels added on every side before a random crop of the original size; 0 for no crop. As in torchvision's
   * `RandomCrop(size, padding)`, the padding is raw 0 and comes before normalisation.
   */
  readonly cropPadding: number;
  /** Mirrors every second image, chosen at random. */
  readonly horizontalFlip: boolean;
}

/** What was drawn for the samples of a batch, one entry a sample. */
export interface CropAndFlipDraws {
  /** Top row of the crop in the padded image, 0 to twice the padding. */
  readonly top: Int32Array;
  /** Left column of the crop in the padded image, before flipping. */
  readonly left: Int32Array;
  /** 1 where the crop is then mirrored. */
  readonly flip: Uint8Array;
}

/**
 * Refuses settings that could crop an image away.
 * @throws {@link DataError} `argument`.
 */
export function checkCrop(options: CropAndFlipOptions, shape: ImageShape): void {
  const largest = Math.min(shape.height, shape.width) - 1;
  const { cropPadding } = options;
  if (Number.isInteger(cropPadding) && cropPadding >= 0 && cropPadding <= largest) return;
  throw new DataError('argument', {
    operation: 'setting up augmentation',
    expected: `a cropPadding from 0 to ${largest} for images of ${shape.height} x ${shape.width}`,
    received: `${cropPadding}`,
    remedy: 'Change data.augmentation.cropPadding; 2 to 4 is usual.',
  });
}

/** Draws crop and flip for every sample of a batch. */
export function drawCropAndFlip(options: CropAndFlipOptions, keys: DrawKeys): CropAndFlipDraws {
  const count = keys.indices.length;
  const draws = { top: new Int32Array(count), left: new Int32Array(count), flip: new Uint8Array(count) };
  const places = 2 * options.cropPadding + 1;
  for (let row = 0; row < count; row += 1) {
    const key = hashSample(RANDOM_PURPOSE.crop, keys, row);
    draws.top[row] = hashToInteger(hashKeys(key, 0), places);
    draws.left[row] = hashToInteger(hashKeys(key, 1), places);
    draws.flip[row] = options.horizontalFlip ? hashToInteger(hashKeys(key, 2), 2) : 0;
  }
  return draws;
}

/**
 * Crops and flips a batch `[B, C, H, W]` of any dtype as drawn: pixel (y, x) comes from row `top + y` and column
 * `left + x` (`left + W - 1 - x` where flipped) of the image padded with zeros. Returns a new tensor.
 */
export function cropAndFlip(images: Tensor, options: CropAndFlipOptions, draws: CropAndFlipDraws): Tensor {
  const [batch, channels, height, width] = images.shape;
  if (
    batch === undefined ||
    channels === undefined ||
    height === undefined ||
    width === undefined ||
    images.shape.length !== 4 ||
    batch !== draws.top.length
  ) {
    throw new DataError('argument', {
      operation: 'augmenting a batch',
      expected: `images [${draws.top.length}, C, H, W], one for each draw`,
      received: `[${images.shape.join(', ')}]`,
      remedy: 'Draw for the same batch.',
    });
  }
  const rows = new Int32Array(batch * height);
  const columns = new Int32Array(batch * width);
  for (let sample = 0; sample < batch; sample += 1) {
    const top = draws.top[sample] ?? 0;
    const left = draws.left[sample] ?? 0;
    const flipped = draws.flip[sample] === 1;
    for (let y = 0; y < height; y += 1) rows[sample * height + y] = top + y;
    for (let x = 0; x < width; x += 1) columns[sample * width + x] = left + (flipped ? width - 1 - x : x);
  }
  return scope(() => {
    const padding = options.cropPadding;
    const padded = padding === 0 ? images : images.constantPadNd([padding, padding, padding, padding], 0);
    // Four index tensors that broadcast to [B, C, H, W]: one gather does crop and flip for the whole batch.
    return padded.index([
      ops.arange(batch, { dtype: 'int64' }).view([batch, 1, 1, 1]),
      ops.arange(channels, { dtype: 'int64' }).view([1, channels, 1, 1]),
      Tensor.fromTypedArray(rows, [batch, 1, height, 1]).to('int64'),
      Tensor.fromTypedArray(columns, [batch, 1, 1, width]).to('int64'),
    ]);
  });
}
