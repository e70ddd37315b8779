/** Sorts classes by their probabilities. */

/** A class and how likely it is, 0 to 1. */
export interface LabelProbability {
  readonly label: string;
  readonly probability: number;
}

/** The most probable classes first; equally probable ones in the order of the classes. */
export function rank(
  probabilities: readonly number[],
  classes: readonly string[],
  count: number,
): LabelProbability[] {
  return probabilities
    .map((probability, index) => ({ label: classes[index] ?? String(index), probability }))
    .sort((left, right) => right.probability - left.probability)
    .slice(0, count);
}
