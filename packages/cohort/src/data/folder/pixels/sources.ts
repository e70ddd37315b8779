/** The two kinds of pixel source behind a folder of images: a tensor (in memory, or a mapped file), and files decoded on demand. */
import { errorText } from '@cohort-ml/errors';
import { keep, ops, scope, Tensor } from '@cohort-ml/torch';
import { imageBytes, type ImageFit, type ImageShape } from '../../dataset.ts';
import { decodeQueued } from '../../loading/decodeImage.ts';
import { DataError } from '../../errors.ts';
import type { Normalisation } from '../../loading/normalisation.ts';
import type { ResidentPixels, StreamedPixels } from '../../loading/pixelSource.ts';
import { statisticsOf, type Moments } from './moments.ts';

/** Rows of the whole set that a source shows, in its order. */
function rowsOf(rows: Int32Array, indices: Int32Array): Int32Array {
  return indices.map((index) => {
    const row = rows[index];
    if (row !== undefined) return row;
    throw new DataError('argument', {
      operation: 'taking images of a split',
      expected: `indices from 0 to ${rows.length - 1}`,
      received: `${index}`,
      remedy: 'Take indices of the same split.',
    });
  });
}

/** Images that are one tensor, whole or in part. The tensor is shared: whoever made it disposes of it. */
export class TensorPixels implements ResidentPixels {
  readonly kind = 'resident';
  readonly #images: Tensor; // uint8 [N, C, H, W]
  readonly #moments: Moments;
  readonly #shape: ImageShape;
  readonly #rows: Int32Array;

  constructor(images: Tensor, moments: Moments, shape: ImageShape, rows: Int32Array) {
    this.#images = images;
    this.#moments = moments;
    this.#shape = shape;
    this.#rows = rows;
  }

  get count(): number {
    return this.#rows.length;
  }

  select(indices: Int32Array): TensorPixels {
    return new TensorPixels(this.#images, this.#moments, this.#shape, rowsOf(this.#rows, indices));
  }

  statistics(): Normalisation {
    return statisticsOf(this.#moments, this.#rows, this.#shape);
  }

  gather(indices: Int32Array): Tensor {
    const rows = rowsOf(this.#rows, indices);
    return scope(() => this.#images.indexSelect(0, Tensor.fromTypedArray(rows).to('int64')));
  }
}

/** Images that are decoded from their files whenever they are asked for. */
export class FilePixels implements StreamedPixels {
  readonly kind = 'streamed';
  readonly #paths: readonly string[];
  readonly #moments: Moments;
  readonly #shape: ImageShape & { readonly fit: ImageFit };
  readonly #rows: Int32Array;

  constructor(
    paths: readonly string[],
    moments: Moments,
    shape: ImageShape & { readonly fit: ImageFit },
    rows: Int32Array,
  ) {
    this.#paths = paths;
    this.#moments = moments;
    this.#shape = shape;
    this.#rows = rows;
  }

  get count(): number {
    return this.#rows.length;
  }

  select(indices: Int32Array): FilePixels {
    const rows = rowsOf(this.#rows, indices);
    return new FilePixels(this.#paths, this.#moments, this.#shape, rows);
  }

  statistics(): Normalisation {
    return statisticsOf(this.#moments, this.#rows, this.#shape);
  }

  async fetch(indices: Int32Array): Promise<Uint8Array> {
    const size = imageBytes(this.#shape);
    const pixels = new Uint8Array(indices.length * size);
    const paths = Array.from(rowsOf(this.#rows, indices), (row) => this.#paths[row] ?? '');
    // All at once: what waits for a decoding thread is decoded while JavaScript is inside a training step.
    await Promise.all(
      paths.map(async (path, row) => {
        pixels.set(await decodeQueued(path, this.#shape), row * size);
      }),
    );
    return pixels;
  }
}

/** Pixels in memory as a tensor `[N, C, H, W]` that shares it. */
export function tensorOf(pixels: Uint8Array, count: number, shape: ImageShape): Tensor {
  const { channels, height, width } = shape;
  return keep(Tensor.wrapTypedArray(pixels, [count, channels, height, width]));
}

/**
 * A file of pixels as a tensor `[N, C, H, W]`: the system reads its pages when they are touched, and takes them away again
 * when memory is short. The file must be of the right size.
 * @throws {@link DataError} `unreadable` when the system will not map it.
 */
export function mapPixels(path: string, count: number, shape: ImageShape): Tensor {
  const { channels, height, width } = shape;
  const bytes = count * imageBytes(shape);
  const map = (isShared: boolean): Tensor =>
    keep(
      scope(() =>
        ops.fromFile(path, isShared, bytes, { dtype: 'uint8' }).view([count, channels, height, width]),
      ),
    );
  try {
    // Shared, although nobody writes: Linux counts a private mapping as memory and refuses one larger than that.
    return map(true);
  } catch {
    // A shared mapping needs the right to write.
    try {
      return map(false);
    } catch (error) {
      throw new DataError('unreadable', {
        operation: `mapping ${path} into memory`,
        expected: `${bytes} bytes that the system can map`,
        received: errorText(error),
        remedy:
          'Make the file writable for this user, delete its folder to have it built again, or set data.cache=none.',
        path,
        cause: error,
      });
    }
  }
}
