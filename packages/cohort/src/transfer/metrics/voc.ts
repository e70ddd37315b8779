/** Average precision by the rule of Pascal VOC (Everingham et al. 2010): one threshold, and each detection goes to the object it overlaps most. */
import type { DetectedObject, TrueObject } from './objects.ts';
import { boxOverlap } from './matchDetections.ts';
import { areaPrecision, elevenPointPrecision, type Outcome } from './precision.ts';

/** Average precision of one category, 0 to 1; null where the truth has no object of it that counts. */
export interface VocPrecision {
  readonly category: number;
  /** Over eleven recalls, as in 2007. */
  readonly elevenPoint: number | null;
  /** By area, from 2010 on. */
  readonly area: number | null;
}

/** An overlap above it counts. */
const threshold = 0.5;

/** Measures detections of boxes; objects with `isCrowd` are "difficult": finding them counts neither way. */
export function scoreVoc(
  truth: readonly TrueObject[],
  detected: readonly DetectedObject[],
  categories: readonly number[],
): VocPrecision[] {
  return categories.map((category) => {
    const objects = truth.filter((object) => object.category === category);
    const positives = objects.filter(({ isCrowd }) => !isCrowd).length;
    if (positives === 0) return { category, elevenPoint: null, area: null };
    const outcomes = outcomesOf(
      objects,
      detected.filter((object) => object.category === category),
    );
    return {
      category,
      elevenPoint: elevenPointPrecision({ outcomes, positives }),
      area: areaPrecision({ outcomes, positives }),
    };
  });
}

function outcomesOf(objects: readonly TrueObject[], detected: readonly DetectedObject[]): Outcome[] {
  const byImage = new Map<number, TrueObject[]>();
  for (const object of objects) byImage.set(object.image, [...(byImage.get(object.image) ?? []), object]);
  const taken = new Set<TrueObject>();
  const order = detected.toSorted((a, b) => b.score - a.score);
  return order.map(({ image, box }) => {
    let best: TrueObject | undefined;
    let greatest = threshold;
    for (const object of byImage.get(image) ?? []) {
      const overlap = boxOverlap(box, object.box);
      if (overlap <= greatest) continue;
      greatest = overlap;
      best = object;
    }
    if (best === undefined || taken.has(best)) return 'wrong';
    if (best.isCrowd) return 'ignored';
    taken.add(best);
    return 'right';
  });
}
