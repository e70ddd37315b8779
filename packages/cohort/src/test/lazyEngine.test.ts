/** Importing Cohort loads no native code: each of its modules can be read where the engine was never built. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineLoadError, isEngineOpen, ops } from '@cohort-ml/torch';
import { afterAll, expect, test, vi } from 'vitest';

const sources = fileURLToPath(new URL('..', import.meta.url));
const modules = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter(
  (path) =>
    path.endsWith('.ts') &&
    !path.endsWith('.test.ts') &&
    !/^(test|testing)\//.test(path) &&
    // A program: it works as soon as it is read.
    path !== join('bench', 'worker.ts'),
);

afterAll(() => {
  vi.unstubAllEnvs();
});

test('every module can be imported without the addon, and opens nothing', async () => {
  vi.stubEnv('COHORT_ADDON', join(sources, 'no-such-addon.node'));
  expect(modules.length).toBeGreaterThan(200);
  const spinCount = process.env.GOMP_SPINCOUNT;
  for (const path of modules) await import(join(sources, path));
  expect(isEngineOpen()).toBe(false);
  expect(process.env.GOMP_SPINCOUNT).toBe(spinCount);
  expect(() => ops.ones([1])).toThrow(EngineLoadError);
  expect(() => ops.ones([1])).toThrow('no-such-addon.node');
  // Some hundred modules are compiled for it.
}, 600_000);
