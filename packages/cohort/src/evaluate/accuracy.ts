/** How good networks are on a split: accuracy, negative log-likelihood and calibration of each and of their ensemble. */
import { currentDevice, keep, noGrad, ops, scope, tensor, type nn, type Tensor } from '@cohort-ml/torch';
import type { Method } from '../methods/index.ts';
import type { Network, NetworkOutput } from '../models/index.ts';
import { CompiledNetworks, fewestCompiled } from './compiledNetworks.ts';
import type { Correctness } from './correctness.ts';
import type { Predictions } from './predictions.ts';
import type { HeldOutEmbeddings } from './representation.ts';
import { isPicked } from './spread.ts';
import type { Score } from '../support/score.ts';
import { Tally } from './tally.ts';

/** Scores of a cohort. */
export interface CohortScore {
  /** One per network, in the cohort's order. */
  readonly networks: readonly Score[];
  /** The mean of the networks' probabilities. */
  readonly ensemble: Score;
  readonly images: number;
  /** Which images were right; absent where a score comes from a record without it. */
  readonly correctness?: Correctness | undefined;
  /**
   * What a task other than classification measures, by name: one record per network and, last, of the ensemble. The accuracy of
   * each is then the measure that stands for it, and the other members of its score say nothing.
   */
  readonly measures?: readonly Readonly<Record<string, number>>[] | undefined;
  /** The main score of these on images drawn with replacement; of the last evaluation on test images. */
  readonly resampled?: readonly (readonly (number | null)[])[] | undefined;
}

/** What an evaluation finds: scores, and what was said about each image. */
export interface CohortEvaluation extends CohortScore {
  readonly correctness: Correctness;
  readonly predictions: Predictions;
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

/** What an evaluation goes through, batch by batch: a `BatchLoader`, or images that may turn out to be fewer. */
export interface EvaluationBatches {
  /** At most so many images. */
  readonly imageCount: number;
  readonly batchCount: number;
  /** Resolves when `batch` can make this batch. */
  ready(epoch: number, number: number): Promise<void>;
  /** Images `[B, C, H, W]` and labels int64 `[B]`; B may be 0. */
  batch(epoch: number, number: number): { readonly images: Tensor; readonly labels: Tensor };
}

/** Settings of an evaluation. */
export interface EvaluationOptions {
  /** Awaited between batches, so that a long evaluation can be interrupted. */
  readonly pause?: () => Promise<void>;
  /** The ensemble, where it is not the mean of the networks' probabilities. */
  readonly ensemble?: Ensemble | undefined;
  /** Probabilities `[B, classes]` of every network in the place of its classifier's, for networks without a trained one. */
  readonly probabilities?: (outputs: readonly NetworkOutput[]) => readonly Tensor[];
  /** Runs the networks; one after the other unless given. */
  readonly run?: ((networks: readonly Network[], images: Tensor) => readonly NetworkOutput[]) | undefined;
  /** Most bytes that the probabilities of images may take that are kept with their predictions; none are unless given. */
  readonly probabilityBytes?: number;
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
  loader: EvaluationBatches,
  options: EvaluationOptions = {},
): Promise<CohortEvaluation> {
  const modules: nn.AnyModule[] = [...networks, ...(options.ensemble?.modules ?? [])];
  const modes = modules.map((module) => module.training);
  let inference: CompiledNetworks | null = null;
  const tally = new Tally(networks.length + 1, loader.imageCount, options.probabilityBytes);
  const heldOut = new HeldOutCollector(options.heldOut?.images ?? 0, loader.imageCount);
  try {
    for (const module of modules) module.eval();
    if (isWorthCompiling(loader.imageCount, options)) inference = new CompiledNetworks(networks);
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      noGrad(() => {
        scope(() => {
          const { images, labels } = loader.batch(0, number);
          if (labels.numel === 0) return;
          const outputs =
            inference?.run(images) ??
            options.run?.(networks, images) ??
            networks.map((network) => network.call(images));
          const own = options.probabilities?.(outputs);
          const ensemble = options.ensemble?.logits(outputs, images);
          tally.add(
            own === undefined
              ? withEnsemble(
                  outputs.map(({ logits }) => logits),
                  ensemble,
                )
              : [...own, ops.stack(own, 0).mean([0])],
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
    inference?.dispose();
    for (const [index, module] of modules.entries()) module.train(modes[index]);
  }
  const [ensemble, ...networkScores] = tally.scores().toReversed();
  if (ensemble === undefined) throw new RangeError('evaluateCohort: the ensemble must have been measured');
  return {
    networks: networkScores.toReversed(),
    ensemble,
    images: tally.images,
    correctness: tally.correctness(),
    predictions: tally.predictions(),
  };
}

/**
 * An ensemble that is more than a mean may look into the networks and exchange their weights; networks that run elsewhere are
 * compiled there or not at all.
 */
function isWorthCompiling(images: number, { ensemble, run }: EvaluationOptions): boolean {
  return images >= fewestCompiled && ensemble === undefined && run === undefined && currentDevice() === 'cpu';
}

/** Keeps embeddings and labels of images at even distances. */
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
    this.#wanted = wanted;
    this.#total = total;
  }

  add(embeddings: readonly Tensor[], labels: Tensor): void {
    const rows = Array.from({ length: labels.numel }, (_, row) => row).filter((row) =>
      isPicked(this.#seen + row, this.#wanted, this.#total),
    );
    this.#seen += labels.numel;
    if (rows.length === 0) return;
    const places = tensor(rows, 'int64');
    const chosen = (all: Tensor): Tensor => all.indexSelect(0, places);
    this.#batches.push(
      keep({ embeddings: embeddings.map((rows) => chosen(rows.to('float32'))), labels: chosen(labels) }),
    );
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
