/** A run that cannot be deleted stays as usable as it was. */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeRun } from './change.ts';
import { isRunLive } from './lock.ts';
import { runErrorOf, temporaryFolder, testRun } from './testing.ts';

test('a run that cannot be deleted is not left locked', () => {
  const root = temporaryFolder();
  const run = testRun(root);
  run.finish({});
  // With what is added while it is deleted, its name is longer than file systems allow.
  const path = join(root, 'x'.repeat(250));
  renameSync(run.path, path);
  const error = runErrorOf(() => {
    removeRun(path);
  });
  expect(error.message).toContain('cannot delete the run');
  expect(existsSync(path)).toBe(true);
  expect(isRunLive(path)).toBe(false);
});
