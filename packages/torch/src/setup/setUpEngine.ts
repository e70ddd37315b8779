/** Builds the engine of an installed package into the user's cache, unless one for this LibTorch and compiler is there. */
import { errorCode, errorText } from '@cohort-ml/errors';
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import {
  findLibTorch,
  LibTorchNotFoundError,
  type LibTorchInstallation,
} from '../../scripts/findLibTorch.mjs';
import {
  addonName,
  engineCacheFolder,
  platformName,
  rememberEngine,
  shortHash,
  sourceHash,
  stampOf,
} from './engineCache.ts';
import type { BuiltEngine } from './engineCache.ts';
import { isRepository, packageFolder } from './locateAddon.ts';
import { TorchError } from '../errors.ts';
import { takeBuildLock } from './buildLock.ts';
import { makeFolders } from './makeFolders.ts';

/** The engine cannot be set up; the message says what is missing and how to get it. */
export class EngineSetupError extends TorchError {
  override readonly name = 'EngineSetupError';
}

/** How to set up the engine. */
export interface EngineSetupOptions {
  /** Builds even where a built engine is in the cache. */
  readonly force?: boolean;
  /** Hears what is being done. */
  readonly onMessage?: (text: string) => void;
  /** Stops the compiler. */
  readonly signal?: AbortSignal | undefined;
  /** Environment variables; those of this process unless given. */
  readonly variables?: NodeJS.ProcessEnv;
  /** Folder of the installed package; for tests. */
  readonly folder?: string;
}

/** What the set-up came to. */
export interface EngineSetupResult extends BuiltEngine {
  /** Whether it was compiled now; false where the cache had it. */
  readonly built: boolean;
  /** Time that compiling took, in seconds; 0 where the cache had it. */
  readonly seconds: number;
}

/**
 * Finds LibTorch and a compiler, compiles the engine where the cache has none for both, and remembers it for this package.
 * Needs no network. Where several processes do so at once, one builds and the others wait for it.
 *
 * @throws {EngineSetupError} for a missing LibTorch or compiler, sources that do not compile, a cache that cannot be written,
 *   and in the repository.
 */
export async function setUpEngine(options: EngineSetupOptions = {}): Promise<EngineSetupResult> {
  const { folder = packageFolder, variables = process.env, onMessage = () => undefined } = options;
  if (isRepository(folder)) {
    throw new EngineSetupError(
      'setup',
      'this is a clone of the repository, which keeps its engine in packages/torch/build. Run "npm run setup" there.',
    );
  }
  const torch = locateLibTorch(variables);
  const compiler = describeCompiler(variables);
  const library = libraryStamp(torch);
  const cache = engineCacheFolder(variables);
  const key = [
    `libtorch-${torch.version.replaceAll(/[^\w.]/g, '-')}`,
    platformName(),
    shortHash(sourceHash(folder), compiler, variables.CXXFLAGS ?? '', library.path, String(library.bytes)),
  ].join('-');
  const target = join(cache, key);
  const engine: BuiltEngine = {
    addon: join(target, addonName),
    libtorch: torch.version,
    compiler: compiler.split('\n')[0] ?? '',
    library,
  };
  const isCached = existsSync(engine.addon) && options.force !== true;
  const seconds = isCached ? undefined : await buildOnce(folder, target, torch, options);
  inCache(() => {
    rememberEngine(folder, engine, variables);
  });
  onMessage(
    seconds === undefined
      ? `the engine is in ${target}`
      : `built the engine in ${seconds} s; it is kept in ${target}`,
  );
  return { ...engine, built: seconds !== undefined, seconds: seconds ?? 0 };
}

/** Builds unless another process does so first: the seconds that it took, or undefined where the other one built. */
async function buildOnce(
  folder: string,
  target: string,
  torch: LibTorchInstallation,
  options: EngineSetupOptions,
): Promise<number | undefined> {
  const { onMessage = () => undefined, signal, force = false } = options;
  inCache(() => {
    makeFolders(dirname(target));
  });
  const lock = await takeBuildLock(`${target}.lock`, {
    signal,
    onWait: (holder) => {
      onMessage(`waiting for ${holder}, which is building the engine ...`);
    },
  }).catch(refuseCache);
  try {
    if (existsSync(join(target, addonName)) && (lock.hasWaited || !force)) return undefined;
    const begin = performance.now();
    onMessage(
      `building the engine for LibTorch ${torch.version} in ${torch.root}; this happens once and takes a minute or more ...`,
    );
    await compile(folder, target, torch, options);
    return Math.round((performance.now() - begin) / 1000);
  } finally {
    lock.release();
  }
}

