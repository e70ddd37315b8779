/** Says which compiled addon to load: the repository's own build, or the one in the user's cache, built at first use. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineLoadError } from '../errors.ts';
import { addonName, rememberedEngine } from './engineCache.ts';

/** Folder of this package, two folders up from `src/setup` as from `dist/setup`. */
export const packageFolder = fileURLToPath(new URL('../..', import.meta.url));

/** Whether this is a clone of the repository, where `npm run setup` builds: sources are not published. */
export function isRepository(folder: string = packageFolder): boolean {
  return existsSync(join(folder, 'src'));
}

/** The command that builds the engine here. */
export function setupCommand(folder: string = packageFolder): string {
  return isRepository(folder) ? 'npm run setup' : 'npx cohort setup';
}

/**
 * Path of the addon. In the repository it is `build/` next to `src`; an installed package builds its engine into the user's
 * cache at first use, which takes a minute or two and says so on stderr. COHORT_ENGINE_BUILD=never forbids that.
 *
 * @throws {EngineLoadError} when the engine cannot be built; the compiler's words stand above on stderr.
 */
export function locateAddon(folder: string = packageFolder): string {
  if (isRepository(folder)) return join(folder, 'build', addonName);
  const remembered = rememberedEngine(folder);
  if (remembered !== undefined) return remembered.addon;
  if (process.env.COHORT_ENGINE_BUILD === 'never') {
    throw new EngineLoadError(
      'load',
      'the native engine has not been built for this LibTorch. Run "npx cohort setup", which finds LibTorch and builds it.',
    );
  }
  buildAtFirstUse();
  const built = rememberedEngine(folder);
  if (built !== undefined) return built.addon;
  throw new EngineLoadError(
    'load',
    'the native engine could not be built; the reason is above. Correct it, then run "npx cohort setup".',
  );
}

/** In a process of its own, since loading is synchronous. Results of programs go to stdout, so this writes to stderr only. */
function buildAtFirstUse(): void {
  const program = fileURLToPath(new URL(`./program${extname(import.meta.url)}`, import.meta.url));
  spawnSync(process.execPath, [program], { stdio: ['ignore', 2, 2] });
}
