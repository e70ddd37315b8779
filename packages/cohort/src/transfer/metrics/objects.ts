/** Objects that images have and that detectors find, as metrics compare them. */
import type { RunLengths } from '../masks/runLengths.ts';

/** x, y of the top left corner, width, height, in pixels. */
export type SizedBox = readonly [x: number, y: number, width: number, height: number];

/** An object that an image truly has. */
export interface TrueObject {
  /** Any number that detections use as well. */
  readonly image: number;
  readonly category: number;
  readonly box: SizedBox;
  /** In pixels, by which it counts as small, medium or large: the mask's where there is one, else the box's. */
  readonly area: number;
  /** Stands for many objects: detections inside of it count neither as right nor as wrong. */
  readonly isCrowd: boolean;
  readonly mask?: RunLengths;
}

/** An object that a detector found. */
export interface DetectedObject {
  readonly image: number;
  readonly category: number;
  readonly score: number;
  readonly box: SizedBox;
  readonly mask?: RunLengths;
}
