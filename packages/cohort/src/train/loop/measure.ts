/** Measures a cohort in the course of its training: accuracies on held-out images, and what its embeddings are like. */
import { setImmediate } from 'node:timers/promises';
import type { BatchLoader } from '../../data/index.ts';
import { ensembleOf, evaluateCohort, type CohortScore } from '../../evaluate/accuracy.ts';
import {
  measureRepresentations,
  representationImages,
  type HeldOutEmbeddings,
  type RepresentationMeasures,
} from '../../evaluate/representation.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';
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
  readonly validation: BatchLoader | null;
  readonly test: BatchLoader;
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
 * the images that every evaluation is on. Nothing of the training changes.
 *
 * @returns null when it was stopped half-way
 */
export async function measure(setup: MeasureSetup, isLast: boolean, where: string): Promise<Measured | null> {
  const { cohort, validation, test, isStopping } = setup;
  const { names, method } = cohort;
  const measures: RepresentationMeasures[] = [];
  const embeddings: HeldOutRecord['embeddings'][] = [];
  const predicted: HeldOutRecord['predictions'][number][] = [];
  const on = async (loader: BatchLoader, split: 'validation' | 'test'): Promise<CohortScore> => {
    const heldOut = {
      images: representationImages,
      take: (given: HeldOutEmbeddings): void => {
        measures.push(measureRepresentations(given, names, method.contrastSpace));
        if (setup.recordsEmbeddings === true) {
          embeddings.push({ split, ...copyEmbeddings(given, loader.imageCount) });
        }
      },
    };
    const { predictions, ...score } = await evaluateCohort(method.deployed ?? cohort.networks, loader, {
      ensemble: ensembleOf(cohort),
      ...(isLast ? { probabilityBytes } : {}),
      pause: async () => {
        await setImmediate();
        if (isStopping()) throw new MeasuringStopped();
      },
      ...(measures.length === 0 ? { heldOut } : {}),
    });
    if (isLast) predicted.push([split, predictions]);
    assertScoreFinite(score, cohort, `on the ${split} images`, where);
    return score;
  };
  try {
    const scores = {
      validation: validation === null ? null : await on(validation, 'validation'),
      test: validation === null || isLast ? await on(test, 'test') : null,
    };
    const record = { predictions: predicted, embeddings: embeddings[0] ?? null };
    return { scores, representations: measures[0] ?? null, record };
  } catch (error) {
    if (error instanceof MeasuringStopped) return null;
    throw error;
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
