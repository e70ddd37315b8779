/** Where a dataset's files may be, in the order in which they are looked for; the same for every dataset. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { isNothingThere } from '@cohort-ml/errors';
import { cohortCacheFolder } from '@cohort-ml/torch/setup';
import type { DatasetOptions } from './dataset.ts';

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Places to look in for the files of a dataset: `options.path` alone when it is given, since silently training on another
 * copy would be worse than stopping; else `$COHORT_DATA/<folder>`, the cache, and the system's folder if it has one.
 * @param folder - the dataset's own folder in each of them.
 */
export function datasetPlaces(folder: string, options: DatasetOptions, systemFolder?: string): string[] {
  if (options.path != null) return [options.path];
  const variables = options.environment ?? process.env;
  const dataFolder = variables.COHORT_DATA ?? '';
  return [
    ...(dataFolder === '' ? [] : [join(dataFolder, folder)]),
    join(cohortCacheFolder(variables), folder),
    ...(systemFolder === undefined ? [] : [systemFolder]),
  ];
}

/** Whether there is something at `path`. What only cannot be reached counts as there, so that reading it tells the true reason. */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    return !isNothingThere(error);
  }
}
