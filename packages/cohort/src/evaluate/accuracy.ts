/** How good networks are on a split: accuracy, negative log-likelihood and calibration of each and of their ensemble. */
import { keep, noGrad, ops, scope, tensor, type nn, type Tensor } from '@cohort-ml/torch';
import type { BatchLoader } from '../data/index.ts';
import type { Method } from '../methods/index.ts';
import type { Network, NetworkOutput } from '../models/index.ts';
import type { Correctness } from './correctness.ts';
import type { HeldOutEmbeddings } from './representation.ts';
import { Tally, type Score } from './tally.ts';

export type { Score } from './tally.ts';

/** Scores of a cohort. */
export interface CohortScore {
  /** One a network, in the cohort's order. */
  readonly networks: readonly Score[];
  /** The mean of the networks' probabilities. */
  readonly ensemble: Score;
  readonly images: number;
  /** Which images were right; absent where a score comes from a record without it. */
  readonly correctness?: Correctness | undefined;
}

/** Probabilities of every network and, last, of their ensemble: `[B, classes]` each. */
export function classProbabilities(
  networks: readonly Network[],
  images: Tensor,
  ensemble?: Ensemble,
): Tensor[] {
  return noGrad(() =>
    scope(() => {
      const outputs = networks.map((network) => network.call(images));
      return withEnsemble(
        outputs.map(({ logits }) => logits),
        ensemble?.logits(outputs, images),
      );
    }),
  );
}

/**
 * `[B, classes]` logits of every network to probabilities, with those of the ensemble as the last: their mean, unless the
 * ensemble has logits of its own.
 */
function withEnsemble(logits: readonly Tensor[], ensemble?: Tensor): Tensor[] {
  const probabilities = (scores: Tensor): Tensor => scores.to('float32').softmax(1);
  const each = logits.map(probabilities);
  return [...each, ensemble === undefined ? ops.stack(each, 0).mean([0]) : probabilities(ensemble)];
}

/** An ensemble that is more than the mean of its networks' probabilities. */
export interface Ensemble {
  /** Its own modules, to be in evaluation mode with the networks. */
  readonly modules: readonly nn.AnyModule[];
  /** Logits `[B, classes]` from what the networks gave for the images. */
  readonly logits: (outputs: readonly NetworkOutput[], images: Tensor) => Tensor;
}

/** The ensemble of a cohort's method; undefined where it is the mean of the networks' probabilities. */
export function ensembleOf({
  method,
  networks,
}: {
  readonly method: Method;
  readonly networks: readonly Network[];
}): Ensemble | undefined {
  if (method.ensemble === undefined) return undefined;
  return {
    modules: [...Object.values(method.modules), ...networks],
    logits: (outputs, images) => method.ensemble?.(outputs, images) ?? images,
  };
}

/** Settings of an evaluation. */
export interface EvaluationOptions {
  /** Awaited between batches, so that a long evaluation can be interrupted. */
  readonly pause?: () => Promise<void>;
  /** The ensemble, where it is not the mean of the networks' probabilities. */
  readonly ensemble?: Ensemble | undefined;
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
): Promise<CohortScore & { readonly correctness: Correctness }> {
  const modules: nn.AnyModule[] = [...networks, ...(options.ensemble?.modules ?? [])];
  const modes = modules.map((module) => module.training);
  const tally = new Tally(networks.length + 1, loader.imageCount);
  const heldOut = new HeldOutCollector(options.heldOut?.images ?? 0, loader.imageCount);
  try {
    for (const module of modules) module.eval();
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      noGrad(() => {
        scope(() => {
          const { images, labels } = loader.batch(0, number);
          const outputs = networks.map((network) => network.call(images));
          const ensemble = options.ensemble?.logits(outputs, images);
          tally.add(
            withEnsemble(
              outputs.map(({ logits }) => logits),
              ensemble,
            ),
            labels,
          );
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
    for (const [index, module] of modules.entries()) module.train(modes[index]);
  }
  const [ensemble, ...networkScores] = tally.scores(loader.imageCount).toReversed();
  if (ensemble === undefined) throw new RangeError('evaluateCohort: the ensemble must have been measured');
  return {
    networks: networkScores.toReversed(),
    ensemble,
    images: loader.imageCount,
    correctness: tally.correctness(),
  };
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
