/** Upper bounds of shared information, drawn as lines beside what was measured; docs/method.md says where they come from. */
import { readEmbeddings } from '@cohort-ml/runs';

/** Nats that two networks can share at most. */
export interface Ceilings {
  /** Entropy of the labels: two images of one class share nothing but that. */
  readonly sameClass: number | null;
  /** `ln N` for N images. */
  readonly sameImage: number | null;
}

/** From the recorded labels; for runs without them, from the number of classes as if all were equally frequent. */
export function ceilingsOf(folder: string, steps: readonly number[], classes: readonly string[]): Ceilings {
  const even = classes.length > 0 ? Math.log(classes.length) : null;
  const step = steps.at(-1);
  if (step === undefined) return { sameClass: even, sameImage: null };
  try {
    const labels = readEmbeddings(folder, step)?.labels;
    if (labels === undefined || labels.length === 0) return { sameClass: even, sameImage: null };
    const counts = new Map<number, number>();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    const shares = [...counts.values()].map((count) => count / labels.length);
    return {
      sameClass: shares.reduce((sum, share) => sum - share * Math.log(share), 0),
      sameImage: Math.log(labels.length),
    };
  } catch {
    return { sameClass: even, sameImage: null };
  }
}
