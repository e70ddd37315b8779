/** Where the pixels of a split come from when they are not one array in JavaScript's memory: the interface that batches are made by. */
import type { Tensor } from '@cohort-ml/torch';

/** What is taken from and divided by, per channel, after pixels were scaled to 0 to 1 (divided by 255). */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What every source has. */
interface SourceBase {
  /** Number of images, N. */
  readonly count: number;
  /** A source of the images at `indices`, in that order, over the same pixels. */
  select(indices: Int32Array): PixelSource;
  /** Mean and deviation of every channel over all images of this source. */
  statistics(): Normalisation;
}

/** Pixels that the engine can reach at once: in memory, or in a file that is mapped into it. */
export interface ResidentPixels extends SourceBase {
  readonly kind: 'resident';
  select(indices: Int32Array): ResidentPixels;
  /** uint8 `[B, C, H, W]` of the images at `indices`. */
  gather(indices: Int32Array): Tensor;
}

/** Pixels that take a while: files that are decoded when they are asked for. */
export interface StreamedPixels extends SourceBase {
  readonly kind: 'streamed';
  select(indices: Int32Array): StreamedPixels;
  /** `[B, C, H, W]` of the images at `indices`, decoded on other threads. @throws {DataError} for a file that has broken since. */
  fetch(indices: Int32Array): Promise<Uint8Array>;
}

/** Any source. */
export type PixelSource = ResidentPixels | StreamedPixels;

/** Pixels of a split: raw 0 to 255 `[N, C, H, W]` in memory, or a source of them. */
export type ImagePixels = Uint8Array | PixelSource;
