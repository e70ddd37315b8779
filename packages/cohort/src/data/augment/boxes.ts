/** Random rectangles of a given area and shape, as random resized crop and random erasing draw them, for a whole batch. */
import { ops, Tensor } from '@cohort-ml/torch';
import type { SampleDraws } from './draws.ts';

/** A rectangle a sample, in pixels; empty where the height or width is 0. */
export interface Boxes {
  readonly top: Int32Array;
  readonly left: Int32Array;
  readonly height: Int32Array;
  readonly width: Int32Array;
}

/** What rectangles are drawn from. */
export interface BoxOptions {
  /** Smallest and largest share of the image's area. */
  readonly scale: readonly [number, number];
  /** Smallest and largest width divided by height; drawn evenly on a logarithmic scale. */
  readonly ratio: readonly [number, number];
}

/** Rectangles that stand out of the image are drawn anew this often, as in torchvision. */
const ATTEMPTS = 10;

/** Empty boxes for a batch. */
export function emptyBoxes(count: number): Boxes {
  return {
    top: new Int32Array(count),
    left: new Int32Array(count),
    height: new Int32Array(count),
    width: new Int32Array(count),
  };
}

/** Draws a box for every sample, evenly among the places inside the image; empty where no attempt fitted. */
export function drawBoxes(
  options: BoxOptions,
  image: { readonly height: number; readonly width: number },
  draws: SampleDraws,
): Boxes {
  const boxes = emptyBoxes(draws.count);
  const [lowest, highest] = options.ratio;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const area = draws.uniform(...options.scale);
    const logRatio = draws.uniform(Math.log(lowest), Math.log(highest));
    const [down, across] = [draws.uniform(), draws.uniform()];
    for (let row = 0; row < draws.count; row += 1) {
      if (boxes.height[row] !== 0) continue;
      const pixels = image.height * image.width * (area[row] ?? 0);
      const ratio = Math.exp(logRatio[row] ?? 0);
      const [height, width] = [Math.round(Math.sqrt(pixels / ratio)), Math.round(Math.sqrt(pixels * ratio))];
      if (height < 1 || width < 1 || height > image.height || width > image.width) continue;
      boxes.height[row] = height;
      boxes.width[row] = width;
      boxes.top[row] = Math.floor((image.height - height + 1) * (down[row] ?? 0));
      boxes.left[row] = Math.floor((image.width - width + 1) * (across[row] ?? 0));
    }
  }
  return boxes;
}

/** True inside of every sample's box: bool `[B, 1, H, W]`. */
export function insideBoxes(boxes: Boxes, height: number, width: number): Tensor {
  const along = (start: Int32Array, size: Int32Array, length: number, shape: number[]): Tensor => {
    const column = (values: Int32Array): Tensor => Tensor.fromTypedArray(values, [values.length, 1, 1, 1]);
    const places = ops.arange(length, { dtype: 'int32' }).view(shape);
    const end = start.map((value, row) => value + (size[row] ?? 0));
    return places.ge(column(start)).logicalAnd(places.lt(column(end)));
  };
  const rows = along(boxes.top, boxes.height, height, [1, 1, height, 1]); // [B, 1, H, 1]
  return rows.logicalAnd(along(boxes.left, boxes.width, width, [1, 1, 1, width]));
}
