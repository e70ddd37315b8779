/**
 * How a training without labels is measured: two views of held-out images for alignment, uniformity and effective rank, and,
 * where there are labels, nearest neighbours among training images in the place of classifiers, which nothing trains.
 */
import { keep, noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import type { BatchLoader } from '../../data/index.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import { neighbourScores, type Memory } from '../../evaluate/neighbours.ts';
import { measureRepresentations, type RepresentationMeasures } from '../../evaluate/representation.ts';
import type { NetworkOutput } from '../../models/index.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';
import { at } from '../../support/at.ts';

/** What a cohort that learns without labels is measured on. */
export interface SelfSupervisedMeasures {
  /** Two views of held-out images, always the same. */
  readonly views: BatchLoader;
  /** Null where there are no labels. */
  readonly neighbours: NeighbourVotes | null;
}

/** Training images whose labels are known, and how they vote. */
export interface NeighbourVotes {
  readonly memory: BatchLoader;
  readonly classes: number;
  readonly k: number;
  readonly temperature: number;
}

/** Classifies by the features of remembered images; holds tensors until it is disposed of. */
export interface NeighbourClassifier {
  /** Shares of the votes, `[B, classes]` per network. */
  readonly probabilities: (outputs: readonly NetworkOutput[]) => Tensor[];
  dispose(): void;
}

/**
 * Alignment, uniformity and effective rank of every network, and what networks share, with two views of an image as a pair.
 *
 * @param pause awaited between batches; what it throws ends the measuring
 * @throws {NotFiniteError} for embeddings that are not finite
 */
export async function measureViews(
  cohort: Cohort,
  views: BatchLoader,
  pause: () => Promise<void>,
  where: string,
): Promise<RepresentationMeasures> {
  const { method, names } = cohort;
  const parts = await embedded(cohort, pause, views, (batch) => {
    const { images, otherView } = batch;
    return otherView === undefined ? [images] : [images, otherView.images];
  });
  try {
    return scope(() => {
      const [first = []] = parts.rows;
      const numbers = ops.arange(at(at(first, 0, 'the embeddings').shape, 0), { dtype: 'int64' });
      const embeddings = first.map((_, network) =>
        ops.cat(
          parts.rows.map((view) => at(view, network, 'the embeddings')),
          0,
        ),
      );
      for (const [network, embedding] of embeddings.entries()) {
        if (embedding.isfinite().all().item() !== 0) continue;
        throw new NotFiniteError(`An embedding of ${names[network] ?? ''} was not finite ${where}`);
      }
      const labels = ops.cat(
        parts.rows.map(() => numbers),
        0,
      );
      return measureRepresentations({ embeddings, labels }, names, method.contrastSpace);
    });
  } finally {
    parts.dispose();
  }
}

/**
 * Remembers the features of the images whose labels are known.
 *
 * @param pause awaited between batches; what it throws ends the work
 */
export async function rememberNeighbours(
  cohort: Cohort,
  { memory, classes, k, temperature }: NeighbourVotes,
  pause: () => Promise<void>,
): Promise<NeighbourClassifier> {
  const remembered = await embedded(cohort, pause, memory, ({ images }) => [images]);
  const { rows, labels } = remembered;
  const [features = []] = rows;
  const memories = features.map((each): Memory => ({ features: each, labels }));
  return {
    probabilities: (outputs) =>
      outputs.map(({ embedding }, network) =>
        neighbourScores(at(memories, network, 'the features'), embedding.to('float32'), {
          classes,
          k,
          temperature,
        }),
      ),
    dispose: () => {
      remembered.dispose();
    },
  };
}

/** Features of the images of a loader. */
interface Embedded {
  /** For each view, `[N, D]` float32 per network. */
  readonly rows: readonly (readonly Tensor[])[];
  /** int64 `[N]`. */
  readonly labels: Tensor;
  dispose(): void;
}

async function embedded(
  { networks, method, runNetworks }: Cohort,
  pause: () => Promise<void>,
  loader: BatchLoader,
  viewsOf: (batch: ReturnType<BatchLoader['batch']>) => readonly Tensor[],
): Promise<Embedded> {
  const measured = method.deployed ?? networks;
  // Networks on other ranks are run there.
  const run = (images: Tensor): readonly Pick<NetworkOutput, 'embedding'>[] =>
    runNetworks?.(measured, images) ??
    measured.map((network) => ({ embedding: network.call(images).embedding }));
  const modes = measured.map((network) => network.training);
  const batches: { readonly rows: Tensor[][]; readonly labels: Tensor }[] = [];
  const release = (): void => {
    for (const { rows, labels } of batches.splice(0))
      for (const each of [...rows.flat(), labels]) each.dispose();
  };
  try {
    for (const network of measured) network.eval();
    for (let number = 0; number < loader.batchCount; number += 1) {
      await loader.ready(0, number);
      noGrad(() => {
        scope(() => {
          const batch = loader.batch(0, number);
          const rows = viewsOf(batch).map((images) =>
            run(images).map(({ embedding }) => embedding.to('float32')),
          );
          batches.push(keep({ rows, labels: batch.labels }));
        });
      });
      await pause();
    }
    const joined = scope(() => {
      const [first] = batches;
      const rows = (first?.rows ?? []).map((view, index) =>
        view.map((_, network) =>
          ops.cat(
            batches.map((batch) => at(at(batch.rows, index, 'the views'), network, 'the embeddings')),
            0,
          ),
        ),
      );
      const labels = ops.cat(
        batches.map((batch) => batch.labels),
        0,
      );
      return keep({ rows, labels });
    });
    return {
      ...joined,
      dispose: () => {
        for (const each of [...joined.rows.flat(), joined.labels]) each.dispose();
      },
    };
  } finally {
    release();
    for (const [index, network] of measured.entries()) network.train(modes[index]);
  }
}
