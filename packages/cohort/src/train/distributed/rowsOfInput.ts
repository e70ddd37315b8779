/** The part of a training step that a rank computes by itself where it shares the batch and contrasts its own images alone. */
import type { Tensor } from '@cohort-ml/torch';
import type { StepInput } from '../../methods/index.ts';
import type { CohortBatch, RowRange } from '../../topology/index.ts';

/** Some rows of everything in a step. */
export function rowsOfInput(input: StepInput, { start, count }: RowRange): StepInput {
  const { labels, mix, indices, repeats, otherView } = input;
  const take = (tensor: Tensor): Tensor => tensor.narrow(0, start, count);
  const batchOf = ({ images, views }: CohortBatch): CohortBatch => ({
    images: take(images),
    ...(views === undefined ? {} : { views: views.map(take) }),
  });
  return {
    ...input,
    ...batchOf(input),
    labels: take(labels),
    ...(mix === undefined ? {} : { mix: { labels: take(mix.labels), weight: take(mix.weight) } }),
    ...(otherView === undefined ? {} : { otherView: batchOf(otherView) }),
    ...(indices === undefined ? {} : { indices: indices.subarray(start, start + count) }),
    ...(repeats === undefined ? {} : { repeats: repeats.subarray(start, start + count) }),
  };
}
