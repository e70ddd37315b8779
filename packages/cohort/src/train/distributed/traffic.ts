/** What crossed between ranks in a training, for its summary. */
import type { Ranks } from './ranks.ts';

/** Counted at run time, on the first rank. */
export interface TrafficSummary {
  readonly ranks: number;
  /** The networks of every rank. */
  readonly placement: readonly (readonly number[])[];
  /** Payload of a training step that the first rank passes to each other rank. */
  readonly bytesPerStepAndPeer: number;
  /** All that it passed to each other rank, evaluations and checkpoints included. */
  readonly sentBytesPerPeer: number;
  /** All that it took in. */
  readonly receivedBytes: number;
  readonly operations: number;
  /** How long it waited for others. */
  readonly waitedSeconds: number;
}

/** Sums it up. */
export function describeTraffic({ group, exchange, traffic, stepBytesPerPeer }: Ranks): TrafficSummary {
  return {
    ranks: group.size,
    placement: exchange.placement,
    bytesPerStepAndPeer: stepBytesPerPeer,
    sentBytesPerPeer: traffic.sentBytesPerPeer,
    receivedBytes: traffic.receivedBytes,
    operations: traffic.operations,
    waitedSeconds: traffic.waitedMs / 1000,
  };
}
