/** Checks, before any image is decoded, that a run can be kept: that its folder can be written to, and that the disk has room for one checkpoint. */
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describeFileError, RunError } from '@cohort-ml/runs';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { cohortModules, createCohort } from '../../cohort/cohort.ts';
import { freeBytesAt, inMebibytes, spareBytes } from '../../checkpoints/diskSpace.ts';
import { createOptimizer } from '../loop/optimizer.ts';

/**
 * Checks the folder for a run, and leaves nothing behind.
 *
 * @param folder need not exist: what counts is the nearest folder above it that does
 * @throws {RunError} where nothing can be written there, or where one checkpoint does not fit
 */
export function assertRoomForRun(
  recipe: ResolvedRecipe,
  folder: string,
  freeBytes: (path: string) => number | null = freeBytesAt,
): void {
  const present = nearestFolder(resolve(folder));
  assertWritable(present, folder);
  const free = freeBytes(present);
  if (free === null) return;
  const needed = leastCheckpointBytes(recipe) + spareBytes;
  if (free >= needed) return;
  throw new RunError(
    'disk-full',
    folder,
    `cannot keep a run in ${folder}: one of its checkpoints needs at least ${inMebibytes(needed)} and ${inMebibytes(free)} are free on the disk that holds ${present}`,
    { remedy: 'Free some space there, or set runs to a folder on another disk.' },
  );
}

/**
 * The least that a checkpoint of a recipe takes: networks, the method's modules (averages and memory banks among them) and
 * the optimizer's state. What is not known before the images are read (classes, channels, their number) counts as few.
 */
export function leastCheckpointBytes(recipe: ResolvedRecipe): number {
  const { train, data, networks, method } = recipe;
  const small: ResolvedRecipe = {
    ...recipe,
    networks: networks.map((network) => ({ ...network, weights: null })),
    train: { ...train, classification: { labelSmoothing: 0, classWeights: null, logitAdjustment: null } },
  };
  // Whether a queue fits the images is said once they are known, and so is whether there are as many images as asked for.
  const queue = 'queue' in method ? (method.queue ?? 0) : 0;
  const images = Math.min(mostImages, Math.max(2, data.trainImages ?? queue));
  const labels = Array.from({ length: images }, (_, index) => index % 2);
  const cohort = createCohort(small, { classes: 2, channels: 1 }, labels);
  const modules = cohortModules(recipe, cohort).map(([, module]) => module);
  const own = Object.values(cohort.method.optimizers ?? {});
  const optimizer = createOptimizer(recipe, modules, own);
  const bytesOf = (tensors: Iterable<{ readonly numel: number; readonly dtype: string }>): number =>
    Array.from(tensors).reduce((sum, { numel, dtype }) => sum + numel * (dtype.endsWith('64') ? 8 : 4), 0);
  const { optimizer: settings } = train;
  const moments = settings.name === 'adamw' ? 2 : settings.momentum > 0 ? 1 : 0;
  const bytes =
    modules.reduce((sum, module) => sum + bytesOf(module.stateDict().values()), 0) +
    moments * bytesOf(optimizer.parameters);
  for (const module of modules) module.dispose();
  for (const each of [optimizer, ...own]) each.dispose();
  return bytes;
}

/** More images than any set of them has: beyond, a mistyped number would take the memory for their labels. */
const mostImages = 4_000_000;

function nearestFolder(path: string): string {
  let folder = path;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** Writes a trial file: permissions alone do not reveal a read-only file system. */
function assertWritable(present: string, folder: string): void {
  try {
    rmdirSync(mkdtempSync(join(present, '.cohort-')));
  } catch (error) {
    throw describeFileError(error, 'make the folder for runs', folder);
  }
}
