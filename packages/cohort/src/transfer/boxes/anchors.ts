/** Anchors: boxes of fixed sizes and shapes around every place of a feature map. */

/** A feature map's height and width, and the pixels between its neighbours. */
export interface MapPlaces {
  readonly height: number;
  readonly width: number;
  /** Pixels from one place to the next, downwards and to the right. */
  readonly stride: readonly [vertical: number, horizontal: number];
}

/** Which boxes stand around each place of a map. */
export interface AnchorShapes {
  /** Square root of the area, in pixels. */
  readonly sizes: readonly number[];
  /** Height over width. */
  readonly ratios: readonly number[];
}

/**
 * The anchors around the origin, rounded to whole pixels as published: ratio by ratio, within a ratio size by size; numbers are
 * rounded to float32 on the way.
 */
export function cellAnchors({ sizes, ratios }: AnchorShapes): Float32Array {
  const boxes = ratios.flatMap((ratio) =>
    sizes.flatMap((size) => {
      const heightRatio = Math.fround(Math.sqrt(Math.fround(ratio)));
      const width = Math.fround(Math.fround(1 / heightRatio) * Math.fround(size));
      const height = Math.fround(heightRatio * Math.fround(size));
      return [-width, -height, width, height].map((side) => roundHalfToEven(side / 2));
    }),
  );
  return Float32Array.from(boxes);
}

/** As the engine rounds: 0.5 goes to the even neighbour. */
function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** The anchors of a map, place by place from left to right and then downwards: `[height * width * A * 4]`. */
export function mapAnchors({ height, width, stride }: MapPlaces, shapes: AnchorShapes): Float32Array {
  const cell = cellAnchors(shapes);
  const boxes = new Float32Array(height * width * cell.length);
  let next = 0;
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      for (const [index, side] of cell.entries()) {
        boxes[next] = side + (index % 2 === 0 ? column * stride[1] : row * stride[0]);
        next += 1;
      }
    }
  }
  return boxes;
}
