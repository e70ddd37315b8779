/** What a plan is made of: kernel calls that read and write tensors. */
import type { Tensor } from './tensor.ts';

/** One kernel call, or a few that belong together. Addresses are known only when `bind` is called. */
export interface Step {
  /** Operator that it computes, for people who profile. */
  readonly name: string;
  readonly reads: readonly Tensor[];
  readonly writes: readonly Tensor[];
  bind(): () => void;
}
