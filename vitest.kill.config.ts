/** `npm run test:kill`: the tests that kill trainings of every method, which take too long for the normal run. */
import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

export default defineConfig({
  ...base,
  test: { ...base.test, include: ['packages/cohort/src/**/*.kill.ts'], testTimeout: 0 },
});
