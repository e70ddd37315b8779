/** Setting up an engine with a build script that only writes a file: one build at a time, and caches that refuse. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { rememberedEngine } from './engineCache.ts';
import { EngineSetupError, setUpEngine } from './setUpEngine.ts';

let root: string;
let folder: string;
let variables: Record<string, string | undefined>;

function write(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Waits until the test lets it go on where there is a file `hold`; every build leaves a line. */
const buildScript = `
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
const root = process.env.TEST_ROOT;
appendFileSync(root + '/builds', 'built\\n');
while (existsSync(root + '/hold')) await new Promise((resolve) => setTimeout(resolve, 10));
const build = new URL('../build/', import.meta.url);
mkdirSync(build);
writeFileSync(new URL('cohort_torch.node', build), 'addon');
`;

/** An installed package and a LibTorch, both without anything that could run. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cohort set-up '));
  folder = join(root, 'package');
  write(join(folder, 'package.json'), '{}');
  write(join(folder, 'native/sum.cc'), 'int sum;');
  write(join(folder, 'scripts/buildNative.mjs'), buildScript);
  write(join(folder, 'node_modules/node-api-headers/package.json'), '{}');
  const torch = join(root, 'libtorch');
  for (const header of ['ATen/ATen.h', 'c10/util/Exception.h', 'torch/library.h'])
    write(join(torch, 'include', header));
  const ending = process.platform === 'darwin' ? 'dylib' : 'so';
  for (const name of ['torch', 'torch_cpu', 'c10']) write(join(torch, 'lib', `lib${name}.${ending}`), name);
  write(join(torch, 'build-version'), '2.1.0');
  variables = {
    ...process.env,
    COHORT_ENGINE_CACHE: join(root, 'cache'),
    LIBTORCH: torch,
    TEST_ROOT: root,
  };
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const builds = (): number =>
  existsSync(join(root, 'builds')) ? readFileSync(join(root, 'builds'), 'utf8').split('\n').length - 1 : 0;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** The cache holds one engine, the note on it, and nothing that is left over. */
function expectCleanCache(): void {
  const names = readdirSync(join(root, 'cache')).map((name) => name.replace(/-.*/s, ''));
  expect(names.sort()).toEqual(['current', 'libtorch']);
}

describe('setting up', () => {
  test('builds once and remembers', async () => {
    const first = await setUpEngine({ folder, variables });
    expect(first).toMatchObject({ built: true, libtorch: '2.1.0' });
    expect(readFileSync(first.addon, 'utf8')).toBe('addon');
    expect(rememberedEngine(folder, variables)?.addon).toBe(first.addon);
    expect(await setUpEngine({ folder, variables })).toMatchObject({ built: false, addon: first.addon });
    expect(builds()).toBe(1);
    expect(await setUpEngine({ folder, variables, force: true })).toMatchObject({ built: true });
    expect(builds()).toBe(2);
    expectCleanCache();
  });

  test('at the same time builds once: the second waits and says for whom', async () => {
    write(join(root, 'hold'));
    const messages: string[] = [];
    const first = setUpEngine({ folder, variables });
    await until(() => builds() === 1);
    const second = setUpEngine({ folder, variables, onMessage: (text) => messages.push(text) });
    await until(() => messages.length > 0);
    rmSync(join(root, 'hold'));
    expect((await first).built).toBe(true);
    expect((await second).built).toBe(false);
    expect(messages[0]).toBe(`waiting for process ${process.pid}, which is building the engine ...`);
    expect(builds()).toBe(1);
    expectCleanCache();
  });

  test('takes over from a process that died while it built', async () => {
    const { addon } = await setUpEngine({ folder, variables });
    rmSync(dirname(addon), { recursive: true });
    // Above the largest process number of Linux and macOS.
    writeFileSync(`${dirname(addon)}.lock`, `99999999 ${hostname()}`);
    write(join(root, 'cache', `building-${basename(dirname(addon))}-left`, 'native', 'sum.o'));
    expect((await setUpEngine({ folder, variables })).built).toBe(true);
    expectCleanCache();
  });

  test('can be ended while it waits', async () => {
    const { addon } = await setUpEngine({ folder, variables });
    rmSync(dirname(addon), { recursive: true });
    writeFileSync(`${dirname(addon)}.lock`, `${process.pid} ${hostname()}`);
    const controller = new AbortController();
    const waiting = setUpEngine({
      folder,
      variables,
      signal: controller.signal,
      onMessage: () => {
        controller.abort();
      },
    });
    await expect(waiting).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    expect(builds()).toBe(1);
  });
});

describe('a cache that cannot be written', () => {
  test.runIf(process.platform === 'linux')('below /proc ends with an error', async () => {
    const refused = setUpEngine({ folder, variables: { ...variables, COHORT_ENGINE_CACHE: '/proc/x/y' } });
    await expect(refused).rejects.toThrow(EngineSetupError);
    await expect(refused).rejects.toThrow(
      /the cache of engines cannot be written: ENOENT.*Set COHORT_ENGINE_CACHE to a folder of your own\./,
    );
  });

  test('because it is a file ends with an error', async () => {
    write(join(root, 'file'), 'text');
    const refused = setUpEngine({
      folder,
      variables: { ...variables, COHORT_ENGINE_CACHE: join(root, 'file') },
    });
    await expect(refused).rejects.toThrow(/the cache of engines cannot be written: (EEXIST|ENOTDIR)/);
  });
});

test('what the compiler said is in the error', async () => {
  write(join(folder, 'scripts/buildNative.mjs'), "console.log('sum.cc:1: no such type'); process.exit(1);");
  await expect(setUpEngine({ folder, variables })).rejects.toThrow(
    /sum\.cc:1: no such type\nThe engine could not be built for LibTorch 2\.1\.0/,
  );
  expect(readdirSync(join(root, 'cache'))).toEqual([]);
});
