/** The run's `best-validation.json`: scores of the weights that were best on validation images, next to those of the last epoch. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@cohort-ml/runs';
import * as z from 'zod';
import type { EvaluateResult } from '../../inference/evaluateRun.ts';
import { correctnessSchema, namedCorrectness } from '../../evaluate/correctnessFile.ts';
import { jsonOf } from './json.ts';
import { scoreSchema } from '../../support/score.ts';

const fileName = 'best-validation.json';

const bothSplits = z.object({ test: scoreSchema, validation: scoreSchema });

// Version 1 had test scores alone; such a file is as none.
const fileSchema = z.object({
  version: z.literal(2),
  networks: z.array(bothSplits.extend({ name: z.string() })).min(1),
  ensemble: bothSplits,
  correctness: correctnessSchema,
});

/** Scores on test and validation images, and which test images were right. */
export type BestScores = Omit<z.output<typeof fileSchema>, 'version'>;

/** Whether they have been measured. */
export function hasBestScores(runFolder: string): boolean {
  try {
    readBestScores(runFolder);
    return true;
  } catch {
    return false;
  }
}

/** Writes what was measured of the same weights on both splits. @throws RunError where it cannot be written */
export function writeBestScores(runFolder: string, test: EvaluateResult, validation: EvaluateResult): void {
  const names = test.networks.map(({ name }) => name);
  const content = fileSchema.parse({
    version: 2,
    networks: test.networks.map((network, index) => ({
      name: network.name,
      test: network,
      validation: validation.networks[index],
    })),
    ensemble: { test: test.ensemble, validation: validation.ensemble },
    correctness: namedCorrectness(names, test.correctness),
  });
  writeFileAtomic(join(runFolder, fileName), `${jsonOf(content, 2)}\n`);
}

/** @throws system errors and ZodError where there is none */
export function readBestScores(runFolder: string): BestScores {
  const text = readFileSync(join(runFolder, fileName), 'utf8');
  const { networks, ensemble, correctness } = fileSchema.parse(JSON.parse(text));
  return { networks, ensemble, correctness };
}
