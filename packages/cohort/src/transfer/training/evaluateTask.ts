/** Measures models of a task on a split, batch by batch, in evaluation mode. */
import { noGrad, scope } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';
import type { TaskBatches } from './taskBatches.ts';
import type { TaskModel, TaskScorer, VisionTask } from './visionTask.ts';

/**
 * Runs every model over all batches, and puts them back into the mode they were in.
 *
 * @param pause awaited between batches, so that it can be interrupted
 * @returns what has seen all images: its measures are one record per model and, last, of their ensemble
 */
export async function evaluateTask<Output>(
  task: VisionTask<Output>,
  models: readonly TaskModel<Output>[],
  batches: TaskBatches,
  pause: () => Promise<void>,
): Promise<Pick<TaskScorer<Output>, 'measures' | 'resampled'>> {
  const modes = models.map((model) => model.training);
  const scorer = task.createScorer(models);
  try {
    for (const model of models) model.eval();
    for (let number = 0; number < batches.batchCount; number += 1) {
      await batches.ready(0, number);
      noGrad(() => {
        scope(() => {
          const { images, indices } = batches.batch(0, number);
          const annotated = Array.from(indices, (index) => at(batches.images.images, index));
          const fitted = Array.from(indices, (index) => batches.images.sizeOf(index));
          const outputs = models.map((model) => model.call(images));
          scorer.add(outputs, { targets: batches.targetsOf(images), images: annotated, fitted });
        });
      });
      await pause();
    }
  } finally {
    for (const [index, model] of models.entries()) model.train(modes[index]);
  }
  return scorer;
}
