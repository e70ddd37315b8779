/** What may have changed between a checkpoint and the run that continues from it; apart from what finds it out, for `--help`. */

/** Code, images and settings. */
export const CHANGES = ['code', 'data', 'recipe'] as const;

/** One of them. */
export type Change = (typeof CHANGES)[number];
