/** COCO's twelve numbers (Lin et al., arXiv 1405.0312): average precision and recall over ten thresholds, three sizes and three numbers of detections. */
import { evaluatePair, type Evaluated } from './matchDetections.ts';
import type { DetectedObject, TrueObject } from './objects.ts';
import { averagePrecision, type PrecisionInput } from './precision.ts';

/** The twelve numbers, 0 to 1; -1 where there is no such object. */
export interface DetectionScores {
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly APsmall: number;
  readonly APmedium: number;
  readonly APlarge: number;
  readonly AR1: number;
  readonly AR10: number;
  readonly AR100: number;
  readonly ARsmall: number;
  readonly ARmedium: number;
  readonly ARlarge: number;
}

/** Scores, and average precision of each category. */
export interface DetectionResult {
  readonly scores: DetectionScores;
  /** In the order of the categories; null where the truth has no object of it. */
  readonly perCategory: readonly {
    readonly category: number;
    readonly AP: number | null;
    readonly AP50: number | null;
  }[];
}

/** Overlaps from which a detection counts as right. */
export const detectionThresholds: readonly number[] = Array.from(
  { length: 10 },
  (_, index) => 0.5 + 0.05 * index,
);
const limits = [1, 10, 100] as const;
const ranges = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
} as const;
type Range = keyof typeof ranges;

/** Precision and recall at every threshold of one category, range of areas and limit of detections; null without truth. */
type Curves = readonly { readonly precision: number; readonly recall: number }[] | null;

/**
 * Measures detections.
 *
 * @param by whether boxes or masks overlap; for masks every object needs one
 */
export function scoreDetections(
  truth: readonly TrueObject[],
  detected: readonly DetectedObject[],
  categories: readonly number[],
  by: 'box' | 'mask' = 'box',
): DetectionResult {
  const pairs = groupPairs(truth, detected);
  const curves = new Map<string, Curves[]>();
  for (const [range, bounds] of Object.entries(ranges)) {
    const byCategory = categories.map((category) =>
      [...(pairs.get(category)?.values() ?? [])].map(({ truth: objects, detected: found }) =>
        evaluatePair(objects, found, { thresholds: detectionThresholds, bounds, most: 100, by }),
      ),
    );
    for (const limit of limits) {
      if (limit !== 100 && range !== 'all') continue;
      curves.set(
        `${range}/${limit}`,
        byCategory.map((pairsOfCategory) => curvesOf(pairsOfCategory, limit)),
      );
    }
  }
  const found = (range: Range, limit: (typeof limits)[number]): readonly Curves[] =>
    curves.get(`${range}/${limit}`) ?? [];
  const precision = (range: Range, threshold?: number): number =>
    meanOf(found(range, 100).flatMap((curve) => chosen(curve, threshold).map((each) => each.precision)));
  const recall = (range: Range, limit: (typeof limits)[number]): number =>
    meanOf(found(range, limit).flatMap((curve) => (curve ?? []).map((each) => each.recall)));
  return {
    scores: {
      AP: precision('all'),
      AP50: precision('all', 0),
      AP75: precision('all', 5),
      APsmall: precision('small'),
      APmedium: precision('medium'),
      APlarge: precision('large'),
      AR1: recall('all', 1),
      AR10: recall('all', 10),
      AR100: recall('all', 100),
      ARsmall: recall('small', 100),
      ARmedium: recall('medium', 100),
      ARlarge: recall('large', 100),
    },
    perCategory: categories.map((category, index) => {
      const curve = found('all', 100)[index] ?? null;
      const AP = curve === null ? null : meanOf(curve.map((each) => each.precision));
      return { category, AP, AP50: curve?.[0]?.precision ?? null };
    }),
  };
}

function chosen(curve: Curves, threshold: number | undefined): NonNullable<Curves> {
  if (curve === null) return [];
  return threshold === undefined ? curve : curve.slice(threshold, threshold + 1);
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? -1 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The objects of one image and category. */
interface Pair {
  readonly truth: TrueObject[];
  readonly detected: DetectedObject[];
}

/** By category, and then by image in ascending order, which decides among equal scores. */
function groupPairs(
  truth: readonly TrueObject[],
  detected: readonly DetectedObject[],
): Map<number, Map<number, Pair>> {
  const images = [...new Set([...truth, ...detected].map(({ image }) => image))].sort((a, b) => a - b);
  const groups = new Map<number, Map<number, Pair>>();
  const pairOf = ({ image, category }: { image: number; category: number }): Pair => {
    const byImage = groups.get(category) ?? new Map<number, Pair>();
    groups.set(category, byImage);
    const pair = byImage.get(image) ?? { truth: [], detected: [] };
    byImage.set(image, pair);
    return pair;
  };
  for (const object of truth) pairOf(object).truth.push(object);
  for (const object of detected) pairOf(object).detected.push(object);
  const order = new Map(images.map((image, index) => [image, index]));
  return new Map(
    [...groups].map(([category, byImage]) => [
      category,
      new Map([...byImage].sort(([a], [b]) => (order.get(a) ?? 0) - (order.get(b) ?? 0))),
    ]),
  );
}

function curvesOf(pairs: readonly Evaluated[], limit: number): Curves {
  const positives = pairs.reduce((sum, pair) => sum + pair.positives, 0);
  if (positives === 0) return null;
  const scores = pairs.flatMap((pair) => pair.scores.slice(0, limit));
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  return detectionThresholds.map((_, threshold) => {
    const outcomes = pairs.flatMap((pair) => (pair.outcomes[threshold] ?? []).slice(0, limit));
    const input: PrecisionInput = { outcomes: order.map((index) => outcomes[index] ?? 'ignored'), positives };
    return averagePrecision(input);
  });
}
