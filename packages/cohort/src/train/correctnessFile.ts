/** The run's `correctness.json`: which test images each network got right, for comparing runs image by image. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@cohort/runs';
import * as z from 'zod';
import { unpackRight, type Correctness } from '../evaluate/correctness.ts';

const fileName = 'correctness.json';

const fileSchema = z.object({
  version: z.literal(1),
  split: z.literal('test'),
  images: z.int().min(1),
  labelsSha256: z.string(),
  right: z.record(z.string(), z.string()),
});

/** Which test images were right, unpacked. */
export interface ImageCorrectness {
  readonly images: number;
  /** SHA-256 of the labels: the same for the same images in the same order. */
  readonly labels: string;
  /** By the network's name, and `ensemble`: 0 or 1 an image. */
  readonly right: ReadonlyMap<string, Uint8Array>;
}

/** Writes it into a run folder. @throws RunError where it cannot be written */
export function writeCorrectness(runFolder: string, names: readonly string[], given: Correctness): void {
  const { images, labels, right } = given;
  const named = [...names, 'ensemble'].map((name, index): [string, string] => [name, right[index] ?? '']);
  const content = {
    version: 1,
    split: 'test',
    images,
    labelsSha256: labels,
    right: Object.fromEntries(named),
  };
  writeFileAtomic(join(runFolder, fileName), `${JSON.stringify(content, null, 2)}\n`);
}

/** Reads it; null for a run without it, or where it is damaged: a comparison then does without. */
export function readCorrectness(runFolder: string): ImageCorrectness | null {
  try {
    const text = readFileSync(join(runFolder, fileName), 'utf8');
    const { images, labelsSha256, right } = fileSchema.parse(JSON.parse(text));
    const unpacked = Object.entries(right).map(([name, bits]): [string, Uint8Array] => [
      name,
      unpackRight(bits, images),
    ]);
    return { images, labels: labelsSha256, right: new Map(unpacked) };
  } catch {
    return null;
  }
}
