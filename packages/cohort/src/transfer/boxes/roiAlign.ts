/**
 * RoIAlign (He et al., arXiv 1703.06870): a fixed grid of features from every box by bilinear sampling. Each bin is a weighted sum
 * of rows of the map, which LibTorch's `embedding_bag` computes with its gradient, so nothing native of our own is needed.
 */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import { boxCount, type BoxArray } from './boxes.ts';

/** How boxes are pooled. */
export interface RoiAlignOptions {
  /** Bins down and across. */
  readonly output: readonly [height: number, width: number];
  /** From pixels of the boxes to places of the map: one over the stride. */
  readonly scale: number;
  /** Samples a bin in each direction; 0 takes as many as there are places in a bin, rounded up. */
  readonly samplingRatio: number;
  /** Moves boxes by half a place, so that pixels' centres count; boxes may then have no area. */
  readonly aligned?: boolean;
}

/** Boxes of a batch. */
export interface BatchBoxes {
  /** `[4 N]`, in pixels. */
  readonly boxes: BoxArray;
  /** Image of each box, `[N]`. */
  readonly images: ArrayLike<number>;
}

/** The rows of a map that make up each bin. */
interface Samples {
  readonly rows: number[];
  readonly weights: number[];
  /** Where each bin's rows begin. */
  readonly offsets: number[];
}

/**
 * @param map `[B, C, H, W]`; computed in float32, whatever the precision of the rest
 * @returns `[N, C, height, width]`
 * @throws {RangeError} for a box of an image that the batch does not have
 */
export function roiAlign(map: Tensor, { boxes, images }: BatchBoxes, options: RoiAlignOptions): Tensor {
  const [batch = 0, channels = 0, height = 0, width = 0] = map.shape;
  const count = boxCount(boxes);
  const samples: Samples = { rows: [], weights: [], offsets: [] };
  for (let index = 0; index < count; index += 1) {
    const image = images[index] ?? -1;
    if (!Number.isInteger(image) || image < 0 || image >= batch) {
      throw new RangeError(
        `RoIAlign: box ${index} belongs to image ${image}, but the batch has ${batch} images, from 0. Pass the place of its image for every box.`,
      );
    }
    sampleBox(
      samples,
      boxes.subarray(4 * index, 4 * index + 4),
      { first: image * height * width, height, width },
      options,
    );
  }
  const [binsDown, binsAcross] = options.output;
  if (count === 0) return ops.zeros([0, channels, binsDown, binsAcross], { device: map.device });
  return scope(() => {
    const table = map.to('float32').permute([0, 2, 3, 1]).reshape([-1, channels]); // [B, C, H, W] -> [B H W, C]
    const on = { device: map.device };
    const rows = Tensor.fromTypedArray(Int32Array.from(samples.rows)).to({ ...on, dtype: 'int64' });
    const offsets = Tensor.fromTypedArray(Int32Array.from(samples.offsets)).to({ ...on, dtype: 'int64' });
    const weights = Tensor.fromTypedArray(Float32Array.from(samples.weights)).to(on);
    const [bins] = ops.embeddingBag(table, rows, offsets, false, 0, false, weights); // [N bins, C]
    return bins.reshape([count, binsDown, binsAcross, channels]).permute([0, 3, 1, 2]).contiguous();
  });
}

/** Adds the samples of every bin of one box. */
function sampleBox(
  samples: Samples,
  box: Float32Array,
  place: { readonly first: number; readonly height: number; readonly width: number },
  { output, scale, samplingRatio, aligned = false }: RoiAlignOptions,
): void {
  const [left = NaN, top = NaN, right = NaN, bottom = NaN] = Array.from(box, (side) =>
    Math.fround(Math.fround(side * Math.fround(scale)) - (aligned ? 0.5 : 0)),
  );
  const side = (length: number): number => (aligned ? length : Math.max(length, 1));
  const boxHeight = Math.fround(side(Math.fround(bottom - top)));
  const boxWidth = Math.fround(side(Math.fround(right - left)));
  const [binsDown, binsAcross] = output;
  const binHeight = Math.fround(boxHeight / binsDown);
  const binWidth = Math.fround(boxWidth / binsAcross);
  const down = samplingRatio > 0 ? samplingRatio : Math.ceil(binHeight);
  const across = samplingRatio > 0 ? samplingRatio : Math.ceil(binWidth);
  const share = 1 / Math.max(down * across, 1);
  const rowTaps = taps(top, binHeight, binsDown, down, place.height);
  const columnTaps = taps(left, binWidth, binsAcross, across, place.width);
  for (let binRow = 0; binRow < binsDown; binRow += 1) {
    for (let binColumn = 0; binColumn < binsAcross; binColumn += 1) {
      samples.offsets.push(samples.rows.length);
      for (let i = binRow * down; i < (binRow + 1) * down; i += 1) {
        for (let j = binColumn * across; j < (binColumn + 1) * across; j += 1) {
          for (const [row, rowWeight] of rowTaps[i] ?? []) {
            for (const [column, columnWeight] of columnTaps[j] ?? []) {
              const weight = rowWeight * columnWeight;
              if (weight === 0) continue;
              samples.rows.push(place.first + row * place.width + column);
              samples.weights.push(weight * share);
            }
          }
        }
      }
    }
  }
}

/** The two places, with their weights, that each sample along one direction reads; none outside of the map. */
function taps(
  start: number,
  bin: number,
  bins: number,
  perBin: number,
  length: number,
): (readonly (readonly [place: number, weight: number])[])[] {
  const found: (readonly (readonly [number, number])[])[] = [];
  for (let index = 0; index < bins; index += 1) {
    for (let sample = 0; sample < perBin; sample += 1) {
      const at = Math.fround(start + Math.fround(index * bin) + Math.fround(((sample + 0.5) * bin) / perBin));
      if (!(at >= -1 && at <= length)) {
        found.push([]);
        continue;
      }
      const inside = Math.max(at, 0);
      const low = Math.min(Math.floor(inside), length - 1);
      const rest = low === length - 1 ? 0 : inside - low;
      found.push([
        [low, 1 - rest],
        [Math.min(low + 1, length - 1), rest],
      ]);
    }
  }
  return found;
}
