/** What crossed between ranks in a training: for its summary, and rank by rank while it runs. */
import { hostname } from 'node:os';
import { threads } from '@cohort-ml/torch';
import type { RankRecord, RanksRecord } from '@cohort-ml/runs';
import type { RowSettings } from '../../topology/index.ts';
import { at } from '../../support/at.ts';
import type { Session } from '../run/session.ts';
import type { Ranks } from './ranks.ts';
import { digestWeights } from './weightDigests.ts';

/** Counted at run time, on the first rank. */
export interface TrafficSummary {
  readonly ranks: number;
  /** The networks of every rank, or of every set of ranks that share each batch. */
  readonly placement: readonly (readonly number[])[];
  /** How many ranks share each batch. */
  readonly shards: number;
  /** Payload of a training step that the first rank passes to each rank with other networks. */
  readonly bytesPerStepAndPeer: number;
  /** All that it passed to each of these, evaluations and checkpoints included. */
  readonly sentBytesPerPeer: number;
  /** All that it took in. */
  readonly receivedBytes: number;
  readonly operations: number;
  /** How long it waited for others. */
  readonly waitedSeconds: number;
  /** Where batches are shared: how, and the payload of a training step to each rank that shares the first rank's. */
  readonly dataParallel?: RowSettings & { readonly bytesPerStepAndShard: number };
}

/** Sums it up. */
export function describeTraffic(ranks: Ranks): TrafficSummary {
  const { group, exchange, traffic, shardTraffic, stepTraffic, shards } = ranks;
  return {
    ranks: group.size,
    placement: exchange.placement,
    shards,
    bytesPerStepAndPeer: stepTraffic.sentBytesPerPeer,
    sentBytesPerPeer: traffic.sentBytesPerPeer,
    receivedBytes: traffic.receivedBytes + (shardTraffic?.receivedBytes ?? 0),
    operations: traffic.operations + (shardTraffic?.operations ?? 0),
    waitedSeconds: (traffic.waitedMs + (shardTraffic?.waitedMs ?? 0)) / 1000,
    ...(exchange.rows === null
      ? {}
      : {
          dataParallel: {
            ...exchange.rows.settings,
            bytesPerStepAndShard: stepTraffic.sentBytesPerShard,
          },
        }),
  };
}

/**
 * What every rank has done so far; all ranks call it.
 *
 * @param startedAt of this rank, on the clock of `performance.now`
 */
export function recordRanks(
  ranks: Ranks,
  { cohort, modules }: Pick<Session, 'cohort' | 'modules'>,
  done: { readonly epoch: number; readonly step: number },
  startedAt: number,
): RanksRecord {
  const { group, exchange, traffic, shardTraffic, stepTraffic, shards } = ranks;
  const networks = exchange.own.map((network) => at(cohort.names, network, 'the names'));
  const own: RankRecord = {
    rank: group.rank,
    host: hostname(),
    networks,
    shard: exchange.rows?.group.rank ?? 0,
    threads: threads(),
    bytesPerStepAndPeer: stepTraffic.sentBytesPerPeer,
    bytesPerStepAndShard: stepTraffic.sentBytesPerShard,
    receivedBytes: traffic.receivedBytes + (shardTraffic?.receivedBytes ?? 0),
    waitedSeconds: (traffic.waitedMs + (shardTraffic?.waitedMs ?? 0)) / 1000,
    runningSeconds: (performance.now() - startedAt) / 1000,
    weights: digestWeights(modules, ranks.trainersOf(cohort), exchange.rank),
  };
  const all = group.allGatherText(JSON.stringify(own)).map((text) => JSON.parse(text) as RankRecord);
  const { epoch, step } = done;
  return { writtenAt: new Date().toISOString(), epoch, step, shards, ranks: all };
}
