/** What every sampler makes an epoch's order from. */

/** The images to choose among, and what the choice depends on. */
export interface SamplerInput {
  /** Class of every image in the split, by index. */
  readonly labels: ArrayLike<number>;
  readonly batchSize: number;
  /** Images in an epoch: the last batch has what the others leave. */
  readonly imageCount: number;
  readonly seed: number;
  readonly epoch: number;
}
