/** Sorts classes by their probabilities. */

/** A class and how likely it is, 0 to 1. */
export interface LabelProbability {
  readonly label: string;
  readonly probability: number;
}

/** The most probable classes first; equally probable ones in the order of the classes. */
export function rank(
  probabilities: ArrayLike<number>,
  classes: readonly string[],
  count: number,
): LabelProbability[] {
  const probabilityOf = (index: number): number => probabilities[index] ?? 0;
  return likeliest(probabilities.length, probabilityOf, count).map((index) => ({
    label: classes[index] ?? String(index),
    probability: probabilityOf(index),
  }));
}

/** Up to so many, looking for a place takes less time than sorting all classes. */
const fewPlaces = 16;

function likeliest(length: number, probabilityOf: (index: number) => number, count: number): number[] {
  if (count > fewPlaces) {
    return Array.from({ length }, (_, index) => index)
      .sort((left, right) => probabilityOf(right) - probabilityOf(left))
      .slice(0, count);
  }
  const best: number[] = [];
  for (let index = 0; index < length; index += 1) {
    const probability = probabilityOf(index);
    let place = best.length;
    while (place > 0 && probability > probabilityOf(best[place - 1] ?? 0)) place -= 1;
    if (place >= count) continue;
    best.splice(place, 0, index);
    if (best.length > count) best.pop();
  }
  return best;
}