function locateLibTorch(variables: NodeJS.ProcessEnv): LibTorchInstallation {
  try {
    return findLibTorch(variables);
  } catch (error) {
    if (!(error instanceof LibTorchNotFoundError)) throw error;
    throw new EngineSetupError('setup', `${error.message}\nThen run "npx cohort setup" again.`, {
      cause: error,
    });
  }
}

/** The compiler that make will call, and its version. */
function describeCompiler(variables: NodeJS.ProcessEnv): string {
  const compiler = compilerName(variables);
  const { status, stdout } = spawnSync(compiler, ['--version'], { encoding: 'utf8', env: variables });
  if (status !== 0) {
    throw new EngineSetupError(
      'setup',
      `no C++ compiler was found (looked for ${compiler}). Install one (Debian: apt-get install g++ make; macOS: xcode-select --install), or name yours in CXX.`,
    );
  }
  if (spawnSync('make', ['--version'], { env: variables }).status !== 0) {
    throw new EngineSetupError(
      'setup',
      'make was not found. Install it (Debian: apt-get install make; macOS: xcode-select --install).',
    );
  }
  return `${stdout.trim()}\n${compiler}`;
}

/** `$CXX`, else what make calls by itself. */
function compilerName(variables: NodeJS.ProcessEnv): string {
  const chosen = variables.CXX ?? '';
  if (chosen !== '') return chosen;
  return process.platform === 'darwin' ? 'c++' : 'g++';
}

function libraryStamp(torch: LibTorchInstallation): BuiltEngine['library'] {
  const name = `libtorch_cpu.${process.platform === 'darwin' ? 'dylib' : 'so'}`;
  const path = torch.libDirs.map((folder) => join(folder, name)).find((file) => existsSync(file));
  // Debian's development packages hold a link; the library itself is there without them too.
  const stamp = path === undefined ? undefined : stampOf(realpathSync(path));
  if (stamp !== undefined) return stamp;
  throw new EngineSetupError(
    'setup',
    `${name} is not in ${torch.libDirs.join(', ')}. Install LibTorch again, or name another in LIBTORCH.`,
  );
}

/**
 * Compiles in a copy of the sources, since `node_modules` may be read-only, and puts the addon into the cache when it is
 * whole: an interrupted build leaves nothing that could be taken for an engine.
 */
async function compile(
  folder: string,
  target: string,
  torch: LibTorchInstallation,
  { variables = process.env, signal }: EngineSetupOptions,
): Promise<void> {
  const prefix = `building-${basename(target)}-`;
  const work = inCache(() => {
    // Killed builds leave hundreds of megabytes; whoever holds the lock may remove them.
    for (const name of readdirSync(dirname(target)))
      if (name.startsWith(prefix)) rmSync(join(dirname(target), name), { recursive: true, force: true });
    return mkdtempSync(join(dirname(target), prefix));
  });
  try {
    const headers = createRequire(join(folder, 'package.json')).resolve('node-api-headers/package.json');
    inCache(() => {
      for (const part of ['native', 'scripts'])
        cpSync(join(folder, part), join(work, part), { recursive: true });
      mkdirSync(join(work, 'node_modules'));
      symlinkSync(dirname(headers), join(work, 'node_modules', 'node-api-headers'), 'junction');
    });
    const environment = { ...variables, CXX: compilerName(variables) };
    const output = await runBuild(
      join(realpathSync(work), 'scripts', 'buildNative.mjs'),
      environment,
      signal,
    );
    if (output !== null) {
      throw new EngineSetupError(
        'setup',
        `${output.trim()}\nThe engine could not be built for LibTorch ${torch.version} in ${torch.root}. Read what stands above, or choose another LibTorch (LIBTORCH) or compiler (CXX).`,
      );
    }
    inCache(() => {
      makeFolders(target);
      renameSync(join(work, 'build', addonName), join(target, addonName));
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Runs what writes to the cache. @throws {EngineSetupError} where the system refuses */
function inCache<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    return refuseCache(error);
  }
}

function refuseCache(error: unknown): never {
  if (errorCode(error) === undefined || errorCode(error) === 'ABORT_ERR') throw error;
  throw new EngineSetupError(
    'setup',
    `the cache of engines cannot be written: ${errorText(error)}. Set COHORT_ENGINE_CACHE to a folder of your own.`,
    { cause: error },
  );
}

/** Null on success, else everything that the build said. */
function runBuild(
  script: string,
  variables: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const build = spawn(process.execPath, [script], {
      env: variables,
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    for (const stream of [build.stdout, build.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    build.once('error', reject);
    build.once('close', (code) => {
      resolve(code === 0 ? null : output);
    });
  });
}
