/** The measures of a network on a split, listed once: whatever stores, averages or prints scores goes through them in this order. */
import * as z from 'zod';

/** Every measure of a {@link Score}, in the order in which files and tables list them. */
export const SCORE_MEASURES = [
  'accuracy',
  'topFiveAccuracy',
  'negativeLogLikelihood',
  'expectedCalibrationError',
] as const;

/** Name of a measure. */
export type ScoreMeasure = (typeof SCORE_MEASURES)[number];

/** Measures over a split. */
export interface Score extends Readonly<Record<ScoreMeasure, number>> {
  /** Share of images whose most probable class is right, 0 to 1. An answer that is not a number is wrong. */
  readonly accuracy: number;
  /**
   * Share of images whose right class is among the five most probable, 0 to 1; 1 where there are no more than five. Among
   * equally probable classes every order counts the same: a network that finds 100 classes alike has 0.05.
   */
  readonly topFiveAccuracy: number;
  /** Mean of -ln(probability of the right class), in nats. */
  readonly negativeLogLikelihood: number;
  /**
   * Expected calibration error (Guo et al., arXiv 1706.04599, equation 3), 0 to 1: how far the probability of the chosen
   * class is from the share that is right, over 15 bins of equal width. NaN where an answer is not a number.
   */
  readonly expectedCalibrationError: number;
}

/** One value for every measure. */
export function mapMeasures<Value>(value: (measure: ScoreMeasure) => Value): Record<ScoreMeasure, Value> {
  return {
    accuracy: value('accuracy'),
    topFiveAccuracy: value('topFiveAccuracy'),
    negativeLogLikelihood: value('negativeLogLikelihood'),
    expectedCalibrationError: value('expectedCalibrationError'),
  };
}

/** The main score of a network on a split as metrics name it: `accuracy` on test images, `validationAccuracy` on others. */
export function scoreMetric(split: 'validation' | 'test', scoreName = 'accuracy'): string {
  return split === 'test'
    ? scoreName
    : `validation${scoreName.slice(0, 1).toUpperCase()}${scoreName.slice(1)}`;
}

/** The main score in words: `mean IoU` for `meanIoU`. */
export function scoreTitle(scoreName: string): string {
  return scoreName === 'meanIoU' ? 'mean IoU' : scoreName;
}

/** A number as text files hold it: JSON knows only finite ones, so that the others are text. */
export const storedNumber: z.ZodType<number> = z.union([
  z.number(),
  z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number),
]);

/** A score as the files of a comparison hold it. */
export const scoreSchema = z.object(mapMeasures(() => storedNumber));
