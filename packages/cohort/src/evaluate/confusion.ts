/** What accuracy hides: which classes are mistaken for which, and how good a network is on each class. */
import { noClass, type Predictions } from './predictions.ts';

/** How good a network is on one class. */
export interface ClassScore {
  readonly name: string;
  /** Images of the class. */
  readonly images: number;
  /** Images that were taken for the class, rightly or wrongly. */
  readonly predicted: number;
  /** Share of the class's images that were found, also called recall; null without images. */
  readonly accuracy: number | null;
  /** Share of the images taken for the class that are of it; null where there were none. */
  readonly precision: number | null;
  /** Harmonic mean of the two, `2 TP / (2 TP + FP + FN)`; null where the class neither occurs nor is predicted. */
  readonly f1: number | null;
}

/** What one network, or the ensemble, takes for what. */
export interface Confusion {
  /** Mean accuracy over the classes that have images, so that each counts the same; NaN without any. */
  readonly balancedAccuracy: number;
  /** In the order of the labels. */
  readonly classes: readonly ClassScore[];
  /** Images of class `row` that were taken for class `column`: `matrix[row][column]`. */
  readonly matrix: readonly (readonly number[])[];
  /** Images for which the answer was not a number; they are in no column. */
  readonly withoutAnswer: number;
  /** Classes that have images, none of which, and no other image, was taken for the class. */
  readonly neverPredicted: readonly string[];
}

/** Counts what was taken for what. @param labels right classes `[N]` @param predicted chosen ones `[N]`, -1 for no answer */
export function confusionOf(
  labels: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: readonly string[],
): Confusion {
  const matrix = classes.map(() => classes.map(() => 0));
  const images = classes.map(() => 0);
  let withoutAnswer = 0;
  for (let image = 0; image < labels.length; image += 1) {
    const [label = noClass, chosen = noClass] = [labels[image], predicted[image]];
    const row = matrix[label];
    if (row === undefined) continue;
    images[label] = (images[label] ?? 0) + 1;
    if (chosen === noClass) withoutAnswer += 1;
    else row[chosen] = (row[chosen] ?? 0) + 1;
  }
  const scores = classes.map((name, label): ClassScore => {
    const of = images[label] ?? 0;
    const right = matrix[label]?.[label] ?? 0;
    const taken = matrix.reduce((sum, row) => sum + (row[label] ?? 0), 0);
    return {
      name,
      images: of,
      predicted: taken,
      accuracy: of === 0 ? null : right / of,
      precision: taken === 0 ? null : right / taken,
      f1: of + taken === 0 ? null : (2 * right) / (of + taken),
    };
  });
  const found = scores.flatMap(({ accuracy }) => accuracy ?? []);
  return {
    balancedAccuracy: found.reduce((sum, accuracy) => sum + accuracy, 0) / found.length,
    classes: scores,
    matrix,
    withoutAnswer,
    neverPredicted: scores
      .filter(({ images: of, predicted: taken }) => of > 0 && taken === 0)
      .map(({ name }) => name),
  };
}

/** One for each network and, last, the ensemble. */
export function confusionsOf(
  { labels, predicted }: Pick<Predictions, 'labels' | 'predicted'>,
  classes: readonly string[],
): Confusion[] {
  return predicted.map((chosen) => confusionOf(labels, chosen, classes));
}

/** Two classes and how often the first was taken for the second. */
export interface Mistake {
  readonly actual: string;
  readonly predicted: string;
  readonly images: number;
}

/** The most frequent mistakes, the most frequent first; of equally frequent ones in the order of the classes. */
export function mostFrequentMistakes({ matrix, classes }: Confusion, count: number): Mistake[] {
  const nameOf = (label: number): string => classes[label]?.name ?? '';
  return matrix
    .flatMap((row, label) =>
      row.flatMap((images, chosen): Mistake[] =>
        images === 0 || label === chosen
          ? []
          : [{ actual: nameOf(label), predicted: nameOf(chosen), images }],
      ),
    )
    .sort((left, right) => right.images - left.images)
    .slice(0, count);
}

/**
 * A warning where accuracy hides that classes are never predicted; null where each class is.
 * @param named confusions with the names of the networks and `ensemble`
 */
export function neverPredictedWarning(
  named: readonly { readonly name: string; readonly accuracy: number; readonly confusion: Confusion }[],
): string | null {
  const lines = named.flatMap(({ name, accuracy, confusion }) => {
    const { neverPredicted, classes, balancedAccuracy } = confusion;
    if (neverPredicted.length === 0) return [];
    const present = classes.filter(({ images }) => images > 0);
    const hidden = present.filter((each) => neverPredicted.includes(each.name));
    const shown = hidden
      .slice(0, 5)
      .map(
        (each) =>
          `${each.name} (${each.images.toLocaleString('en-US')} ${each.images === 1 ? 'image' : 'images'})`,
      );
    const rest = hidden.length > 5 ? ` and ${hidden.length - 5} more` : '';
    return [
      `${name} never predicts ${hidden.length} of ${present.length} classes: ${shown.join(', ')}${rest}. Its accuracy of ${percent(accuracy)} hides that; its balanced accuracy is ${percent(balancedAccuracy)}.`,
    ];
  });
  return lines.length === 0 ? null : lines.join('\n');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
