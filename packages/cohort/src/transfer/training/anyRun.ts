/** Training a recipe of any task, as programs and commands do: classifiers, segmenters and detectors alike. */
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { resumeRun as resumeWith, type ResumeOptions } from '../../train/run/resume.ts';
import { trainRun as trainWith, type TrainOptions, type TrainResult } from '../../train/run/run.ts';
import { openAnySession } from './taskSession.ts';

/**
 * Trains what a recipe describes into a run folder of its own.
 *
 * @returns the run folder and how the training ended; a signal ends it early with a checkpoint to resume from
 * @throws {CohortError} for data, weights or settings that do not fit, before a run folder is left behind
 */
export function trainRun(recipe: ResolvedRecipe, options: TrainOptions): Promise<TrainResult> {
  return trainWith(recipe, options, openAnySession);
}

/**
 * Goes on with a run from its newest checkpoint, bit for bit as if it had never stopped.
 *
 * @param path the run folder
 * @throws {CohortError} if the run, its data or the settings given do not allow it
 */
export function resumeRun(path: string, options: ResumeOptions): Promise<TrainResult> {
  return resumeWith(path, options, openAnySession);
}
