/** The run's `best-validation.json`: test scores of the weights that were best on validation images, beside those of the last epoch. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@cohort/runs';
import * as z from 'zod';
import type { Score } from '../evaluate/tally.ts';
import type { ImageCorrectness } from '../train/correctnessFile.ts';

const fileName = 'best-validation.json';

const scoreSchema = z.object({
  accuracy: z.number(),
  topFiveAccuracy: z.number(),
  negativeLogLikelihood: z.number(),
  expectedCalibrationError: z.number(),
});

const fileSchema = z.object({
  version: z.literal(1),
  networks: z.array(scoreSchema.extend({ name: z.string() })).min(1),
  ensemble: scoreSchema,
});

/** Scores on the test images. */
export interface BestScores {
  readonly networks: ReadonlyMap<string, Score>;
  readonly ensemble: Score;
  /** Not kept for these. */
  readonly correctness: ImageCorrectness | null;
}

/** What is written. */
export interface MeasuredBest {
  readonly networks: readonly (Score & { readonly name: string })[];
  readonly ensemble: Score;
}

/** Whether they have been measured. */
export function hasBestScores(runFolder: string): boolean {
  return existsSync(join(runFolder, fileName));
}

/** @throws RunError where it cannot be written */
export function writeBestScores(runFolder: string, { networks, ensemble }: MeasuredBest): void {
  const content = fileSchema.parse({ version: 1, networks, ensemble });
  writeFileAtomic(join(runFolder, fileName), `${JSON.stringify(content, null, 2)}\n`);
}

/** @throws system errors and ZodError where there is none */
export function readBestScores(runFolder: string): BestScores {
  const text = readFileSync(join(runFolder, fileName), 'utf8');
  const { networks, ensemble } = fileSchema.parse(JSON.parse(text));
  const named = networks.map(({ name, ...score }): [string, Score] => [name, score]);
  return { networks: new Map(named), ensemble, correctness: null };
}
