/**
 * The run's `resampled-scores.json`: what a score comes to on test images drawn with replacement, a few hundred times. The draws are the
 * same for every run on as many images, so that the difference of two runs has a paired bootstrap interval over images even where a
 * score, such as average precision, is not a mean over images.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@cohort-ml/runs';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import * as z from 'zod';

const fileName = 'resampled-scores.json';

/** Fixed: the draws are part of the file's format. */
const drawSeed = 20_220_207;
const mostDraws = 1000;
const fewestDraws = 100;
/** So many images are drawn in all, where they are many. */
const drawnImages = 1_000_000;

/** Schema of a test split's resampled scores. */
export const resampledScoresSchema = z.object({
  images: z.int().min(1),
  /** SHA-256 of names, sizes and annotations of the images in their order. */
  imagesSha256: z.string(),
  /** By the network's name, and `ensemble`: one score per draw; null where the images drawn have nothing to find. */
  scores: z.record(z.string(), z.array(z.number().nullable()).min(1)),
});

const fileSchema = resampledScoresSchema.extend({ version: z.literal(1), split: z.literal('test') });

/** Scores of every draw. */
export type ResampledScores = z.output<typeof resampledScoresSchema>;

/** How often each of `images` images is drawn, for every draw; the same for the same number. */
export function imageDraws(images: number): Uint16Array[] {
  const generator = xoroshiro128plus(drawSeed);
  const draws = Math.min(mostDraws, Math.max(fewestDraws, Math.floor(drawnImages / Math.max(1, images))));
  return Array.from({ length: draws }, () => {
    const counts = new Uint16Array(images);
    for (let drawn = 0; drawn < images; drawn += 1) {
      const image = Math.floor(((generator.next() >>> 0) / 2 ** 32) * images);
      counts[image] = (counts[image] ?? 0) + 1;
    }
    return counts;
  });
}

/** With five digits, which are far finer than any interval of draws. */
export function roundScores(scores: readonly (number | null)[]): (number | null)[] {
  return scores.map((score) => (score === null ? null : Number(score.toFixed(5))));
}

/** Writes it into a run folder. @param scores of each name @throws RunError where it cannot be written */
export function writeResampledScores(
  runFolder: string,
  facts: Pick<ResampledScores, 'images' | 'imagesSha256'>,
  scores: readonly (readonly [name: string, scores: readonly (number | null)[]])[],
): void {
  const content = { version: 1, split: 'test', ...facts, scores: Object.fromEntries(scores) };
  writeFileAtomic(join(runFolder, fileName), `${JSON.stringify(content)}\n`);
}

/** Reads it; null for a run without it, or where it is damaged: a comparison then does without. */
export function readResampledScores(runFolder: string): ResampledScores | null {
  try {
    const { images, imagesSha256, scores } = fileSchema.parse(
      JSON.parse(readFileSync(join(runFolder, fileName), 'utf8')),
    );
    return { images, imagesSha256, scores };
  } catch {
    return null;
  }
}
