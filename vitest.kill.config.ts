/** `npm run test:kill`: the tests that kill trainings of every method, which take too long for the normal run. */
import { mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

const config = mergeConfig(base, { test: { testTimeout: 0 } });
config.test.include = ['packages/cohort/src/**/*.kill.ts'];

export default config;
