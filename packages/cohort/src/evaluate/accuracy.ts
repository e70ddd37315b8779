/** How good networks are on a split: accuracy and negative log-likelihood of each and of their ensemble. */
import { keep, noGrad, ops, scope, tensor, type Tensor } from '@cohort/torch';
import type { BatchLoader } from '../data/index.ts';
import type { Network } from '../models/index.ts';
import type { HeldOutEmbeddings } from './representation.ts';

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
  return noGrad(() => scope(() => withEnsemble(networks.map((network) => network.call(images).logits))));
}

/** `[B, classes]` logits of every network to probabilities, with their mean as the last. */
function withEnsemble(logits: readonly Tensor[]): Tensor[] {
  const each = logits.map((scores) => scores.to('float32').softmax(1));
  return [...each, ops.stack(each, 0).mean([0])];
}

/** Settings of an evaluation. */
export interface EvaluationOptions {
  /** Awaited between batches, so that a long evaluation can be interrupted. */
  readonly pause?: () => Promise<void>;
  /**
   * Is given the pooled embeddings of so many images, evenly spaced over the split, or of all if there are fewer; they
   * are released afterwards.
   */
  readonly heldOut?: { readonly images: number; readonly take: (embeddings: HeldOutEmbeddings) => void };
}

/**
 * Runs every network over all batches of `loader`, in evaluation mode, and puts them back into training mode if they
 * were in it.
 */
export async function evaluateCohort(
  networks: readonly Network[],
  loader: BatchLoader,
  options: EvaluationOptions = {},
): Promise<CohortScore> {
  const modes = networks.map((network) => network.training);
  const tally = new Tally(networks.length + 1);
  const heldOut = new HeldOutCollector(options.heldOut?.images ?? 0, loader.imageCount);
  try {
    for (const network of networks) network.eval();
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      noGrad(() => {
        scope(() => {
          const { images, labels } = loader.batch(0, number);
          const outputs = networks.map((network) => network.call(images));
          tally.add(withEnsemble(outputs.map(({ logits }) => logits)), labels);
          heldOut.add(
            outputs.map(({ embedding }) => embedding),
            labels,
          );
        });
      });
      await options.pause?.();
    }
    if (options.heldOut !== undefined) heldOut.give(options.heldOut.take);
  } finally {
    heldOut.dispose();
    for (const [index, network] of networks.entries()) network.train(modes[index]);
  }
  const scores = tally.scores(loader.imageCount);
  return {
    networks: scores.slice(0, -1),
    ensemble: scores.at(-1) ?? { accuracy: 0, negativeLogLikelihood: 0 },
    images: loader.imageCount,
  };
}

/** Counts what is right and adds up how surprising the truth was, for every network and the ensemble. */
class Tally {
  readonly #correct: number[];
  readonly #surprise: number[];

  constructor(count: number) {
    this.#correct = Array<number>(count).fill(0);
    this.#surprise = Array<number>(count).fill(0);
  }

  add(probabilities: readonly Tensor[], labels: Tensor): void {
    for (const [index, each] of probabilities.entries()) {
      const right = each.gather(1, labels.unsqueeze(1)).clampMin(smallestProbability);
      this.#correct[index] = (this.#correct[index] ?? 0) + each.argmax(1).eq(labels).sum().item();
      this.#surprise[index] = (this.#surprise[index] ?? 0) - right.log().sum().item();
    }
  }

  scores(images: number): Score[] {
    return this.#correct.map((count, index) => ({
      accuracy: count / images,
      negativeLogLikelihood: (this.#surprise[index] ?? 0) / images,
    }));
  }
}

/**
 * Keeps embeddings and labels of images at even distances: a split may be in the order of its classes, so that the first
 * images would all be of a few.
 */
class HeldOutCollector {
  readonly #batches: { embeddings: Tensor[]; labels: Tensor }[] = [];
  readonly #wanted: number;
  readonly #total: number;
  #seen = 0;

  /**
   * @param wanted images to keep, at most
   * @param total images in the split
   */
  constructor(wanted: number, total: number) {
    this.#wanted = Math.min(wanted, total);
    this.#total = total;
  }

  add(embeddings: readonly Tensor[], labels: Tensor): void {
    const rows = Array.from({ length: labels.numel }, (_, row) => row).filter((row) =>
      this.#isWanted(this.#seen + row),
    );
    this.#seen += labels.numel;
    if (rows.length === 0) return;
    const places = tensor(rows, 'int64');
    const chosen = (all: Tensor): Tensor => all.indexSelect(0, places);
    this.#batches.push(
      keep({ embeddings: embeddings.map((rows) => chosen(rows.to('float32'))), labels: chosen(labels) }),
    );
  }

  /** Whether the share of images that are kept reaches the next whole number at this one. */
  #isWanted(image: number): boolean {
    const keptBy = (count: number): number => Math.floor((count * this.#wanted) / this.#total);
    return keptBy(image + 1) > keptBy(image);
  }

  give(take: (embeddings: HeldOutEmbeddings) => void): void {
    scope(() => {
      const networks = this.#batches[0]?.embeddings ?? [];
      take({
        embeddings: networks.map((_, index) =>
          ops.cat(
            this.#batches.flatMap(({ embeddings }) => embeddings[index] ?? []),
            0,
          ),
        ),
        labels: ops.cat(
          this.#batches.map(({ labels }) => labels),
          0,
        ),
      });
    });
  }

  dispose(): void {
    for (const { embeddings, labels } of this.#batches)
      for (const each of [...embeddings, labels]) each.dispose();
  }
}
