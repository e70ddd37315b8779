/** Trained networks that come with Cohort, as starting points: `cohort:NAME` in a recipe stands for the file of one. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { nearestName } from '../support/nearestName.ts';
import { WeightsError } from './errors.ts';

/** What tells the name of offered weights from a path. */
export const OFFERED_PREFIX = 'cohort:';

const accuracy = z.number().min(0).max(1);

const entrySchema = z.object({
  name: z.string(),
  /** Architecture of the network. */
  model: z.string(),
  /** What it was trained on, in words. */
  data: z.string(),
  /** What it learned with, in words: the method and the cohort. */
  training: z.string(),
  classes: z.number().int(),
  channels: z.number().int(),
  /** Side of the images in pixels. */
  size: z.number().int(),
  parameters: z.number().int(),
  /** Top-1 accuracy of these very weights, 0 to 1, on the test images named. */
  accuracy: z.object({ value: accuracy, testImages: z.string() }),
  /** The same network, trained alone with the same images and epochs. */
  independentAccuracy: accuracy,
  command: z.string(),
  date: z.string(),
  licence: z.string(),
  sha256: z.string(),
  bytes: z.number().int(),
});

/** A network that comes with Cohort. */
export type OfferedWeights = z.output<typeof entrySchema>;

/** The folder of the files: the published package holds its own, in the repository it is `weights/`. */
export function offeredFolder(): string {
  const published = fileURLToPath(new URL('../../weights', import.meta.url));
  const isPublished = existsSync(join(published, 'index.json'));
  return isPublished ? published : fileURLToPath(new URL('../../../../weights', import.meta.url));
}

/** Every network that comes with Cohort. */
export function listOffered(folder: string = offeredFolder()): OfferedWeights[] {
  const text = readFileSync(join(folder, 'index.json'), 'utf8');
  return z.array(entrySchema).parse(JSON.parse(text));
}

/** One of them, with or without the prefix. @throws {WeightsError} `argument` naming what there is */
export function findOffered(name: string, folder: string = offeredFolder()): OfferedWeights {
  const known = listOffered(folder);
  const bare = name.startsWith(OFFERED_PREFIX) ? name.slice(OFFERED_PREFIX.length) : name;
  const found = known.find((entry) => entry.name === bare);
  if (found !== undefined) return found;
  const names = known.map((entry) => entry.name);
  const nearest = nearestName(bare, names);
  throw new WeightsError('argument', {
    operation: 'choosing weights that come with Cohort',
    expected: `one of ${names.join(', ')}`,
    received: `'${bare}'`,
    remedy: nearest === null ? 'cohort weights list describes them.' : `Did you mean ${nearest}?`,
  });
}

/** Path of its file. */
export function offeredPath(
  { name }: Pick<OfferedWeights, 'name'>,
  folder: string = offeredFolder(),
): string {
  return join(folder, `${name}.safetensors`);
}

/** What a recipe's `weights` name, as a path: `cohort:NAME` is a file that comes with Cohort. @throws {WeightsError} */
export function weightsPath(given: string): string {
  return given.startsWith(OFFERED_PREFIX) ? offeredPath(findOffered(given)) : given;
}

/** The same from any folder: a path counts from the current one, the name of offered weights stays. */
export function portableWeights(given: string | null): string | null {
  return given === null || given.startsWith(OFFERED_PREFIX) ? given : resolve(given);
}
