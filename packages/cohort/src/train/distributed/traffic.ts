/** What crossed between ranks in a training, for its summary. */
import type { Ranks } from './ranks.ts';

/** Counted at run time, from the start of the process on. */
export interface TrafficSummary {
  readonly ranks: number;
  /** The networks of every rank. */
  readonly placement: readonly (readonly number[])[];
  /** Payload that the first rank passed to each other rank per step, evaluations and checkpoints included. */
  readonly sentBytesPerStepAndPeer: number;
  readonly receivedBytes: number;
  readonly operations: number;
  /** How long the first rank waited for others. */
  readonly waitedSeconds: number;
}

/** @param steps taken in this process */
export function describeTraffic({ group, exchange, traffic }: Ranks, steps: number): TrafficSummary {
  return {
    ranks: group.size,
    placement: exchange.placement,
    sentBytesPerStepAndPeer: steps === 0 ? 0 : Math.round(traffic.sentBytesPerPeer / steps),
    receivedBytes: traffic.receivedBytes,
    operations: traffic.operations,
    waitedSeconds: traffic.waitedMs / 1000,
  };
}
