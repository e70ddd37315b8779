/** Brings the images of a dataset to the size and channels of a run, as image files are. */
import { imageBytes, type ImageFit, type ImageShape, type ImageSplit } from '../data/dataset.ts';
import { decodeImage, loadSharp } from '../data/loading/decodeImage.ts';
import { DataError } from '../data/errors.ts';
import type { ImagePixels } from '../data/loading/pixelSource.ts';
import { mapPool } from '../data/loading/pool.ts';
import { withTemporaryFile } from './temporaryFile.ts';

const TOGETHER = 8;

/**
 * The split as it is where it has that shape already.
 * @throws {@link DataError} `mismatch` for images of another shape that are not in memory
 */
export async function reshapeSplit(
  split: ImageSplit<ImagePixels>,
  from: ImageShape,
  to: ImageShape & { readonly fit: ImageFit },
): Promise<ImageSplit<ImagePixels>> {
  if (from.channels === to.channels && from.height === to.height && from.width === to.width) return split;
  const { images } = split;
  if (!(images instanceof Uint8Array)) {
    throw new DataError('mismatch', {
      operation: 'measuring on images of another size',
      expected: `${to.height} x ${to.width} x ${to.channels}`,
      received: `${from.height} x ${from.width} x ${from.channels}`,
      remedy: 'Give their folder as path.',
    });
  }
  const sharp = await loadSharp();
  const [fromSize, toSize] = [imageBytes(from), imageBytes(to)];
  const result = new Uint8Array(split.count * toSize);
  const rows = Array.from({ length: split.count }, (_, row) => row);
  await mapPool(rows, TOGETHER, async (row) => {
    const planes = images.subarray(row * fromSize, (row + 1) * fromSize);
    const { channels, height, width } = from;
    const pixels = interleaved(planes, channels);
    // As a file of its own, so that there is one way from a picture to a network's pixels.
    const png = await sharp(pixels, { raw: { width, height, channels: channels === 1 ? 1 : 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer();
    await withTemporaryFile(png, '.png', async (path) => {
      result.set(await decodeImage(path, to), row * toSize);
    });
  });
  return { images: result, labels: split.labels, count: split.count };
}

/** `[C, H, W] -> [H, W, C]`. */
function interleaved(planes: Uint8Array, channels: number): Uint8Array {
  const size = planes.length / channels;
  const pixels = new Uint8Array(planes.length);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let at = 0; at < size; at += 1) pixels[at * channels + channel] = planes[channel * size + at] ?? 0;
  }
  return pixels;
}
