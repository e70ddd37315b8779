/** Normalises raw batches on the engine: the one place where bytes become a network's input, in training and prediction. */
import { keep, scope, Tensor } from '@cohort-ml/torch';
import { DataError } from '../errors.ts';
import type { Normalisation } from './normalisation.ts';

/** Scale and shift of every channel as tensors `[1, C, 1, 1]`, kept for many batches. */
export class BatchNormaliser {
  readonly #scale: Tensor;
  readonly #shift: Tensor;
  readonly #channels: number;

  /** @throws {@link DataError} `argument` unless there is one finite mean and one positive deviation a channel. */
  constructor(normalisation: Normalisation) {
    const { mean, std } = normalisation;
    const sound =
      mean.every((value) => Number.isFinite(value)) && std.every((value) => value > 0 && value < Infinity);
    if (mean.length === 0 || mean.length !== std.length || !sound) {
      throw new DataError('argument', {
        operation: 'setting up normalisation',
        expected: 'one finite mean and one positive standard deviation for every channel',
        received: `mean [${mean.join(', ')}], std [${std.join(', ')}]`,
        remedy: 'Take them from channelStatistics.',
      });
    }
    this.#channels = mean.length;
    const shape = [1, mean.length, 1, 1];
    this.#scale = keep(
      Tensor.fromTypedArray(
        Float32Array.from(std, (value) => 1 / (255 * value)),
        shape,
      ),
    );
    this.#shift = keep(
      Tensor.fromTypedArray(
        Float32Array.from(mean, (value, channel) => -value / (std[channel] ?? 1)),
        shape,
      ),
    );
  }

  /** `(images / 255 - mean) / std` as float32: raw `[B, C, H, W]` of any dtype to a new tensor of the same shape. */
  apply(images: Tensor): Tensor {
    if (images.shape.length !== 4 || images.shape[1] !== this.#channels) {
      throw new DataError('argument', {
        operation: 'normalising a batch',
        expected: `images [B, ${this.#channels}, H, W]`,
        received: `[${images.shape.join(', ')}]`,
        remedy: 'Use the normalisation of the same dataset.',
      });
    }
    return scope(() => images.to('float32').mul(this.#scale).add(this.#shift));
  }

  /** Releases the two tensors. */
  dispose(): void {
    this.#scale.dispose();
    this.#shift.dispose();
  }
}
