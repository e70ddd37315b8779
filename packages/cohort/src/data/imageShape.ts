/** The size of a dataset's images, which everything that handles pixels needs to know. */

/** Height, width and channels of every image of a dataset. */
export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Bytes of one image of this shape. */
export function imageBytes(shape: ImageShape): number {
  return shape.channels * shape.height * shape.width;
}
