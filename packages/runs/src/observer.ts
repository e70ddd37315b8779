/** Who learns what a run records while it is being written: the store and event files, which the run folder does not depend on. */
import type { MetricRecord } from './metrics.ts';

/** Told by the writer of a run. None of these may throw: the training must not depend on them. */
export interface RunObserver {
  /** A record was taken; it may reach the disk later. */
  metrics?(record: MetricRecord): void;
  /** Records that waited are in `metrics.jsonl`. */
  flushed?(): void;
  /** The status is written; nothing follows. */
  ended?(): void;
}
