/** Names of the probes and the defaults of their settings; imports no engine, so that the command line stays fast. */

/** Ways to probe, as they are asked for. */
export const PROBES = ['linear', 'neighbours', 'few-shot', 'fine-tune'] as const;

/** Name of a way to probe. */
export type ProbeName = (typeof PROBES)[number];

/** Half decades from 1e-6 to 10. */
export const PENALTIES: readonly number[] = Array.from({ length: 15 }, (_, index) => 10 ** (-6 + index / 2));

/** Defaults; their sources stand in docs/transfer.md. */
export const PROBE_DEFAULTS = {
  by: ['linear', 'neighbours'],
  stage: 'last',
  shots: [1, 5, 10],
  seeds: 5,
  penalties: PENALTIES,
  neighbours: [10, 20, 50, 100, 200],
  temperature: 0.07,
  epochs: 20,
  learningRates: [0.1, 0.03, 0.01, 0.003],
  batchSize: 64,
} as const;

/** Share of the training images that settings are chosen on, where a dataset has no validation images of its own. */
export const VALIDATION_SHARE = 0.1;
