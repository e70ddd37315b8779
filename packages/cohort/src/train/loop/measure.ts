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
  /** Looked at between batches. */
  readonly isStopping: () => boolean;
}

/** What was measured after an epoch. */
export interface Measured {
  readonly scores: SplitScores;
  readonly representations: RepresentationMeasures | null;
}

/** Thrown between two batches of an evaluation that is not to be finished. */
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
  const heldOut = {
    images: representationImages,
    take: (embeddings: HeldOutEmbeddings): void => {
      measures.push(measureRepresentations(embeddings, names, method.contrastSpace));
    },
  };
  const on = async (loader: BatchLoader, split: string): Promise<CohortScore> => {
    const score = await evaluateCohort(method.deployed ?? cohort.networks, loader, {
      ensemble: ensembleOf(cohort),
      pause: async () => {
        await setImmediate();
        if (isStopping()) throw new MeasuringStopped();
      },
      ...(measures.length === 0 ? { heldOut } : {}),
    });
    assertScoreFinite(score, cohort, `on the ${split} images`, where);
    return score;
  };
  try {
    const scores = {
      validation: validation === null ? null : await on(validation, 'validation'),
      test: validation === null || isLast ? await on(test, 'test') : null,
    };
    return { scores, representations: measures[0] ?? null };
  } catch (error) {
    if (error instanceof MeasuringStopped) return null;
    throw error;
  }
}

/** Weights can be finite and yet so large that nothing which comes out of them is. */
function assertScoreFinite(score: CohortScore, cohort: Cohort, images: string, where: string): void {
  for (const [index, { negativeLogLikelihood: value }] of score.networks.entries()) {
    if (Number.isFinite(value)) continue;
    const name = cohort.names[index] ?? '';
    throw new NotFiniteError(`The negative log-likelihood of ${name} ${images} became ${value} ${where}`);
  }
}
