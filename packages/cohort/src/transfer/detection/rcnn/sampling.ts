/** Which candidates of an image count in a loss: a few, with a share of those that have an object. */
import { ops, scope } from '@cohort-ml/torch';

/** Places of the candidates that count. */
export interface Sampled {
  readonly positives: readonly number[];
  readonly negatives: readonly number[];
}

/** Chooses among candidates with a label of 1 or more (an object), 0 (none), and -1 (neither, never chosen). */
export type Sampler = (labels: Int32Array) => Sampled;

function byLabel(labels: Int32Array): Sampled {
  const places = [...labels.keys()];
  return {
    positives: places.filter((place) => (labels[place] ?? -1) >= 1),
    negatives: places.filter((place) => labels[place] === 0),
  };
}

/** All of them. */
export const takeAll: Sampler = byLabel;

/**
 * So many, at most a share of them with an object; drawn by the engine's default generator, which the training loop seeds for every step.
 */
export function sampleSome(count: number, positiveShare: number): Sampler {
  return (labels) => {
    const { positives, negatives } = byLabel(labels);
    const some = draw(positives, Math.round(count * positiveShare));
    return { positives: some, negatives: draw(negatives, count - some.length) };
  };
}

function draw(places: readonly number[], count: number): number[] {
  if (places.length <= count) return [...places];
  const order = scope(() => ops.randperm(places.length).narrow(0, 0, count).toNumbers());
  return order.sort((left, right) => left - right).map((place) => places[place] ?? 0);
}
