/** How well classes of pixels agree: mean intersection over union and its relatives (Long et al., arXiv 1411.4038, section 5). */

/** Label of pixels that do not count. */
export const IGNORED = 255;

/** Measures of a segmentation, 0 to 1. */
export interface SegmentationScores {
  /** Mean over the classes that occur in truth or prediction. */
  readonly meanIoU: number;
  /** Share of the pixels that are right. */
  readonly pixelAccuracy: number;
  /** Mean over the classes of the truth of the share of their pixels that is right. */
  readonly meanAccuracy: number;
  /** Mean weighted by the pixels that each class has in the truth. */
  readonly frequencyWeightedIoU: number;
  /** Of each class; null where neither truth nor prediction has it. */
  readonly classIoU: readonly (number | null)[];
}

/** Counts pixels by true and predicted class. */
export class SegmentationTally {
  readonly #classes: number;
  readonly #counts: Float64Array;

  /** @param counts as {@link counts} gave them, to go on from */
  constructor(classes: number, counts: ArrayLike<number> = new Float64Array(classes * classes)) {
    this.#classes = classes;
    this.#counts = Float64Array.from(counts);
  }

  /** Pixels of true class r (row) that were predicted as class c (column), row by row: `[classes * classes]`. */
  get counts(): Float64Array {
    return this.#counts.slice();
  }

  /**
   * Counts the pixels of an image.
   *
   * @param truth class of each pixel; labels past the last class do not count
   * @param predicted class of each pixel, as many
   */
  add(truth: ArrayLike<number>, predicted: ArrayLike<number>): void {
    if (truth.length !== predicted.length) {
      throw new RangeError(
        `Expected a prediction for each of ${truth.length} pixels, got ${predicted.length}. Bring them to one size first.`,
      );
    }
    for (let index = 0; index < truth.length; index += 1) {
      const [row, column] = [truth[index] ?? IGNORED, predicted[index] ?? 0];
      if (row < this.#classes && column < this.#classes) {
        const place = row * this.#classes + column;
        this.#counts[place] = (this.#counts[place] ?? 0) + 1;
      }
    }
  }

  /** The measures so far; NaN for means where no pixel counted. */
  scores(): SegmentationScores {
    const indices = Array.from({ length: this.#classes }, (_, index) => index);
    const count = (row: number, column: number): number => this.#counts[row * this.#classes + column] ?? 0;
    const rows = indices.map((row) => indices.reduce((sum, column) => sum + count(row, column), 0));
    const columns = indices.map((column) => indices.reduce((sum, row) => sum + count(row, column), 0));
    const total = rows.reduce((sum, value) => sum + value, 0);
    const classIoU = indices.map((index) => {
      const union = (rows[index] ?? 0) + (columns[index] ?? 0) - count(index, index);
      return union === 0 ? null : count(index, index) / union;
    });
    const right = indices.reduce((sum, index) => sum + count(index, index), 0);
    const accuracies = indices.flatMap((index) => {
      const pixels = rows[index] ?? 0;
      return pixels === 0 ? [] : [count(index, index) / pixels];
    });
    return {
      meanIoU: mean(classIoU.filter((value) => value !== null)),
      pixelAccuracy: right / total,
      meanAccuracy: mean(accuracies),
      frequencyWeightedIoU: indices.reduce(
        (sum, index) => sum + ((rows[index] ?? 0) / total) * (classIoU[index] ?? 0),
        0,
      ),
      classIoU,
    };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
