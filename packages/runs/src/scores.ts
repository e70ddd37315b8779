/** What stands for the networks of a run, as metrics name it: accuracy, or the main score of another task. */

/** In the order in which they are looked for. */
export const SCORE_NAMES = ['accuracy', 'AP', 'meanIoU'] as const;
/** One of these. */
export type ScoreName = (typeof SCORE_NAMES)[number];

/** Metrics of a score on test and on validation images: `accuracy` and `validationAccuracy`. */
export function scoreMetrics(name: ScoreName): { readonly test: string; readonly validation: string } {
  return { test: name, validation: `validation${name.slice(0, 1).toUpperCase()}${name.slice(1)}` };
}

/** The scores of a run: those of the first name that it has. @param lastOf gives the last value of a metric */
export function mainScore(lastOf: (metric: string) => number | null): {
  readonly scoreName: ScoreName;
  readonly validationAccuracy: number | null;
  readonly testAccuracy: number | null;
} {
  const all = SCORE_NAMES.map((scoreName) => {
    const { test, validation } = scoreMetrics(scoreName);
    return { scoreName, validationAccuracy: lastOf(validation), testAccuracy: lastOf(test) };
  });
  const found = all.find((each) => each.testAccuracy !== null || each.validationAccuracy !== null);
  return found ?? { scoreName: 'accuracy', validationAccuracy: null, testAccuracy: null };
}
