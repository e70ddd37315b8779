/** Finds the run that is meant: by its path, by the name of its folder, or by the beginning of that. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RunError } from './errors.ts';
import { openRun } from './reader.ts';
import { FILES } from './schema.ts';

/** Names of the run folders in `root` that the text names: those of exactly this name or id, or else those that begin so. */
export function runsNamed(text: string, root: string): string[] {
  if (text === '' || /[/\\]/.test(text)) return [];
  const folders = foldersOf(root);
  const exact = folders.filter((name) => name === text || idOf(join(root, name)) === text);
  return exact.length > 0 ? exact : folders.filter((name) => name.startsWith(text));
}

/**
 * The path of the run folder that is meant; a path that leads to a run is taken before a name in `root`.
 * @param text a path, the name of a folder in `root`, or the beginning of one
 * @param root folder that holds the runs
 * @throws RunError of kind `missing` that lists the runs there are
 */
export function findRun(text: string, root: string): string {
  if (text !== '' && existsSync(join(text, FILES.info))) return text;
  const found = runsNamed(text, root);
  const [only] = found;
  if (only !== undefined && found.length === 1) return join(root, only);
  // A path that exists but is no run is reported when it is opened.
  if (text !== '' && found.length === 0 && existsSync(text)) return text;
  const all = found.length > 1 ? found : foldersOf(root);
  const names = all.slice(-5).toReversed().join(', ');
  throw new RunError(
    'missing',
    resolve(text),
    `cannot find the run ${JSON.stringify(text)}: ` +
      (found.length > 1
        ? `${found.length} runs in ${root} begin like that`
        : all.length === 0
          ? `there is no such folder, and no runs in ${root}`
          : `there is no such folder, and no run in ${root} has a name that begins with this`),
    {
      remedy:
        found.length > 1
          ? `Give more of the name: ${names}.`
          : all.length === 0
            ? 'Give the path of a run folder, or the folder that holds the runs with --runs.'
            : `Give a path, or one of ${names}.`,
    },
  );
}

function foldersOf(root: string): string[] {
  try {
    return readdirSync(root)
      .filter((name) => !name.startsWith('.') && existsSync(join(root, name, FILES.info)))
      .sort();
  } catch {
    // A root that is not there holds no runs.
    return [];
  }
}

/** A folder may have been renamed since the run was made. */
function idOf(folder: string): string | null {
  try {
    return openRun(folder).info.id;
  } catch {
    return null;
  }
}
