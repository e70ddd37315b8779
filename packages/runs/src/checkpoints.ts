/** Checkpoint folders that are swapped in whole: whenever the process or the machine stops, the last good one can be found. */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeFileError, fileErrorCode, RunError } from './errors.ts';
import { removeQuietly, syncFolder, syncTree, uniqueSuffix } from './files.ts';

/** The old checkpoint while the new one takes its place: intact, and read if the proper name is missing. */
const asideName = (name: string): string => `.${name}.old`;
const partialPattern = /^\..+\.partial-[0-9a-f]+$/;
const asidePattern = /^\.(.+)\.old$/;

/**
 * Refuses names that could leave the folder or be taken for the temporary ones.
 * @param checkpoints the run's `checkpoints` folder
 */
export function checkCheckpointName(name: string, checkpoints: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) return;
  throw new RunError(
    'invalid',
    checkpoints,
    `cannot use ${JSON.stringify(name)} as the name of a checkpoint in ${checkpoints}: it has other characters or is too long`,
    {
      remedy: 'Choose 1 to 100 letters, digits, ".", "_" or "-", of which the first is a letter or a digit.',
    },
  );
}

/**
 * Lets `write` fill a new folder and puts it in place of `checkpoints/<name>`. On failure the new folder is removed
 * and the old one stays. Errors of the file system and of `write` come out as they are.
 * @returns the path of the checkpoint
 */
export function replaceCheckpoint(
  checkpoints: string,
  name: string,
  write: (folder: string) => unknown,
): string {
  const partial = beginCheckpoint(checkpoints, name);
  try {
    const result = write(partial);
    // The type does not stop an async function, whose folder would be put in place before it is filled.
    if (result instanceof Promise) {
      throw new TypeError(
        `the checkpoint "${name}" was written by an async function: write it synchronously`,
      );
    }
    syncTree(partial);
    swapIn(checkpoints, name, partial);
  } catch (error) {
    removeQuietly(partial);
    throw error;
  }
  return join(checkpoints, name);
}

/**
 * `replaceCheckpoint` for a `write` that runs elsewhere, one at a time: it flushes what it writes to the disk itself.
 * @returns the path of the checkpoint
 */
export async function replaceCheckpointLater(
  checkpoints: string,
  name: string,
  write: (folder: string) => Promise<void>,
): Promise<string> {
  const partial = beginCheckpoint(checkpoints, name);
  try {
    await write(partial);
    swapIn(checkpoints, name, partial);
  } catch (error) {
    removeQuietly(partial);
    throw error;
  }
  return join(checkpoints, name);
}

/** Clears up after crashes and makes the folder to fill. */
function beginCheckpoint(checkpoints: string, name: string): string {
  makeCheckpointsFolder(checkpoints);
  repair(checkpoints, name);
  const partial = join(checkpoints, `.${name}.partial-${uniqueSuffix()}`);
  mkdirSync(partial);
  return partial;
}

/** Only the folder itself: where the whole run was deleted, its path must not come back without the run. */
function makeCheckpointsFolder(checkpoints: string): void {
  try {
    mkdirSync(checkpoints);
  } catch (error) {
    if (fileErrorCode(error) !== 'EEXIST') throw error;
  }
}

/** The folder of a checkpoint, or null: the proper one, or the old one if a crash fell between the two renames. */
export function findCheckpoint(checkpoints: string, name: string): string | null {
  const proper = join(checkpoints, name);
  const aside = join(checkpoints, asideName(name));
  // The proper one is looked for again because a writer may have finished its swap between the first two looks.
  return [proper, aside, proper].find(isFolder) ?? null;
}

/** The names of the checkpoints that `findCheckpoint` finds, sorted. */
export function listCheckpoints(checkpoints: string): string[] {
  if (!isFolder(checkpoints)) return [];
  const names = new Set<string>();
  for (const entry of readdirSync(checkpoints, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    if (!entry.name.startsWith('.')) names.add(entry.name);
    const aside = asidePattern.exec(entry.name)?.[1];
    if (aside !== undefined) names.add(aside);
  }
  return [...names].sort();
}

/** Removes a checkpoint; its name goes first, so that no reader meets a half of it. */
export function removeCheckpoint(checkpoints: string, name: string): void {
  const condemned = join(checkpoints, `.${name}.partial-${uniqueSuffix()}`);
  const found = findCheckpoint(checkpoints, name);
  if (found === null) return;
  renameSync(found, condemned);
  removeQuietly(condemned);
}

/** Finishes or undoes what a crash during an earlier write left behind. */
function repair(checkpoints: string, name: string): void {
  const proper = join(checkpoints, name);
  const aside = join(checkpoints, asideName(name));
  if (isFolder(aside)) {
    // Only a whole checkpoint ever gets the proper name, so the old one is not needed any more.
    if (isFolder(proper)) rmSync(aside, { recursive: true, force: true });
    else renameSync(aside, proper);
  }
  for (const entry of readdirSync(checkpoints)) {
    // Of any name: one process writes a run, one checkpoint at a time, so all of these are left from a crash.
    if (partialPattern.test(entry)) {
      rmSync(join(checkpoints, entry), { recursive: true, force: true });
    }
  }
}

function swapIn(checkpoints: string, name: string, partial: string): void {
  const proper = join(checkpoints, name);
  const aside = join(checkpoints, asideName(name));
  const replacesOld = isFolder(proper);
  if (replacesOld) renameSync(proper, aside);
  try {
    renameSync(partial, proper);
  } catch (error) {
    try {
      if (replacesOld) renameSync(aside, proper);
    } catch {
      // Readers fall back to the old one where it lies; the first error says why.
    }
    throw error;
  }
  // The new name must be on the disk before the old data goes.
  syncFolder(checkpoints);
  // If this fails the next write of the checkpoint clears it away; the new one is in place.
  if (replacesOld) removeQuietly(aside);
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    throw describeFileError(error, 'look for a checkpoint', path);
  }
}
