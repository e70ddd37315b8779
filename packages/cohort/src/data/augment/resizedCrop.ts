/**
 * Random resized crop of whole batches: a part of every image, brought back to full size by bilinear interpolation, with
 * the draws of torchvision's `RandomResizedCrop`. The part is never larger than the image, so nothing needs smoothing.
 */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import type { ImageShape } from '../dataset.ts';
import { RANDOM_PURPOSE } from '../loading/random.ts';
import { drawBoxes, type Boxes } from './boxes.ts';
import { SampleDraws, type DrawKeys } from './draws.ts';
import type { ResizedCropSettings } from './settings.ts';

/** Draws the part of every image; where ten attempts stand out, the largest part in the middle whose ratio is allowed. */
export function drawResizedCrop(settings: ResizedCropSettings, shape: ImageShape, keys: DrawKeys): Boxes {
  const boxes = drawBoxes(settings, shape, new SampleDraws(RANDOM_PURPOSE.resizedCrop, keys));
  const { height, width } = shape;
  const [lowest, highest] = settings.ratio;
  const ratio = Math.min(Math.max(width / height, lowest), highest);
  const middleHeight = Math.max(1, Math.min(height, Math.round(width / ratio)));
  const middleWidth = Math.max(1, Math.min(width, Math.round(height * ratio)));
  for (const [row, drawn] of boxes.height.entries()) {
    if (drawn !== 0) continue;
    boxes.height[row] = middleHeight;
    boxes.width[row] = middleWidth;
    boxes.top[row] = Math.floor((height - middleHeight) / 2);
    boxes.left[row] = Math.floor((width - middleWidth) / 2);
  }
  return boxes;
}

/** For every place of the result: the two places that it lies between in the image, and how near to the second. */
interface Neighbours {
  readonly before: Tensor;
  readonly after: Tensor;
  readonly share: Tensor;
}

/** Half-pixel centres, and the edge of the part repeated beyond itself, as in Pillow and torchvision. */
function neighbours(start: Int32Array, size: Int32Array, length: number, shape: number[]): Neighbours {
  const before = new Int32Array(start.length * length);
  const after = new Int32Array(start.length * length);
  const share = new Float32Array(start.length * length);
  for (const [row, first] of start.entries()) {
    const last = (size[row] ?? 1) - 1;
    for (let place = 0; place < length; place += 1) {
      const source = Math.min(Math.max(((place + 0.5) * (last + 1)) / length - 0.5, 0), last);
      const nearest = Math.floor(source);
      before[row * length + place] = first + nearest;
      after[row * length + place] = first + Math.min(nearest + 1, last);
      share[row * length + place] = source - nearest;
    }
  }
  return {
    before: Tensor.fromTypedArray(before, shape).to('int64'),
    after: Tensor.fromTypedArray(after, shape).to('int64'),
    share: Tensor.fromTypedArray(share, shape),
  };
}

/** Brings the part of every image to full size: raw `[B, C, H, W]` to the same shape and dtype, whole dtypes rounded. */
export function resizedCrop(images: Tensor, boxes: Boxes): Tensor {
  const [batch = 0, channels = 0, height = 0, width = 0] = images.shape;
  return scope(() => {
    const samples = ops.arange(batch, { dtype: 'int64' }).view([batch, 1, 1, 1]);
    const planes = ops.arange(channels, { dtype: 'int64' }).view([1, channels, 1, 1]);
    const everyRow = ops.arange(height, { dtype: 'int64' }).view([1, 1, height, 1]);
    const everyColumn = ops.arange(width, { dtype: 'int64' }).view([1, 1, 1, width]);
    const between = (first: Tensor, second: Tensor, share: Tensor): Tensor =>
      first.add(second.sub(first).mul(share));
    const rows = neighbours(boxes.top, boxes.height, height, [batch, 1, height, 1]);
    const atRows = (places: Tensor): Tensor =>
      images.index([samples, planes, places, everyColumn]).to('float32');
    const tall = between(atRows(rows.before), atRows(rows.after), rows.share); // [B, C, H, W]
    const columns = neighbours(boxes.left, boxes.width, width, [batch, 1, 1, width]);
    const atColumns = (places: Tensor): Tensor => tall.index([samples, planes, everyRow, places]);
    const result = between(atColumns(columns.before), atColumns(columns.after), columns.share);
    return images.isFloatingPoint() ? result.to(images.dtype) : result.add(0.5).floor().to(images.dtype);
  });
}
