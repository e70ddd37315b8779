/** The cross-entropy of a recipe: class weights by name or balance, and logit adjustment, for the images that are trained on. */
import { DataError } from '../data/index.ts';
import {
  balancedWeights,
  classificationWith,
  priorOffsets,
  type Classification,
  type ClassificationOptions,
} from '../losses/index.ts';
import { nearestName } from '../support/nearestName.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { at } from '../support/at.ts';

/** The recipe's section. */
export type ClassificationSettings = ResolvedRecipe['train']['classification'];

/** The classes and images of a training. */
export interface ClassificationInput {
  readonly classes: number;
  /** Names of the classes, where they are known. */
  readonly classNames?: readonly string[];
  /** Labels of the training images. */
  readonly trainingLabels: ArrayLike<number>;
}

/**
 * The cross-entropy that a recipe asks for; undefined for the plain one.
 *
 * @throws {DataError} `argument` for weights that do not fit the classes, and for classes without training images where
 *   weights or offsets follow from their number
 */
export function createClassification(
  settings: ClassificationSettings,
  input: ClassificationInput,
): Classification | undefined {
  const options = classificationOptions(settings, input);
  const { labelSmoothing = 0, classWeights = null, logitOffsets = null } = options;
  if (labelSmoothing === 0 && classWeights === null && logitOffsets === null) return undefined;
  return classificationWith(options);
}

/** What a recipe's section says for these classes and images. @throws {DataError} as {@link createClassification} */
export function classificationOptions(
  { labelSmoothing, classWeights, logitAdjustment }: ClassificationSettings,
  input: ClassificationInput,
): ClassificationOptions {
  return {
    labelSmoothing,
    classWeights:
      classWeights === null
        ? null
        : classWeights.name === 'explicit'
          ? explicitWeights(classWeights.weights, input)
          : balancedWeights(classWeights, countsOf(input, 'train.classification.classWeights')),
    logitOffsets:
      logitAdjustment === null
        ? null
        : priorOffsets(countsOf(input, 'train.classification.logitAdjustment'), logitAdjustment),
  };
}

function countsOf({ classes, classNames, trainingLabels }: ClassificationInput, setting: string): number[] {
  const counts = Array<number>(classes).fill(0);
  for (const label of Array.from(trainingLabels)) {
    counts[label] = at(counts, label, 'the classes') + 1;
  }
  const empty = counts.flatMap((count, label) => (count > 0 ? [] : [classNames?.[label] ?? String(label)]));
  if (empty.length === 0) return counts;
  throw new DataError('argument', {
    operation: `setting up ${setting}`,
    expected: 'training images of every class, since class weights follow from their number',
    received: `none of ${listed(empty)}`,
    remedy: `Take more images, remove the class, or set ${setting} to null or to weights of your own.`,
  });
}

function explicitWeights(
  weights: readonly number[] | Readonly<Record<string, number>>,
  { classes, classNames = [] }: ClassificationInput,
): number[] {
  const operation = 'setting up train.classification.classWeights';
  if (isList(weights)) {
    if (weights.length === classes) return [...weights];
    throw new DataError('argument', {
      operation,
      expected: `a weight for each of ${classes} classes`,
      received: `${weights.length}`,
      remedy: `List one weight for each class in this order: ${listed(classNames)}.`,
    });
  }
  const byName = new Map(Object.entries(weights));
  const unknown = [...byName.keys()].filter((name) => !classNames.includes(name));
  const missing = classNames.filter((name) => !byName.has(name));
  if (unknown.length === 0 && missing.length === 0) return classNames.map((name) => byName.get(name) ?? 1);
  const meant = unknown.map((name) => nearestName(name, [...classNames])).find((name) => name !== null);
  throw new DataError('argument', {
    operation,
    expected: `a weight for each of ${classes} classes by its name`,
    received: [
      ...(unknown.length === 0 ? [] : [`the unknown class ${listed(unknown)}`]),
      ...(missing.length === 0 ? [] : [`no weight for ${listed(missing)}`]),
    ].join(' and '),
    remedy:
      meant === undefined
        ? `The classes are ${listed(classNames)}.`
        : `Did you mean ${meant}? The classes are ${listed(classNames)}.`,
  });
}

function isList(weights: readonly number[] | Readonly<Record<string, number>>): weights is readonly number[] {
  return Array.isArray(weights);
}

function listed(names: readonly string[]): string {
  return names.length > 12
    ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more`
    : names.join(', ');
}
