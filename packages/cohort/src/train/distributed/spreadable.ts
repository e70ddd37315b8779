/** Says which trainings cannot be spread over ranks like that, before anything is loaded for them. */
import { DistributionError } from '../../cohort/distributionError.ts';
import { methodFacts } from '../../methods/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';

/**
 * @param shards how many ranks share each batch
 * @throws {DistributionError} for a task other than classification, a batch that cannot be shared between so many ranks, and
 *   methods that cannot do with local negatives
 */
export function assertSpreadable({ task, method, train }: ResolvedRecipe, shards = 1): void {
  if (shards === 1) return;
  if (task != null) {
    throw new DistributionError(
      `Ranks can share the batches of classifiers only, and this recipe has the task ${task.name}. Leave out --shards: each rank then trains networks of its own.`,
    );
  }
  const { batchSize, dataParallel } = train;
  const isLocal = dataParallel.negatives === 'local';
  if (batchSize < shards) {
    throw new DistributionError(
      `A batch of ${batchSize} images cannot be shared between ${shards} ranks. Set train.batchSize to ${shards} or more, or give a smaller number to --shards.`,
    );
  }
  if (isLocal && batchSize % shards !== 0) {
    throw new DistributionError(
      `train.dataParallel.negatives is local, and ${shards} ranks do not divide a batch of ${batchSize} images, so that images would count differently. Set train.batchSize to ${Math.ceil(batchSize / shards) * shards}, or negatives to gathered.`,
    );
  }
  const contrasts = methodFacts(method.name)?.contrastsInBatch === true;
  if (isLocal && (!contrasts || ('memory' in method && method.memory !== null))) {
    throw new DistributionError(
      `train.dataParallel.negatives is local, and ${method.name}${contrasts ? ' with memory' : ''} does not contrast the images of a batch with one another. Set it to gathered.`,
    );
  }
}
