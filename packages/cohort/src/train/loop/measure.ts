/** Measures a cohort in the course of its training: accuracies on held-out images, and what its embeddings are like. */
import { setImmediate } from 'node:timers/promises';
import type { Batches } from '../../data/index.ts';
import { ensembleOf, evaluateCohort, type CohortScore } from '../../evaluate/accuracy.ts';
import {
  measureRepresentations,
  representationImages,
  type HeldOutEmbeddings,
  type RepresentationMeasures,
} from '../../evaluate/representation.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';
import {
  measureViews,
  rememberNeighbours,
  type NeighbourClassifier,
  type SelfSupervisedMeasures,
} from './selfSupervised.ts';
import { copyEmbeddings, probabilityBytes, type HeldOutRecord } from './heldOutRecords.ts';

/** Scores of the same weights on the splits; null where they have not been measured. */
export interface SplitScores {
  readonly validation: CohortScore | null;
  readonly test: CohortScore | null;
}

/** What there is to measure, and on which images. */
export interface MeasureSetup {
  readonly cohort: Cohort;
  /** Null where there is no validation split and the test images stand in. */
  readonly validation: Batches | null;
  readonly test: Batches;
  /** For a cohort that learns without labels, what takes the place of its classifiers; absent or null for all others. */
  readonly selfSupervised?: SelfSupervisedMeasures | null;
  /** Checked between batches. */
  readonly isStopping: () => boolean;
  /** Whether embeddings are to be recorded; by default they are not. */
  readonly recordsEmbeddings?: boolean;
}

/** What was measured after an epoch. */
export interface Measured {
  readonly scores: SplitScores;
  readonly representations: RepresentationMeasures | null;
  readonly record: HeldOutRecord;
}

/** Thrown between two batches to abandon an evaluation. */
class MeasuringStopped extends Error {}

/**
 * Measures on validation images where there are any, and then on test images only at the end. Embeddings are compared on
 * the images that every evaluation is on. Of a cohort that learns without labels, accuracy is that of nearest neighbours, or
 * none where there are no labels. Nothing of the training changes.
 *
 * @returns null when it was stopped half-way
 */
export async function measure(setup: MeasureSetup, isLast: boolean, where: string): Promise<Measured | null> {
  const { cohort, validation, test, isStopping, selfSupervised = null } = setup;
  const { names, method } = cohort;
  const hasScores = selfSupervised?.neighbours !== null;
  let representations: RepresentationMeasures | null = null;
  let classifier: NeighbourClassifier | null = null;
  const embeddings: HeldOutRecord['embeddings'][] = [];
  const predicted: HeldOutRecord['predictions'][number][] = [];
  const pause = async (): Promise<void> => {
    await setImmediate();
    if (isStopping()) throw new MeasuringStopped();
  };
  const on = async (loader: Batches, split: 'validation' | 'test'): Promise<CohortScore> => {
    const isFirst = validation === null || split === 'validation';
    const heldOut = {
      images: representationImages,
      take: (given: HeldOutEmbeddings): void => {
        representations ??= measureRepresentations(given, names, method.contrastSpace);
        if (setup.recordsEmbeddings === true) {
          embeddings.push({ split, ...copyEmbeddings(given, loader.imageCount) });
        }
      },
    };
    const { predictions, ...score } = await evaluateCohort(method.deployed ?? cohort.networks, loader, {
      ensemble: ensembleOf(cohort),
      run: cohort.runNetworks,
      ...(classifier === null ? {} : { probabilities: classifier.probabilities }),
      ...(isLast && hasScores ? { probabilityBytes } : {}),
      pause,
      ...(isFirst ? { heldOut } : {}),
    });
    if (isLast && hasScores) predicted.push([split, predictions]);
    if (hasScores) assertScoreFinite(score, cohort, `on the ${split} images`, where);
    return score;
  };
  try {
    if (selfSupervised !== null) {
      const { views, neighbours } = selfSupervised;
      representations = await measureViews(cohort, views, pause, where);
      classifier = neighbours === null ? null : await rememberNeighbours(cohort, neighbours, pause);
    }
    const scores = {
      validation: validation === null ? null : await on(validation, 'validation'),
      test: validation === null || isLast ? await on(test, 'test') : null,
    };
    const record = { predictions: predicted, embeddings: embeddings[0] ?? null };
    return { scores: hasScores ? scores : { validation: null, test: null }, representations, record };
  } catch (error) {
    if (error instanceof MeasuringStopped) return null;
    throw error;
  } finally {
    classifier?.dispose();
  }
}

/** Finite weights can be so large that all their outputs overflow. */
function assertScoreFinite(score: CohortScore, cohort: Cohort, images: string, where: string): void {
  for (const [index, { negativeLogLikelihood: value }] of score.networks.entries()) {
    if (Number.isFinite(value)) continue;
    const name = cohort.names[index] ?? '';
    throw new NotFiniteError(`The negative log-likelihood of ${name} ${images} became ${value} ${where}`);
  }
}
