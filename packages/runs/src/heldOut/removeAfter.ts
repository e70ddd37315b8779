/** Takes a run's records of held-out images back to a step, where the run is resumed. */
import { RunError } from '../errors.ts';
import { removeQuietly } from '../files.ts';
import { embeddingsPath, embeddingSteps } from './embeddings.ts';
import { predictionsPath, readPredictions, type HeldOutSplit } from './predictions.ts';

const SPLITS: readonly HeldOutSplit[] = ['test', 'validation'];

/** Removes what was recorded after this step, and damaged predictions. What cannot be removed is replaced in its turn. */
export function removeHeldOutAfter(runFolder: string, step: number): void {
  for (const each of embeddingSteps(runFolder)) {
    if (each > step) removeQuietly(embeddingsPath(runFolder, each));
  }
  for (const split of SPLITS) {
    if (predictionStep(runFolder, split) > step) removeQuietly(predictionsPath(runFolder, split));
  }
}

/** -1 where there are none. */
function predictionStep(runFolder: string, split: HeldOutSplit): number {
  try {
    return readPredictions(runFolder, split)?.step ?? -1;
  } catch (error) {
    if (error instanceof RunError) return Infinity;
    throw error;
  }
}
