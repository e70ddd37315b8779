/** The cache of built engines: an installed package compiles its native code once per machine, outside `node_modules`. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { makeFolders } from './makeFolders.ts';

/** File name of the compiled addon. */
export const addonName = 'cohort_torch.node';

/** A file as it was when the engine was linked to it; another size or time means another LibTorch. */
export interface FileStamp {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** What is written down about the engine in use. */
export interface BuiltEngine {
  /** Path of the addon. */
  readonly addon: string;
  /** LibTorch's version. */
  readonly libtorch: string;
  /** First line of what the compiler says of itself. */
  readonly compiler: string;
  /** LibTorch's main library. */
  readonly library: FileStamp;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** `cohort` in `$XDG_CACHE_HOME` or `~/.cache`, where Cohort keeps what it can make again; relative values are ignored. */
export function cohortCacheFolder(variables: Variables = process.env): string {
  const given = variables.XDG_CACHE_HOME ?? '';
  if (isAbsolute(given)) return join(given, 'cohort');
  const home = variables.HOME ?? '';
  return join(isAbsolute(home) ? home : homedir(), '.cache', 'cohort');
}

/** `$COHORT_ENGINE_CACHE`, else `engine` in the folder above; relative values are ignored. */
export function engineCacheFolder(variables: Variables = process.env): string {
  const own = variables.COHORT_ENGINE_CACHE ?? '';
  return isAbsolute(own) ? own : join(cohortCacheFolder(variables), 'engine');
}

/** Twelve hexadecimal digits of SHA-256 over texts in their order. */
export function shortHash(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.length}:${text}`);
  return hash.digest('hex').slice(0, 12);
}

/** Hash of everything in a package that the engine is compiled from: C++ sources, Makefile and build scripts. */
export function sourceHash(packageFolder: string): string {
  const files = ['native', 'scripts']
    .flatMap((folder) =>
      readdirSync(join(packageFolder, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    )
    .sort();
  return shortHash(...files.flatMap((path) => [relative(packageFolder, path), readFileSync(path, 'latin1')]));
}

/** Version of Node's binary interface, processor and system: an addon loads only where all three agree. */
export function platformName(): string {
  return `${process.platform}-${process.arch}-abi${process.versions.modules}`;
}

/** Where it is written down which engine this package uses; another `$LIBTORCH` is another engine. */
function notePath(packageFolder: string, variables: Variables): string {
  const chosen = variables.LIBTORCH ?? '';
  const key = shortHash(sourceHash(packageFolder), chosen);
  return join(engineCacheFolder(variables), `current-${platformName()}-${key}.json`);
}

/** Writes down which engine this package uses from now on; writes nothing where that is already written, so that a cache may be read-only. */
export function rememberEngine(packageFolder: string, engine: BuiltEngine, variables: Variables): void {
  const path = notePath(packageFolder, variables);
  const note = `${JSON.stringify(engine, null, 2)}\n`;
  if (existsSync(path) && readFileSync(path, 'utf8') === note) return;
  makeFolders(dirname(path));
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, note);
  renameSync(partial, path);
}

/** Reads the size and the time of a file; undefined where it is missing. */
export function stampOf(path: string): FileStamp | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : { path, bytes: found.size, modifiedMs: Math.trunc(found.mtimeMs) };
}

/**
 * The engine that was built for this package, or undefined where none was, its file is gone, or LibTorch has changed since.
 * Reads a few small files and starts no process.
 */
export function rememberedEngine(
  packageFolder: string,
  variables: Variables = process.env,
): BuiltEngine | undefined {
  const path = notePath(packageFolder, variables);
  if (!existsSync(path)) return undefined;
  const engine = parseNote(readFileSync(path, 'utf8'));
  if (engine === undefined || !existsSync(engine.addon)) return undefined;
  const now = stampOf(engine.library.path);
  const isSame = now?.bytes === engine.library.bytes && now.modifiedMs === engine.library.modifiedMs;
  return isSame ? engine : undefined;
}

/** A note that was cut short or edited counts as none: the engine is then looked for afresh. */
function parseNote(text: string): BuiltEngine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isBuiltEngine(value) ? value : undefined;
}

function isBuiltEngine(value: unknown): value is BuiltEngine {
  if (typeof value !== 'object' || value === null) return false;
  const { addon, libtorch, compiler, library } = value as Partial<Record<keyof BuiltEngine, unknown>>;
  if (typeof library !== 'object' || library === null) return false;
  const { path, bytes, modifiedMs } = library as Partial<Record<keyof FileStamp, unknown>>;
  return (
    [addon, libtorch, compiler, path].every((item) => typeof item === 'string') &&
    typeof bytes === 'number' &&
    typeof modifiedMs === 'number'
  );
}
