/** Test run: TypeScript sources directly (no stale build), a file a core. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      '@cohort-ml/errors': source('packages/errors/src/index.ts'),
      '@cohort-ml/torch/setup': source('packages/torch/src/setup/index.ts'),
      '@cohort-ml/torch': source('packages/torch/src/index.ts'),
      '@cohort-ml/runs': source('packages/runs/src/index.ts'),
      'cohort-ml/internal': source('packages/cohort/src/internal.ts'),
      // Longer names first: an alias also stands for what begins with it.
      '@cohort-ml/runtime/page': source('packages/runtime/src/page/files.ts'),
      '@cohort-ml/runtime/preprocess': source('packages/runtime/src/preprocess/index.ts'),
      '@cohort-ml/runtime': source('packages/runtime/src/index.ts'),
      '@cohort-ml/dashboard': source('packages/dashboard/src/index.ts'),
      'cohort-ml': source('packages/cohort/src/index.ts'),
    },
  },
  test: {
    include: ['packages/*/src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // One thread a file: two files with two threads each would spend their time waiting for one another.
    env: { OMP_NUM_THREADS: '1' },
    // A guard against what hangs, not a measure of speed: a machine ten times slower must pass too. Tests that take more
    // than some seconds here have a limit of their own.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default', source('scripts/plainSummary.ts')],
  },
});
