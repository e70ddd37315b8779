import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EngineLoadError } from '../errors.ts';
import type { BuiltEngine } from './engineCache.ts';
import { engineCacheFolder, rememberedEngine, rememberEngine, sourceHash, stampOf } from './engineCache.ts';
import { isRepository, locateAddon } from './locateAddon.ts';
import { EngineSetupError, setUpEngine } from './setUpEngine.ts';

let root: string;
let folder: string;
let engine: BuiltEngine;
let variables: Record<string, string>;

/** An installed package with a LibTorch and an addon that are files with a few letters. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cohort engine cache '));
  folder = join(root, 'package');
  for (const part of ['native/kernels', 'scripts']) mkdirSync(join(folder, part), { recursive: true });
  writeFileSync(join(folder, 'native/kernels/sum.cc'), 'int sum;');
  writeFileSync(join(folder, 'scripts/build.mjs'), '');
  const addon = join(root, 'addon.node');
  const path = join(root, 'libtorch_cpu.so');
  for (const file of [addon, path]) writeFileSync(file, 'binary');
  const library = stampOf(path);
  if (library === undefined) throw new Error('the file was written just now');
  engine = { addon, libtorch: '1.13.1', compiler: 'g++ 12', library };
  variables = { COHORT_ENGINE_CACHE: join(root, 'cache') };
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

describe('the remembered engine', () => {
  test('is the one that was set up', () => {
    expect(rememberedEngine(folder, variables)).toBeUndefined();
    rememberEngine(folder, engine, variables);
    expect(rememberedEngine(folder, variables)).toEqual(engine);
  });

  test('is forgotten when LibTorch, its own file or the sources change', () => {
    rememberEngine(folder, engine, variables);
    writeFileSync(engine.library.path, 'another binary');
    expect(rememberedEngine(folder, variables)).toBeUndefined();

    writeFileSync(engine.library.path, 'binary');
    const library = stampOf(engine.library.path);
    rememberEngine(folder, { ...engine, library: library ?? engine.library }, variables);
    expect(rememberedEngine(folder, variables)).toBeDefined();
    writeFileSync(join(folder, 'native/kernels/sum.cc'), 'long sum;');
    expect(rememberedEngine(folder, variables)).toBeUndefined();
    writeFileSync(join(folder, 'native/kernels/sum.cc'), 'int sum;');
    expect(rememberedEngine(folder, variables)).toBeDefined();
    rmSync(engine.addon);
    expect(rememberedEngine(folder, variables)).toBeUndefined();
  });

  test('is another one for another LIBTORCH', () => {
    rememberEngine(folder, engine, variables);
    expect(rememberedEngine(folder, { ...variables, LIBTORCH: '/opt/libtorch' })).toBeUndefined();
  });
});

test('the hash of the sources depends on names and on where a file ends', () => {
  const before = sourceHash(folder);
  expect(before).toMatch(/^[0-9a-f]{12}$/);
  rmSync(join(folder, 'native/kernels/sum.cc'));
  writeFileSync(join(folder, 'native/kernels/add.cc'), 'int sum;');
  expect(sourceHash(folder)).not.toBe(before);
});

test('the cache folder follows COHORT_ENGINE_CACHE, then XDG_CACHE_HOME, and ignores relative paths', () => {
  expect(engineCacheFolder({ COHORT_ENGINE_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(engineCacheFolder({ COHORT_ENGINE_CACHE: 'a', XDG_CACHE_HOME: '/b' })).toBe('/b/cohort/engine');
  expect(engineCacheFolder({ XDG_CACHE_HOME: 'b' })).toMatch(/\/\.cache\/cohort\/engine$/);
});

describe('without an engine', () => {
  test('an installed package that must not build says what to run', () => {
    vi.stubEnv('COHORT_ENGINE_CACHE', variables.COHORT_ENGINE_CACHE);
    vi.stubEnv('COHORT_ENGINE_BUILD', 'never');
    expect(() => locateAddon(folder)).toThrow(EngineLoadError);
    expect(() => locateAddon(folder)).toThrow('Run "npx cohort setup", which finds LibTorch and builds it.');
  });

  test('set-up says that LIBTORCH leads nowhere', async () => {
    const missing = join(root, 'no-libtorch');
    await expect(setUpEngine({ folder, variables: { ...variables, LIBTORCH: missing } })).rejects.toThrow(
      /LIBTORCH is set to .*does not exist[\s\S]*Then run "npx cohort setup" again\./,
    );
  });

  test('the repository keeps its own build', async () => {
    expect(isRepository()).toBe(true);
    expect(locateAddon()).toMatch(/packages\/torch\/build\/cohort_torch\.node$/);
    await expect(setUpEngine({ variables })).rejects.toThrow(EngineSetupError);
    await expect(setUpEngine({ variables })).rejects.toThrow('Run "npm run setup" there.');
  });
});
