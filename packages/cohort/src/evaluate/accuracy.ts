/** How good networks are on a split: accuracy and negative log-likelihood of each and of their ensemble. */
import { noGrad, ops, scope, type Tensor } from '@cohort/torch';
import type { BatchLoader } from '../data/index.ts';
import type { Network } from '../models/index.ts';

/** Measures over a split. */
export interface Score {
  /** Share of images whose most probable class is right, 0 to 1. */
  readonly accuracy: number;
  /** Mean of -ln(probability of the right class). */
  readonly negativeLogLikelihood: number;
}

/** Scores of a cohort. */
export interface CohortScore {
  /** One a network, in the cohort's order. */
  readonly networks: readonly Score[];
  /** The mean of the networks' probabilities. */
  readonly ensemble: Score;
  readonly images: number;
}

/** Probabilities below this count as this, so that one certain mistake does not make the mean infinite. */
const smallestProbability = 1e-12;

/** Probabilities of every network and, last, of their ensemble: `[B, classes]` each. */
export function classProbabilities(networks: readonly Network[], images: Tensor): Tensor[] {
  return noGrad(() =>
    scope(() => {
      const each = networks.map((network) => network.call(images).logits.to('float32').softmax(1));
      return [...each, ops.stack(each, 0).mean([0])];
    }),
  );
}

/**
 * Runs every network over all batches of `loader`, in evaluation mode, and puts them back into training mode if they
 * were in it.
 *
 * @param pause awaited between batches, so that a long evaluation can be interrupted
 */
export async function evaluateCohort(
  networks: readonly Network[],
  loader: BatchLoader,
  pause: () => Promise<void> = () => Promise.resolve(),
): Promise<CohortScore> {
  const modes = networks.map((network) => network.training);
  const correct = Array.from({ length: networks.length + 1 }, () => 0);
  const surprise = Array.from({ length: networks.length + 1 }, () => 0);
  try {
    for (const network of networks) network.eval();
    for (let number = 0; number < loader.batchCount; number += 1) {
      scope(() => {
        const { images, labels } = loader.batch(0, number);
        for (const [index, probabilities] of classProbabilities(networks, images).entries()) {
          const right = probabilities.gather(1, labels.unsqueeze(1)).clampMin(smallestProbability);
          correct[index] = (correct[index] ?? 0) + probabilities.argmax(1).eq(labels).sum().item();
          surprise[index] = (surprise[index] ?? 0) - right.log().sum().item();
        }
      });
      await pause();
    }
  } finally {
    for (const [index, network] of networks.entries()) network.train(modes[index]);
  }
  const scores = correct.map((count, index) => ({
    accuracy: count / loader.imageCount,
    negativeLogLikelihood: (surprise[index] ?? 0) / loader.imageCount,
  }));
  return {
    networks: scores.slice(0, -1),
    ensemble: scores.at(-1) ?? { accuracy: 0, negativeLogLikelihood: 0 },
    images: loader.imageCount,
  };
}
