/** The run's `correctness.json`: which test images each network got right, for comparing runs image by image. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@cohort-ml/runs';
import * as z from 'zod';
import { unpackRight, type Correctness } from './correctness.ts';

const fileName = 'correctness.json';

/** Schema of which images were right. */
export const correctnessSchema = z.object({
  images: z.int().min(1),
  /** SHA-256 of the labels: the same for the same images in the same order. */
  labelsSha256: z.string(),
  /** By the network's name, and `ensemble`: base64 of one bit an image, the first in the lowest bit of the first byte. */
  right: z.record(z.string(), z.string()),
});

const fileSchema = correctnessSchema.extend({ version: z.literal(1), split: z.literal('test') });

/** Which test images were right, a bit an image. */
export type NamedCorrectness = z.output<typeof correctnessSchema>;

/** Which test images were right, unpacked. */
export interface ImageCorrectness {
  readonly images: number;
  /** SHA-256 of the labels. */
  readonly labels: string;
  /** By the network's name, and `ensemble`: 0 or 1 an image. */
  readonly right: ReadonlyMap<string, Uint8Array>;
}

/** What was measured, with the names of the networks. */
export function namedCorrectness(names: readonly string[], given: Correctness): NamedCorrectness {
  const { images, labels, right } = given;
  const named = [...names, 'ensemble'].map((name, index): [string, string] => [name, right[index] ?? '']);
  return { images, labelsSha256: labels, right: Object.fromEntries(named) };
}

/** Writes it into a run folder. @throws RunError where it cannot be written */
export function writeCorrectness(runFolder: string, names: readonly string[], given: Correctness): void {
  const content = { version: 1, split: 'test', ...namedCorrectness(names, given) };
  writeFileAtomic(join(runFolder, fileName), `${JSON.stringify(content, null, 2)}\n`);
}

/** Reads it; null for a run without it, or where it is damaged: a comparison then does without. */
export function readCorrectness(runFolder: string): NamedCorrectness | null {
  try {
    const text = readFileSync(join(runFolder, fileName), 'utf8');
    const { images, labelsSha256, right } = fileSchema.parse(JSON.parse(text));
    const named = { images, labelsSha256, right };
    unpackCorrectness(named);
    return named;
  } catch {
    return null;
  }
}

/** @throws RangeError where bits are missing */
export function unpackCorrectness({ images, labelsSha256, right }: NamedCorrectness): ImageCorrectness {
  const unpacked = Object.entries(right).map(([name, bits]): [string, Uint8Array] => [
    name,
    unpackRight(bits, images),
  ]);
  return { images, labels: labelsSha256, right: new Map(unpacked) };
}
