/** Scores as the files of a comparison hold them. */
import * as z from 'zod';

/** A number; one that is not finite is text in JSON. */
export const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

/** Measures over a split. */
export const scoreSchema = z.object({
  accuracy: number,
  topFiveAccuracy: number,
  negativeLogLikelihood: number,
  expectedCalibrationError: number,
});
