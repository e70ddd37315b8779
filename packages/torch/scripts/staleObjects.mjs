/** Lets builds made before a source file moved go on: make stops at a dependency file that names a source that is gone. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Removes objects, with their dependency files, whose source is no longer where it was compiled from.
 *
 * @param buildFolder objects and dependency files (`.o`, `.d`) as the Makefile writes them
 * @param sourceFolder the folder that relative paths in dependency files start from
 * @returns the names of the objects removed
 */
export function removeStaleObjects(buildFolder, sourceFolder) {
  if (!existsSync(buildFolder)) return [];
  const stale = readdirSync(buildFolder)
    .filter((file) => file.endsWith('.d'))
    .filter((file) => {
      // "../build/addon.o: binding/addon.cc binding/distributed.h \": the source comes first; spaces in names are escaped.
      const source = /:\s*(?:\\\n\s*)*((?:\\ |[^\s\\])+)/.exec(readFileSync(join(buildFolder, file), 'utf8'));
      return source !== null && !existsSync(resolve(sourceFolder, source[1].replaceAll('\\ ', ' ')));
    })
    .map((file) => file.slice(0, -2));
  for (const name of stale) {
    rmSync(join(buildFolder, `${name}.o`), { force: true });
    rmSync(join(buildFolder, `${name}.d`));
  }
  return stale.map((name) => `${name}.o`);
}
