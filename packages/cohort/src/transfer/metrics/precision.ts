/** Average precision from what became of each detection, in the forms of COCO and of Pascal VOC. */

/** What became of a detection: it found an object, found none, or does not count. */
export type Outcome = 'right' | 'wrong' | 'ignored';

/** Detections in descending order of score, and how many objects there are to be found. */
export interface PrecisionInput {
  readonly outcomes: readonly Outcome[];
  readonly positives: number;
}

/** Recalls at which COCO reads the precision. */
const recalls = Array.from({ length: 101 }, (_, index) => index / 100);

/** Recall and precision after every detection that counts. */
function curve({ outcomes, positives }: PrecisionInput): { recall: number[]; precision: number[] } {
  const recall: number[] = [];
  const precision: number[] = [];
  let right = 0;
  let counted = 0;
  for (const outcome of outcomes) {
    if (outcome !== 'ignored') counted += 1;
    if (outcome === 'right') right += 1;
    recall.push(right / positives);
    precision.push(counted === 0 ? 0 : right / counted);
  }
  return { recall, precision };
}

/** Makes a curve fall from left to right: at each place the greatest value from there on. */
function envelope(values: number[]): number[] {
  for (let index = values.length - 2; index >= 0; index -= 1) {
    values[index] = Math.max(values[index] ?? 0, values[index + 1] ?? 0);
  }
  return values;
}

/** COCO's: the mean precision at 101 recalls, 0 where a recall is not reached; and the greatest recall. */
export function averagePrecision(input: PrecisionInput): {
  readonly precision: number;
  readonly recall: number;
} {
  const { recall, precision } = curve(input);
  envelope(precision);
  let place = 0;
  let sum = 0;
  for (const wanted of recalls) {
    while (place < recall.length && (recall[place] ?? 0) < wanted) place += 1;
    sum += precision[place] ?? 0;
  }
  return { precision: sum / recalls.length, recall: recall.at(-1) ?? 0 };
}

/** VOC's of 2007: the mean over eleven recalls of the greatest precision from there on. */
export function elevenPointPrecision(input: PrecisionInput): number {
  const { recall, precision } = curve(input);
  const points = Array.from({ length: 11 }, (_, index) => index / 10);
  const best = points.map((point) =>
    precision.reduce(
      (most, value, index) => ((recall[index] ?? 0) >= point ? Math.max(most, value) : most),
      0,
    ),
  );
  return best.reduce((sum, value) => sum + value, 0) / points.length;
}

/** VOC's from 2010 on: the area under the falling curve. */
export function areaPrecision(input: PrecisionInput): number {
  const { recall, precision } = curve(input);
  envelope(precision);
  return recall.reduce(
    (sum, value, index) => sum + (value - (recall[index - 1] ?? 0)) * (precision[index] ?? 0),
    0,
  );
}
