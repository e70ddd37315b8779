/** Mean and standard deviation of every channel, so that networks see inputs around zero and of unit spread. */
import type { ImageShape, ImageSplit } from '../dataset.ts';
import { imageBytes } from '../dataset.ts';
import { DataError } from '../errors.ts';
import type { ImagePixels, Normalisation } from './pixelSource.ts';

export type { Normalisation } from './pixelSource.ts';

/**
 * Per-channel mean and (population) standard deviation over all pixels of a split. Take them from the training images in
 * use and apply them to the test images too: test data must not shape the input. A channel of one value has no spread;
 * its `std` is given as 1, so that normalising makes it zero instead of infinite.
 */
export function channelStatistics(split: ImageSplit, shape: ImageShape): Normalisation {
  if (split.count === 0 || split.images.length !== split.count * imageBytes(shape)) {
    throw new DataError('argument', {
      operation: 'measuring channel statistics',
      expected: `a split with images of ${shape.channels} x ${shape.height} x ${shape.width}`,
      received: `${split.images.length} bytes for ${split.count} images`,
      remedy: 'Pass the shape of the dataset that the split came from.',
    });
  }
  const planeSize = shape.height * shape.width;
  // Counting the 256 values keeps the sums exact however many pixels there are.
  const histograms = Array.from({ length: shape.channels }, () => new Float64Array(256));
  for (let plane = 0, start = 0; start < split.images.length; plane += 1, start += planeSize) {
    const histogram = histograms[plane % shape.channels];
    if (histogram === undefined) continue;
    for (const value of split.images.subarray(start, start + planeSize)) {
      histogram[value] = (histogram[value] ?? 0) + 1;
    }
  }
  const pixels = split.count * planeSize;
  const mean = histograms.map(
    (histogram) => histogram.reduce((sum, n, value) => sum + n * value, 0) / pixels / 255,
  );
  const std = histograms.map((histogram, channel) => {
    const center = (mean[channel] ?? 0) * 255;
    const variance = histogram.reduce((sum, n, value) => sum + n * (value - center) ** 2, 0) / pixels;
    return variance < 1e-12 ? 1 : Math.sqrt(variance) / 255;
  });
  return { mean, std };
}

/** The same for any split: a source has measured its pixels when it decoded them. */
export function splitStatistics(split: ImageSplit<ImagePixels>, shape: ImageShape): Normalisation {
  const { images, labels, count } = split;
  return images instanceof Uint8Array
    ? channelStatistics({ images, labels, count }, shape)
    : images.statistics();
}
