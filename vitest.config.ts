/** Test run: TypeScript sources directly (no stale build), one file at a time because LibTorch uses every core. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      '@cohort/torch': source('packages/torch/src/index.ts'),
      '@cohort/runs': source('packages/runs/src/index.ts'),
      cohort: source('packages/cohort/src/index.ts'),
    },
  },
  test: {
    include: ['packages/*/src/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', source('scripts/plainSummary.ts')],
  },
});
